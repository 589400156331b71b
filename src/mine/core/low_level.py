"""Low-level features of images by place: local contrast and Gabor energy.

What early visual cortex answers to. They enter banded ridge beside the semantic embedding, so that
a voxel driven by contrast in its receptive field is told apart from one driven by content.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.fft

from mine.errors import InputError

# Rec. 709 luminance of red, green and blue.
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)

# Width of a log-Gabor filter: one octave (full width at half height), and neighbouring
# orientations crossing at their half height (both in the amplitude of the response).
OCTAVES = 1.0

# Images are continued by their mirror image, by this fraction of their side, before filtering:
# a Fourier transform would otherwise meet an edge where the image wraps around.
MARGIN = 0.25


CONTRAST_FLOOR = 0.01


def compress_contrast(values: np.ndarray) -> np.ndarray:
    """log(x + CONTRAST_FLOOR): early visual responses grow with contrast about as its logarithm.

    values: of low_level_features, in units of luminance. The floor keeps blank places finite.
    """
    return np.log(values + np.float32(CONTRAST_FLOOR))


def low_level_features(
    images: np.ndarray,
    *,
    grid: int = 8,
    contrast_scales: Sequence[float] = (0.04, 0.08, 0.16),
    frequencies: Sequence[float] = (4.0, 8.0, 16.0),
    orientations: int = 4,
    resolution: int = 64,
    image_batch: int = 64,
) -> tuple[np.ndarray, list[str]]:
    """Local contrast and Gabor amplitude on a grid of places.

    images: (image, row, column) luminance or (image, row, column, 3) colour, uint8 (0 to 255) or
    float (0 to 1), of any side; read ``image_batch`` at a time, so an HDF5 dataset will do. Larger
    images are averaged down to ``resolution`` pixels a side first.
    contrast_scales: standard deviations of the windows, as fractions of the side.
    frequencies: in cycles per image.

    Returns float32 (image, feature) in units of luminance (0 to 1), and the features' names. Both
    kinds are blind to mean luminance and proportional to contrast.
    Raises InputError for images of another shape, or a frequency above what their pixels carry.
    """
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise InputError(
            "images: expected (image, row, column) or (image, row, column, 3), "
            f"found {tuple(images.shape)}"
        )
    rows, columns = (min(side, resolution) for side in images.shape[1:3])
    limit = min(rows, columns) / 2
    # No images may come without a size, and go through with the names of the features alone.
    if len(images) and max(frequencies) > limit:
        raise InputError(
            f"frequencies: expected at most {limit:g} cycles per image for images of "
            f"{images.shape[1]} × {images.shape[2]} pixels at a resolution of {resolution}, "
            f"found {max(frequencies):g}"
        )
    shrink = [_averaging_matrix(side, resolution) for side in images.shape[1:3]]
    features = []
    for start in range(0, len(images), image_batch):
        luminance = to_luminance(np.asarray(images[start : start + image_batch]))
        luminance = shrink[0] @ luminance @ shrink[1].T
        features.append(
            np.concatenate(
                [
                    local_contrast(luminance, grid=grid, scales=contrast_scales),
                    gabor_amplitude(
                        luminance, grid=grid, frequencies=frequencies, orientations=orientations
                    ),
                ],
                axis=1,
            ).reshape(len(luminance), -1)
        )
    kinds = [f"contrast scale {scale:g}" for scale in contrast_scales] + [
        f"gabor frequency {frequency:g} orientation {180 * number / orientations:g}"
        for frequency in frequencies
        for number in range(orientations)
    ]
    places = [f"row {row} column {column}" for row in range(grid) for column in range(grid)]
    names = [f"{kind} {place}" for kind in kinds for place in places]
    if not features:
        return np.empty((0, len(names)), dtype=np.float32), names
    return np.concatenate(features).astype(np.float32, copy=False), names


def to_luminance(images: np.ndarray) -> np.ndarray:
    """Luminance from 0 to 1 of uint8 or float images, grey or colour: float32 (image, row, col)."""
    scale = np.float32(1 / 255) if images.dtype == np.uint8 else np.float32(1)
    images = images.astype(np.float32) * scale
    return images @ LUMINANCE if images.ndim == 4 else images


def local_contrast(luminance: np.ndarray, *, grid: int, scales: Sequence[float]) -> np.ndarray:
    """Root-mean-square contrast in Gaussian windows: √(⟨L²⟩ − ⟨L⟩²) at grid × grid places.

    luminance: (image, row, column). scales: standard deviations of the windows over the side.
    Returns (image, scale, grid row × grid column).
    """
    # The variance is a difference of squares: without this, a bright image costs it its digits.
    luminance = luminance - luminance.mean(axis=(1, 2), keepdims=True)
    maps = []
    for scale in scales:
        row, column = (_window_matrix(side, grid, scale) for side in luminance.shape[1:])
        mean = row @ luminance @ column.T
        square = row @ np.square(luminance) @ column.T
        maps.append(np.sqrt(np.maximum(square - np.square(mean), 0)))
    return np.stack(maps, axis=1).reshape(len(luminance), len(scales), -1)


def gabor_amplitude(
    luminance: np.ndarray, *, grid: int, frequencies: Sequence[float], orientations: int
) -> np.ndarray:
    """Root of the Gabor energy pooled around grid × grid places.

    Each filter is a quadrature pair: a log-Gabor (Field 1987) on one side of the Fourier plane,
    whose complex response holds the even and the odd filter's; its squared modulus, the energy,
    does not depend on the phase of a grating. Orientation 0 is that of horizontal frequency
    (vertical stripes), turning towards vertical frequency.

    luminance: (image, row, column). frequencies: cycles per image.
    Returns (image, frequency × orientation, grid row × grid column).
    """
    count, rows, columns = luminance.shape
    margin = [int(np.ceil(MARGIN * side)) for side in (rows, columns)]
    padded = np.pad(luminance, [(0, 0), (margin[0],) * 2, (margin[1],) * 2], mode="symmetric")
    filters = _log_gabors(padded.shape[1:], (rows, columns), frequencies, orientations)
    spectrum = scipy.fft.fft2(padded)
    # Wide enough that the windows of neighbouring places overlap, and no pixel goes unseen.
    row, column = (_window_matrix(side, grid, 0.5 / grid) for side in (rows, columns))
    maps = []
    for gain in filters:
        response = scipy.fft.ifft2(spectrum * gain)
        response = response[:, margin[0] : margin[0] + rows, margin[1] : margin[1] + columns]
        energy = np.square(response.real) + np.square(response.imag)
        maps.append(np.sqrt(row @ energy @ column.T))
    return np.stack(maps, axis=1).reshape(count, len(filters), -1)


def _log_gabors(
    shape: tuple[int, int],
    image_shape: tuple[int, int],
    frequencies: Sequence[float],
    orientations: int,
) -> list[np.ndarray]:
    """Transfer functions (row, column), each on one side of the Fourier plane only.

    A grating of amplitude 1 at a filter's centre gives a response of modulus 1.
    """
    vertical = np.fft.fftfreq(shape[0])[:, None] * image_shape[0]
    horizontal = np.fft.fftfreq(shape[1])[None, :] * image_shape[1]
    radius = np.hypot(vertical, horizontal)
    angle = np.arctan2(vertical, horizontal)
    # Half height at ± half an octave, and at ± half the step between orientations.
    half = np.sqrt(2 * np.log(2))
    width = np.log(2) * OCTAVES / 2 / half
    spread = np.pi / orientations / 2 / half
    logarithm = np.log(np.where(radius > 0, radius, 1.0))
    gains = []
    for frequency in frequencies:
        radial = np.exp(-np.square((logarithm - np.log(frequency)) / width) / 2)
        radial[radius == 0] = 0
        for number in range(orientations):
            turn = angle - np.pi * number / orientations
            turn = np.abs((turn + np.pi) % (2 * np.pi) - np.pi)
            side = turn < np.pi / 2
            gain = 2 * radial * np.exp(-np.square(turn / spread) / 2) * side
            gains.append(gain.astype(np.float32))
    return gains


def _window_matrix(side: int, grid: int, scale: float) -> np.ndarray:
    """Gaussian windows around the centres of ``grid`` equal parts: (grid, side), rows sum to 1.

    Cut off at the image's edge and normalised again, so that borders are not darkened.
    """
    centres = (np.arange(grid) + 0.5) / grid
    places = (np.arange(side) + 0.5) / side
    window = np.exp(-np.square((places - centres[:, None]) / scale) / 2)
    return (window / window.sum(axis=1, keepdims=True)).astype(np.float32)


def _averaging_matrix(side: int, resolution: int) -> np.ndarray:
    """Average ``side`` pixels down to ``resolution`` by area; the identity if they are fewer."""
    if side <= resolution:
        return np.eye(side, dtype=np.float32)
    edges = np.linspace(0, side, resolution + 1)
    pixels = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    return (np.clip(overlap, 0, None) * resolution / side).astype(np.float32)
