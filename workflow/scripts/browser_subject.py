"""Write the data of one subject's voxels and the pictures that the browser shows of them."""

from pathlib import Path

import numpy as np

from mine.browser.brain import describe_brain
from mine.browser.causal import describe_tests, list_pictures
from mine.browser.pictures import write_pictures
from mine.browser.region import write_region
from mine.browser.scripts import write_script
from mine.datasets.reader import open_dataset
from mine.datasets.voxels import voxels_of
from mine.figures.voxels import describe_voxels
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import load_store, open_store

PROFILE = ["word", "listed", "added", "z", "q", "reliability", "reliability_p", "specificity"]
PROFILE += ["described", "reason", "position_map"]
OPENED = ("descriptions", "structure", "preference", "sufficiency", "counterfactuals")

log = start_logging(snakemake)
given, params, subject = snakemake.input, snakemake.params, snakemake.wildcards.subject
folder = Path(snakemake.output.folder)
words = open_store(given.vocabulary)["word"].values
scores = open_store(given.scores)[["r2", "r2_interval", "r2_normalised", "noise_ceiling"]].load()
responses = open_store(given.responses)
dataset = open_dataset(params.dataset)
read = dataset.open_stimuli().read
shown, rois, measured = set(), [], None
for place, path in enumerate(given.profiles):
    roi = Path(path).parent.name
    stores = {name: open_store(given[name][place]) for name in OPENED}
    stores["profiles"] = open_store(path)[PROFILE]
    stores["attributions"] = open_store(given.attributions[place])
    generated = load_store(given.generated[place], lazy="pixels")
    edits = load_store(given.edits[place], lazy="pixels")
    tests = describe_tests(
        generated,
        stores["sufficiency"].load(),
        edits,
        stores["counterfactuals"].load(),
        template=params.prompt,
        method=params.method,
    )
    if measured is None:
        measured = responses["response"].sel(image=stores["descriptions"]["image"].values).load()
    log.info("%s: %d voxels, %d of them tested", roi, stores["profiles"].sizes["voxel"], len(tests))
    drawn = write_region(
        folder / roi,
        f"{subject}/{roi}",
        stores,
        scores,
        measured,
        describe_voxels(stores["profiles"], scores, words),
        words=words,
        images=params.browser["images"],
        tests=tests,
    )
    pictures, edited, originals = list_pictures(tests)
    shown.update(drawn.tolist(), originals.tolist())
    side = params.browser["side"]
    made = {"generated": (generated, pictures)}
    if params.browser["write_images"]:
        # An edit is an image of the dataset but for a few patches.
        made["edits"] = (edits, edited)
    for name, (store, numbers) in made.items():
        pixels = store["pixels"]
        write_pictures(
            lambda n, pixels=pixels: pixels[n].values, numbers, folder / roi / name, side=side
        )
    rois.append({"name": roi, "voxels": stores["profiles"].sizes["voxel"]})
if params.browser["write_images"]:
    write_pictures(
        read, np.array(sorted(shown), dtype=int), folder / "images", side=params.browser["side"]
    )
voxels = voxels_of(responses)
brain = describe_brain(
    voxels,
    geometry=responses.attrs["geometry"],
    r2=scores["r2"].sel(model="mine").values,
    noise_ceiling=scores["noise_ceiling"].values,
    background=dataset.read_background(subject, voxels),
)
write_script(folder / "subject.js", f"{subject}/subject", {"rois": rois, "brain": brain})
write_history(snakemake)
