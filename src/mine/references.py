"""What names of regions stand for in a dataset.

Apart from the sections of the configuration, whose text does not count as code (mine.sources): what
is here decides which voxels are read.
"""

from __future__ import annotations

from mine.sections import Dataset


def voxel_references(dataset: Dataset) -> list[str]:
    """Return what the names in `dataset.voxels` stand for in the dataset."""
    return [dataset.roi_references.get(name, name) for name in dataset.voxels]
