"""The vertices that a subject's responses in the Algonauts 2023 data lie at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mine.datasets import algonauts_files as files
from mine.datasets.grids import Grid, check_ncsnr, read_map
from mine.datasets.listing import SIDES
from mine.datasets.patterns import fill_pattern
from mine.datasets.voxels import SIDES as HEMISPHERES
from mine.datasets.voxels import SurfaceVoxels
from mine.errors import InputError


@dataclass(frozen=True)
class Vertices:
    """A subject's responses and their vertices.

    responses: per hemisphere (image, vertex), in the files. vertices: per hemisphere (vertex,) on
    fsaverage, or None where the files that say so are missing.
    """

    responses: tuple[np.ndarray, np.ndarray]
    vertices: tuple[np.ndarray | None, np.ndarray | None]

    @property
    def counts(self) -> tuple[int, int]:
        return self.responses[0].shape[1], self.responses[1].shape[1]

    @property
    def is_placed(self) -> bool:
        """Whether it is known where on fsaverage the vertices are."""
        return all(one is not None for one in self.vertices)

    def select(self, places: np.ndarray) -> SurfaceVoxels:
        """Voxel set of some places among the vertices of both hemispheres, ascending from 0.

        Where fsaverage is not known, a vertex is its column in its hemisphere's file.
        """
        left, right = self.counts
        is_right = places >= left
        known = self.vertices if self.is_placed else (np.arange(left), np.arange(right))
        return SurfaceVoxels(
            vertex=np.concatenate(known)[places],
            vertices=(files.FSAVERAGE,) * 2 if self.is_placed else (left, right),
            hemisphere=np.array(HEMISPHERES)[is_right.astype(int)],
            space="fsaverage" if self.is_placed else "challenge",
        )


def open_vertices(root: Path, subject: str) -> Vertices:
    """Open a subject's responses and read where their vertices are.

    Raises InputError for a file that is missing, damaged or does not match the others.
    """
    responses = files.open_responses(root, subject)
    vertices = [
        files.find_vertices(root, subject, side, array.shape[1])
        for side, array in zip(SIDES, responses, strict=True)
    ]
    return Vertices(responses, (vertices[0], vertices[1]))


def read_ncsnr(root: Path, subject: str, pattern: str, vertices: Vertices) -> np.ndarray:
    """NSD's published noise-ceiling signal-to-noise ratio of all vertices: float32 (vertex,).

    Raises InputError if a file is missing or not of fsaverage, if its numbers are no such ratio, or
    if it is not known where on fsaverage the vertices are.
    """
    path = fill_pattern(root, pattern, subject=subject)
    if not vertices.is_placed:
        raise InputError(
            f"{files.subject_folder(root, subject) / 'roi_masks'}: expected "
            "{lh,rh}.all-vertices_fsaverage_space.npy, by which ncsnr is read, found none"
        )
    for side in SIDES:
        one = fill_pattern(root, pattern, subject=subject, hemisphere=side)
        if not one.is_file():
            raise InputError(f"{one}: expected the published ncsnr of {subject}, found no file")
    grid = Grid("surface", (files.FSAVERAGE,) * 2, path)
    read = read_map(root, pattern, grid, subject=subject)
    left, right = vertices.vertices
    ncsnr = read[0][np.concatenate([left, right + files.FSAVERAGE])].astype(np.float32)
    check_ncsnr(read[1], ncsnr)
    return ncsnr
