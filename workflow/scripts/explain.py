"""Ask rival explainers for the words of one region's voxels, and put MINE's beside them."""

import json

import numpy as np

from mine.core.mentions import find_words
from mine.core.splits import draw_folds
from mine.encoders.linear import fit_unit_ridge, scale_to_unit
from mine.explainers.interface import Material
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.shards import list_shards, open_images
from mine.stages.explainers import explain_region
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, params = snakemake.input, snakemake.params
profiles = open_store(given.profiles).load()
responses = open_store(given.responses)
measured = responses.isel(image=responses["split"].values != "test", voxel=profiles["voxel"].values)
images = measured["image"].values
test = responses["image"].values[responses["split"].values == "test"]
vocabulary, base_rates = open_store(given.vocabulary), open_store(given.base_rates)
captions = open_store(given.stimuli)["captions"].sel(image=images).values
pooled = open_images(list_shards(given.images), images, only=["pooled"])["pooled"].values
encoder = fit_unit_ridge(
    pooled,
    measured["response"].values,
    alphas=np.asarray(params.alphas, dtype=np.float64),
    folds=draw_folds(params.folds, params.seed),
)
explained = explain_region(
    Material(
        responses=measured["response"].values,
        features=scale_to_unit(pooled),
        weight=encoder.read_weights().T,
        dense=open_images(list_shards(given.dense), images)["dense"].values,
        lens=open_images(list_shards(given.lens), images),
        presence=find_words(list(map(json.loads, captions)), vocabulary["word"].values),
        text=vocabulary["text"].values,
        group=base_rates["group"].values,
        base_rate=base_rates["base_rate"].values,
        level=params.level,
    ),
    profiles,
    open_store(given.attributions).sel(image=test).load(),
    open_images(list_shards(given.dense), test)["dense"].values,
)
for explainer, word in zip(explained["explainer"].values, explained["word"].values, strict=True):
    said = word[:, 0][word[:, 0] >= 0]
    names, counts = np.unique(vocabulary["word"].values[said], return_counts=True)
    log.info("%s: %s", explainer, dict(zip(names.tolist(), counts.tolist(), strict=True)))
provenance = describe_provenance(seed=params.seed, libraries=["himalaya", "scikit-learn"])
write_store(explained, snakemake.output.store, provenance=provenance)
write_history(snakemake)
