"""Score explainers of one subject against what was planted."""

from mine.demo.recovery import match_voxels
from mine.demo.recovery_explainers import score_explainers
from mine.history import write_history
from mine.logging import start_logging
from mine.stores import open_store, write_table

start_logging(snakemake)
given = snakemake.input
responses = open_store(given.responses)
voxels = score_explainers(
    match_voxels(open_store(given.truth).load(), responses),
    open_store(given.truth_images),
    explained=dict(zip(snakemake.params.rois, map(open_store, given.explained), strict=True)),
    responses=responses,
    vocabulary=open_store(given.vocabulary)["word"].values,
)
voxels.insert(0, "subject", snakemake.wildcards.subject)
write_table(voxels, snakemake.output[0])
write_history(snakemake)
