"""Describe what drove every voxel of a region in every test image."""

from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.shards import list_shards, open_images
from mine.stages.descriptions import describe_images
from mine.stores import open_store, write_store

start_logging(snakemake)
responses = open_store(snakemake.input.responses)
test = responses["image"].values[responses["split"].values == "test"]
attributions = open_store(snakemake.input.attributions).sel(image=test).load()
description, seed = snakemake.params.description, snakemake.params.seed
descriptions = describe_images(
    attributions,
    open_images(list_shards(snakemake.input.lens), test),
    open_store(snakemake.input.base_rates).load(),
    token_fraction=description["token_fraction"],
    words=description["words"],
    phrase_words=description["phrase_words"],
    false_words=description["false_words"],
    generator=generator(seed, "describe", *snakemake.wildcards),
)
write_store(descriptions, snakemake.output.store, provenance=describe_provenance(seed=seed))
write_history(snakemake)
