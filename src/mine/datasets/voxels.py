"""Where the voxels of a subject lie: in a volume, on the cortical surfaces, or merely in a list.

All three kinds of voxel set answer to the same few methods, so that nothing downstream asks which
it has: how many there are, what a store says of them, which of them to keep, and where they are in
millimetres, if that is known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import xarray as xr

SIDES = ("left", "right")
"""Hemispheres, in the order in which surfaces are counted; a third value is "unknown"."""


@dataclass(frozen=True, kw_only=True)
class VoxelSet(ABC):
    """The voxels of a subject that are analysed together.

    hemisphere: (voxel,) "left", "right" or "unknown". space: name of the volume, of the surface or
    of the list that the voxels lie in.
    """

    hemisphere: np.ndarray
    space: str

    def __len__(self) -> int:
        return len(self.hemisphere)

    @property
    @abstractmethod
    def index(self) -> np.ndarray:
        """Flat place of each voxel among all that the space has, from 0: int64 (voxel,)."""

    @property
    @abstractmethod
    def position(self) -> np.ndarray | None:
        """Place of each voxel in millimetres: float (voxel, 3); None where it is not known."""

    @abstractmethod
    def own_coordinates(self) -> dict[str, xr.Variable]:
        """Coordinates over ``voxel`` that only this kind of voxel set has."""

    @abstractmethod
    def to_attributes(self) -> dict[str, object]:
        """What holds for all voxels, for a dataset's attrs; ``geometry`` says which kind it is."""

    def to_coordinates(self) -> dict[str, xr.Variable]:
        """Coordinates over ``voxel`` that say where each voxel lies."""
        space = np.full(len(self), self.space)
        return {
            "space": xr.Variable("voxel", space, {"long_name": "space that the voxel lies in"}),
            "hemisphere": xr.Variable("voxel", self.hemisphere, {"long_name": "hemisphere"}),
            "index": xr.Variable(
                "voxel", self.index, {"long_name": "flat place in the space, from 0"}
            ),
            **self.own_coordinates(),
        }

    def select(self, keep: np.ndarray) -> VoxelSet:
        """The voxels where ``keep`` (voxel,) holds, in the same order."""
        chosen = {}
        for entry in fields(self):
            values = getattr(self, entry.name)
            if isinstance(values, np.ndarray) and entry.name != "affine":
                chosen[entry.name] = values[keep]
        return replace(self, **chosen)


@dataclass(frozen=True, kw_only=True)
class VolumeVoxels(VoxelSet):
    """Voxels of a volume.

    ijk: int (voxel, 3), place in the volume from 0. shape: of the volume. affine: (4, 4), voxel to
    millimetre.
    """

    ijk: np.ndarray
    shape: tuple[int, int, int]
    affine: np.ndarray

    @property
    def index(self) -> np.ndarray:
        """In C order."""
        return np.ravel_multi_index(tuple(self.ijk.T), self.shape)

    @property
    def position(self) -> np.ndarray:
        return self.ijk @ self.affine[:3, :3].T + self.affine[:3, 3]

    def own_coordinates(self) -> dict[str, xr.Variable]:
        return {
            "ijk": xr.Variable(
                ("voxel", "axis"),
                self.ijk.astype(np.int32),
                {"long_name": "place in the volume along its three axes, from 0"},
            )
        }

    def to_attributes(self) -> dict[str, object]:
        return {
            "geometry": "volume",
            "shape": list(map(int, self.shape)),
            "affine": np.asarray(self.affine).tolist(),
        }


@dataclass(frozen=True, kw_only=True)
class SurfaceVoxels(VoxelSet):
    """Vertices of the two cortical surfaces, those of the left before those of the right.

    vertex: int (voxel,), number in its hemisphere from 0. vertices: how many the left and the right
    surface have. millimetres: float (voxel, 3), or None where no surface is there.
    """

    vertex: np.ndarray
    vertices: tuple[int, int]
    millimetres: np.ndarray | None = None

    @property
    def index(self) -> np.ndarray:
        """The right hemisphere counts on from the left."""
        return self.vertex + np.where(self.hemisphere == SIDES[1], self.vertices[0], 0)

    @property
    def position(self) -> np.ndarray | None:
        return self.millimetres

    def own_coordinates(self) -> dict[str, xr.Variable]:
        vertex = self.vertex.astype(np.int32)
        own = {
            "vertex": xr.Variable(
                "voxel", vertex, {"long_name": "vertex of its hemisphere, from 0"}
            )
        }
        return own | _describe_position(self.millimetres)

    def to_attributes(self) -> dict[str, object]:
        return {"geometry": "surface", "vertices": list(map(int, self.vertices))}


@dataclass(frozen=True, kw_only=True)
class ListedVoxels(VoxelSet):
    """Voxels of which only the order is known: the columns of a table.

    name: (voxel,) text. number: int (voxel,), place in the dataset's list, from 0. millimetres:
    float (voxel, 3), or None where it is not known.
    """

    name: np.ndarray
    number: np.ndarray
    millimetres: np.ndarray | None = None

    @property
    def index(self) -> np.ndarray:
        return self.number

    @property
    def position(self) -> np.ndarray | None:
        return self.millimetres

    def own_coordinates(self) -> dict[str, xr.Variable]:
        own = {"name": xr.Variable("voxel", self.name, {"long_name": "the voxel's name"})}
        return own | _describe_position(self.millimetres)

    def to_attributes(self) -> dict[str, object]:
        return {"geometry": "list"}


def voxels_of(dataset: xr.Dataset) -> VoxelSet:
    """Voxel set of a store that holds a VoxelSet's coordinates and attributes."""
    common = {
        "hemisphere": dataset["hemisphere"].values,
        "space": str(dataset["space"].values[0]),
    }
    geometry = dataset.attrs["geometry"]
    if geometry == "volume":
        return VolumeVoxels(
            ijk=dataset["ijk"].values.astype(np.int64),
            shape=tuple(int(side) for side in dataset.attrs["shape"]),
            affine=np.asarray(dataset.attrs["affine"], dtype=np.float64),
            **common,
        )
    common["millimetres"] = dataset["position"].values if "position" in dataset.coords else None
    if geometry == "surface":
        return SurfaceVoxels(
            vertex=dataset["vertex"].values.astype(np.int64),
            vertices=tuple(int(count) for count in dataset.attrs["vertices"]),
            **common,
        )
    return ListedVoxels(
        name=dataset["name"].values,
        number=dataset["index"].values.astype(np.int64),
        **common,
    )


def _describe_position(millimetres: np.ndarray | None) -> Mapping[str, xr.Variable]:
    if millimetres is None:
        return {}
    attributes = {"long_name": "place of the voxel", "units": "mm"}
    values = np.asarray(millimetres, dtype=np.float32)
    return {"position": xr.Variable(("voxel", "axis"), values, attributes)}
