"""Write which category each voxel of a subject prefers as a volume, a map for each evidence."""

from pathlib import Path

import numpy as np

from mine.core.volumes import write_labels
from mine.logging import start_logging
from mine.stages.preference_subjects import label_voxels
from mine.stores import open_store

log = start_logging(snakemake)
given = snakemake.input
by_roi = {Path(path).parent.name: open_store(path).load() for path in given.preference}
voxels, labels = label_voxels(by_roi)
responses = open_store(given.responses)
write_labels(
    snakemake.output[0],
    labels,
    responses["ijk"].values[voxels],
    responses.attrs["shape"],
    np.array(responses.attrs["affine"]),
)
preferring = (labels[:, 0] > 0).sum()
log.info("%d voxels, of which %d prefer a category by their words", len(voxels), preferring)
