"""Descriptions: for one voxel and one image, the words of the tokens that drove the voxel.

With A the positive attributions of the top k tokens, scaled to sum to one, and p the lens's
probabilities,

    mass(word) = Σ_t A_t p_t(word),        weight(word) = mass(word) − base_rate(word)

summed over groups of near-synonyms. A group is named by its word of largest mass. Control
descriptions are made the same way from random tokens and from the tokens of lowest |attribution| of
the same image, none of them among the top k.

The lens gives any token some words. How often one that shows nothing would have a word as clear as
this one is in the token that gave most of it is the word's ``chance`` (mine.core.calibration). Only
clear words are said, and a description without any says nothing.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from mine.core.calibration import chance_of
from mine.core.conditions import DESCRIPTIONS
from mine.core.keeping import count_kept
from mine.core.lens import word_mass
from mine.core.synonyms import choose_groups, group_mass, name_groups


def select_tokens(
    token: np.ndarray,
    attribution: np.ndarray,
    lowest: np.ndarray,
    *,
    kept: int,
    tokens: int,
    generator: np.random.Generator,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return each condition's tokens and their weights, both (voxel, rank), in one image.

    token, attribution: the positive ones of an attributions store, (voxel, rank); lowest: of it
    (voxel, lowest). Top tokens are weighted by their attribution over the sum of the selected ones;
    control tokens equally. Where fewer than ``kept`` tokens have positive attribution the rest has
    weight 0, and so have controls where fewer tokens are left.
    """
    token, weight = token[:, :kept].astype(np.int64), attribution[:, :kept].astype(np.float32)
    weight = np.where(token >= 0, weight, 0)
    used = np.zeros((*token.shape[:-1], tokens + 1), dtype=bool)
    np.put_along_axis(used, np.where(token >= 0, token, tokens), True, axis=-1)
    used = used[..., :tokens]
    order = generator.random(used.shape, dtype=np.float32) + used
    drawn = np.argsort(order, axis=-1)[..., :kept]
    # Where only few tokens drive the voxel they can be among the lowest too: those come last.
    lowest = lowest.astype(np.int64)
    is_top = np.take_along_axis(used, lowest, axis=-1)
    others = np.argsort(is_top, axis=-1, kind="stable")[..., :kept]
    lowest = np.take_along_axis(lowest, others, axis=-1)
    scaled = weight / np.maximum(weight.sum(axis=-1, keepdims=True), 1e-12)

    def share(control: np.ndarray) -> np.ndarray:
        free = (~np.take_along_axis(used, control, axis=-1)).astype(np.float32)
        return free / np.maximum(free.sum(axis=-1, keepdims=True), 1)

    return {
        "description": (np.maximum(token, 0), scaled),
        "random": (drawn, share(drawn)),
        "lowest": (lowest, share(lowest)),
    }


def describe_images(
    attributions: xr.Dataset,
    lens: xr.Dataset,
    vocabulary: xr.Dataset,
    *,
    token_fraction: float,
    words: int,
    phrase_words: int,
    false_words: float,
    generator: np.random.Generator,
) -> xr.Dataset:
    """Describe every (voxel, image) of an attributions store.

    lens: ``word`` and ``score`` (image, token, rank) of the same images. vocabulary: of
    :func:`mine.stages.embeddings.measure_base_rates`. token_fraction: k over the number of tokens.
    false_words: largest chance of a word that is said, and phrase_words: how many of these a phrase
    has (:func:`mine.core.calibration.join_said`), are noted. Returns ``word`` int32, ``weight`` and
    ``chance`` float32 (condition, voxel, image, rank), the best ``words`` groups by weight,
    ``patch`` int16, the token that gave most of the word, and ``token`` int16 (condition, voxel,
    image, place), those described, -1 where there are fewer.
    """
    tokens = lens.sizes["token"]
    kept = count_kept(tokens, token_fraction)
    positive = attributions.sel(sign="positive")
    evidence = [positive[name].values for name in ("token", "attribution", "lowest")]
    base_rate, group = vocabulary["base_rate"].values, vocabulary["group"].values
    groups = int(group.max()) + 1
    rates = np.bincount(group, weights=base_rate, minlength=groups).astype(np.float32)
    shape = (len(DESCRIPTIONS), attributions.sizes["voxel"], attributions.sizes["image"])
    count = min(words, groups)
    word = np.empty((*shape, count), dtype=np.int32)
    weight, chance = (np.empty((*shape, count), dtype=np.float32) for _ in range(2))
    patch = np.empty((*shape, count), dtype=np.int16)
    described = np.empty((*shape, kept), dtype=np.int16)
    clearest = np.empty((*shape[:2], count), dtype=np.float32)
    rarest = np.argsort(rates, kind="stable")[:count]
    for image in range(shape[2]):
        said, score = lens["word"].values[image], lens["score"].values[image]
        # Besides the groups that are read, those that come next by weight: none, less its rate.
        read = choose_groups(np.append(group[said], rarest), group)
        said = read.place(said)
        mass = word_mass(said, score, words=len(read.words))
        grouped = group_mass(said, score, read.group, len(read.groups))
        # Image by image: over all, the order of all tokens would be by far the largest array.
        selected = select_tokens(
            *(array[:, image] for array in evidence), kept=kept, tokens=tokens, generator=generator
        )
        for index, condition in enumerate(DESCRIPTIONS):
            token, share = selected[condition]
            described[index, :, image] = np.where(share > 0, token, -1)
            spread = _spread_shares(token, share, tokens)
            excess = spread @ grouped - rates[read.groups]
            best = _best_columns(excess, count)
            weight[index, :, image] = np.take_along_axis(excess, best, axis=1)
            contribution = share[..., None] * grouped[token[..., None], best[:, None]]
            by_token = contribution.argmax(axis=1)
            patch[index, :, image] = np.take_along_axis(token, by_token, axis=1)
            clearest[index] = grouped[patch[index, :, image], best]
            named = name_groups(spread @ mass, read.group, len(read.groups))
            word[index, :, image] = read.words[np.take_along_axis(named, best, axis=1)]
        chance[:, :, image] = chance_of(clearest, word[:, :, image], vocabulary)
    dimensions = ("condition", "voxel", "image", "rank")
    return xr.Dataset(
        {
            "word": (dimensions, word, {"long_name": "index into the vocabulary"}),
            "weight": (
                dimensions,
                weight,
                {"long_name": "probability of the word above its base rate"},
            ),
            "chance": (
                dimensions,
                chance,
                {"long_name": "how often a token that shows nothing has any word as clear"},
            ),
            "patch": (dimensions, patch, {"long_name": "token that gave most of the word"}),
            "token": (
                (*dimensions[:-1], "place"),
                described,
                {"long_name": "tokens described, strongest first; -1: none"},
            ),
        },
        coords={
            "condition": list(DESCRIPTIONS),
            "voxel": attributions["voxel"],
            "image": attributions["image"],
        },
        attrs={"tokens": kept, "false_words": false_words, "phrase_words": phrase_words},
    )


def _spread_shares(token: np.ndarray, share: np.ndarray, tokens: int) -> np.ndarray:
    """Shares of tokens, (voxel, place), over all tokens: float32 (voxel, token)."""
    place = np.arange(len(token))[:, None] * tokens + token
    spread = np.bincount(place.ravel(), weights=share.ravel(), minlength=len(token) * tokens)
    return spread.astype(np.float32).reshape(len(token), tokens)


def _best_columns(values: np.ndarray, count: int) -> np.ndarray:
    """Columns of the largest values of each row, largest first: (row, count)."""
    best = np.sort(np.argpartition(-values, count - 1, axis=1)[:, :count], axis=1)
    order = np.argsort(-np.take_along_axis(values, best, axis=1), axis=1, kind="stable")
    return np.take_along_axis(best, order, axis=1)
