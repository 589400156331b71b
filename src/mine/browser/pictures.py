"""Pictures as files beside the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

QUALITY = 88
BATCH = 64


def write_pictures(
    read: Callable[[np.ndarray], np.ndarray],
    numbers: np.ndarray,
    folder: Path,
    *,
    side: int,
) -> None:
    """Write some pictures as <number>.jpg, those larger than ``side`` pixels made smaller.

    read: numbers → uint8 (image, row, column, 3). numbers: int (image,), ascending. A few are held
    in memory at a time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(numbers), BATCH):
        batch = numbers[start : start + BATCH]
        for number, pixels in zip(batch, read(batch), strict=True):
            picture = Image.fromarray(np.asarray(pixels))
            picture.thumbnail((side, side), Image.Resampling.LANCZOS)
            # Colours are kept at full resolution: of small pictures the edges would bleed.
            picture.save(folder / f"{number}.jpg", quality=QUALITY, subsampling=0)
