"""What is planted in simulated subjects: regions, what their voxels answer to, where they lie.

Everything that is planted is in ``REGIONS`` and in the constants here and of mine.demo.responding,
fixed before the first encoder was fitted (docs/demo.md explains the choices). The second features
of a region enter as a mixture that varies continuously over the cortical sheet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from mine.demo.words import BACKGROUNDS
from mine.randomness import generator

SHAPE = (30, 24, 20)
VOXEL_SIZE = 1.8  # millimetres
FORMS = {"tolerant": 0.5, "saturating": 0.3, "additive": 0.2}
SUPPRESSED_SHARE = 0.3  # of the voxels of a region with a suppressed feature
DOMINANT = 0.6  # mixture weight from which a second feature counts as planted
NOISE_CEILING_TOP = 0.8  # ceilings are 0.8 · Beta(2, 2): 0 to 0.8, median 0.4
SMOOTHNESS = 1.0  # standard deviation of the spatial correlation of tuning and noise, in voxels


@dataclass(frozen=True)
class Second:
    """A second feature: its kind (a key of mine.demo.responding.SECOND_GAIN) and its concept, or
    (row, column) for a place."""

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


@dataclass(frozen=True)
class Difficulty:
    """What a configuration may change of what is planted; as it is, the demo's."""

    scale: int = 1  # times the voxels of each region
    noise_ceiling: float = NOISE_CEILING_TOP  # the largest
    second_kinds: tuple[str, ...] = ("colour", "expression", "object", "conjunction", "place")


DEMO = Difficulty()


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


def place_regions(scale: int = 1) -> dict[str, np.ndarray]:
    """Return each region's voxels, (voxel, 3): two compact blobs, one in either half of the first
    axis, with ``scale`` times the voxels of the region.
    """
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), axis=-1).reshape(-1, 3)
    taken = np.zeros(len(grid), dtype=bool)
    placed = {}
    for region in REGIONS:
        parts = []
        for centre in (region.centre, (SHAPE[0] - 1 - region.centre[0], *region.centre[1:])):
            distance = np.square(grid - np.array(centre)).sum(axis=1).astype(float)
            other = (grid[:, 0] < SHAPE[0] / 2) != (centre[0] < SHAPE[0] / 2)
            distance[taken | other] = np.inf
            count = scale * region.voxels // 2
            nearest = np.sort(np.argsort(distance, kind="stable")[:count])
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


def plan_subject(subject: str, *, seed: int, difficulty: Difficulty) -> Plan:
    """Draw what is planted in every voxel of a subject."""
    random = generator(seed, "demo", "plan", subject)
    parts = [
        _plan_region(region, ijk, random, difficulty)
        for region, ijk in zip(REGIONS, place_regions(difficulty.scale).values(), strict=True)
    ]
    return Plan(
        *(np.concatenate([part[index] for part in parts]) for index in range(len(parts[0])))
    )


def _plan_region(
    region: Region, ijk: np.ndarray, random: np.random.Generator, difficulty: Difficulty
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
        strength *= [second.kind in difficulty.second_kinds for second in region.seconds]
        total = strength.sum(axis=1, keepdims=True)
        mixture[:, : len(region.seconds)] = strength / np.where(total > 0, total, 1)
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
    drawn = difficulty.noise_ceiling * stats.beta(2, 2).ppf(quality)
    ceiling = drawn if region.mains else np.zeros(count)
    receptive_field = random.uniform(0.2, 0.8, (count, 2))
    name = np.full(count, region.name)
    return name, ijk, main, form, mixture, suppressed, receptive_field, ceiling
