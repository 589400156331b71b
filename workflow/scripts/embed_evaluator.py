"""Embed one shard of images by the evaluator's model."""

from mine.core.evaluator import open_features
from mine.datasets.reader import open_dataset
from mine.handling import read_parameters
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import shard_of
from mine.stages.evaluator import embed_features
from mine.stores import open_store, write_store

start_logging(snakemake)
params = read_parameters(snakemake)
model = open_features(params.evaluator)
images = shard_of(
    open_store(snakemake.input.stimuli)["image"].values,
    int(snakemake.wildcards.shard),
    size=params.shard_size,
)
features = embed_features(
    model,
    images,
    open_dataset(params.images).open_stimuli().read,
    batch_size=params.evaluator["batch_size"],
)
provenance = describe_provenance(models={"evaluator": model.digest}, libraries=["torch"])
write_store(features, snakemake.output.store, provenance=provenance)
write_history(snakemake)
