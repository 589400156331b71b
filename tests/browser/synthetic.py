"""Stores of regions with random content, and a whole browser of them, without a workflow."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import xarray as xr

from mine.browser.brain import describe_brain
from mine.browser.causal import describe_tests, list_pictures
from mine.browser.pictures import write_pictures
from mine.browser.region import write_region
from mine.browser.scripts import write_script
from mine.datasets.voxels import VolumeVoxels
from mine.figures.voxels import WITHHELD, describe_voxels

PAGES = Path(__file__).resolve().parents[2] / "workflow/browser"
WORDS = np.array(
    ["dog", "hot dog", "house", "face", "<img src=x onerror=alert(1)>", "naïve", "sea", "ocean"]
)
GROUP = np.array([0, 1, 2, 3, 4, 5, 6, 6])
CATEGORIES = ["faces", "places"]
LISTS = ["colour", "part"]
REASONS = ["described", "no reliable profile", "retinotopic"]
SHAPE = (12, 14, 10)
TOKENS, KEPT, SIDE = 16, 5, 4
TEMPLATE = "a picture of {}"
MODELS = ["evaluator", "encoder"]


def make_stores(
    voxels: np.ndarray,
    *,
    images: int,
    seed: int = 0,
    words: np.ndarray = WORDS,
    tokens: int = TOKENS,
    lists: bool = True,
) -> dict[str, xr.Dataset]:
    """Make the stores of a region, of voxels given by their places in the subject's set. The first
    voxel is described and lists ``dog``, and is suppressed by ``house``. Of every voxel, the fifth
    word is sure of the list ``colour``, and none of ``part``."""
    random = np.random.default_rng(seed)
    many, ranks = len(voxels), min(len(words), 6)
    order = np.argsort(random.random((2, many, len(words))), axis=2)[:, :, :ranks]
    order[0, 0, :2], order[1, 0, :1] = [0, 4], [2]
    reason = np.array(REASONS)[random.integers(0, len(REASONS), many)]
    reason[0] = "described"
    side = int(np.sqrt(tokens))
    listed = random.random((2, many, ranks)) < 0.4
    listed[:, 0, :2] = [[True, True], [True, False]]
    profiles = xr.Dataset(
        {
            "word": (("sign", "voxel", "rank"), order.astype(np.int32)),
            "listed": (("sign", "voxel", "rank"), listed),
            "added": (("sign", "voxel", "rank"), random.random(order.shape).astype(np.float32)),
            "added_p": (("sign", "voxel", "rank"), np.where(listed, 0.01, np.nan)),
            "z": (("sign", "voxel", "rank"), random.normal(3, 2, order.shape).astype(np.float32)),
            "q": (("sign", "voxel", "rank"), random.random(order.shape)),
            "reliability": ("voxel", random.random(many)),
            "reliability_p": ("voxel", random.random(many)),
            "specificity": ("voxel", random.random(many)),
            "described": ("voxel", reason == "described"),
            "reason": ("voxel", reason),
            "position_map": (("voxel", "row", "column"), random.random((many, side, side))),
        },
        coords={"sign": ["positive", "negative"], "voxel": voxels},
    )
    if lists:
        of_lists = {
            "list_word": np.tile(np.int32([[4], [3]]), many),
            "list_listed": np.tile([[True], [False]], many),
            "list_added": np.full((2, many), 0.25, np.float32),
            "list_added_p": np.full((2, many), 0.02),
        }
        profiles = profiles.assign_coords(list=LISTS).assign(
            {name: (("list", "voxel"), values) for name, values in of_lists.items()}
        )
    shown = np.arange(100, 100 + images)
    kept = min(KEPT, tokens) if tokens == TOKENS else tokens // 5
    token = np.argsort(random.random((2, many, images, tokens)), axis=3)[..., :kept]
    attribution = np.sort(random.random(token.shape))[..., ::-1].astype(np.float32)
    attributions = xr.Dataset(
        {
            "token": (("sign", "voxel", "image", "rank"), token.astype(np.int16)),
            "attribution": (("sign", "voxel", "image", "rank"), attribution),
            "total": (("sign", "voxel", "image"), attribution.sum(axis=3) * 1.25),
            "prediction": (("voxel", "image"), random.normal(size=(many, images))),
        },
        coords={"sign": ["positive", "negative"], "voxel": voxels, "image": shown},
    )
    told = (3, many, images, 4)
    descriptions = xr.Dataset(
        {
            "word": (("condition", "voxel", "image", "rank"), random.integers(0, len(words), told)),
            "weight": (("condition", "voxel", "image", "rank"), random.normal(0.2, 0.2, told)),
            "patch": (("condition", "voxel", "image", "rank"), random.integers(0, tokens, told)),
            "chance": (("condition", "voxel", "image", "rank"), 0.06 * random.random(told)),
        },
        coords={
            "condition": ["description", "random", "lowest"],
            "voxel": voxels,
            "image": shown,
        },
        attrs={"false_words": 0.05},
    )
    described = voxels[reason == "described"]
    structure = xr.Dataset(
        {
            "cluster": ("voxel", np.arange(len(described)) % 2),
            "cluster_word": (("cluster_number", "rank"), np.array([[0, 1], [2, -1]])),
        },
        coords={"voxel": described},
        attrs={"clusters": 2},
    )
    preferred = np.array([*CATEGORIES, ""])[random.integers(0, 3, (4, many))]
    preference = xr.Dataset(
        {"preferred": (("evidence", "voxel"), preferred)},
        coords={
            "evidence": ["profile", "predicted", "measured", "localiser"],
            "category": CATEGORIES,
            "voxel": voxels,
        },
    )
    return {
        "profiles": profiles,
        "attributions": attributions,
        "descriptions": descriptions,
        "structure": structure,
        "preference": preference,
    }


def make_scores(voxels: int, *, seed: int = 0) -> xr.Dataset:
    """Scores of a subject."""
    random = np.random.default_rng(seed)
    r2 = random.random((2, voxels))
    return xr.Dataset(
        {
            "r2": (("model", "voxel"), r2),
            "r2_interval": (("model", "voxel", "bound"), np.stack([r2 - 0.1, r2 + 0.1], axis=2)),
            "r2_normalised": (("model", "voxel"), r2),
            "noise_ceiling": ("voxel", random.random(voxels)),
        },
        coords={"model": ["mine", "ridge"], "bound": ["low", "high"]},
    )


def make_measured(voxels: int, *, images: int) -> xr.DataArray:
    """Responses of a subject, each another: (image, voxel)."""
    return xr.DataArray(
        np.random.default_rng(1).normal(size=(images, voxels)),
        dims=("image", "voxel"),
        coords={"image": np.arange(100, 100 + images)},
    )


def make_tests(voxel: int) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset, xr.Dataset]:
    """generated, sufficiency, edits and counterfactuals of one voxel."""
    conditions, pixels = ["description", "random"], np.full((2, 8, 8, 3), 90, np.uint8)
    one = {"voxel": [voxel], "model": MODELS}
    generated = xr.Dataset(
        {
            "prompt": ("picture", ["a picture of dog", "a picture of sea"]),
            "pixels": (("picture", "row", "column", "channel"), pixels),
            "response": (("model", "picture", "voxel"), [[[1.25], [0.5]], [[1.0], [0.25]]]),
            "image": (("voxel", "chosen"), [[101, -1]]),
            "original": (("model", "voxel", "chosen"), [[[1.5, np.nan]], [[1.4, np.nan]]]),
            "picture": (("condition", "voxel", "chosen", "sample"), [[[[0], [-1]]], [[[1], [-1]]]]),
        },
        coords={"condition": conditions, **one},
    )
    sufficiency = xr.Dataset(
        {
            "measured": (("voxel", "chosen"), [[2.0, np.nan]]),
            "mean": (("model", "control", "voxel"), [[[0.4]], [[0.3]]]),
            "cohens_dz": (("model", "control", "voxel"), [[[0.9]], [[0.8]]]),
            "q": (("model", "control", "voxel"), [[[0.01]], [[0.02]]]),
        },
        coords={"control": ["random"], **one},
    )
    kinds = {"direction": ["insertion", "removal"], "condition": ["description", "random"]}
    index = [[[[0, -1]], [[1, -1]]], [[[-1, -1]], [[-1, -1]]]]
    mask = np.zeros((2, SIDE, SIDE), bool)
    mask[:, 1, 2] = True
    edits = xr.Dataset(
        {
            "prompt": ("edit", ["a picture of dog", "a picture of sea"]),
            "negative": ("edit", ["", ""]),
            "instruction": ("edit", ["", ""]),
            "mask": (("edit", "row", "column"), mask),
            "pixels": (("edit", "pixel_row", "pixel_column", "channel"), pixels),
            "outside_similarity": ("edit", [0.99, 0.98]),
            "presence_before": ("edit", [0.01, 0.02]),
            "presence_after": ("edit", [0.7, 0.03]),
            "index": (("direction", "condition", "voxel", "chosen"), index),
            "start": (("direction", "voxel", "chosen"), [[[102, -1]], [[-1, -1]]]),
        },
        coords={**kinds, **one},
    )
    shift = np.full((2, 2, 2, 1, 2), np.nan)
    shift[:, 0, :, 0, 0] = [[0.8, 0.1], [0.7, 0.2]]
    counterfactuals = xr.Dataset(
        {
            "shift": (("model", "direction", "condition", "voxel", "chosen"), shift),
            "shift_mean": (
                ("direction", "model", "condition", "voxel"),
                np.full((2, 2, 2, 1), 0.5),
            ),
            "effect_q": (
                ("direction", "model", "guide", "control", "voxel"),
                np.full((2, 2, 1, 1, 1), 0.03),
            ),
        },
        coords={**kinds, "guide": ["description"], "control": ["random"], **one},
    )
    return generated, sufficiency, edits, counterfactuals


def make_voxels(count: int, *, shape: tuple[int, int, int] = SHAPE) -> VolumeVoxels:
    """Neighbouring voxels, in a volume whose first axis goes left."""
    return VolumeVoxels(
        hemisphere=np.full(count, "unknown"),
        space="func",
        ijk=np.argwhere(np.ones(shape))[100 : 100 + count],
        shape=shape,
        affine=np.diag([-2.0, 2.0, 2.0, 1.0]),
    )


def write_site(
    folder: Path,
    regions: dict[str, int],
    *,
    images: int = 6,
    write_images: bool = True,
    tested: bool = True,
    words: np.ndarray = WORDS,
    group: np.ndarray = GROUP,
    tokens: int = TOKENS,
    lists: bool = True,
    voxels: VolumeVoxels | None = None,
    shared: int = 0,
) -> None:
    """Write a browser of one subject, of regions with so many voxels, one after the other. shared:
    how many voxels each has in common with the next."""
    for page in PAGES.iterdir():
        shutil.copy(page, folder)
    own = folder / "data/subj01"
    count = sum(regions.values()) - shared * (len(regions) - 1)
    scores, measured = make_scores(count), make_measured(count, images=images)
    first, rois = 0, []
    for region, size in regions.items():
        stores = make_stores(
            np.arange(first, first + size),
            images=images,
            seed=first,
            words=words,
            tokens=tokens,
            lists=lists,
        )
        generated, sufficiency, edits, counterfactuals = make_tests(first)
        tests = describe_tests(
            generated,
            sufficiency,
            edits,
            counterfactuals,
            template=TEMPLATE,
            method="inpainting",
        )
        tests = tests if tested else {}
        pictures, edited, _ = list_pictures(tests)
        table = describe_voxels(stores["profiles"], scores, words)
        write_region(
            own / region,
            f"subj01/{region}",
            stores,
            scores,
            measured,
            table,
            words=words,
            group=group,
            images=images,
            tests=tests,
        )
        pixels = np.full((300, 8, 8, 3), 120, np.uint8)
        write_pictures(pixels.__getitem__, pictures, own / region / "generated", side=64)
        if write_images:
            write_pictures(pixels.__getitem__, edited, own / region / "edits", side=64)
        rois.append({"name": region, "voxels": size})
        first += size - shared
    if write_images:
        shown = np.arange(100, 100 + images)
        write_pictures(
            lambda number: np.stack([np.full((8, 8, 3), n % 256, np.uint8) for n in number]),
            shown,
            own / "images",
            side=64,
        )
    voxels = voxels or make_voxels(count)
    brain = describe_brain(
        voxels,
        geometry="volume",
        r2=scores["r2"].sel(model="mine").values,
        noise_ceiling=scores["noise_ceiling"].values,
        background=None,
    )
    write_script(own / "subject.js", "subj01/subject", {"rois": rois, "brain": brain})
    site = {
        "name": "synthetic",
        "subjects": ["subj01"],
        "images": write_images,
        "withheld": WITHHELD,
    }
    write_script(folder / "data/site.js", "site", site)
