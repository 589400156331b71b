"""Laws of the rival explainers, and of their comparison with MINE."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from mine.encoders.linear import fit_unit_ridge, scale_to_unit
from mine.explainers import (
    best_captions,
    caption_correlation,
    dense_relevance,
    weight_projection,
)
from mine.explainers.dense_relevance import (
    WHITE,
    average_maps,
    denoise_tokens,
    draw_moves,
    map_relevance,
    move_images,
)
from mine.explainers.interface import Explanation, Material
from mine.explainers.rivals import RIVALS
from mine.stages.explainers import explain_region, rank_words
from tests.reference import literal_explainers

ROWS, COLUMNS, FEATURES, WORDS = 2, 3, 16, 9
GROUP = np.array([0, 0, 1, 2, 3, 4, 4, 5, 6])
LIKED = [0, 2, 4, 6]
"""The word that each voxel answers to."""


def draw_material(images: int = 240, noise: float = 0.3) -> Material:
    """Images whose tokens show one of two words, captions that say both; each voxel answers to how
    much of an image shows its word."""
    from sklearn.model_selection import KFold

    random = np.random.default_rng(0)
    text = random.standard_normal((WORDS, FEATURES))
    text[1] = text[0] + 0.3 * text[1]
    text[5] = text[6] + 0.3 * text[5]
    text -= text.mean(axis=0)
    text /= np.linalg.norm(text, axis=1, keepdims=True)
    pairs = np.array([random.permutation(WORDS)[:2] for _ in range(images)])
    shown = np.take_along_axis(pairs, random.integers(0, 2, (images, ROWS * COLUMNS)), axis=1)
    tokens = 0.5 + text[shown] + 0.1 * random.standard_normal((*shown.shape, FEATURES))
    pooled = tokens.mean(axis=1)
    responses = np.stack([(shown == word).mean(axis=1) for word in LIKED], axis=1)
    responses += noise * responses.std(axis=0) * random.standard_normal(responses.shape)
    presence = np.zeros((images, WORDS), dtype=bool)
    presence[np.arange(images)[:, None], pairs] = True
    logits = (tokens - tokens.mean(axis=(0, 1))) @ text.T / 0.1
    probability = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probability /= probability.sum(axis=-1, keepdims=True)
    word = np.argsort(-probability, axis=-1)[..., :3]
    score = np.take_along_axis(probability, word, axis=-1).astype(np.float16)
    lens = xr.Dataset(
        {
            "word": (("image", "token", "rank"), word.astype(np.int32)),
            "score": (("image", "token", "rank"), score),
        }
    )
    options = {"alphas": np.array([1.0, 10.0]), "folds": KFold(3)}
    return Material(
        responses=responses,
        features=scale_to_unit(pooled),
        weight=fit_unit_ridge(pooled, responses, **options).read_weights().T,
        dense=scale_to_unit(tokens).astype(np.float16),
        lens=lens,
        presence=presence,
        text=text,
        group=GROUP,
        base_rate=probability.mean(axis=(0, 1)),
        level=0.05,
    )


@pytest.fixture(scope="module")
def material() -> Material:
    return draw_material()


def join(score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest score of each group, and its word."""
    words = [np.flatnonzero(number == GROUP) for number in range(GROUP.max() + 1)]
    best = [each[np.argmax(np.nan_to_num(score[each], nan=-np.inf))] for each in words]
    return score[best], np.array(best)


# --- equations ---


def test_projection_equals_its_equation(material):
    found = weight_projection.explain(material)
    for voxel, weight in enumerate(material.weight):
        score = literal_explainers.score_projection(
            weight, material.features, material.text, weight_projection.TEMPERATURE
        )
        expected, name = join(score)
        np.testing.assert_allclose(found.score[voxel], expected, atol=1e-6)
        np.testing.assert_array_equal(found.name[voxel], name)


def test_relevance_equals_its_equation(material, monkeypatch):
    monkeypatch.setattr(dense_relevance, "VOXEL_BLOCK", 3)
    monkeypatch.setattr(dense_relevance, "IMAGE_BLOCK", 7)
    monkeypatch.setattr(dense_relevance, "TOP_SHARE", 0.02)
    dense = material.dense.astype(np.float64)
    kept = round(0.02 * dense.shape[0] * dense.shape[1])
    assert kept > 10
    found = dense_relevance.explain(material)
    for voxel, weight in enumerate(material.weight):
        score = literal_explainers.score_relevance(
            weight, dense, material.lens, material.base_rate, kept
        )
        summed = [score[number == GROUP].sum() for number in range(GROUP.max() + 1)]
        np.testing.assert_allclose(found.score[voxel], summed, atol=1e-6)


def test_maps_are_the_relevance_above_zero(material, monkeypatch):
    monkeypatch.setattr(dense_relevance, "VOXEL_BLOCK", 3)
    monkeypatch.setattr(dense_relevance, "IMAGE_BLOCK", 7)
    dense = material.dense[:20].astype(np.float64)
    centre = dense.mean(axis=(0, 1))
    token, strength = map_relevance(material.weight, dense, centre, kept=4)
    maps = average_maps(material.weight, dense, centre)
    for voxel, weight in enumerate(material.weight):
        whole = np.zeros(dense.shape[:2])
        for relevance, n, t in literal_explainers.rank_tokens(weight, dense):
            whole[n, t] = max(relevance, 0)
        np.testing.assert_allclose(maps[voxel], whole.mean(axis=0), atol=1e-4)
        for n, row in enumerate(whole):
            best = np.argsort(-row, kind="stable")[:4]
            np.testing.assert_array_equal(token[voxel, n], np.where(row[best] > 0, best, -1))
            np.testing.assert_allclose(strength[voxel, n], row[best], atol=1e-4)


def test_captions_of_best_images_equal_their_equation(material, monkeypatch):
    monkeypatch.setattr(best_captions, "IMAGES", 12)
    found = best_captions.explain(material)
    for voxel, weight in enumerate(material.weight):
        expected, name = join(
            literal_explainers.score_captions(
                weight, material.features, material.presence, material.text, 12
            )
        )
        known = np.isfinite(expected)
        assert known.any() and not known.all()
        np.testing.assert_array_equal(found.named[voxel], known)
        np.testing.assert_allclose(found.score[voxel, known], expected[known], atol=1e-6)
        np.testing.assert_array_equal(found.name[voxel, known], name[known])


def test_correlation_with_captions_equals_scipy(material):
    presence = material.presence.copy()
    presence[:, GROUP == 5] = False  # a group that no caption has
    found = caption_correlation.explain(replace(material, presence=presence))
    for voxel, response in enumerate(material.responses.T):
        r, q = literal_explainers.correlate_captions(response, presence, GROUP)
        known = np.isfinite(r)
        assert not known[5] and known.sum() == len(r) - 1
        np.testing.assert_array_equal(found.named[voxel], known)
        np.testing.assert_allclose(found.score[voxel, known], r[known])
        sure = known & (np.nan_to_num(q, nan=1) <= 0.05) & (np.nan_to_num(r) > 0)
        np.testing.assert_array_equal(found.sure[voxel], sure)


# --- planted truth, and nothing ---


@pytest.mark.parametrize("rival", RIVALS)
def test_planted_word_is_named_first(rival, material):
    word, _, _ = rank_words(RIVALS[rival](material), 3)
    np.testing.assert_array_equal(GROUP[word[:, 0]], GROUP[LIKED])


def test_weights_are_read_as_the_word_that_they_point_at():
    random = np.random.default_rng(2)
    text = np.linalg.qr(random.normal(size=(16, 16)))[0][:9]
    shown = random.integers(0, 9, 400)
    pooled = 5 + 2 * text[shown] + 0.1 * random.normal(size=(400, 16))
    weights = np.arange(1, 10)[:, None] * text
    score = weight_projection.read_weights(weights, pooled, text)
    np.testing.assert_array_equal(score.argmax(axis=1), np.arange(9))


def test_correlation_is_sure_of_what_was_planted(material):
    sure = caption_correlation.explain(material).sure
    assert sure[np.arange(len(LIKED)), GROUP[LIKED]].all()


@pytest.mark.parametrize("freedom", [1000, 2, 1])
def test_correlation_is_sure_of_no_noise_however_heavy_its_tails(material, freedom):
    random = np.random.default_rng(1)
    count = len(material.responses)
    noise = replace(
        material,
        responses=random.standard_t(freedom, size=(count, 400)),
        presence=random.random((count, WORDS)) < 0.02,  # as few captions have most words
    )
    assert caption_correlation.explain(noise).sure.any(axis=1).mean() < 0.1


def test_without_captions_those_who_read_them_say_nothing(material):
    silent = replace(material, presence=np.zeros_like(material.presence))
    for rival in (best_captions, caption_correlation):
        word, score, listed = rank_words(rival.explain(silent), 3)
        assert (word == -1).all() and np.isfinite(score).all() and not listed.any()


# --- denoising ---


def test_moves_begin_with_none_and_are_all_different(monkeypatch):
    moves = draw_moves(8, 14, generator=np.random.default_rng(0))
    assert moves[0].tolist() == [0, 0, 0]
    # One patch down or up, two to the sides, mirrored or not.
    assert len(np.unique(moves, axis=0)) == len(moves) == 3 * 5 * 2
    assert np.abs(moves).max(axis=0).tolist() == [1, 2, 1]
    monkeypatch.setattr(dense_relevance, "MOVES", 7)
    assert len(draw_moves(8, 14, generator=np.random.default_rng(0))) == 7


@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, -2), (-1, 1)])
def test_images_move_by_patches(down, right):
    images = np.random.default_rng(0).integers(0, 255, (2, 8, 12, 3), dtype=np.uint8)
    moved = move_images(images, down, right, rows=4, columns=6)
    for row in range(8):
        for column in range(12):
            came = row - 2 * down, column - 2 * right
            inside = 0 <= came[0] < 8 and 0 <= came[1] < 12
            expected = images[:, came[0], came[1]] if inside else np.full((2, 3), WHITE)
            np.testing.assert_array_equal(moved[:, row, column], expected)


def encode_patches(images: np.ndarray) -> np.ndarray:
    """Tokens that are their patches, 2 × 2 pixels: they move and mirror as the image does."""
    count, height, width, _ = images.shape
    blocks = images.reshape(count, height // 2, 2, width // 2, 2, 3).mean(axis=(2, 4)) / 255
    return blocks.reshape(count, -1, 3)


def test_denoising_brings_every_patch_back_to_its_place():
    images = np.random.default_rng(0).integers(0, 255, (3, 16, 14, 3), dtype=np.uint8)
    moves = draw_moves(8, 7, generator=np.random.default_rng(0))
    tokens = denoise_tokens(encode_patches, images, moves, rows=8, columns=7)
    np.testing.assert_allclose(tokens, scale_to_unit(encode_patches(images)), atol=1e-5)


def test_denoising_takes_away_what_sticks_to_places():
    random = np.random.default_rng(0)
    images = random.integers(0, 255, (3, 16, 16, 3), dtype=np.uint8)
    artefact = random.standard_normal((64, 3))
    moves = draw_moves(8, 8, generator=np.random.default_rng(0))

    def distance(moves: np.ndarray) -> float:
        tokens = denoise_tokens(
            lambda seen: encode_patches(seen) + artefact, images, moves, rows=8, columns=8
        )
        return float(np.abs(tokens - scale_to_unit(encode_patches(images))).mean())

    assert distance(moves) < 0.7 * distance(moves[:1])


# --- beside each other ---


def test_sure_words_come_first_and_none_where_nothing_is_said():
    explanation = Explanation(
        score=np.array([[0.9, 0.8, 0.7, 0.1]]),
        name=np.array([[5, 6, 7, 8]]),
        sure=np.array([[False, True, True, False]]),
        named=np.array([[True, True, True, False]]),
    )
    word, score, listed = rank_words(explanation, 4)
    assert word.tolist() == [[6, 7, 5, -1]] and score.tolist() == [[0.8, 0.7, 0.9, 0.1]]
    assert listed.tolist() == [[True, True, False, False]]
    assert rank_words(explanation, 2)[0].shape == (1, 2)


def make_profiles(voxels: int = len(LIKED), ranks: int = 3) -> xr.Dataset:
    random = np.random.default_rng(3)
    ranked = ("sign", "voxel", "rank")
    word = np.stack([[random.permutation(WORDS)[:ranks] for _ in range(voxels)]] * 2)
    place = random.random((voxels, ROWS, COLUMNS))
    return xr.Dataset(
        {
            "word": (ranked, word.astype(np.int32)),
            "z": (ranked, random.random((2, voxels, ranks)).astype(np.float32)),
            "listed": (ranked, random.random((2, voxels, ranks)) < 0.5),
            "described": (("voxel",), np.arange(voxels) > 0),
            "position_map": (("voxel", "row", "column"), place),
        },
        coords={"sign": ["positive", "negative"], "voxel": 10 + np.arange(voxels)},
    )


def make_attributions(images: int = 5, ranks: int = 2) -> xr.Dataset:
    random = np.random.default_rng(4)
    shape, ranked = (2, len(LIKED), images, ranks), ("sign", "voxel", "image", "rank")
    return xr.Dataset(
        {
            "token": (ranked, random.integers(0, ROWS * COLUMNS, shape).astype(np.int16)),
            "attribution": (ranked, random.random(shape).astype(np.float32)),
        },
        coords={"sign": ["positive", "negative"], "image": 100 + np.arange(images)},
    )


def test_region_has_the_words_of_each_and_mines_as_they_are(material):
    profiles, attributions = make_profiles(), make_attributions()
    found = explain_region(material, profiles, attributions, material.dense[:5])
    assert found["explainer"].values.tolist() == ["mine", *RIVALS]
    assert dict(found.sizes) == {
        "explainer": 5,
        "voxel": 4,
        "rank": 3,
        "mapped": 2,
        "image": 5,
        "place": 2,
        "row": ROWS,
        "column": COLUMNS,
    }
    own, positive = found.sel(explainer="mine", mapped="mine"), profiles.sel(sign="positive")
    for name in ("word", "listed"):
        np.testing.assert_array_equal(own[name], positive[name])
    np.testing.assert_array_equal(own["described"], profiles["described"])
    np.testing.assert_array_equal(own["token"], attributions["token"].sel(sign="positive"))
    for name, explain in RIVALS.items():
        word, _, listed = rank_words(explain(material), 3)
        np.testing.assert_array_equal(found["word"].sel(explainer=name), word)
        np.testing.assert_array_equal(found["listed"].sel(explainer=name), listed)
    assert found["described"].sel(explainer="weight_projection").all()
    dense = found.sel(mapped="dense_relevance")
    np.testing.assert_allclose(dense["position_map"].sum(dim=("row", "column")), 1, rtol=1e-5)
    token, _ = map_relevance(
        material.weight, material.dense[:5], material.dense.mean(axis=(0, 1), dtype=float), kept=2
    )
    np.testing.assert_array_equal(dense["token"], token)
