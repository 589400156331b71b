"""BrainSAIL's readout of dense features (Luo et al. 2025, arXiv 2410.05266).

An encoder of whole images is put on their denoised tokens u_nt, which lie in the same space,

    R_nt = ⟨w, u_nt − ū⟩        ū the mean token of the training images

so that R says where in an image a voxel's prediction comes from. Tokens are denoised by moving
and mirroring the image and averaging what comes back for the same patch (denoise_tokens). Published
maps are compared with masks of objects; the words here are what the lens reads in the most relevant
tokens of all training images,

    score(word) = mean over these tokens of p(word | token) − base_rate(word)

Published tokens are those of an enlarged image and of attention that keeps to neighbours; here
they are those that MINE reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mine.core.lens import normalise_rows
from mine.core.synonyms import name_groups
from mine.explainers.interface import Explanation, Material

TOP_SHARE = 0.01
"""Share of all tokens of the training images that count as a voxel's most relevant."""

MOVES = 51
"""Views of an image whose tokens are averaged, if there are as many."""

REACH = 0.15
"""How far an image is moved at most, as a share of its side."""

VOXEL_BLOCK = 16
"""Voxels whose relevances of all tokens are in memory at once."""

IMAGE_BLOCK = 256
"""Images whose tokens are in memory at once in single precision."""

WHITE = 255
"""What is seen where an image was moved away."""


def explain(material: Material) -> Explanation:
    """Name what the tokens show that raise a voxel's prediction most."""
    word = material.lens["word"].values.reshape(-1, material.lens.sizes["rank"])
    score = material.lens["score"].values.reshape(word.shape).astype(np.float64)
    kept = max(1, round(TOP_SHARE * len(word)))
    mass = np.empty((len(material.weight), len(material.group)))
    centre = average_tokens(material.dense)
    for voxels, relevance in stream_relevance(material.weight, material.dense, centre):
        flat = relevance.reshape(len(relevance), -1)
        for voxel, row in zip(range(len(mass))[voxels], flat, strict=True):
            best = np.argpartition(-row, kept - 1)[:kept]
            total = np.bincount(word[best].ravel(), score[best].ravel(), len(material.group))
            mass[voxel] = total / kept
    excess = [np.bincount(material.group, row) for row in mass - material.base_rate]
    names = name_groups(mass, material.group, int(material.group.max()) + 1)
    return Explanation(np.array(excess), names)


def stream_relevance(
    weight: np.ndarray, dense: np.ndarray, centre: np.ndarray
) -> Iterator[tuple[slice, np.ndarray]]:
    """Relevance of every token, a block of voxels at a time: yields the voxels and float32 (voxel,
    image, token).

    weight: (voxel, feature). dense: (image, token, feature). centre: (feature,), ū.
    """
    for start in range(0, len(weight), VOXEL_BLOCK):
        part = slice(start, start + VOXEL_BLOCK)
        own = weight[part].astype(np.float32)
        relevance = np.empty((len(own), *dense.shape[:2]), np.float32)
        for first in range(0, len(dense), IMAGE_BLOCK):
            images = slice(first, first + IMAGE_BLOCK)
            relevance[:, images] = (dense[images].astype(np.float32) @ own.T).transpose(2, 0, 1)
        yield part, relevance - (weight[part] @ centre)[:, None, None].astype(np.float32)


def map_relevance(
    weight: np.ndarray, dense: np.ndarray, centre: np.ndarray, *, kept: int
) -> tuple[np.ndarray, np.ndarray]:
    """The most relevant tokens of each image that raise a prediction, both (voxel, image, rank).

    Returns ``token``, int16 or int32, strongest first, -1 where fewer are above zero, and
    ``relevance``, float32, 0 there. Arguments as of :func:`stream_relevance`.
    """
    shape = len(weight), len(dense), kept
    token = np.empty(shape, np.int16 if dense.shape[1] <= np.iinfo(np.int16).max else np.int32)
    strength = np.empty(shape, np.float32)
    for voxels, relevance in stream_relevance(weight, dense, centre):
        best = np.argsort(-relevance, axis=-1, kind="stable")[..., :kept]
        value = np.maximum(np.take_along_axis(relevance, best, axis=-1), 0)
        token[voxels], strength[voxels] = np.where(value > 0, best, -1), value
    return token, strength


def average_maps(weight: np.ndarray, dense: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Mean over images of the relevance above zero at each place: (voxel, token).

    Arguments as of :func:`stream_relevance`.
    """
    parts = stream_relevance(weight, dense, centre)
    return np.concatenate([np.maximum(part, 0).mean(axis=1) for _, part in parts])


def average_tokens(dense: np.ndarray) -> np.ndarray:
    """The mean token ū, float64 (feature,), of dense tokens (image, token, feature)."""
    return dense.mean(axis=(0, 1), dtype=np.float64)


# --- denoising ---


def draw_moves(rows: int, columns: int, *, generator: np.random.Generator) -> np.ndarray:
    """Draw how an image is moved: int (move, 3), patches down and to the right, mirrored or not.

    The first leaves it as it is; the others are drawn without replacement, at most MOVES in all,
    among all that move it by at most REACH of its side.
    """
    down, right = (int(np.rint(REACH * count)) for count in (rows, columns))
    steps = np.arange(-down, down + 1), np.arange(-right, right + 1), np.arange(2)
    moves = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    still = (moves == 0).all(axis=1)
    others = generator.permutation(moves[~still])[: MOVES - 1]
    return np.concatenate([moves[still], others])


def denoise_tokens(
    encode: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    moves: np.ndarray,
    *,
    rows: int,
    columns: int,
) -> np.ndarray:
    """Average what an encoder sees of each patch over views of the image.

    encode: images -> (image, token, feature), raw. images: uint8 (image, row, column, 3). moves:
    see :func:`draw_moves`. A patch that a move takes out of view is left out of the average.
    Returns float32 (image, token, feature) at length √D.
    """
    total: np.ndarray | float = 0.0
    for down, right, mirrored in moves.tolist():
        moved = move_images(images, down, right, rows=rows, columns=columns)
        seen = encode(np.ascontiguousarray(moved[:, :, ::-1]) if mirrored else moved)
        seen = seen.reshape(len(images), rows, columns, -1)
        seen = seen[:, :, ::-1] if mirrored else seen
        # Back to where the patches came from, nothing where they are out of view.
        total = total + _move(seen, -down, -right, fill=0)
    # How often a patch was seen is a length, which is set here.
    flat = normalise_rows(total.reshape(len(images), rows * columns, -1).astype(np.float64))
    return (np.sqrt(flat.shape[-1]) * flat).astype(np.float32)


def move_images(
    images: np.ndarray, down: int, right: int, *, rows: int, columns: int
) -> np.ndarray:
    """Move images by whole patches, white where they were: uint8 (image, row, column, 3)."""
    height, width = images.shape[1:3]
    steps = round(down * height / rows), round(right * width / columns)
    return _move(images, *steps, fill=WHITE)


def _move(array: np.ndarray, down: int, right: int, *, fill: int) -> np.ndarray:
    """Move the second and third axis, filling what is left free."""
    moved = np.full_like(array, fill)
    height, width = array.shape[1:3]
    moved[:, _overlap(down, height), _overlap(right, width)] = array[
        :, _overlap(-down, height), _overlap(-right, width)
    ]
    return moved


def _overlap(step: int, length: int) -> slice:
    """What of an axis is still filled once it was moved."""
    return slice(max(step, 0), length + min(step, 0))
