"""What an analysis is yet to write that takes much room, before any of it is compressed.

From the shapes and the types that docs/stores.md gives; what is left out is small beside it. What
has been written is known by its stores and not by its bytes: it is compressed, so that a finished
run would lack some.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from mine.config import Config
from mine.core import conditions
from mine.core.keeping import count_kept
from mine.errors import InputError
from mine.provenance import manifest_path
from mine.sections import ALL, FITS, Attribution
from mine.stores import read_manifest

TOKENS, ATTRIBUTIONS, PIXELS = "images' tokens", "attributions", "pictures and edits"
"""What takes room, as it is called."""

Regions = Mapping[tuple[str, str], int]
"""Voxels, by subject and region."""


@dataclass(frozen=True)
class DiskUse:
    """What is yet to be written.

    known: bytes at most, before compression, by what takes them. unknown: what cannot be known, and
    why.
    """

    known: dict[str, float]
    unknown: list[str]


def estimate_disk(
    config: Config,
    results: Path,
    *,
    shape: tuple[int, int] | None,
    side: int,
    images: Mapping[str, int],
    voxels: Regions | None,
) -> DiskUse:
    """Estimate what tokens, attributions and pixels are yet to take on disk.

    results: the folder of all analyses. shape: tokens of an image and features of a token. side: of
    the pictures, in pixels; edits are taken to be as large. images: how many each subject saw, and
    under ALL how many they saw together; empty where they cannot be counted. voxels: of each region
    that each subject has. shape and voxels: None where that is not known.
    """
    results = results / config.name
    known, unknown = dict.fromkeys((TOKENS, ATTRIBUTIONS, PIXELS), 0.0), []
    if shape is None:
        unknown.append(
            f"{TOKENS} and {ATTRIBUTIONS}, since how many tokens {config.backbone.model} gives "
            "only the model itself can tell"
        )
    else:
        tokens, features = shape
        folder = results / "embeddings" / config.backbone.name / "images"
        known[TOKENS] = measure_tokens(
            max(0, images.get(ALL, 0) - _count_embedded(folder)),
            tokens=tokens,
            features=features,
            words=config.lens.words_per_token,
        )
        if voxels is None:
            unknown.append(
                f"{ATTRIBUTIONS}, since the regions' voxels can be counted only once the dataset "
                "is there"
            )
        else:
            known[ATTRIBUTIONS] = _estimate_attributions(config, results, voxels, images, tokens)
    tested = _count_tested(config, voxels)
    if tested is None:
        unknown.append(f"{PIXELS}, since they are of every voxel, and these cannot be counted yet")
    else:
        known[PIXELS] = _estimate_pixels(config, results, tested, side)
    return DiskUse(known, unknown)


def count_painted(config: Config) -> tuple[int, int]:
    """Return how many pictures and how many edits are made for a voxel at most."""
    made, edited = config.sufficiency, config.counterfactual
    # Captions and empty prompts are shared between the voxels that have an image in common.
    pictures = len(conditions.PICTURES) * made.images * made.samples
    controls = sum(map(len, conditions.CONTROLS_OF.values()))
    guides = len(conditions.DIRECTIONS) * len(conditions.GUIDES)
    return pictures, (guides + controls) * edited.images


def measure_tokens(images: int, *, tokens: int, features: int, words: int) -> float:
    """Return the bytes of the tokens of so many images, and of the words that the lens reads.

    tokens: of an image. features: of a token, in half precision. words: kept of a token, each an
    int32 and its score in half precision.
    """
    return float(images * tokens * (2 * features + words * (4 + 2)))


def measure_attributions(
    attribution: Attribution, fits: Collection[str], *, voxels: int, images: int, tokens: int
) -> float:
    """Return the bytes of the attributions of a region's voxels by some of the fits, at most.

    Of a voxel, an image and either sign the strongest tokens are kept, each an int16 and a float32,
    and of the fit ``all`` as many of the lowest, each an int16; besides 18 bytes of sums and of
    what says how exact they are, and for each voxel two maps of the tokens, float32.

    voxels: of the region. images: that the subject saw. A fit to a half is read on half of them at
    most, and each on attribution.images, if that is less. tokens: of an image.
    """
    most = images if attribution.images is None else attribution.images
    kept = count_kept(tokens, attribution.token_fraction)
    total = 0
    for fit in fits:
        read = min(most, images if fit.startswith("all") else -(-images // 2))
        lowest = 2 * kept if fit == "all" else 0
        total += read * (2 * kept * (2 + 4) + lowest + 18) + 2 * tokens * 4
    return float(voxels * total)


def _estimate_attributions(
    config: Config, results: Path, voxels: Regions, images: Mapping[str, int], tokens: int
) -> float:
    """Return what the attributions of all regions are yet to take, in bytes."""
    fits = [fit for fit in FITS if config.demo is not None or not fit.endswith("_random")]
    total = 0.0
    for (subject, roi), size in voxels.items():
        folder = results / subject / roi / "attributions"
        left = [fit for fit in fits if not manifest_path(folder / f"{fit}.zarr").is_file()]
        total += measure_attributions(
            config.attribution, left, voxels=size, images=images[subject], tokens=tokens
        )
    return total


def _estimate_pixels(config: Config, results: Path, tested: Regions, side: int) -> float:
    """Return what the pixels of pictures and edits are yet to take, in bytes."""
    counts = dict(zip(("generated", "edits"), count_painted(config), strict=True))
    images = sum(
        size * count
        for (subject, roi), size in tested.items()
        for store, count in counts.items()
        if not manifest_path(results / subject / roi / f"{store}.zarr").is_file()
    )
    return float(images * side * side * 3)


def _count_tested(config: Config, voxels: Regions | None) -> Regions | None:
    """Count the voxels that pictures and edits are made for at most, a region; None where that is
    not known. voxels: that each region has, where that is known."""
    most = config.features.voxels
    if voxels is not None:
        return {place: size if most is None else min(size, most) for place, size in voxels.items()}
    return None if most is None else dict.fromkeys(product(config.subjects, config.rois), most)


def _count_embedded(folder: Path) -> int:
    """Return the number of images of the finished shards in a folder; 0 where it is not there."""
    return sum(_count_shard(path) for path in folder.glob("*.zarr"))


def _count_shard(path: Path) -> int:
    """Return the number of images of a shard; 0 unless it is finished and of today's layout."""
    try:
        return read_manifest(path)["variables"]["image"]["shape"][0]
    except InputError:
        # An estimate refuses nothing: the rule that reads such a shard says so, or makes it anew.
        return 0
