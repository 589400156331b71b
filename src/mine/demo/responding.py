"""How simulated voxels answer to images, and their noise.

A voxel's noiseless response to an image is

    s = drive(main) + Σ_k mixture_k · gain_k · second_k − SUPPRESSION · 1[suppressed feature
    visible]

where ``drive`` is the voxel's response form applied to the visible main feature, and the second
features are those of its region (mine.demo.planting).
"""

from __future__ import annotations

import numpy as np

from mine.demo.planting import FORMS, REGIONS, Plan, Second, spatial_kernel
from mine.demo.scene_tables import SceneTable
from mine.demo.words import BACKGROUNDS, CATEGORIES, COLOURS

SECOND_GAIN = {"colour": 1.0, "expression": 1.0, "object": 0.8, "conjunction": 1.2, "place": 1.0}
SUPPRESSION = 0.7
PLACE_WIDTH = 0.22  # standard deviation of a place preference, in image sides
NOISE_SHARED = 0.3  # share of the noise variance that is spatially correlated


def noiseless_responses(plan: Plan, table: SceneTable, contrast: np.ndarray) -> np.ndarray:
    """Return every voxel's noiseless response, standardised over images: (image, voxel).

    ``contrast``: (image, voxel) local contrast in each voxel's receptive field (used by contrast
    voxels).
    """
    responses = respond_to_scenes(plan, table, reference=table)
    for voxel in np.flatnonzero(plan.main == "contrast"):
        middle = np.median(contrast[:, voxel])
        responses[:, voxel] = contrast[:, voxel] / (contrast[:, voxel] + middle)
    return standardise_responses(responses, reference=responses)


def standardise_responses(responses: np.ndarray, *, reference: np.ndarray) -> np.ndarray:
    """Centre and scale responses (image, voxel) as ``reference`` would be standardised."""
    deviation = (reference - reference.mean(axis=0)).std(axis=0)
    return (responses - reference.mean(axis=0)) / np.where(deviation > 0, deviation, 1)


def respond_to_scenes(plan: Plan, table: SceneTable, *, reference: SceneTable) -> np.ndarray:
    """Return the response of every voxel with a feature, before it is standardised: (image, voxel).

    Medians and means that a response form needs are over the images of ``reference``. Voxels of
    contrast and of noise stay 0.
    """
    seconds = {region.name: region.seconds for region in REGIONS}
    responses = np.zeros((len(table.open), len(plan.main)))
    for voxel, main in enumerate(plan.main):
        if main not in ("", "contrast"):
            own = seconds[str(plan.region[voxel])]
            responses[:, voxel] = _respond(plan, voxel, str(main), own, table, reference)
    return responses


def _respond(
    plan: Plan,
    voxel: int,
    main: str,
    seconds: tuple[Second, ...],
    table: SceneTable,
    reference: SceneTable,
) -> np.ndarray:
    drive = main_drive(main, str(plan.form[voxel]), table, reference=reference)
    response = drive.copy()
    for weight, second in zip(plan.mixture[voxel], seconds, strict=False):
        if weight > 0:
            part = second_drive(second, main, drive, table, reference=reference)
            response += weight * SECOND_GAIN[second.kind] * part
    if plan.suppressed[voxel]:
        response -= SUPPRESSION * table.visible(str(plan.suppressed[voxel]))
    return response


def main_drive(
    main: str, form: str, table: SceneTable, *, reference: SceneTable | None = None
) -> np.ndarray:
    """Apply a response form to the main feature: (image,), about 1 where the feature is of median
    size.

    tolerant: 1 where visible. saturating: 2a / (a + ã), with a the visible area and ã its median
    over the images of ``reference`` (the table's own without) that show it. additive: a / mean a,
    at most 3.
    """
    known = _visible_area(main, table if reference is None else reference)
    return _apply_form(_visible_area(main, table), form, known[known > 0])


def _visible_area(main: str, table: SceneTable) -> np.ndarray:
    if main in BACKGROUNDS:
        return table.visible(main) * table.open
    return table.area[:, list(CATEGORIES).index(main)]


def _apply_form(area: np.ndarray, form: str, shown: np.ndarray) -> np.ndarray:
    if form == "tolerant":
        return (area > 0).astype(float)
    if form == "saturating":
        return 2 * area / (area + np.median(shown))
    return np.minimum(area / shown.mean(), 3.0)


def second_drive(
    second: Second,
    main: str,
    drive: np.ndarray,
    table: SceneTable,
    *,
    reference: SceneTable | None = None,
) -> np.ndarray:
    """Return the part of the response that one second feature adds, before its gain: (image,).

    colour, expression: the main drive where the main object has it. object: 1 where that object is
    visible. conjunction: the main drive where the background is there too. place: the main drive
    times a Gaussian of the distance to the preferred place, less its mean over the images of
    ``reference`` (the table's own without) that show the main object.
    """
    if second.kind == "object":
        return table.visible(str(second.concept)).astype(float)
    if second.kind == "conjunction":
        return drive * table.visible(str(second.concept))
    category = list(CATEGORIES).index(main)
    if second.kind == "colour":
        return drive * (table.colour[:, category] == list(COLOURS).index(str(second.concept)))
    if second.kind == "expression":
        return drive * table.happy
    reference = table if reference is None else reference
    shown = reference.area[:, category] > 0
    mean = _nearness(second, category, reference)[shown].mean()
    return drive * (_nearness(second, category, table) - mean) * 2


def _nearness(second: Second, category: int, table: SceneTable) -> np.ndarray:
    row, column = second.concept
    squared = (table.row[:, category] - row) ** 2 + (table.column[:, category] - column) ** 2
    return np.exp(-squared / (2 * PLACE_WIDTH**2))


def receptive_field_contrast(images: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """Return root-mean-square luminance contrast under a Gaussian window: (image, voxel).

    ``images``: uint8 (image, row, column, 3); ``fields``: (voxel, 2) centres as fractions. The
    window's standard deviation is 0.1 of the image's side.
    """
    luminance = images.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    rows, columns = luminance.shape[1:]
    down = np.exp(-np.square((np.arange(rows) + 0.5) / rows - fields[:, :1]) / (2 * 0.1**2))
    across = np.exp(-np.square((np.arange(columns) + 0.5) / columns - fields[:, 1:]) / (2 * 0.1**2))
    window = (down[:, :, None] * across[:, None, :]).reshape(len(fields), -1)
    window = (window / window.sum(axis=1, keepdims=True)).astype(np.float32)
    flat = luminance.reshape(len(images), -1)
    mean, square = flat @ window.T, np.square(flat) @ window.T
    return np.sqrt(np.maximum(square - np.square(mean), 0)).astype(np.float64)


def draw_noise(
    responses: np.ndarray,
    plan: Plan,
    *,
    repeats: int,
    kernel_root: np.ndarray,
    random: np.random.Generator,
) -> np.ndarray:
    """Draw one session's noise: (trial, voxel), in units of the noiseless response's standard
    deviation.

    The variance is set by the planted ceiling c of an average of ``repeats`` trials: repeats · (1 −
    c) / c; voxels without signal have variance 1.
    """
    ceiling = plan.noise_ceiling
    variance = np.where(ceiling > 0, repeats * (1 - ceiling) / np.maximum(ceiling, 1e-3), 1.0)
    white = random.standard_normal(responses.shape)
    smooth = random.standard_normal(responses.shape) @ kernel_root.T
    return np.sqrt(variance) * (np.sqrt(1 - NOISE_SHARED) * white + np.sqrt(NOISE_SHARED) * smooth)


def noise_root(ijk: np.ndarray) -> np.ndarray:
    """Return a square root of the spatial correlation of the noise: (voxel, voxel)."""
    return np.linalg.cholesky(spatial_kernel(ijk) + 1e-6 * np.eye(len(ijk)))


def planted_regressors(table: SceneTable) -> tuple[np.ndarray, list[str]]:
    """Return every regressor that is planted in some voxel, for the reference model: (image,
    regressor).

    Main drives in all forms, second drives on them, co-occurring objects and suppressed features:
    ridge on these, fitted on the noisy responses, knows everything but the weights.
    """
    columns, names = [], []
    for region in REGIONS:
        for main in region.mains:
            if main == "contrast":
                continue
            for form in FORMS:
                drive = main_drive(main, form, table)
                if f"{main} {form}" not in names:
                    columns.append(drive)
                    names.append(f"{main} {form}")
                for second in region.seconds:
                    if second.kind == "object" or (main in BACKGROUNDS):
                        continue
                    columns.append(second_drive(second, main, drive, table))
                    names.append(f"{main} {form} {second.kind} {second.concept}")
        for concept in sorted(
            {str(s.concept) for s in region.seconds if s.kind == "object"}
            | {region.suppressed or ""}
        ):
            if concept and concept not in names:
                columns.append(table.visible(concept).astype(float))
                names.append(concept)
    return np.stack(columns, axis=1), names
