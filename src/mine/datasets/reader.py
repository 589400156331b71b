"""The one way into a dataset: what every reader gives, and the reader of each kind of dataset.

Scripts and `mine check` come through `open_dataset`; nothing else in the project knows which kind
of dataset it has. A new kind is a module with a reader, a branch here, and a branch in each
function of mine.datasets.listing.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import xarray as xr

from mine.datasets.images import ImageTable, Stimuli
from mine.datasets.recording import Recording
from mine.datasets.voxels import VoxelSet
from mine.errors import InputError
from mine.sections import Dataset


class Reader(Protocol):
    """A dataset on disk. What it cannot read it refuses with an InputError, one sentence that names
    the file, what was expected and what was found."""

    def check(self, *, subjects: Sequence[str], rois: Mapping[str, str]) -> list[str]:
        """List what is wrong with the files that an analysis would read, a sentence each, in the
        order in which to mend them.

        rois: name -> reference. No response is read whole. An empty list: nothing was found.
        """

    def list_categories(self) -> dict[str, str]:
        """Categories of objects that images are annotated with: name -> supercategory ("" for
        none). Empty where no annotations are named or a named file is absent, which check tells."""

    def list_contrasts(self, subjects: Sequence[str]) -> list[str]:
        """Contrasts of a localiser that any of the subjects has, by name; empty without one."""

    def count_images(self, subjects: Sequence[str]) -> int:
        """Distinct images that the subjects were shown."""

    def measure_session(self, subjects: Sequence[str]) -> float:
        """Bytes of the largest session of responses in memory; 0 where it is not known."""

    def read_images(self, subjects: Sequence[str]) -> ImageTable:
        """What is known about the images that the experiment shows to any of the subjects."""

    def open_stimuli(self) -> Stimuli:
        """Open the images, of which nothing is read before it is asked for."""

    def read_subject(self, subject: str) -> Recording:
        """Open one subject: which image each trial showed, which voxels, how to read responses."""

    def read_rois(self, subject: str, *, rois: Mapping[str, str], voxels: VoxelSet) -> xr.Dataset:
        """Find which voxels belong to which ROI. rois: name -> reference.

        Returns ``member`` bool (roi, voxel), ``size`` (roi) and ``t`` float32 (contrast, voxel),
        which may have no contrast, as mine.datasets.rois.describe_rois makes it. ROIs that
        the subject lacks are left out and named in attrs ``absent`` and ``absent_reason``.
        """

    def read_background(self, subject: str, voxels: VoxelSet) -> np.ndarray | None:
        """What is shown behind maps of a subject: float32 (X, Y, Z), on the grid of the voxels.

        None where there is none, or where it shows nothing, and for voxels of no volume.
        """

    def read_unseen(self, subject: str, voxels: VoxelSet) -> tuple[Recording, Stimuli]:
        """Open a further session with images of another kind, and these images: NSD-synthetic.

        Identities count from 0 within that session. Only NSD has one; the configuration refuses
        dataset.synthetic for any other kind.
        """


def open_dataset(dataset: Dataset | Mapping[str, Any]) -> Reader:
    """Open a dataset of whatever kind. dataset: its section of the configuration, or its keys."""
    if isinstance(dataset, Mapping):
        dataset = restore_section(Dataset, dataset)
    # Imported late, each only where it is wanted: readers bring the libraries of their formats.
    if dataset.kind == "nsd":
        from mine.datasets.nsd import NsdReader

        return NsdReader(dataset)
    if dataset.kind == "algonauts":
        from mine.datasets.algonauts import AlgonautsReader

        return AlgonautsReader(dataset)
    if dataset.kind == "folder":
        from mine.datasets.folder import FolderReader

        return FolderReader(dataset)
    if dataset.kind == "archive":
        # No configuration names it: the scripts of figures get it, where they run on an archive.
        from mine.datasets.archive import ArchiveReader

        return ArchiveReader(dataset)
    raise InputError(f"dataset.kind: expected a kind that can be read, found {dataset.kind!r}")


def restore_section(cls: type, values: Mapping[str, Any]) -> Any:
    """Return a section from the plain values that dataclasses.asdict made of it, some or all."""
    kinds = typing.get_type_hints(cls)
    restored = {}
    for name, value in values.items():
        nested = dataclasses.is_dataclass(kinds[name]) and isinstance(value, Mapping)
        restored[name] = restore_section(kinds[name], value) if nested else value
    return cls(**restored)
