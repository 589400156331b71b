"""Find which of a subject's voxels belong to which region."""

from pathlib import Path

from mine.datasets import nsd
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stores import open_store, write_store

start_logging(snakemake)
params = snakemake.params
rois = nsd.read_rois(
    Path(params.dataset["root"]),
    snakemake.wildcards.subject,
    rois=params.rois,
    voxels=nsd.voxels_of(open_store(snakemake.input.responses)),
    t_threshold=params.dataset["localiser_threshold"],
)
sizes = rois["member"].sum("voxel").to_series().rename("voxels")
sizes.to_csv(snakemake.output.sizes, sep="\t")
write_store(rois, snakemake.output.store, provenance=describe_provenance(seed=params.seed))
