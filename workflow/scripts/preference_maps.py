"""Write which category each voxel of a subject prefers, a map for each evidence."""

from pathlib import Path

from mine.datasets.maps import write_map
from mine.datasets.voxels import voxels_of
from mine.history import write_history
from mine.logging import start_logging
from mine.stages.preference_subjects import label_voxels
from mine.stores import open_store

log = start_logging(snakemake)
given, categories = snakemake.input, snakemake.params.categories
by_roi = {Path(path).parent.name: open_store(path).load() for path in given.preference}
voxels, labels = label_voxels(by_roi)
titles = next(iter(by_roi.values()))["evidence"].values
write_map(
    snakemake.output,
    labels,
    voxels_of(open_store(given.responses).isel(voxel=voxels)),
    names=dict(enumerate(categories, start=1)),
    titles=[str(title) for title in titles],
)
preferring = (labels[:, 0] > 0).sum()
log.info("%d voxels, of which %d prefer a category by their words", len(voxels), preferring)
write_history(snakemake)
