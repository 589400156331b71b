"""List the regions that a subject has, and how many voxels each."""

from mine.history import write_history
from mine.logging import start_logging
from mine.stores import open_store, write_table

start_logging(snakemake)
rois = open_store(snakemake.input.rois)
sizes = rois["member"].sum("voxel").to_series().rename("voxels")
write_table(sizes.reset_index(), snakemake.output[0])
write_history(snakemake)
