"""Measure the low-level features of one shard of images."""

from pathlib import Path

from mine.core.low_level import measure_low_level
from mine.datasets import nsd
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stores import open_store, shard_of, write_store

start_logging(snakemake)
params = snakemake.params
images = shard_of(
    open_store(snakemake.input.stimuli)["image"].values,
    int(snakemake.wildcards.shard),
    size=params.shard_size,
)
stimuli = nsd.open_stimuli(Path(params.root))
dataset = measure_low_level(stimuli.read(images)).assign_coords(image=images)
write_store(dataset, snakemake.output.store, provenance=describe_provenance(seed=params.seed))
