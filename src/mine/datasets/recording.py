"""What any fMRI dataset gives about one subject: trials, voxels, and betas session by session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import xarray as xr

from mine.errors import InputError


@dataclass(frozen=True)
class VoxelSet:
    """The voxels of a subject that are analysed together.

    ijk: int (voxel, 3), place in the volume from 0. shape: of the volume. affine: (4, 4), voxel to
    millimetre. hemisphere: (voxel,) "left", "right" or "unknown". space: the volume's name.
    """

    ijk: np.ndarray
    shape: tuple[int, int, int]
    affine: np.ndarray
    hemisphere: np.ndarray
    space: str

    @property
    def index(self) -> np.ndarray:
        """Flat place of each voxel in the volume, in C order: int64 (voxel,)."""
        return np.ravel_multi_index(tuple(self.ijk.T), self.shape)

    def to_coordinates(self) -> dict[str, xr.Variable]:
        """Coordinates over ``voxel`` that say where each voxel lies."""
        space = np.full(len(self.ijk), self.space)
        return {
            "space": xr.Variable("voxel", space, {"long_name": "volume that the voxel lies in"}),
            "hemisphere": xr.Variable("voxel", self.hemisphere, {"long_name": "hemisphere"}),
            "index": xr.Variable(
                "voxel", self.index, {"long_name": "flat place in the volume, C order, from 0"}
            ),
            "ijk": xr.Variable(
                ("voxel", "axis"),
                self.ijk.astype(np.int32),
                {"long_name": "place in the volume along its three axes, from 0"},
            ),
        }

    def to_attributes(self) -> dict[str, object]:
        """The volume's shape and affine, for a dataset's attrs."""
        return {"shape": list(map(int, self.shape)), "affine": np.asarray(self.affine).tolist()}

    def select(self, keep: np.ndarray) -> VoxelSet:
        """The voxels where ``keep`` (voxel,) holds, in the same order."""
        return replace(self, ijk=self.ijk[keep], hemisphere=self.hemisphere[keep])


def voxels_of(dataset: xr.Dataset) -> VoxelSet:
    """Voxel set of a store that holds a VoxelSet's coordinates and attributes."""
    return VoxelSet(
        ijk=dataset["ijk"].values.astype(np.int64),
        shape=tuple(int(side) for side in dataset.attrs["shape"]),
        affine=np.asarray(dataset.attrs["affine"], dtype=np.float64),
        hemisphere=dataset["hemisphere"].values,
        space=str(dataset["space"].values[0]),
    )


@dataclass(frozen=True)
class Recording:
    """Single-trial responses of one subject, read one session at a time.

    images: per session, (trial,) identity of the image shown. shared: (image,) identities of the
    images that all subjects see. read_session: number of a session from 0 -> float32
    (trial, voxel), percent signal change. ncsnr: (voxel,) noise-ceiling signal-to-noise ratio as
    published, or None. attributes: where all of this came from.
    """

    subject: str
    images: tuple[np.ndarray, ...]
    shared: np.ndarray
    voxels: VoxelSet
    read_session: Callable[[int], np.ndarray]
    ncsnr: np.ndarray | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.images:
            raise InputError(f"{self.subject}: expected at least one session, found none")
