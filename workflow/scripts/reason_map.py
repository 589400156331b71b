"""Write which voxels of a subject's regions are described, and why others are not, as a map."""

from mine.datasets.maps import write_map
from mine.datasets.voxels import voxels_of
from mine.history import write_history
from mine.logging import start_logging
from mine.stages.profiles import REASONS, judge_together
from mine.stores import open_store

log = start_logging(snakemake)
given = snakemake.input
voxels, passed = judge_together([open_store(path) for path in given.profiles])
write_map(
    snakemake.output,
    passed + 1,
    voxels_of(open_store(given.responses).isel(voxel=voxels)),
    names=dict(enumerate(REASONS, start=1)),
    titles=["reason"],
)
described = (passed == REASONS.index("described")).sum()
log.info("%d voxels of regions, of which %d are described", len(voxels), described)
write_history(snakemake)
