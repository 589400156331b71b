"""What is to be edited: features inserted into images that lack them and removed from others.

Insertion repaints a window of the image, where the voxel looks, with the words of a feature.
Removal repaints the patches that carry it (the first word of the description or of the profile)
with the words of what is around them, the feature's own words as what not to paint. Images are
chosen by whether the voxel's main feature is present, as the lens reads it with thresholds from
training images: never by predictions, which would regress to the mean. The conditions are

- ``description``: the words of one image's description (insertion: of an image, drawn at random,
  that has the main feature and whose description says something; removal: of the image itself)
- ``profile``: as many words of the voxel's profile
- ``other``: a word of another category than the voxel's. It is of insertion alone, where words of
  other tokens are mostly of backgrounds: that any object is put in would be enough to beat these.
  What is taken out has to be there, which another category need not be
- ``random``: the words of random tokens (insertion: of another image); ``lowest``: of the tokens of
  lowest |attribution|; none of the voxel's own, and no more than the guides have. For removal the
  mask, its size and shape kept, moves to where they are read
- ``unspecific``: the same mask, repainted without the feature's words: with nothing for insertion,
  with what is around the mask for removal, as the guides are
- ``elsewhere``: the description's words, the mask moved off to anywhere

An image in which a moved mask would still cover the feature is not taken for removal: its controls
would remove the feature too.

All edits of an image in one direction start from the same noise, and equal edits are made once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from mine.core.alternatives import Alternatives
from mine.core.conditions import DIRECTIONS, EDITS
from mine.core.masks import carry_feature, move_mask, overlap, place_window
from mine.core.prompts import join_words
from mine.core.readings import Readings, read_presence
from mine.randomness import generator

NOTHING = np.empty(0, dtype=np.int64)


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


def plan_edits(
    features: xr.Dataset,
    readings: Readings,
    *,
    thresholds: np.ndarray,
    alternatives: Alternatives,
    words: int,
    images: int,
    window: float,
    dilation: int,
    most_overlap: float,
    seed: int,
    method: str = "inpainting",
    insert: str = "add {}",
    remove: str = "remove {}",
) -> xr.Dataset:
    """Plan the edits of all voxels of a features store (see the module's docstring).

    Of the features the first draw of random tokens is used. readings: of their images. thresholds:
    (group,), from which a feature counts as present. alternatives: of the same vocabulary, what is
    put in of another category. words: of a feature, at most. images: for each voxel and direction.
    window: side of the window of insertion, as a fraction of the image's. dilation: patches by
    which a removed feature's mask is widened. most_overlap: share of a removed feature's mask that
    a moved one may cover. method: ``instruction`` knows no mask, so that none can be moved, and
    goes without ``elsewhere``. insert, remove: instructions, with {} for the words.

    Returns

    - image, prompt, negative, instruction, seed (edit); word (edit, rank); mask (edit, row, column)
    - index (direction, condition, voxel, chosen): which edit it is; -1 where there is none
    - start (direction, voxel, chosen): the image edited, by identity; -1 where there are fewer
    """
    features = features.isel(draw=0)
    largest, _ = read_presence(readings.lens, readings.group)
    known: dict[Edit, int] = {}
    shape = features.sizes["voxel"], images
    edit = np.full((len(DIRECTIONS), len(EDITS), *shape), -1, np.int32)
    start = np.full((len(DIRECTIONS), *shape), -1, np.int64)
    for voxel in range(features.sizes["voxel"]):
        own = features.isel(voxel=voxel)
        main = readings.group[own["profile"].values[0]]
        is_present = largest[:, main] > thresholds[main]
        says = own["description"].sel(condition="description").values[:, 0] >= 0
        sides = zip(DIRECTIONS, (~is_present, is_present), strict=True)
        for row, (direction, able) in enumerate(sides):
            # Voxels of one main feature share their images, and so many of their edits.
            order = generator(seed, "starts", direction, int(main)).permutation(
                np.flatnonzero(able)
            )
            seeds = generator(seed, "noise", direction).integers(2**31, size=len(able))
            random = generator(seed, "edits", direction, int(own["voxel"]))
            common = {"words": words, "random": random}
            column = 0
            for image in order:
                if column == images:
                    break
                if direction == "insertion":
                    lender = _draw_one(is_present & says, random)
                    planned = _plan_insertion(own, readings, lender, window=window, **common)
                    # Drawn alike for voxels of one main feature, so that they share these edits.
                    draw = generator(seed, "other", int(main), int(image))
                    other = alternatives.draw(_all_words(own, lender), readings.group, draw)
                    planned |= _plan_other(planned["unspecific"][0], readings, other)
                else:
                    limits = {"dilation": dilation, "most_overlap": most_overlap}
                    planned = _plan_removal(own, readings, image, **limits, **common)
                if not planned:
                    continue
                start[row, voxel, column] = image
                if method == "instruction":
                    planned.pop("elsewhere", None)
                template = insert if direction == "insertion" else remove
                for condition, (mask, prompt, negative, said) in planned.items():
                    item = Edit(
                        image=int(image),
                        mask=mask.tobytes(),
                        prompt=prompt,
                        negative=negative,
                        seed=int(seeds[image]),
                        words=tuple(map(int, said)),
                        instruction=join_words(readings.vocabulary, said, template) or "",
                    )
                    place = row, EDITS.index(condition), voxel, column
                    edit[place] = known.setdefault(item, len(known))
                column += 1
    return _to_dataset(features, list(known), edit, start, readings)


Planned = dict[str, tuple[np.ndarray, str, str, np.ndarray]]
"""By condition: mask, prompt, negative prompt, and the words that it is about, maybe none."""


def _plan_insertion(
    own: xr.Dataset,
    readings: Readings,
    lender: int,
    *,
    words: int,
    random: np.random.Generator,
    window: float,
) -> Planned:
    """Plan the insertions of one voxel's features; lender: the image of the description, or -1."""
    grid = readings.lens.attrs["rows"], readings.lens.attrs["columns"]
    mask = place_window(own["position_map"].values.reshape(grid), side=window)
    elsewhere = move_mask(mask, random.random(grid))
    said = _say_features(own, image=lender, words=words)
    limits = {"mine": _all_words(own, lender), "count": len(said["profile"])}
    said |= {
        "random": _draw_other(own, readings, random, **limits),
        "lowest": _others(own, readings, "lowest", lender, **limits),
    }
    planned = {
        condition: (mask, readings.say(spoken), "", spoken)
        for condition, spoken in said.items()
        if len(spoken)
    }
    planned["unspecific"] = (mask, "", "", NOTHING)
    if "description" in planned:
        planned["elsewhere"] = (elsewhere, *planned["description"][1:])
    return planned


def _plan_other(mask: np.ndarray, readings: Readings, other: np.ndarray) -> Planned:
    """Plan the insertion of another category's word, if there is one, into a mask."""
    return {"other": (mask, readings.say(other), "", other)} if len(other) else {}


def _plan_removal(
    own: xr.Dataset,
    readings: Readings,
    image: int,
    *,
    words: int,
    random: np.random.Generator,
    dilation: int,
    most_overlap: float,
) -> Planned:
    """Plan the removals of one voxel's features, and of others, from one image; none where its
    description says nothing, or where moved masks would cover the feature."""
    said = _say_features(own, image=image, words=words)
    seeds = np.zeros(readings.lens.sizes["token"], dtype=bool)
    token = own["token"].sel(condition="description").values[image]
    seeds[token[token >= 0]] = True
    if not (seeds.any() and len(said["description"])):
        return {}
    seeds = seeds.reshape(readings.lens.attrs["rows"], readings.lens.attrs["columns"])
    # One mask for both guides: were each repainted where its own feature is, what the words of the
    # one do more could be the place or the size of its mask.
    mask = np.logical_or.reduce(
        [
            carry_feature(readings.find(image, spoken[:1]), seeds, dilation=dilation)
            for spoken in said.values()
        ]
    )
    masks = dict.fromkeys(said, mask)
    elsewhere = move_mask(mask, random.random(mask.shape))
    if overlap(elsewhere, mask) > most_overlap:
        return {}
    limits = {"mine": _all_words(own, image), "count": len(said["profile"])}
    for condition in ("random", "lowest"):
        said[condition] = _others(own, readings, condition, image, **limits)
        masks[condition] = move_mask(mask, readings.find(image, said[condition][:1]))
    voxel_words = np.concatenate([said["description"], said["profile"]])
    planned = {}
    for condition, spoken in said.items():
        if len(spoken):
            but = readings.group[np.concatenate([voxel_words, spoken])]
            around = readings.surround(image, masks[condition], but, words)
            negative = ", ".join(str(readings.vocabulary[word]) for word in spoken)
            planned[condition] = (masks[condition], readings.say(around), negative, spoken)
    # The background is asked for as by the guides: nothing but the feature's words is missing.
    planned["unspecific"] = (mask, planned["description"][1], "", NOTHING)
    planned["elsewhere"] = (elsewhere, *planned["description"][1:])
    return planned


def _draw_one(able: np.ndarray, random: np.random.Generator) -> int:
    """Draw one of the images of which something is true; -1 where it is true of none."""
    return int(random.choice(np.flatnonzero(able))) if able.any() else -1


def _say_features(own: xr.Dataset, *, image: int, words: int) -> dict[str, np.ndarray]:
    """The description's and the profile's words, as many of the one as of the other; image -1 has
    no description."""
    profile = _spoken(own["profile"].values)[:words]
    described = own["description"].sel(condition="description").values[image]
    described = _spoken(described)[: len(profile)] if image >= 0 else NOTHING
    return {"description": described, "profile": profile[: max(len(described), 1)]}


def _others(
    own: xr.Dataset,
    readings: Readings,
    condition: str,
    image: int,
    *,
    mine: np.ndarray,
    count: int,
) -> np.ndarray:
    """The words of a control description that are not ``mine``, at most ``count``."""
    spoken = _spoken(own["description"].sel(condition=condition).values[image])
    if image < 0:
        return NOTHING
    return spoken[~np.isin(readings.group[spoken], readings.group[mine])][:count]


def _draw_other(
    own: xr.Dataset,
    readings: Readings,
    random: np.random.Generator,
    *,
    mine: np.ndarray,
    count: int,
) -> np.ndarray:
    """The words of random tokens of an image drawn at random, none ``mine``, at most ``count``."""
    description = own["description"].sel(condition="random").values
    for image in random.permutation(len(description)):
        spoken = _spoken(description[image])
        spoken = spoken[~np.isin(readings.group[spoken], readings.group[mine])]
        if len(spoken):
            return spoken[:count]
    return NOTHING


def _all_words(own: xr.Dataset, image: int) -> np.ndarray:
    """All words of a voxel's profile and of its description of an image, also those for which an
    edit has no room; image -1 has no description."""
    described = own["description"].sel(condition="description").values[image]
    described = _spoken(described) if image >= 0 else NOTHING
    return np.concatenate([_spoken(own["profile"].values), described])


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
            "prompt": (
                ("edit",),
                np.array([item.prompt for item in edits], dtype=str),
                {"long_name": "prompt of what to paint"},
            ),
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
            "seed": (
                ("edit",),
                np.array([item.seed for item in edits], dtype=np.int64),
                {"long_name": "seed of the noise"},
            ),
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
            "condition": list(EDITS),
            "voxel": features["voxel"],
        },
    )
