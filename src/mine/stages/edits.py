"""Edits made: what they look like, and what they changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from mine.core.masks import to_pixels
from mine.core.similarity import outside_similarity

if TYPE_CHECKING:  # both bring torch, which planning does without
    from mine.core.generation import Generator
    from mine.core.observing import Observer, Seen


def paint_edits(
    painter: Generator,
    plan: xr.Dataset,
    originals: np.ndarray,
    row: np.ndarray,
    *,
    method: str,
    parts: Iterable[slice],
) -> np.ndarray:
    """Make the edits of a plan (mine.stages.editing): uint8 (edit, row, column, 3).

    originals: uint8 (image, row, column, 3), of which ``row`` (edit,) is each edit's. method:
    ``inpainting`` or ``instruction``. parts: slices that cover the edits, one after the other.
    """
    after = np.empty((len(row), *originals.shape[1:]), np.uint8)
    height, width = originals.shape[1:3]
    texts = {name: plan[name].values.tolist() for name in ("prompt", "negative", "instruction")}
    for part in parts:
        before, seeds = originals[row[part]], plan["seed"].values[part]
        if method == "instruction":
            after[part] = painter.instruct(before, texts["instruction"][part], seeds=seeds)
        else:
            after[part] = painter.inpaint(
                before,
                to_pixels(plan["mask"].values[part], height=height, width=width),
                texts["prompt"][part],
                seeds=seeds,
                negative=texts["negative"][part],
            )
    return after


def make_edits(
    plan: xr.Dataset,
    painter: Generator,
    observer: Observer,
    read: Callable[[np.ndarray], np.ndarray],
    *,
    method: str,
    parts: Iterable[slice],
    group: np.ndarray,
    region: np.ndarray,
) -> xr.Dataset:
    """Make the edits of a plan, and predict and read what they changed.

    read: uint8 (image, row, column, 3) of images by identity. Other arguments are those of
    :func:`paint_edits` and :func:`record_edits`, and so is what is returned.
    """
    images, row = np.unique(plan["image"].values, return_inverse=True)
    originals = read(images)
    pixels = paint_edits(painter, plan, originals, row, method=method, parts=parts)
    return record_edits(
        plan,
        pixels,
        originals=originals,
        row=row,
        edited=observer.observe_parts(pixels),
        before=observer.observe(originals),
        group=group,
        region=region,
    )


def record_edits(
    plan: xr.Dataset,
    pixels: np.ndarray,
    *,
    originals: np.ndarray,
    row: np.ndarray,
    edited: Iterable[Seen],
    before: Seen,
    group: np.ndarray,
    region: np.ndarray,
) -> xr.Dataset:
    """Put the edited images, and what they changed, beside their plan.

    pixels: uint8 (edit, row, column, 3). edited: part by part, in their order, predictions by
    model, (edit, voxel of the subject), and the lens's readings of the edits; before: the same of
    originals, uint8 (image, row, column, 3), of which ``row`` (edit,) is each edit's. region: the
    region's voxels, which are no off-target.
    """
    unit = {"units": "standard deviations of the response"}
    word = plan["word"].values
    feature = np.where(word[:, 0] >= 0, group[word[:, 0]], -1) if word.size else np.zeros(0, int)
    changes, presence, done = [], [], 0
    for predictions, lens in edited:
        part = slice(done, done + lens.sizes["image"])
        own, done = row[part], part.stop
        changes.append(_compare_part(predictions, before[0], own, plan["voxel"].values, region))
        readings = (before[1].isel(image=own), lens)
        presence.append([_read_each(each, group, feature[part]) for each in readings])
    prediction, change, off_target = (
        np.concatenate(parts, axis=1) for parts in zip(*changes, strict=True)
    )
    presence = np.concatenate(presence, axis=1)
    height, width = pixels.shape[1:3]
    similarity = [
        outside_similarity(originals[image], after, to_pixels(mask, height=height, width=width))
        for image, after, mask in zip(row, pixels, plan["mask"].values, strict=True)
    ]
    return plan.assign(
        pixels=(("edit", "pixel_row", "pixel_column", "channel"), pixels, {"long_name": "edited"}),
        before=(
            ("model", "edit", "voxel"),
            prediction,
            {"long_name": "predicted response to the image before", **unit},
        ),
        change=(
            ("model", "edit", "voxel"),
            change,
            {"long_name": "predicted response after the edit less before", **unit},
        ),
        off_target=(
            ("model", "edit"),
            off_target,
            {"long_name": "mean |change| over voxels outside the region", **unit},
        ),
        outside_similarity=(
            ("edit",),
            np.array(similarity, dtype=np.float32),
            {"long_name": "structural similarity to the image before, outside the mask"},
        ),
        presence_before=(
            ("edit",),
            presence[0],
            {"long_name": "largest lens probability of the feature before"},
        ),
        presence_after=(
            ("edit",),
            presence[1],
            {"long_name": "largest lens probability of the feature after"},
        ),
    ).assign_coords(model=list(before[0]))


def _compare_part(
    after: dict[str, np.ndarray],
    before: dict[str, np.ndarray],
    row: np.ndarray,
    voxels: np.ndarray,
    region: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compare predictions for some edits with those before: before and change of the plan's voxels,
    (model, edit, voxel), and mean |change| outside the region, (model, edit)."""
    change = np.stack([values - before[model][row] for model, values in after.items()])
    prediction = np.stack([before[model][row][:, voxels] for model in after])
    others = np.setdiff1d(np.arange(change.shape[2]), region)
    with np.errstate(invalid="ignore"):
        off_target = np.abs(change[:, :, others]).mean(axis=2) if len(others) else np.nan
    off_target = np.broadcast_to(off_target, change.shape[:2]).astype(np.float32)
    return prediction, change[:, :, voxels], off_target


def _read_each(lens: xr.Dataset, group: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """Largest reading over tokens of each image's own feature: (image,); nan for feature -1."""
    word, score = lens["word"].values, lens["score"].values.astype(np.float32)
    reading = np.where(group[word] == feature[:, None, None], score, 0).sum(axis=-1)
    return np.where(feature >= 0, reading.max(axis=-1, initial=0), np.nan).astype(np.float32)
