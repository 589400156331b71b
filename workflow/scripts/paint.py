"""Make the pictures and edits that are planned for one region, and predict responses to them."""

from mine.core.generation import load_generator
from mine.core.observing import load_observer
from mine.datasets.reader import open_dataset
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import split_work, start_logging
from mine.provenance import describe_provenance
from mine.stages.edits import make_edits
from mine.stages.generation import make_pictures
from mine.stores import check_models, open_store, write_store

start_logging(snakemake)
given, params = snakemake.input, read_parameters(snakemake)
pictures, edits = open_store(given.pictures).load(), open_store(given.edits).load()
member = open_store(given.rois)["member"].sel(roi=snakemake.wildcards.roi)
read, size = open_dataset(params.images).open_stimuli().read, params.generator["batch_size"]
painter = load_generator(**params.generator)
observer = load_observer(
    params.backbone,
    params.evaluator,
    vocabulary=open_store(given.vocabulary),
    encoder=open_store(given.encoder),
    weights=open_store(given.evaluator),
    words_per_token=params.words_per_token,
    position_orders=params.position_orders,
)
check_models(given.vocabulary, {"backbone": observer.digests["backbone"]})
check_models(given.evaluator, {"evaluator": observer.digests["evaluator"]})
models = {"generator": painter.digest} | observer.digests
provenance = describe_provenance(models=models, libraries=["torch", "diffusers"])
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
