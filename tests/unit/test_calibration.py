"""What is read in tokens that show nothing: against loops, and held to its rate on further ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from mine.core.calibration import (
    chance_of,
    find_said,
    label_groups,
    measure_null,
    read_groups,
    shuffle_tokens,
)
from mine.core.lens import apply_lens
from mine.errors import InputError
from mine.stages import calibration as stage
from mine.stages.calibration import choose_captioned
from mine.stages.descriptions import describe_images

FEATURES = 24


def make_tokens(images: int, text: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Tokens that show a word each, in a space that is no sphere: (image, token, feature)."""
    shown = random.integers(0, len(text), (images, 12))
    noise = random.normal(size=(images, 12, FEATURES)) * np.linspace(0.2, 1.5, FEATURES)
    return (2 + 3 * text[shown] + 0.4 * noise).astype(np.float32)


def make_text(words: int, random: np.random.Generator) -> np.ndarray:
    text = random.normal(size=(words, FEATURES))
    return (text / np.linalg.norm(text, axis=1, keepdims=True)).astype(np.float32)


def find_null(word: np.ndarray, score: np.ndarray, group: np.ndarray) -> xr.Dataset:
    mean, deviation, largest = measure_null(word, score, group)
    return xr.Dataset(
        {
            "null_mean": ("word", mean),
            "null_deviation": ("word", deviation),
            "null_largest": ("shuffled", largest),
        }
    )


def say_any(word: np.ndarray, score: np.ndarray, group: np.ndarray, null: xr.Dataset) -> np.ndarray:
    """The least chance of any word of each token, by loops."""
    least = []
    for words, scores in zip(word, score.astype(float), strict=True):
        mass = {g: scores[group[words] == g].sum() for g in set(group[words])}
        member = [int(np.flatnonzero(group == g)[0]) for g in mass]
        least.append(chance_of(np.array(list(mass.values())), np.array(member), null).min())
    return np.array(least)


def test_shuffled_tokens_take_each_feature_from_a_token_of_their_half():
    tokens = np.arange(6 * 2 * 3, dtype=np.float32).reshape(6, 2, 3)
    shuffled = shuffle_tokens(tokens, count=400, generator=np.random.default_rng(0))
    assert shuffled.shape == (400, 3)
    for rows, pool in ((shuffled[:200], tokens[:3]), (shuffled[200:], tokens[3:])):
        for feature in range(3):
            assert set(rows[:, feature]) == set(pool[..., feature].ravel())
    whole = {tuple(row) for row in tokens.reshape(-1, 3).tolist()}
    together = np.mean([tuple(row) in whole for row in shuffled.tolist()])
    assert together == pytest.approx(1 / 6**2, abs=0.04)


def test_the_null_equals_literal_loops():
    random = np.random.default_rng(1)
    group = np.array([0, 0, 1, 2, 3, 1])
    word = np.stack([random.permutation(6)[:3] for _ in range(40)])
    word[word == 4] = 0  # the group of word 4 is never read; repeated words add up
    score = random.dirichlet(np.ones(3), 40).astype(np.float16)
    mean, deviation, largest = measure_null(word, score, group)
    mass = np.zeros((40, 4))
    for token in range(40):
        for rank in range(3):
            mass[token, group[word[token, rank]]] += float(score[token, rank])
    first, second = mass[:20], mass[20:]
    pooled = np.mean([first[:, g].var() for g in range(4) if first[:, g].any()])
    scale = np.sqrt(first.var(axis=0) + pooled)
    np.testing.assert_allclose(mean, first.mean(axis=0)[group], rtol=1e-5)
    np.testing.assert_allclose(deviation, scale[group], rtol=1e-5)
    expected = [
        max((row[g] - first[:, g].mean()) / scale[g] for g in range(4) if row[g] > 0)
        for row in second
    ]
    np.testing.assert_allclose(largest, sorted(expected), rtol=1e-4)
    null = find_null(word, score, group)
    for g, x in ((0, 0.2), (1, 0.7), (3, 0.4)):
        z = (x - mean[group == g][0]) / deviation[group == g][0]
        reached = (1 + sum(value >= z for value in largest)) / 21
        found = chance_of(np.array([x]), np.flatnonzero(group == g)[:1], null)
        assert found[0] == pytest.approx(reached)


@pytest.mark.parametrize("words", [30, 3000])
def test_tokens_that_show_nothing_say_no_more_than_the_rate(words):
    random = np.random.default_rng(words)
    text = make_text(words, random)
    lens = {"token_mean": np.full(FEATURES, 2, np.float32), "text": text, "temperature": 0.05}
    group = random.permutation(np.arange(words) % (words // 2))

    def read(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return apply_lens(tokens, words_per_token=5, **lens)

    def shuffle(images: int) -> tuple[np.ndarray, np.ndarray]:
        tokens = make_tokens(images, text[:30], random)
        word, score = read(shuffle_tokens(tokens, count=2000, generator=random)[None])
        return word[0], score[0]

    null = find_null(*shuffle(200), group)
    said = say_any(*shuffle(200), group, null)
    for level in (0.05, 0.2):
        # One side: words that the first half never read would raise the rate.
        bound = stats.binom.ppf(0.999, 1000, level) / 1000
        assert (said[1000:] <= level).mean() <= bound
        assert (said <= level).mean() > 0.5 * level
    word, score = read(make_tokens(20, text[:30], random))
    shown = say_any(word.reshape(-1, 5), score.reshape(-1, 5), group, null)
    assert (shown <= 0.05).mean() > 0.5


def test_only_clear_words_of_positive_weight_are_said():
    described = xr.Dataset(
        {
            "word": (("voxel", "rank"), [[3, 1, 2, 0]]),
            "weight": (("voxel", "rank"), [[0.5, 0.4, 0.1, -0.1]]),
            "chance": (("voxel", "rank"), [[0.01, 0.06, 0.05, 0.001]]),
        },
        attrs={"false_words": 0.05},
    )
    assert find_said(described).tolist() == [[True, False, True, False]]


# --- words against captions and objects ---

VOCABULARY = ["dog", "puppy", "dogs", "sea", "traffic light", "sky", "mouse"]
GROUP = np.array([0, 0, 0, 1, 2, 3, 4])


def make_rates() -> xr.Dataset:
    return xr.Dataset(
        {
            "base_rate": ("word", np.array([0.1, 0.2, 0.01, 0.3, 0.1, 0.1, 0.0], np.float32)),
            "group": ("word", GROUP.astype(np.int32)),
            "null_mean": ("word", np.zeros(7, np.float32)),
            "null_deviation": ("word", np.ones(7, np.float32)),
            "null_largest": ("shuffled", np.full(99, 0.5, np.float32)),
        },
        coords={"word": VOCABULARY},
    )


def make_lens(readings: list[list[list[tuple[int, float]]]]) -> xr.Dataset:
    """The lens of images, each a list of tokens, each of two words with their probabilities."""
    values = np.array(readings, dtype=float)
    return xr.Dataset(
        {
            "word": (("image", "token", "rank"), values[..., 0].astype(np.int32)),
            "score": (("image", "token", "rank"), values[..., 1].astype(np.float16)),
        }
    )


LENS = make_lens(
    [
        # Neither form of dog is clear by itself; the group is.
        [[(0, 0.4), (1, 0.3)], [(3, 0.3), (5, 0.2)]],
        [[(3, 0.9), (5, 0.1)], [(3, 0.8), (0, 0.1)]],
        [[(4, 0.6), (3, 0.3)], [(5, 0.4), (6, 0.4)]],
    ]
)
CAPTIONS = [["Two Dogs play."], ["A dog by the sea", "The sky."], ["Mice at the traffic light"]]


@pytest.mark.parametrize("block", [1, 2, 250])
def test_words_are_right_where_captions_mention_them(monkeypatch, block):
    monkeypatch.setattr(stage, "BLOCK", block)
    table = stage.judge_words(
        LENS,
        make_rates(),
        CAPTIONS,
        level=0.05,
        resamples=50,
        generator=np.random.default_rng(0),
    ).set_index(["measure", "word"])
    assert list(table) == ["value", "low", "high", "n"]

    def row(measure: str, word: str) -> tuple[float, int]:
        return table.loc[(measure, word), "value"], table.loc[(measure, word), "n"]

    # Said: dog, the sea, a traffic light. Read besides: sea, sky; sky, dog; sea, sky, mouse.
    assert row("says_nothing", "") == (pytest.approx(2 / 6), 6)
    assert row("right", "") == (1.0, 3)
    assert row("right_unclear", "") == (pytest.approx(3 / 7), 7)
    # A group goes by its word of largest base rate.
    assert row("right", "puppy") == (1.0, 1) and row("found", "puppy") == (0.5, 2)
    assert row("mentioned", "puppy") == (pytest.approx(2 / 3), 3)
    assert row("right", "sea") == (1.0, 1) and row("found", "sky") == (0.0, 1)
    assert np.isnan(row("right", "mouse")[0]) and row("right", "mouse")[1] == 0
    known = table["n"] > 0
    assert (table["low"][known] <= table["value"][known]).all()
    assert (table["value"][known] <= table["high"][known]).all()


def test_names_of_objects_are_right_on_the_objects():
    shares = np.zeros((3, 2, 3), np.float32)
    shares[0, 0, 0], shares[1, 0, 1], shares[2, 0, 1] = 0.1, 1, 1
    table = stage.judge_places(
        LENS,
        make_rates(),
        shares,
        ["dog", "sea", "lamp"],
        level=0.05,
        resamples=50,
        generator=np.random.default_rng(0),
    ).set_index("word")
    # The sea is said by two tokens of the second image, and lies on one of them.
    assert table.loc["sea", "value"] == 0.5 and table.loc["sea", "n"] == 2
    assert table.loc["dog", "value"] == 1 and table.loc["dog", "n"] == 1
    assert table.loc["", "value"] == pytest.approx(2 / 3) and set(table.index) == {"", "dog", "sea"}


def test_silence_is_judged_by_any_word_of_a_token():
    word, score = LENS["word"].values.reshape(-1, 2), LENS["score"].values.reshape(-1, 2)
    table = stage.judge_silence(word, score, make_rates(), level=0.05)
    assert table.loc[0, ["measure", "value", "n"]].tolist() == ["false_words", 4 / 6, 6]
    assert stage.judge_silence(word, score, make_rates(), level=0.001).loc[0, "value"] == 0


def test_descriptions_of_tokens_that_show_nothing_speak_where_one_of_their_tokens_does():
    word, score = LENS["word"].values.reshape(-1, 2), LENS["score"].values.reshape(-1, 2)
    token, _, chance = read_groups(word, score, make_rates())
    speaks = np.isin(np.arange(len(word)), token[chance <= 0.05])
    for tokens in (1, 2, 4):
        attributions, lens = stage.compose_silent(word, score, tokens=tokens)
        described = describe_images(
            attributions,
            lens,
            make_rates(),
            token_fraction=1,
            words=10,
            phrase_words=3,
            false_words=0.05,
            generator=np.random.default_rng(0),
        )
        table = stage.judge_silent_descriptions(described)
        count = len(word) // tokens
        # A word that is clear in a token is above its base rate there, but beside others it need
        # not be.
        most = speaks[: count * tokens].reshape(count, tokens).any(axis=1).mean()
        assert table.loc[0, ["measure", "n"]].tolist() == ["false_descriptions", count]
        assert 0 < table.loc[0, "value"] <= most
        assert tokens > 1 or table.loc[0, "value"] == most


def test_images_that_words_are_judged_by_have_captions_and_are_held_out_or_not():
    stimuli = xr.Dataset(
        {
            "captions": ("image", ["[]", '["a dog"]', '["a cat"]', '["a car"]', '["a cup"]']),
            "held_out": ("image", [False, True, False, False, False]),
        },
        coords={"image": [10, 11, 12, 13, 14]},
    )

    def choose(count: int, **options: int) -> tuple[list[int], list[list[str]]]:
        images, captions = choose_captioned(
            stimuli, count=count, generator=np.random.default_rng(0), **options
        )
        return images.tolist(), captions

    assert choose(9) == ([12, 13, 14], [["a cat"], ["a car"], ["a cup"]])
    assert choose(9, held_out=True) == ([11], [["a dog"]])
    images, captions = choose(2)
    assert len(images) == 2 and (np.diff(images) > 0).all()
    known = dict(zip(stimuli["image"].values.tolist(), stimuli["captions"].values, strict=True))
    assert [json.loads(known[image]) for image in images] == captions
    none = choose_captioned(stimuli.isel(image=[0, 1]), count=9, generator=None)
    assert len(none[0]) == 0 and none[1] == []
    with pytest.raises(
        InputError, match="^dataset.captions: [^.]* 2 images that are held out[^.]* 1$"
    ):
        choose(9, held_out=True, least=2)


def test_a_group_is_called_by_its_commonest_word_and_of_equals_by_the_first() -> None:
    rates = xr.Dataset(
        {
            "group": ("word", [1, 0, 1, 0, 1, 2]),
            "base_rate": ("word", [0.1, 0.2, 0.3, 0.2, 0.3, 0.0]),
        },
        coords={"word": ["red", "dog", "crimson", "puppy", "scarlet", "sea"]},
    )
    assert label_groups(rates) == ["dog", "crimson", "sea"]
