"""A planted temperature is found, by a search and by a grid, and forecasts become rates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special

from mine.stages.temperature import (
    RANGE,
    READINGS,
    STEP,
    fit_temperature,
    judge_temperature,
    move_optimum,
    read_first,
)
from mine.statistics.bootstrap import bootstrap_weights

WORDS = np.array(["dog", "puppy", "sea", "sky", "cup", "tree", "car", "lamp"])
GROUP = np.array([0, 0, 1, 2, 3, 4, 5, 6])
FEATURES = 12


def make_lens(random: np.random.Generator, *, unit: bool = True, contexts: bool = False) -> dict:
    def draw(count: int) -> np.ndarray:
        rows = random.normal(size=(count, FEATURES)).astype(np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    text, mean = draw(len(WORDS)), random.normal(size=FEATURES).astype(np.float32)
    lens = {"token_mean": mean, "text": text, "temperature": 0.2, "unit": unit}
    if contexts:
        owner = np.repeat(np.arange(len(WORDS), dtype=np.int32), [1, 2, 3, 1, 2, 3, 1, 2])
        lens["contexts"] = draw(len(owner)).astype(np.float16), owner
    return lens


def make_tokens(random: np.random.Generator, images: int, count: int = 1) -> np.ndarray:
    return random.normal(size=(images, count, FEATURES)).astype(np.float32) * 2


def score_words(tokens: np.ndarray, lens: dict) -> np.ndarray:
    """Cosines or logits, literally: (image, token, word)."""
    rows = tokens.astype(float) - lens["token_mean"]
    if lens["unit"]:
        rows /= np.linalg.norm(rows, axis=-1, keepdims=True)
    if "contexts" not in lens:
        return rows @ lens["text"].T
    vectors, owner = lens["contexts"]
    near = rows @ vectors.astype(float).T
    return np.stack([near[..., owner == word].max(axis=-1) for word in range(len(WORDS))], axis=-1)


def read(
    tokens: np.ndarray, lens: dict, temperature: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of groups, literally, (image, token, group), the group of the first word and
    its probability."""
    score = score_words(tokens, lens)
    every = special.softmax(score / temperature, axis=-1)
    groups = np.stack([every[..., GROUP == g].sum(axis=-1) for g in range(7)], axis=-1)
    first = GROUP[score.argmax(axis=-1)]
    return groups, first, np.take_along_axis(groups, first[..., None], axis=-1)[..., 0]


def lose(sure: np.ndarray, right: np.ndarray) -> np.ndarray:
    return -np.where(right, np.log(sure), np.log1p(-sure))


def find_right(captions: list[list[str]], first: np.ndarray) -> np.ndarray:
    """Whether captions of one word each are of the groups of first words: (image, token)."""
    owner = dict(zip(WORDS.tolist(), GROUP.tolist(), strict=True))
    said = np.array([owner[text[2:-1]] for (text,) in captions])
    return first == said[:, None]


def draw_captions(
    random: np.random.Generator, tokens: np.ndarray, lens: dict, temperature: float
) -> list[list[str]]:
    """A word for each image, drawn with the lens's probabilities of its one token."""
    rows = read(tokens, lens, temperature)[0][:, 0].cumsum(axis=1)
    drawn = (random.random((len(rows), 1)) > rows[:, :-1]).sum(axis=1)
    return [[f"A {WORDS[GROUP == group][0]}."] for group in drawn]


def judge(tokens: np.ndarray, captions: list[list[str]], lens: dict, **changes) -> pd.DataFrame:
    options = {"resamples": 200, "generator": np.random.default_rng(5), "device": "cpu"} | changes
    return judge_temperature(tokens, captions, lens, WORDS, GROUP, **options)


def overall(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["from"].isna()].set_index(["measure", "reading"])


@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("temperature", [0.05, 0.2, 40.0])
def test_first_words_and_their_odds_equal_a_literal_softmax(unit, temperature):
    random = np.random.default_rng(0)
    lens, tokens = make_lens(random, unit=unit), make_tokens(random, 9, 4)
    _, expected, sure = read(tokens, lens, temperature)
    score = score_words(tokens, lens).astype(np.float32)
    for block in (1, 2**20):
        first, odds = read_first(score, GROUP, temperature=temperature, memory_bytes=block)
        assert (first == expected).all()
        np.testing.assert_allclose(special.expit(odds), sure, rtol=1e-4)
        known = sure < 1 - 1e-9
        np.testing.assert_allclose(odds[known], special.logit(sure[known]), rtol=2e-4, atol=2e-4)
    # At any temperature the odds are numbers, and the first word is the same.
    cold, odds = read_first(score, GROUP, temperature=1e-5)
    assert np.isfinite(odds).all() and (cold == expected).all()


@pytest.mark.parametrize(
    ("planted", "unit"), [(0.08, True), (0.2, True), (0.6, True), (1.5, False)]
)
def test_a_planted_temperature_is_recovered(planted, unit):
    random = np.random.default_rng(1)
    lens, tokens = make_lens(random, unit=unit), make_tokens(random, 4000)
    table = judge(tokens, draw_captions(random, tokens, lens, planted), lens)
    found = overall(table)
    value, low, high = found.loc[("temperature", "fitted"), ["value", "low", "high"]]
    assert low < planted < high and high / low < 1.5
    assert value == pytest.approx(planted, rel=0.15)
    assert found.loc[("temperature", "own"), "value"] == lens["temperature"]
    # Of forecasts that are rates each bin's interval has the rate, and the error is that of chance.
    rates = table[(table["reading"] == "fitted") & table["from"].notna()]
    inside = (rates["low"] <= rates["confidence"]) & (rates["confidence"] <= rates["high"])
    assert inside[rates["n"] >= 100].mean() > 0.8
    assert found.loc[("calibration_error", "fitted"), "value"] < 0.03
    if planted != lens["temperature"]:
        for measure in ("negative_log_likelihood", "calibration_error"):
            before, after = (found.loc[(measure, reading), "value"] for reading in READINGS)
            assert after < before


@pytest.mark.parametrize(("planted", "contexts"), [(0.07, False), (0.5, False), (0.1, True)])
def test_the_search_finds_what_a_grid_finds(planted, contexts):
    random = np.random.default_rng(2)
    lens, tokens = make_lens(random, contexts=contexts), make_tokens(random, 400)
    captions = draw_captions(random, tokens, lens, planted)

    def measure_loss(temperature: float) -> float:
        _, first, sure = read(tokens, lens, temperature)
        return lose(sure, find_right(captions, first)).mean()

    grid = lens["temperature"] * np.exp(np.linspace(-1.5, 3, 451))
    best = grid[np.argmin([measure_loss(temperature) for temperature in grid])]
    assert grid[0] < best < grid[-1]
    found = overall(judge(tokens, captions, lens))
    value = found.loc[("temperature", "fitted"), "value"]
    assert value == pytest.approx(best, rel=0.011)
    loss = found.loc[("negative_log_likelihood", "own"), "value"]
    assert loss == pytest.approx(measure_loss(lens["temperature"]), rel=1e-4)


def test_the_calibration_error_equals_loops():
    random = np.random.default_rng(3)
    lens, tokens = make_lens(random), make_tokens(random, 60, 2)
    captions = draw_captions(random, tokens, lens, 0.2)
    table = judge(tokens, captions, lens)
    _, first, sure = read(tokens, lens, lens["temperature"])
    right, error, signs = find_right(captions, first), 0.0, set()
    own = table[(table["reading"] == "own") & table["from"].notna()].set_index("from")
    for number in range(10):
        here = (sure >= number / 10) & (sure < (number + 1) / 10)
        assert here.any() == (number / 10 in own.index)
        if here.any():
            error += abs(right[here].mean() - sure[here].mean()) * here.mean()
            signs.add(right[here].mean() > sure[here].mean())
            row = own.loc[number / 10]
            assert row["value"] == pytest.approx(right[here].mean()) and row["n"] == here.sum()
            assert row["confidence"] == pytest.approx(sure[here].mean(), rel=1e-5)
            assert row["low"] <= row["value"] <= row["high"]
    assert len(signs) == 2  # errors of either sign, which do not cancel
    found = overall(table)
    assert found.loc[("calibration_error", "own"), "value"] == pytest.approx(error, rel=1e-4)
    assert found.loc[("right", "own"), "value"] == pytest.approx(right.mean())
    assert found.loc[("right", "own"), "confidence"] == pytest.approx(sure.mean(), rel=1e-5)
    assert (found["n"] == 120).all()


def test_what_follows_a_fit_is_of_images_that_had_no_part_in_it():
    random = np.random.default_rng(4)
    lens, tokens = make_lens(random), make_tokens(random, 40)
    captions = draw_captions(random, tokens, lens, 0.3)
    found = overall(judge(tokens, captions, lens, generator=np.random.default_rng(8)))
    folds = np.random.default_rng(8).permutation(40) % 2
    sure = np.empty(40)
    for fold in (0, 1):
        others = [text for text, own in zip(captions, folds, strict=True) if own != fold]
        part = overall(judge(tokens[folds != fold], others, lens))
        chosen = part.loc[("temperature", "fitted"), "value"]
        sure[folds == fold] = read(tokens[folds == fold], lens, chosen)[2][:, 0]
    assert found.loc[("right", "fitted"), "confidence"] == pytest.approx(sure.mean(), rel=1e-5)


def test_resampled_optima_are_those_of_fits_to_resamples():
    random = np.random.default_rng(6)
    lens, tokens = make_lens(random), make_tokens(random, 1500)
    captions = draw_captions(random, tokens, lens, 0.25)

    def measure_losses(temperature: float) -> np.ndarray:
        _, first, sure = read(tokens, lens, temperature)
        return lose(sure, find_right(captions, first))[:, 0]

    best = fit_temperature(lambda temperature: measure_losses(temperature).mean(), 0.2)
    weights = bootstrap_weights(1500, resamples=30, generator=random)
    around = [measure_losses(best * np.exp(shift)) for shift in (-STEP, 0, STEP)]
    moved = move_optimum(around, weights)
    literal = [
        np.log(fit_temperature(lambda t, row=row: row @ measure_losses(t), 0.2) / best)
        for row in weights
    ]
    np.testing.assert_allclose(moved, literal, atol=0.15 * np.std(literal))


def test_where_all_is_right_nothing_is_too_sure():
    random = np.random.default_rng(9)
    lens, tokens = make_lens(random), make_tokens(random, 20, 2)
    found = overall(judge(tokens, [[" ".join(WORDS)]] * 20, lens))
    value, low, high = found.loc[("temperature", "fitted"), ["value", "low", "high"]]
    assert value == pytest.approx(lens["temperature"] / RANGE, rel=1e-3)
    assert np.isnan(low) and np.isnan(high)
    before, after = (found.loc[("calibration_error", reading), "value"] for reading in READINGS)
    assert after < 0.1 * before


def test_the_order_of_words_changes_nothing():
    random = np.random.default_rng(7)
    lens, tokens = make_lens(random), make_tokens(random, 200)
    captions = draw_captions(random, tokens, lens, 0.3)
    order = random.permutation(len(WORDS))
    turned = judge_temperature(
        tokens,
        captions,
        lens | {"text": lens["text"][order]},
        WORDS[order],
        GROUP[order],
        resamples=200,
        generator=np.random.default_rng(5),
        device="cpu",
    )
    pd.testing.assert_frame_equal(judge(tokens, captions, lens), turned, rtol=1e-3)
