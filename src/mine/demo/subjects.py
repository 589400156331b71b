"""Simulated subjects: voxels with planted selectivity, their noise, and where they lie.

Everything that is planted is in ``REGIONS`` and in the constants below, fixed before the first
encoder was fitted (docs/demo.md explains the choices). A voxel's noiseless response to an image is

    s = drive(main) + Σ_k mixture_k · gain_k · second_k − SUPPRESSION · 1[suppressed feature
    visible]

where ``drive`` is the voxel's response form applied to the visible main feature, and the second
features of its region enter as a mixture that varies continuously over the cortical sheet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from mine.demo.scenes import Scene
from mine.demo.words import BACKGROUNDS, CATEGORIES, COLOURS
from mine.randomness import generator

SHAPE = (30, 24, 20)
VOXEL_SIZE = 1.8  # millimetres
FORMS = {"tolerant": 0.5, "saturating": 0.3, "additive": 0.2}
SECOND_GAIN = {"colour": 1.0, "expression": 1.0, "object": 0.8, "conjunction": 1.2, "place": 1.0}
SUPPRESSION = 0.7
SUPPRESSED_SHARE = 0.3  # of the voxels of a region with a suppressed feature
PLACE_WIDTH = 0.22  # standard deviation of a place preference, in image sides
DOMINANT = 0.6  # mixture weight from which a second feature counts as planted
NOISE_CEILING_TOP = 0.8  # ceilings are 0.8 · Beta(2, 2): 0 to 0.8, median 0.4
SMOOTHNESS = 1.0  # standard deviation of the spatial correlation of tuning and noise, in voxels
NOISE_SHARED = 0.3  # share of the noise variance that is spatially correlated


@dataclass(frozen=True)
class Second:
    """A second feature: its kind (a key of SECOND_GAIN) and its concept, or (row, column) for a
    place."""

    kind: str
    concept: str | tuple[float, float]


@dataclass(frozen=True)
class Region:
    """A planted region: in which volume of NSD it is drawn, its main features and what varies
    inside."""

    name: str
    volume: str
    label: int
    centre: tuple[int, int, int]  # of the left hemisphere's half; the right one is its mirror image
    voxels: int
    mains: dict[str, float]  # main feature → share of the voxels
    seconds: tuple[Second, ...] = ()
    suppressed: str | None = None
    localiser: str | None = None


REGIONS = (
    Region(
        "FFA-1",
        "floc-faces",
        2,
        (5, 6, 4),
        48,
        {"face": 1.0},
        (
            Second("colour", "red"),
            Second("expression", "happy"),
            Second("object", "dog"),
            Second("place", (0.5, 0.25)),
        ),
        suppressed="car",
        localiser="faces",
    ),
    Region(
        "EBA",
        "floc-bodies",
        1,
        (5, 14, 4),
        56,
        {"person": 1.0},
        (
            Second("colour", "blue"),
            Second("object", "chair"),
            Second("conjunction", "beach"),
            Second("place", (0.7, 0.5)),
        ),
        suppressed="flower",
        localiser="bodies",
    ),
    Region(
        "PPA",
        "floc-places",
        2,
        (5, 6, 14),
        56,
        {"house": 0.5, "city": 0.25, "forest": 0.25},
        (Second("colour", "yellow"), Second("object", "car"), Second("place", (0.3, 0.5))),
        suppressed="face",
        localiser="places",
    ),
    Region(
        "VWFA-1",
        "floc-words",
        2,
        (5, 14, 14),
        40,
        {"word": 1.0},
        (
            Second("colour", "green"),
            Second("object", "bird"),
            Second("conjunction", "city"),
            Second("place", (0.5, 0.75)),
        ),
        suppressed="dog",
        localiser="word",
    ),
    Region(
        "food",
        "food",
        1,
        (10, 19, 9),
        44,
        {"food": 1.0},
        (Second("colour", "purple"), Second("object", "person"), Second("conjunction", "room")),
        suppressed="bird",
    ),
    Region("OPA", "floc-places", 1, (11, 12, 4), 30, {"house": 1.0}, localiser="places"),
    Region("V1v", "prf-visualrois", 1, (11, 5, 9), 40, {"contrast": 1.0}),
    Region("control", "control", 1, (11, 14, 15), 200, {}),
)
VOLUME_LABELS = {
    "floc-faces": {1: "OFA", 2: "FFA-1", 3: "FFA-2", 4: "mTL-faces", 5: "aTL-faces"},
    "floc-bodies": {1: "EBA", 2: "FBA-1", 3: "FBA-2", 4: "mTL-bodies"},
    "floc-places": {1: "OPA", 2: "PPA", 3: "RSC"},
    "floc-words": {1: "OWFA", 2: "VWFA-1", 3: "VWFA-2", 4: "mfs-words", 5: "mTL-words"},
    "prf-visualrois": dict(enumerate(("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"), start=1)),
    "food": {1: "food"},
    "control": {1: "control"},
}


# --- what the images hold ---


@dataclass(frozen=True)
class SceneTable:
    """What is visible in each image, as arrays over (image, category) or (image,).

    ``area``: visible share of the image, 0 where the category is absent. ``row``, ``column``:
    centre of the visible part, as fractions. ``colour``: index into COLOURS, −1 where absent.
    ``happy``: of the face. ``background``: index into BACKGROUNDS; ``open``: the share of the image
    that no object covers.
    """

    area: np.ndarray
    row: np.ndarray
    column: np.ndarray
    colour: np.ndarray
    happy: np.ndarray
    background: np.ndarray
    open: np.ndarray

    def visible(self, concept: str) -> np.ndarray:
        """Whether an object category or a background is in each image: bool (image,)."""
        if concept in CATEGORIES:
            return self.area[:, list(CATEGORIES).index(concept)] > 0
        return self.background == list(BACKGROUNDS).index(concept)


def tabulate_scenes(scenes: list[Scene], labels: np.ndarray) -> SceneTable:
    """Measure what is visible. ``labels``: uint8 (image, row, column), 0 for background, else 1 +
    category.
    """
    names, colours, backgrounds = list(CATEGORIES), list(COLOURS), list(BACKGROUNDS)
    count, rows, columns = labels.shape
    place_row, place_column = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    area, row, column = (np.zeros((count, len(names))) for _ in range(3))
    for index in range(len(names)):
        mask = labels == index + 1
        area[:, index] = mask.mean(axis=(1, 2))
        total = np.maximum(mask.sum(axis=(1, 2)), 1)
        row[:, index] = mask.sum(axis=2) @ place_row / total
        column[:, index] = mask.sum(axis=1) @ place_column / total
    colour = np.full((count, len(names)), -1)
    happy = np.zeros(count, dtype=bool)
    for image, scene in enumerate(scenes):
        for item in scene.objects:
            colour[image, names.index(item.category)] = colours.index(item.colour)
            happy[image] |= item.expression == "happy"
    background = np.array([backgrounds.index(scene.background) for scene in scenes])
    return SceneTable(area, row, column, colour, happy, background, (labels == 0).mean(axis=(1, 2)))


# --- what is planted ---


@dataclass(frozen=True)
class Plan:
    """What is planted in each voxel of a subject: arrays over voxels, as the truth store keeps
    them."""

    region: np.ndarray
    ijk: np.ndarray
    main: np.ndarray  # concept, "contrast" or ""
    form: np.ndarray
    mixture: np.ndarray  # (voxel, second of its region), padded with 0
    suppressed: np.ndarray  # concept or ""
    receptive_field: np.ndarray  # (voxel, 2): row, column of V1v voxels
    noise_ceiling: np.ndarray

    def dominant(self) -> list[Second | None]:
        """The second feature that holds at least DOMINANT of each voxel's mixture, or None."""
        seconds = {region.name: region.seconds for region in REGIONS}
        found: list[Second | None] = []
        for name, weights in zip(self.region, self.mixture, strict=True):
            best = int(np.argmax(weights))
            found.append(seconds[str(name)][best] if weights[best] >= DOMINANT else None)
        return found


def place_regions() -> dict[str, np.ndarray]:
    """Return each region's voxels, (voxel, 3): two compact blobs, mirrored in the first axis."""
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1).reshape(-1, 3)
    taken = np.zeros(len(grid), dtype=bool)
    placed = {}
    for region in REGIONS:
        parts = []
        for centre in (region.centre, (SHAPE[0] - 1 - region.centre[0], *region.centre[1:])):
            distance = np.square(grid - np.array(centre)).sum(axis=1).astype(float)
            distance[taken] = np.inf
            nearest = np.sort(np.argsort(distance, kind="stable")[: region.voxels // 2])
            taken[nearest] = True
            parts.append(grid[nearest])
        placed[region.name] = np.concatenate(parts)
    return placed


def spatial_kernel(ijk: np.ndarray) -> np.ndarray:
    """Return exp(−d² / 2 SMOOTHNESS²) between voxels, (voxel, voxel)."""
    squared = np.square(ijk[:, None, :] - ijk[None, :, :]).sum(axis=-1)
    return np.exp(-squared / (2 * SMOOTHNESS**2))


def smooth_fields(ijk: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Draw spatially smooth standard-normal fields over voxels: (voxel, field)."""
    factor = np.linalg.cholesky(spatial_kernel(ijk) + 1e-6 * np.eye(len(ijk)))
    return factor @ random.standard_normal((len(ijk), count))


def plan_subject(subject: str, *, seed: int) -> Plan:
    """Draw what is planted in every voxel of a subject."""
    random = generator(seed, "demo", "plan", subject)
    parts = [
        _plan_region(region, ijk, random)
        for region, ijk in zip(REGIONS, place_regions().values(), strict=True)
    ]
    return Plan(
        *(np.concatenate([part[index] for part in parts]) for index in range(len(parts[0])))
    )


def _plan_region(
    region: Region, ijk: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, ...]:
    count = len(ijk)
    widest = max(len(other.seconds) for other in REGIONS)
    fields = smooth_fields(ijk, widest + 3, random)
    mains = np.array(list(region.mains) or [""])
    shares = np.cumsum(list(region.mains.values()) or [1.0])
    main = mains[
        np.minimum(np.searchsorted(shares, stats.norm.cdf(fields[:, widest])), len(mains) - 1)
    ]
    mixture = np.zeros((count, widest))
    if region.seconds:
        strength = np.exp(4.0 * fields[:, : len(region.seconds)])
        mixture[:, : len(region.seconds)] = strength / strength.sum(axis=1, keepdims=True)
        # Backgrounds have no colour and no place, and an object that drives as much as they do
        # would be as much the main feature: what varies between their voxels is suppression.
        mixture[np.isin(main, list(BACKGROUNDS))] = 0
    form = random.choice(list(FORMS), size=count, p=list(FORMS.values()))
    is_suppressed = stats.norm.cdf(fields[:, widest + 1]) < SUPPRESSED_SHARE
    suppressed = np.where(
        is_suppressed & (region.suppressed is not None), region.suppressed or "", ""
    )
    quality = stats.norm.cdf(
        np.sqrt(0.6) * fields[:, widest + 2] + np.sqrt(0.4) * random.standard_normal(count)
    )
    ceiling = NOISE_CEILING_TOP * stats.beta(2, 2).ppf(quality) if region.mains else np.zeros(count)
    receptive_field = random.uniform(0.2, 0.8, (count, 2))
    name = np.full(count, region.name)
    return name, ijk, main, form, mixture, suppressed, receptive_field, ceiling


# --- responses ---


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
