"""What is to be edited: features inserted into images that lack them and removed from others.

Insertion repaints a window of the image, where the voxel looks, with the words of a feature.
Removal repaints the patches that carry it (its first word) with the words of what is around them,
the feature's own words as what not to paint. Images are chosen by whether the voxel's main feature
is present, as the lens reads it with thresholds from training images: never by predictions, which
would regress to the mean. The conditions are

- ``description``: the words of one image's description (insertion: of an image, drawn at random,
  that has the main feature; removal: of the image itself)
- ``profile``: as many words of the voxel's profile
- ``random``: the words of random tokens (insertion: of another image); ``lowest``: of the tokens of
  lowest |attribution|. For removal the mask, its size and shape kept, moves to where they are read
- ``unspecific``: the description's mask, repainted without any words
- ``elsewhere``: the description's words, its mask moved off to anywhere

All edits of an image in one direction start from the same noise, and equal edits are made once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from scipy import ndimage

from mine.core.choosing import draw_some
from mine.core.masks import NEIGHBOURS, carry_feature, move_mask, place_window
from mine.core.prompts import join_words
from mine.core.readings import read_feature, read_presence
from mine.randomness import generator

DIRECTIONS = ("insertion", "removal")
NOTHING = np.empty(0, dtype=np.int64)
CONDITIONS = ("description", "profile", "random", "lowest", "unspecific", "elsewhere")


@dataclass(frozen=True)
class Edit:
    """One edit: the words, where, and what not to paint there."""

    image: int
    mask: bytes
    prompt: str
    negative: str
    seed: int
    words: tuple[int, ...]
    """that the edit is about; of which the first is its feature"""
    instruction: str


@dataclass(frozen=True)
class Readings:
    """What the lens reads in the images at hand, and how their words are said."""

    lens: xr.Dataset
    vocabulary: Sequence[str]
    group: np.ndarray
    template: str

    def say(self, words: np.ndarray) -> str:
        """The prompt for some words; the empty one for none."""
        return join_words(self.vocabulary, words, self.template) or ""

    def find(self, image: int, words: np.ndarray) -> np.ndarray:
        """How clearly words are read in each patch of an image: (row, column)."""
        word, score = self.lens["word"].values[image], self.lens["score"].values[image]
        return self._on_grid(read_feature(word, score, self.group, self.group[words]))

    def surround(self, image: int, mask: np.ndarray, but: np.ndarray, most: int) -> np.ndarray:
        """The words read around a mask, but for some groups: those of at least half the largest
        mass in the patches that touch it, or in all outside where none does."""
        ring = ndimage.binary_dilation(mask, NEIGHBOURS) & ~mask
        outside = (ring if ring.any() else ~mask).ravel()
        word = self.lens["word"].values[image][outside]
        score = self.lens["score"].values[image][outside].astype(np.float64)
        mass = np.bincount(word.ravel(), score.ravel(), minlength=len(self.group))
        mass[np.isin(self.group, but)] = 0
        groups = np.bincount(self.group, mass)
        best = np.argsort(-groups, kind="stable")[:most]
        best = best[groups[best] > 0.5 * groups.max()]
        return np.array(
            [np.argmax(np.where(self.group == group, mass, -1)) for group in best], dtype=np.int64
        )

    def _on_grid(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(self.lens.attrs["rows"], self.lens.attrs["columns"])


def plan_edits(
    features: xr.Dataset,
    readings: Readings,
    *,
    thresholds: np.ndarray,
    words: int,
    images: int,
    window: float,
    dilation: int,
    seed: int,
    method: str = "inpainting",
    insert: str = "add {}",
    remove: str = "remove {}",
) -> xr.Dataset:
    """Plan the edits of all voxels of a features store (see the module's docstring).

    readings: of the features' images. thresholds: (group,), from which a feature counts as present.
    words: of a feature, at most; images: for each voxel and direction. window: side of the window
    of insertion, as a fraction of the image's. dilation: patches by which a removed feature's mask
    is widened. method: ``instruction`` knows no mask, so that none can be moved, and goes without
    ``elsewhere``. insert, remove: instructions, with {} for the words.

    Returns

    - image, prompt, negative, instruction, seed (edit); word (edit, rank); mask (edit, row, column)
    - index (direction, condition, voxel, chosen): which edit it is; -1 where there is none
    - start (direction, voxel, chosen): the image edited, by identity; -1 where there are fewer
    """
    largest, _ = read_presence(readings.lens, readings.group)
    known: dict[Edit, int] = {}
    shape = features.sizes["voxel"], images
    edit = np.full((len(DIRECTIONS), len(CONDITIONS), *shape), -1, np.int32)
    start = np.full((len(DIRECTIONS), *shape), -1, np.int64)
    for voxel in range(features.sizes["voxel"]):
        own = features.isel(voxel=voxel)
        main = readings.group[own["profile"].values[0]]
        is_present = largest[:, main] > thresholds[main]
        sides = zip(DIRECTIONS, (~is_present, is_present), strict=True)
        for row, (direction, able) in enumerate(sides):
            # Voxels of one main feature share their images, and so many of their edits.
            random = generator(seed, "starts", direction, int(main))
            chosen = draw_some(np.flatnonzero(able), images, random)
            seeds = generator(seed, "noise", direction).integers(2**31, size=len(able))
            start[row, voxel, : len(chosen)] = chosen
            plan = _plan_insertion if direction == "insertion" else _plan_removal
            options = {"window": window} if direction == "insertion" else {"dilation": dilation}
            random = generator(seed, "edits", direction, int(own["voxel"]))
            for column, image in enumerate(chosen):
                lender = int(random.choice(np.flatnonzero(is_present))) if is_present.any() else -1
                planned = plan(
                    own, readings, int(image), lender, words=words, random=random, **options
                )
                if method == "instruction":
                    planned.pop("elsewhere", None)
                template = insert if direction == "insertion" else remove
                for place, (mask, prompt, negative, said) in planned.items():
                    about = tuple(map(int, said))
                    instruction = join_words(readings.vocabulary, said, template) or ""
                    start_of = int(image), mask.tobytes(), prompt, negative, int(seeds[image])
                    item = Edit(*start_of, about, instruction)
                    place = row, CONDITIONS.index(place), voxel, column
                    edit[place] = known.setdefault(item, len(known))
    return _to_dataset(features, list(known), edit, start, readings)


Planned = dict[str, tuple[np.ndarray, str, str, np.ndarray]]
"""By condition: mask, prompt, negative prompt, and the words that it is about, maybe none."""


def _plan_insertion(
    own: xr.Dataset,
    readings: Readings,
    image: int,
    lender: int,
    *,
    words: int,
    random: np.random.Generator,
    window: float,
) -> Planned:
    """Plan the insertions of one voxel's features into one image."""
    grid = readings.lens.attrs["rows"], readings.lens.attrs["columns"]
    mask = place_window(own["position_map"].values.reshape(grid), side=window)
    elsewhere = move_mask(mask, random.random(grid))
    said = _say_features(own, image=lender, words=words)
    other = _draw_other(own, readings, np.concatenate(list(said.values())), words, random)
    said |= {"random": other, "lowest": _others(own, readings, "lowest", lender, words, said)}
    planned = {
        condition: (mask, readings.say(spoken), "", spoken)
        for condition, spoken in said.items()
        if len(spoken)
    }
    planned["unspecific"] = (mask, "", "", NOTHING)
    if "description" in planned:
        planned["elsewhere"] = (elsewhere, *planned["description"][1:])
    return planned


def _plan_removal(
    own: xr.Dataset,
    readings: Readings,
    image: int,
    lender: int,
    *,
    words: int,
    random: np.random.Generator,
    dilation: int,
) -> Planned:
    """Plan the removals of one voxel's features, and of others, from one image."""
    said = _say_features(own, image=image, words=words)
    seeds = np.zeros(readings.lens.sizes["token"], dtype=bool)
    token = own["token"].sel(condition="attribution").values[image]
    seeds[token[token >= 0]] = True
    if not seeds.any():
        return {}
    seeds = seeds.reshape(readings.lens.attrs["rows"], readings.lens.attrs["columns"])
    masks = {
        condition: carry_feature(readings.find(image, spoken[:1]), seeds, dilation=dilation)
        for condition, spoken in said.items()
    }
    mask = masks["description" if len(said["description"]) else "profile"]
    for condition in ("random", "lowest"):
        said[condition] = _others(own, readings, condition, image, words, said)
        masks[condition] = move_mask(mask, readings.find(image, said[condition][:1]))
    voxel_words = np.concatenate([said["description"], said["profile"]])
    planned = {}
    for condition, spoken in said.items():
        if len(spoken):
            but = readings.group[np.concatenate([voxel_words, spoken])]
            around = readings.surround(image, masks[condition], but, words)
            negative = ", ".join(str(readings.vocabulary[word]) for word in spoken)
            planned[condition] = (masks[condition], readings.say(around), negative, spoken)
    planned["unspecific"] = (mask, "", "", NOTHING)
    if "description" in planned:
        moved = move_mask(mask, random.random(mask.shape))
        planned["elsewhere"] = (moved, *planned["description"][1:])
    return planned


def _say_features(own: xr.Dataset, *, image: int, words: int) -> dict[str, np.ndarray]:
    """The description's and the profile's words, as many of the one as of the other; image -1 has
    no description."""
    profile = _spoken(own["profile"].values)[:words]
    described = own["description"].sel(condition="attribution").values[image]
    described = _spoken(described)[: len(profile)] if image >= 0 else NOTHING
    return {"description": described, "profile": profile[: max(len(described), 1)]}


def _others(
    own: xr.Dataset,
    readings: Readings,
    condition: str,
    image: int,
    words: int,
    said: dict[str, np.ndarray],
) -> np.ndarray:
    """The words of a control description that are not the voxel's own."""
    mine = readings.group[np.concatenate([said["description"], said["profile"]])]
    spoken = _spoken(own["description"].sel(condition=condition).values[image])
    if image < 0:
        return NOTHING
    return spoken[~np.isin(readings.group[spoken], mine)][: len(said["profile"])]


def _draw_other(
    own: xr.Dataset,
    readings: Readings,
    mine: np.ndarray,
    words: int,
    random: np.random.Generator,
) -> np.ndarray:
    """The words of random tokens of an image drawn at random, none of them the voxel's own."""
    description = own["description"].sel(condition="random").values
    for image in random.permutation(len(description)):
        spoken = _spoken(description[image])
        spoken = spoken[~np.isin(readings.group[spoken], readings.group[mine])]
        if len(spoken):
            return spoken[:words]
    return NOTHING


def _spoken(words: np.ndarray) -> np.ndarray:
    return words[words >= 0].astype(np.int64)


def _to_dataset(
    features: xr.Dataset,
    edits: list[Edit],
    edit: np.ndarray,
    start: np.ndarray,
    readings: Readings,
) -> xr.Dataset:
    identities = features["image"].values
    grid = readings.lens.attrs["rows"], readings.lens.attrs["columns"]
    image = np.array([item.image for item in edits], dtype=np.int64)
    masks = np.array([np.frombuffer(item.mask, dtype=bool) for item in edits], dtype=bool)
    said = np.full((len(edits), max((len(item.words) for item in edits), default=0)), -1, np.int32)
    for row, item in enumerate(edits):
        said[row, : len(item.words)] = item.words
    place = ("voxel", "chosen")
    return xr.Dataset(
        {
            "image": (("edit",), identities[image].astype(np.int32), {"long_name": "image edited"}),
            "prompt": (("edit",), np.array([item.prompt for item in edits], dtype=str)),
            "negative": (
                ("edit",),
                np.array([item.negative for item in edits], dtype=str),
                {"long_name": "prompt of what not to paint"},
            ),
            "instruction": (
                ("edit",),
                np.array([item.instruction for item in edits], dtype=str),
                {"long_name": "what an editor by instruction is told"},
            ),
            "seed": (("edit",), np.array([item.seed for item in edits], dtype=np.int64)),
            "word": (
                ("edit", "rank"),
                said,
                {"long_name": "words that the edit is about; -1: none"},
            ),
            "mask": (
                ("edit", "row", "column"),
                masks.reshape(-1, *grid),
                {"long_name": "patches repainted"},
            ),
            "index": (
                ("direction", "condition", *place),
                edit,
                {"long_name": "position of the edit; -1: none"},
            ),
            "start": (
                ("direction", *place),
                np.where(start >= 0, identities[start], -1).astype(np.int32),
                {"long_name": "image edited, by identity; -1: none"},
            ),
        },
        coords={
            "direction": list(DIRECTIONS),
            "condition": list(CONDITIONS),
            "voxel": features["voxel"],
        },
    )


def record_edits(
    plan: xr.Dataset,
    pixels: np.ndarray,
    *,
    edited: tuple[dict[str, np.ndarray], xr.Dataset],
    before: tuple[dict[str, np.ndarray], xr.Dataset],
    row: np.ndarray,
    group: np.ndarray,
    outside_similarity: np.ndarray,
    region: np.ndarray,
) -> xr.Dataset:
    """Put the edited images, and what they changed, beside their plan.

    pixels: uint8 (edit, row, column, 3). edited: predictions by model, (edit, voxel of the
    subject), and the lens's readings of the edits; before: the same of images, of which ``row``
    (edit,) is each edit's. region: the region's voxels, which are no off-target.
    outside_similarity: (edit,).
    """
    voxels = plan["voxel"].values
    before = {model: values[row] for model, values in before[0].items()}, before[1].isel(image=row)
    change = np.stack([edited[0][model] - before[0][model] for model in edited[0]])
    others = np.setdiff1d(np.arange(change.shape[2]), region)
    unit = {"units": "standard deviations of the response"}
    word = plan["word"].values
    feature = np.where(word[:, 0] >= 0, group[word[:, 0]], -1) if word.size else np.zeros(0, int)
    presence = [_read_each(lens, group, feature) for lens in (before[1], edited[1])]
    prediction = np.stack([before[0][model][:, voxels] for model in edited[0]])
    with np.errstate(invalid="ignore"):
        off_target = np.abs(change[:, :, others]).mean(axis=2) if len(others) else np.nan
    return plan.assign(
        pixels=(("edit", "pixel_row", "pixel_column", "channel"), pixels),
        before=(
            ("model", "edit", "voxel"),
            prediction,
            {"long_name": "predicted response to the image before", **unit},
        ),
        change=(
            ("model", "edit", "voxel"),
            change[:, :, voxels],
            {"long_name": "predicted response after the edit less before", **unit},
        ),
        off_target=(
            ("model", "edit"),
            np.broadcast_to(off_target, change.shape[:2]).astype(np.float32),
            {"long_name": "mean |change| over voxels outside the region", **unit},
        ),
        outside_similarity=(
            ("edit",),
            outside_similarity.astype(np.float32),
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
    ).assign_coords(model=list(edited[0]))


def _read_each(lens: xr.Dataset, group: np.ndarray, feature: np.ndarray) -> np.ndarray:
    """Largest reading over tokens of each image's own feature: (image,); nan for feature -1."""
    word, score = lens["word"].values, lens["score"].values.astype(np.float32)
    reading = np.where(group[word] == feature[:, None, None], score, 0).sum(axis=-1)
    return np.where(feature >= 0, reading.max(axis=-1, initial=0), np.nan).astype(np.float32)
