"""Maps over the brain as NIfTI volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def write_labels(
    path: Path | str,
    labels: np.ndarray,
    ijk: np.ndarray,
    shape: Sequence[int],
    affine: np.ndarray,
) -> None:
    """Write whole numbers of voxels as a NIfTI volume; 0 everywhere else.

    labels: (voxel,), above 0, or (voxel, map) for several maps, the volume's fourth axis, where 0
    is none. ijk: (voxel, axis), places in a volume of the shape and affine (millimetres).
    """
    import nibabel

    volume = np.zeros((*shape, *labels.shape[1:]), dtype=np.int16)
    volume[tuple(ijk.T)] = labels
    image = nibabel.Nifti1Image(volume, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)
