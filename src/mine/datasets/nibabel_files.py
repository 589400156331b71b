"""Files that nibabel reads, NIfTI, CIFTI and GIFTI, and what they say of where they lie.

Every fault is an InputError: one sentence that names the file, what was expected and what was
found.
"""

from __future__ import annotations

import gzip
import struct
import xml.parsers.expat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import nibabel as nib
import numpy as np

from mine.datasets.file_sizes import BLOCK_BYTES
from mine.errors import InputError, describe_error

UNREADABLE = (
    OSError,
    EOFError,
    zlib.error,
    struct.error,
    ValueError,
    KeyError,
    AttributeError,
    xml.parsers.expat.ExpatError,
    nib.filebasedimages.ImageFileError,
    nib.spatialimages.HeaderDataError,
)
"""What readers of files raise over one that is damaged, or is another than its name says."""


def load_image(path: Path, kind: type, what: str) -> Any:
    """Open a file of nibabel's and check what it is; nothing but its header is read, of GIFTI all.

    Raises InputError if it is absent, damaged or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected {what}, found no file")
    try:
        if kind is nib.GiftiImage:
            image = _read_gifti(path)
        else:
            image = nib.load(path, keep_file_open=True)
    except UNREADABLE as error:
        raise InputError(
            f"{path}: expected {what}, found one that is not: {describe_error(error)}"
        ) from None
    if not isinstance(image, kind):
        raise InputError(f"{path}: expected {what}, found {type(image).__name__}")
    return image


@contextmanager
def open_values(path: Path, image: Any) -> Iterator[Any]:
    """Open the numbers of a NIfTI image of :func:`load_image`, of which any part may be read.

    A compressed file of which the last number was read is read on to its end, where gzip compares
    a checksum: otherwise a damaged byte changes numbers and nobody notices. Raises one of
    UNREADABLE where the checksum differs.
    """
    values = image.dataobj
    if not str(path).lower().endswith(".gz"):
        yield values
        return
    layout = values.shape, values.dtype, values.offset, values.slope, values.inter
    with gzip.open(path, "rb") as stream:
        yield nib.arrayproxy.ArrayProxy(stream, layout, mmap=False)
        if stream.tell() >= values.offset + int(np.prod(values.shape)) * values.dtype.itemsize:
            read_to_end(stream)


def read_to_end(stream: IO[bytes]) -> None:
    """Read what is left of a file, by which one of gzip compares its checksum."""
    while stream.read(BLOCK_BYTES):
        pass


def find_affine(image: Any) -> np.ndarray | None:
    """Affine of a NIfTI image; None where its header states no position."""
    header = image.header
    if header["sform_code"] == 0 and header["qform_code"] == 0:
        return None
    return np.asarray(image.affine, dtype=np.float64)


def show_affine(affine: np.ndarray) -> str:
    """The three rows of an affine that say something, for messages."""
    return str(np.round(np.asarray(affine)[:3], 3).tolist())


def _read_gifti(path: Path) -> nib.GiftiImage:
    """Read a GIFTI file whole.

    Raises one of UNREADABLE where it is damaged, or keeps its numbers in another file: from bytes
    nibabel follows no name.
    """
    content = path.read_bytes()
    if str(path).lower().endswith(".gz"):
        content = gzip.decompress(content)
    image = nib.GiftiImage.from_bytes(content)
    if image is None:
        raise ValueError("its XML has no element GIFTI")
    return image
