"""What an archive of an analysis holds of its dataset: the images that figures show, at most.

It is made by `mine.archive`, and only the scripts of figures read it: it has no responses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mine.datasets.image_files import read_image
from mine.datasets.voxels import VoxelSet
from mine.sections import Dataset

IMAGES, BACKGROUNDS = "images", "backgrounds"
"""Folders of the archive: `images/<identity>.png` and `backgrounds/<subject>.npy`."""

PICTURES = ("PNG",)
"""Formats of the images in an archive, which are written as PNG."""

SIDE = 128
"""Pixels of a side of what stands for an image that the archive lacks."""

ABSENT = "image\nnot part\nof the\narchive"


@dataclass(frozen=True)
class ArchiveReader:
    """The dataset as the scripts of figures see it, in an archive's folder."""

    dataset: Dataset

    def open_stimuli(self) -> ArchiveImages:
        return ArchiveImages(Path(self.dataset.root) / IMAGES)

    def read_background(self, subject: str, voxels: VoxelSet) -> np.ndarray | None:
        """The volume behind a subject's maps, float32 (X, Y, Z); None where there is none."""
        path = Path(self.dataset.root) / BACKGROUNDS / f"{subject}.npy"
        return np.load(path, allow_pickle=False) if path.is_file() else None


@dataclass(frozen=True)
class ArchiveImages:
    """Images in files named by their identity; a picture that says so stands for an absent one."""

    folder: Path

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Images by identity, in the order asked for: uint8 (image, row, column, 3)."""
        paths = [self.folder / f"{int(identity)}.png" for identity in indices]
        there = [path for path in paths if path.is_file()]
        shape = read_image(there[0], formats=PICTURES).shape if there else (SIDE, SIDE, 3)
        absent = draw_absent(shape[0])
        images = np.empty((len(paths), *shape), dtype=np.uint8)
        for place, path in enumerate(paths):
            is_there = path.is_file()
            images[place] = read_image(path, formats=PICTURES) if is_there else absent
        return images


def draw_absent(side: int) -> np.ndarray:
    """Draw what stands for an image that the archive lacks: uint8 (side, side, 3)."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (side, side), "white")
    ImageDraw.Draw(picture).multiline_text(
        (side / 2, side / 2),
        ABSENT,
        fill="black",
        font=ImageFont.load_default(size=side / 7),
        anchor="mm",
        align="center",
    )
    return np.asarray(picture, dtype=np.uint8)
