"""Measure the structure within one region: identification of its voxels, and their clusters."""

import numpy as np

from mine.core.splits import split_halves
from mine.datasets.maps import write_map
from mine.datasets.voxels import voxels_of
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.randomness import generator
from mine.shards import list_shards, open_images
from mine.stages.structure import measure_structure
from mine.stores import open_store, write_store

log = start_logging(snakemake)
given, params = snakemake.input, snakemake.params
profiles, base_rates = open_store(given.profiles).load(), open_store(given.base_rates).load()
responses = open_store(given.responses).isel(voxel=profiles["voxel"].values)
responses = responses.isel(image=responses["split"].values != "test")
voxels = voxels_of(responses)
structure = measure_structure(
    profiles,
    responses["response"].values,
    open_images(list_shards(given.lens), responses["image"].values),
    base_rates["group"].values,
    base_rates["base_rate"].values,
    halves=split_halves(responses["image"].values, seed=params.seed),
    place=voxels.position,
    level=params.false_discovery_rate,
    reading_reliability=params.reading_reliability,
    generator=generator(params.seed, "structure", *snakemake.wildcards),
    **params.structure,
)
log.info("%d clusters, p = %.3f", structure.attrs["clusters"], structure.attrs["clusters_p"])
members = voxels.select(np.isin(profiles["voxel"].values, structure["voxel"].values))
write_map(snakemake.output.clusters, structure["cluster"].values + 1, members)
write_store(structure, snakemake.output.store, provenance=describe_provenance(seed=params.seed))
write_history(snakemake)
