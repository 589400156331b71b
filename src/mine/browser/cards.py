"""The card of a voxel: its words, and the images that drive it most, where and in what words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr

from mine.browser.index import WordTable
from mine.browser.scripts import pack_bytes, round_number, round_numbers, scale_to_bytes
from mine.core.calibration import find_said
from mine.core.named_lists import find_sure_lists


def make_cards(
    profiles: xr.Dataset,
    attributions: xr.Dataset,
    descriptions: xr.Dataset,
    scores: xr.Dataset,
    measured: np.ndarray,
    *,
    words: np.ndarray,
    images: int,
    tests: Mapping[int, object],
) -> dict[str, object]:
    """Make the cards of some voxels of a region, which share a table of words.

    profiles, attributions, descriptions: stores of the region at these voxels; attributions of the
    images of descriptions, in their order. scores: store of the subject at these voxels. measured:
    (image, voxel), the responses to these images. words: (word,) the vocabulary. images: how many
    are shown, those of largest prediction. tests: of mine.browser.causal.describe_tests, by voxel.

    A word is a place in ``words`` with its z, its q, whether it is listed and, where it was asked,
    what it adds. ``lists`` has the sure words of named lists, each with its list and what it adds,
    of a voxel that is described; null if the analysis has no lists. An image is its identity, the
    predicted and the measured response, the largest share that a token has of the positive
    attribution, the tokens with their shares (see :func:`pack_shares`), and its words, each with
    its weight and the token that gave most of it.
    """
    local = WordTable(words)
    places = np.argsort(-attributions["prediction"].values, axis=1, kind="stable")[:, :images]
    shown = {
        "image": attributions["image"].values[places],
        "prediction": np.take_along_axis(attributions["prediction"].values, places, axis=1),
        "measured": np.take_along_axis(measured.T, places, axis=1),
    }
    tokens, shares = take_shares(attributions.sel(sign="positive"), places)
    told = descriptions.sel(condition="description")
    said = find_said(told)
    own = [
        np.take_along_axis(values, places[:, :, None], axis=1)
        for values in (told["word"].values, told["weight"].values, told["patch"].values, said)
    ]
    cards = {}
    for row, voxel in enumerate(profiles["voxel"].values.tolist()):
        pictures = [
            [
                int(shown["image"][row, rank]),
                round_number(shown["prediction"][row, rank]),
                round_number(shown["measured"][row, rank]),
                round_number(shares[row, rank].max(initial=0.0)),
                pack_shares(tokens[row, rank], shares[row, rank]),
                _list_description(*(values[row, rank] for values in own), local),
            ]
            for rank in range(places.shape[1])
        ]
        profile = profiles.isel(voxel=row)
        cards[voxel] = {
            "positive": _list_profile(profile.sel(sign="positive"), local),
            "negative": _list_profile(profile.sel(sign="negative"), local),
            "lists": _list_sure(profile, local) if "list" in profile.coords else None,
            "map": pack_bytes(scale_to_bytes(profile["position_map"].values)),
            "models": {
                str(model): round_number(value)
                for model, value in zip(
                    scores["model"].values, scores["r2"].values[:, row], strict=True
                )
            },
            "images": pictures,
            "tests": tests.get(voxel),
        }
    return {"words": local.names, "cards": cards}


def take_shares(attributions: xr.Dataset, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take the tokens of some images with their shares of the positive attribution.

    attributions: of the positive sign. places: (voxel, shown), of images. Returns tokens, -1 where
    there are fewer, and shares, 0 there: both (voxel, shown, rank). Tokens that the store left out
    as too weak are missing, so the shares of an image may sum to less than one.
    """
    token = np.take_along_axis(attributions["token"].values, places[:, :, None], axis=1)
    attribution = np.take_along_axis(attributions["attribution"].values, places[:, :, None], axis=1)
    total = np.take_along_axis(attributions["total"].values, places, axis=1)[:, :, None]
    known = (token >= 0) & (total > 0)
    return token, np.where(known, attribution, 0.0) / np.where(total > 0, total, 1.0)


def pack_shares(tokens: np.ndarray, shares: np.ndarray) -> str:
    """Write tokens and their shares in base64: all tokens as uint16, then a byte for each share,
    255 for the largest. tokens, shares: (rank,); those without a share are left out.
    """
    scaled = scale_to_bytes(shares)
    kept = (tokens >= 0) & (scaled > 0)
    pair = np.concatenate([tokens[kept].astype("<u2").view(np.uint8), scaled[kept]])
    return pack_bytes(pair)


def _list_profile(profile: xr.Dataset, local: WordTable) -> list[list[object]]:
    columns = [round_numbers(profile[name].values) for name in ("z", "q", "added", "added_p")]
    return [
        [local.place(word), z, q, int(listed), added, added_p]
        for word, listed, z, q, added, added_p in zip(
            profile["word"].values, profile["listed"].values, *columns, strict=True
        )
    ]


def _list_sure(profile: xr.Dataset, local: WordTable) -> list[list[object]]:
    """The sure word of each named list that has one: list, word, what it adds, and p."""
    own = profile.isel(list=np.flatnonzero(find_sure_lists(profile)))
    return [
        [str(name), local.place(word), round_number(added), round_number(chance)]
        for name, word, added, chance in zip(
            *(own[name].values for name in ("list", "list_word", "list_added", "list_added_p")),
            strict=True,
        )
    ]


def _list_description(
    word: np.ndarray, weight: np.ndarray, patch: np.ndarray, said: np.ndarray, local: WordTable
) -> Sequence[list[object]]:
    """Words that are said, best first."""
    return [
        [local.place(word[rank]), round_number(weight[rank]), int(patch[rank])]
        for rank in np.flatnonzero(said)
    ]
