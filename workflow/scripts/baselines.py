"""Fit the ridge regressions that every encoder is compared with, and partition the variance."""

import numpy as np

from mine.core.splits import split_halves
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards, open_images
from mine.stages.baselines import fit_baselines
from mine.stores import open_store, write_store

log = start_logging(snakemake)
params = snakemake.params
responses = open_store(snakemake.input.responses).load()
images, training = responses["image"].values, responses["split"].values != "test"
halves = split_halves(images[training], seed=params.seed)
captions = open_store(snakemake.input.captions)["caption"].sel(image=images).values
log.info("%d of %d images have captions", captions.any(axis=1).sum(), len(images))
baselines = fit_baselines(
    open_images(list_shards(snakemake.input.images), images, only=["pooled"])["pooled"].values,
    open_images(list_shards(snakemake.input.low_level), images)["feature_value"].values,
    responses["response"].values,
    training=training,
    halves=tuple(np.searchsorted(images, half) for half in halves),
    captions=captions,
    seed=params.seed,
    **params.baselines,
)
baselines = baselines.assign_coords(image=images[~training])
provenance = describe_provenance(seed=params.seed, libraries=["himalaya", "scikit-learn"])
write_store(baselines, snakemake.output.store, provenance=provenance)
write_history(snakemake)
