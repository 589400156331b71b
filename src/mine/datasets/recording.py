"""What any fMRI dataset gives about one subject: trials, voxels, and betas session by session."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mine.datasets.voxels import VoxelSet
from mine.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Recording:
    """Responses of one subject, read one session at a time.

    images: per session, (trial,) identity of the image shown. shared: (image,) identities of the
    images that all subjects see. read_session: number of a session from 0 -> float32
    (trial, voxel), such as percent signal change, in an array of its own that may be changed.
    ncsnr: (voxel,) noise-ceiling signal-to-noise ratio as published, or None. attributes: where
    all of this came from.

    test: (image,) identities of the test images where the dataset itself says which these are;
    None leaves it to the shared images. common: (image,) identities of the images that every
    subject of the experiment saw three times, or None where that is not known.

    averaged: what is read are responses that were z-scored and averaged before: a single session
    in which each image stands once. repeats is then int (trial,), how many trials each row is the
    mean of, or None where that is not known; without averaging it is None, being counted.

    labels: names of the sessions, where they have any. drawn: whether the test images were drawn
    for want of a split. responses: how many the files hold, those of no trial too; None: not known.
    tell_trial: numbers of a session and of a trial in it from 0 -> where its response is, for
    messages.

    files: of the responses, as far as they are no inputs of a rule, for the record of how the
    responses were made.
    """

    subject: str
    images: tuple[np.ndarray, ...]
    shared: np.ndarray
    voxels: VoxelSet
    read_session: Callable[[int], np.ndarray]
    ncsnr: np.ndarray | None = None
    test: np.ndarray | None = None
    common: np.ndarray | None = None
    averaged: bool = False
    repeats: np.ndarray | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    files: tuple[Path, ...] = ()
    labels: tuple[str, ...] = ()
    drawn: bool = False
    responses: int | None = None
    tell_trial: Callable[[int, int], str] | None = None

    def __post_init__(self) -> None:
        if not self.images:
            raise InputError(f"{self.subject}: expected at least one session, found none")
        if self.averaged:
            shown = self.images[0]
            if len(self.images) != 1 or len(np.unique(shown)) != len(shown):
                raise InputError(
                    f"{self.subject}: expected averaged responses as one session with each image "
                    "once, found more"
                )
