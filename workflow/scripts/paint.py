"""Make the pictures and edits that are planned for one region, and predict responses to them."""

from dataclasses import asdict

from mine.config import load_config
from mine.core.generation import load_generator
from mine.core.observing import load_observer
from mine.datasets.reader import open_dataset
from mine.history import write_history
from mine.logging import split_work, start_logging
from mine.provenance import describe_provenance
from mine.sections import HANDLING
from mine.stages.edits import make_edits
from mine.stages.generation import make_pictures
from mine.stores import check_models, open_store, write_store

start_logging(snakemake)
given, params = snakemake.input, snakemake.params
pictures, edits = open_store(given.pictures).load(), open_store(given.edits).load()
member = open_store(given.rois)["member"].sel(roi=snakemake.wildcards.roi)
read, size = open_dataset(params.images).open_stimuli().read, params.generator["batch_size"]
# Read here and not given as parameters: another device makes nothing stale.
settings = asdict(load_config(snakemake.config).generator)
painter = load_generator(**params.generator, **{key: settings[key] for key in HANDLING})
observer = load_observer(
    vocabulary=open_store(given.vocabulary),
    encoder=open_store(given.encoder),
    weights=open_store(given.evaluator),
    **params.observer,
)
check_models(given.vocabulary, {"backbone": observer.digests["backbone"]})
check_models(given.evaluator, {"evaluator": observer.digests["evaluator"]})
models = {"generator": painter.digest} | observer.digests
provenance = describe_provenance(seed=params.seed, models=models, libraries=["torch", "diffusers"])
generated = make_pictures(
    pictures,
    painter,
    observer,
    read,
    parts=split_work(pictures.sizes["picture"], size=size, what="pictures"),
)
write_store(generated, snakemake.output.generated, provenance=provenance)
# Gigabytes of pixels, which are not to lie beside those of the edits.
del generated
edited = make_edits(
    edits,
    painter,
    observer,
    read,
    method=params.method,
    parts=split_work(edits.sizes["edit"], size=size, what="edits"),
    group=open_store(given.base_rates)["group"].values,
    region=member.values.nonzero()[0],
)
write_store(edited, snakemake.output.edits, provenance=provenance)
write_history(snakemake)
