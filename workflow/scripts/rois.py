"""Find which of a subject's voxels belong to which region."""

from mine.datasets.reader import open_dataset
from mine.datasets.voxels import voxels_of
from mine.history import write_history
from mine.logging import start_logging
from mine.provenance import describe_provenance
from mine.stores import open_store, write_store

start_logging(snakemake)
params = snakemake.params
rois = open_dataset(params.dataset).read_rois(
    snakemake.wildcards.subject,
    rois=params.rois,
    voxels=voxels_of(open_store(snakemake.input.responses)),
)
sizes = rois["member"].sum("voxel").to_series().rename("voxels")
sizes.to_csv(snakemake.output.sizes, sep="\t")
write_store(rois, snakemake.output.store, provenance=describe_provenance(seed=params.seed))
write_history(snakemake)
