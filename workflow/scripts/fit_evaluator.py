"""Fit the evaluator of a subject on the images that the first half's encoder has not seen."""

import numpy as np

from mine.core.splits import split_halves
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards, open_images
from mine.stages.evaluator import fit_evaluator
from mine.stores import open_store, read_manifest, write_store

log = start_logging(snakemake)
params = snakemake.params
responses = open_store(snakemake.input.responses).load()
images, is_test = responses["image"].values, responses["split"].values == "test"
_, second_half = split_halves(images[~is_test], seed=params.seed)
shards = list_shards(snakemake.input.images)
embedded = open_images(shards, images)
evaluator = fit_evaluator(
    embedded["feature_value"].values,
    responses["response"].values,
    share=embedded["share"].values,
    fitted=np.isin(images, second_half),
    test=is_test,
    alphas=params.alphas,
    folds=params.folds,
    seed=params.seed,
).assign_coords(image=second_half)
log.info("mean test R² %.3f", float(evaluator["r2"].mean()))
models = read_manifest(shards[0])["models"]
provenance = describe_provenance(
    seed=params.seed, models=models, libraries=["himalaya", "scikit-learn"]
)
write_store(evaluator, snakemake.output.store, provenance=provenance)
write_history(snakemake)
