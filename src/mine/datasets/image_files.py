"""Images that lie in files of their own: PNG, JPEG and the other formats of ``FORMATS``."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mine.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
"""Pillow's modes of at most 8 bits a channel. Deeper ones would be cut, not scaled."""

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
"""Formats that are read, whatever a file is called. Pillow knows others, for one of which, EPS, it
starts another program on what is in the file."""

HEADERS = 2000
"""Most files whose headers a check looks into, evenly spaced over all."""

TURNED = (5, 6, 7, 8)
"""Orientations of EXIF in which the stored rows are columns of the image."""

SAMPLE = 4096
"""Bytes at either end by which files of one size are told apart, before all of them are read."""

ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9"}
"""How whole files of a format end, unless something was appended."""


@dataclass(frozen=True)
class ImageFiles:
    """Images by identity, read as they are asked for.

    paths: identity -> file. side: pixels of a side to which images are brought; None takes them as
    they are, which then all have one size. of: what lists the images, for messages.
    """

    paths: Mapping[int, Path]
    side: int | None
    of: Path

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Images by identity, in the order asked for: uint8 (image, row, column, 3).

        With ``side`` the shorter side of an image is scaled to it and the middle is cut out.
        Raises InputError for an identity that is not known, a file that is no image or is not
        opaque, or images of several sizes.
        """
        images: np.ndarray | None = None
        for place, identity in enumerate(np.asarray(indices, dtype=np.int64).tolist()):
            if identity not in self.paths:
                raise InputError(
                    f"{self.of}: expected image {identity}, found {len(self.paths)} others"
                )
            image = read_image(self.paths[identity], side=self.side)
            if images is None:
                images = np.empty((len(indices), *image.shape), dtype=np.uint8)
            if image.shape != images.shape[1:]:
                raise InputError(_tell_size(self.paths[identity], image.shape, images.shape[1:]))
            images[place] = image
        return np.empty((0, 1, 1, 3), dtype=np.uint8) if images is None else images


def read_image(
    path: Path, *, side: int | None = None, formats: Sequence[str] = FORMATS
) -> np.ndarray:
    """Read an image: uint8 (row, column, 3). side: see :class:`ImageFiles`; formats: see
    :func:`open_image`."""
    with open_image(path, formats=formats) as opened:
        return convert_image(opened, side=side, name=str(path))


def open_image(path: Path, *, formats: Sequence[str] = FORMATS) -> Any:
    """Open an image by Pillow, of which nothing but the header is read.

    formats: as which it is tried, by their names for Pillow. Raises InputError if it is absent, of
    none of them, or deeper than 8 bits a channel.
    """
    from PIL import Image, UnidentifiedImageError

    if not Path(path).is_file():
        raise InputError(f"{path}: expected an image, found no file")
    try:
        image = Image.open(path, formats=formats)
    except Image.DecompressionBombError:
        most = 2 * Image.MAX_IMAGE_PIXELS
        raise InputError(
            f"{path}: expected an image of at most {most} pixels, found one of more"
        ) from None
    except (OSError, UnidentifiedImageError, ValueError):
        raise InputError(
            f"{path}: expected an image as {', '.join(formats)}, found something else"
        ) from None
    try:
        _check_depth(image, str(path))
    except InputError:
        image.close()
        raise
    return image


def convert_image(image: Image, *, side: int | None = None, name: str) -> np.ndarray:
    """Pixels of an opened image: uint8 (row, column, 3). side: see :class:`ImageFiles`.

    name: for messages. Raises InputError if it is damaged, deeper than 8 bits a channel, or not
    opaque: what shows through depends on the background, and the colours that a file has there are
    none that anybody saw.
    """
    from PIL import Image, ImageOps

    _check_depth(image, name)
    try:
        image = ImageOps.exif_transpose(image)
        # an opaque image may have an alpha channel
        lowest = 255
        if image.has_transparency_data:
            lowest, _ = image.convert("RGBA").getchannel("A").getextrema()
        image = image.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:
        raise InputError(f"{name}: expected a whole image, found a damaged one: {error}") from None
    if lowest < 255:
        raise InputError(
            f"{name}: expected an opaque image, found transparent pixels; put it on the background "
            "that was shown"
        )
    if side is not None:
        square = find_square(image.size[1], image.size[0])
        image = image.resize((side, side), Image.Resampling.BICUBIC, box=square)
    return np.asarray(image, dtype=np.uint8)


def find_square(rows: int, columns: int) -> tuple[float, float, float, float]:
    """Square in the middle of an image, as wide as its shorter side, to which a side cuts it:
    (left, top, right, bottom) in pixels."""
    side = min(rows, columns)
    left, top = (columns - side) / 2, (rows - side) / 2
    return left, top, left + side, top + side


def find_crop(size: tuple[int, int], *, side: int | None) -> tuple[float, float, float, float]:
    """Share of an image of a size (rows, columns) that is cut away above, below, left and right.

    side: see :class:`ImageFiles`.
    """
    if side is None:
        return 0.0, 0.0, 0.0, 0.0
    rows, columns = size
    left, top, right, bottom = find_square(rows, columns)
    return top / rows, (rows - bottom) / rows, left / columns, (columns - right) / columns


def measure_image(path: Path) -> tuple[int, int]:
    """Rows and columns of an image, from its header; InputError where it is none."""
    with open_image(path) as image:
        return image.size[1], image.size[0]


def measure_upright(path: Path) -> tuple[int, int]:
    """Rows and columns of an image with the orientation that a camera noted applied.

    Pixels are read only of a PNG that is not square and notes none before them, since one may
    follow. Raises InputError where it is no image, or damaged where it is read.
    """
    from PIL import ExifTags

    with open_image(path) as image:
        columns, rows = image.size
        if rows == columns:
            return rows, columns
        try:
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        except (OSError, ValueError, SyntaxError) as error:
            raise InputError(
                f"{path}: expected a whole image, found a damaged one: {error}"
            ) from None
    return (columns, rows) if orientation in TURNED else (rows, columns)


def check_end(path: Path) -> None:
    """Raise InputError for an image that is cut off, or not opaque.

    Pixels are read only where the file does not end as its format does, its format has no certain
    end, or it may be transparent: thousands of images would take minutes.
    """
    with open_image(path) as image:
        end = ENDS.get(image.format)
        with open(path, "rb") as file:
            file.seek(-min(path.stat().st_size, 16), os.SEEK_END)
            whole = end is not None and file.read().endswith(end)
        if not whole or image.has_transparency_data:
            convert_image(image, name=str(path))


def check_images(paths: Iterable[Path], *, side: int | None, key: str | None) -> list[str]:
    """List what is wrong with image files: absent, no images, cut off, not opaque, or of several
    sizes without a side.

    Of the files only headers and ends are read, and pixels of those that may be transparent, of at
    most HEADERS of them. key: of the
    configuration that would bring images to one size; None where the dataset has them in one.
    """
    paths = list(paths)
    absent = [path for path in paths if not path.is_file()]
    if absent:
        return [f"{absent[0]}: expected an image, found no file" + _count_others(absent)]
    problems: list[str] = []
    first: tuple[int, int] | None = None
    for path in paths[:: max(1, len(paths) // HEADERS)]:
        try:
            size = measure_image(path)
            check_end(path)
        except InputError as error:
            problems.append(str(error))
            continue
        first = first or size
        if side is None and (size != first or size[0] != size[1]):
            help = "" if key is None else f", or {key} to bring them to one"
            problems.append(_tell_size(path, size, (first[0], first[0])) + help)
            break
    return problems[:1] + ([] if len(problems) < 2 else problems[-1:])


def find_twins(paths: Sequence[Path]) -> list[list[int]]:
    """Places of files that hold the same bytes: a list for each content that is there twice.

    Files that are not there are left out. Most are told apart by their sizes, those of one size by
    their ends; of the rest digests are compared.
    """
    groups = _group([place for place, path in enumerate(paths) if path.is_file()], paths, _measure)
    for describe in (_read_ends, _digest):
        groups = [part for group in groups for part in _group(group, paths, describe)]
    return groups


def _group(
    places: Iterable[int], paths: Sequence[Path], describe: Callable[[Path], object]
) -> list[list[int]]:
    """Places whose files have the same description, as far as there are two or more of it."""
    found: dict[object, list[int]] = {}
    for place in places:
        found.setdefault(describe(paths[place]), []).append(place)
    return [group for group in found.values() if len(group) > 1]


def _measure(path: Path) -> int:
    return path.stat().st_size


def _read_ends(path: Path) -> bytes:
    with open(path, "rb") as file:
        first = file.read(SAMPLE)
        file.seek(max(0, path.stat().st_size - SAMPLE))
        return first + file.read()


def _digest(path: Path) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _check_depth(image: Image, name: str) -> None:
    if image.mode not in MODES:
        raise InputError(
            f"{name}: expected an image of 8 bits a channel, found Pillow's mode {image.mode}"
        )


def _tell_size(path: Path, found: Sequence[int], expected: Sequence[int]) -> str:
    return (
        f"{path}: expected square images of one size, {expected[0]} × {expected[1]} pixels, found "
        f"{found[0]} × {found[1]}"
    )


def _count_others(absent: Sequence[Path]) -> str:
    return f", and {len(absent) - 1} others neither" if len(absent) > 1 else ""
