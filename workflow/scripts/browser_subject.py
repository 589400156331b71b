"""Write the data of one subject's voxels and the pictures that the browser shows of them."""

from pathlib import Path

from mine.browser.brain import describe_brain
from mine.browser.subject import Region, write_subject
from mine.datasets.reader import open_dataset
from mine.datasets.voxels import voxels_of
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import load_store, open_store

OPENED = ("profiles", "attributions", "descriptions", "structure", "preference")
LOADED = ("sufficiency", "counterfactuals")
PAINTED = ("generated", "edits")

start_logging(snakemake)
given, params, subject = snakemake.input, snakemake.params, snakemake.wildcards.subject


def open_region(place):
    stores = {name: open_store(given[name][place]) for name in OPENED}
    stores |= {name: open_store(given[name][place]).load() for name in LOADED}
    stores |= {name: load_store(given[name][place], lazy="pixels") for name in PAINTED}
    return Region(Path(given.profiles[place]).parent.name, stores)


dataset = open_dataset(params.dataset)
scores = open_store(given.scores)[["r2", "r2_interval", "r2_normalised", "noise_ceiling"]].load()
responses = open_store(given.responses)
voxels, is_test = voxels_of(responses), responses["split"].values == "test"
write_subject(
    Path(snakemake.output.folder),
    subject,
    map(open_region, range(len(given.profiles))),
    scores=scores,
    measured=responses["response"].isel(image=is_test).load(),
    brain=describe_brain(
        voxels,
        geometry=responses.attrs["geometry"],
        r2=scores["r2"].sel(model="mine").values,
        noise_ceiling=scores["noise_ceiling"].values,
        background=dataset.read_background(subject, voxels),
    ),
    words=open_store(given.vocabulary)["word"].values,
    group=open_store(given.base_rates)["group"].values,
    read=dataset.open_stimuli().read,
    template=params.prompt,
    method=params.method,
    **params.browser,
)
write_history(snakemake)
