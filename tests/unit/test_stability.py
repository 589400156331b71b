"""Readings that are alike agree, planted differences are found, and words left out do not count."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import sparse

from mine.core.calibration import chance_of, measure_null, shuffle_tokens
from mine.core.lens import apply_lens, embed_vocabulary
from mine.stages.stability import (
    FEW,
    SPLITS,
    Reading,
    compare_readings,
    measure_stability,
    read_again,
    split_prompts,
    split_words,
)

FEATURES, COUNT = 32, 24
WORDS = np.array([f"word{number:02}" for number in range(COUNT)])
ALONE = np.arange(COUNT)
IN_PAIRS = np.arange(COUNT) // 2
PROMPTS = ["{}", "a {}", "the {}"]


def make_problem(
    *, group: np.ndarray = ALONE, unit: bool = True, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, dict, xr.Dataset, np.ndarray]:
    """Tokens that show a word each, shuffled tokens, the lens, base rates, and vectors of words."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(COUNT, FEATURES)) + 1
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    text = embed_vocabulary(vectors)[0]

    def make(images: int) -> np.ndarray:
        shown = random.integers(0, COUNT, (images, 8))
        noise = random.normal(size=(images, 8, FEATURES))
        return (3 * text[shown] + 0.25 * noise).astype(np.float32)

    lens = {
        "token_mean": np.zeros(FEATURES, np.float32),
        "text": text if unit else text * 2,
        "temperature": 0.1 if unit else 0.4,
        "unit": unit,
    }
    shuffled = shuffle_tokens(make(100), count=2000, generator=random)
    base_rates = xr.Dataset(
        {
            "base_rate": ("word", np.linspace(0.1, 0.2, COUNT).astype(np.float32)),
            "group": ("word", group.astype(np.int32)),
        },
        coords={"word": WORDS},
    )
    return make(40), shuffled, lens, base_rates, vectors


def measure(tokens, shuffled, lens, base_rates, embed_words, **changes) -> pd.DataFrame:
    options = {
        "prompts": PROMPTS,
        "level": 0.05,
        "words_per_token": 5,
        "device": "cpu",
        "resamples": 50,
        "generator": np.random.default_rng(3),
    }
    return measure_stability(tokens, shuffled, lens, base_rates, embed_words, **(options | changes))


def overall(table: pd.DataFrame, varied: str) -> pd.Series:
    rows = table[(table["varied"] == varied) & (table["readings"] == "") & (table["word"] == "")]
    return rows.set_index("measure")["value"]


def test_prompts_that_make_no_difference_agree_in_all():
    *problem, vectors = make_problem(group=IN_PAIRS)
    table = measure(*problem, lambda words, prompts: vectors)
    own = table[table["varied"] == "prompts"]
    assert (own[["value", "low", "high"]] == 1).all().all()
    # Each pair, all pairs, and for each word all pairs.
    assert set(own["readings"]) == {"{}; a {}", "{}; the {}", "a {}; the {}", ""}
    assert (own["word"] != "").sum() >= COUNT // 2
    # A group goes by its word of largest base rate.
    assert set(own["word"]) <= {"", *WORDS[1::2]}
    whole = own[(own["measure"] == "first") & (own["word"] == "")].set_index("readings")["n"]
    assert whole["{}; a {}"] == 40 * 8 and whole[""] == 3 * 40 * 8


def test_words_that_a_prompt_exchanges_are_found_and_no_others():
    *problem, vectors = make_problem()
    exchanged = vectors[[1, 0, *range(2, COUNT)]]

    def embed_words(words: list[str], prompts: list[str]) -> np.ndarray:
        return exchanged if prompts == ["the {}"] else vectors

    table = measure(*problem, embed_words)
    own = table[table["varied"] == "prompts"]
    tokens, _, lens, *_ = problem
    word, _ = apply_lens(tokens, **lens, words_per_token=1)
    here, there = (word == 0).sum(), (word == 1).sum()
    # Of three pairs of prompts one agrees; in the others a word is in either where both are.
    expected = [n / (n + 2 * (here + there)) for n in (here, there)]
    for name, tolerance in (("first", 1e-9), ("said", 0.03)):
        rows = own[own["measure"] == name]
        pairs = rows[(rows["word"] == "") & (rows["readings"] != "")].set_index("readings")["value"]
        assert pairs["{}; a {}"] == 1 and pairs["{}; the {}"] == pairs["a {}; the {}"]
        words = rows[rows["word"] != ""].set_index("word")["value"]
        assert words[WORDS[:2]].tolist() == pytest.approx(expected, abs=tolerance)
        assert (words.drop(WORDS[:2]) > 1 - 3 * tolerance).all()
        changed = (here + there) / word.size
        assert 1 - pairs["{}; the {}"] == pytest.approx(changed, abs=tolerance)


def test_a_reading_says_what_is_clear_by_its_own_null():
    tokens, shuffled, lens, base_rates, _ = make_problem(group=IN_PAIRS)
    kept = np.array([0, 1, 2, 5, 9, 14, 15, 20])
    lens = lens | {"text": lens["text"][kept]}
    flat = tokens.reshape(-1, FEATURES)
    reading = read_again(
        flat, shuffled, lens, IN_PAIRS[kept], 12, level=0.05, words_per_token=5, device="cpu"
    )
    numbers = np.array([0, 0, 1, 2, 3, 4, 4, 5])
    whole = np.array([0, 1, 2, 4, 7, 10])
    assert np.flatnonzero(reading.known).tolist() == whole.tolist()
    word, score = (part[0] for part in apply_lens(shuffled[None], **lens, words_per_token=5))
    names = ("null_mean", "null_deviation", "null_largest")
    null = dict(zip(names, measure_null(word, score, numbers), strict=True))
    null = {
        name: ("word" if len(value) == 8 else "shuffled", value) for name, value in null.items()
    }
    word, score = (part[0] for part in apply_lens(flat[None], **lens, words_per_token=5))
    said, first = np.zeros((2, len(flat), 12), int)
    for token in range(len(flat)):
        first[token, whole[numbers[word[token, 0]]]] = 1
        for group in range(6):
            mass = score[token].astype(float)[numbers[word[token]] == group].sum()
            member = np.flatnonzero(numbers == group)[:1]
            chance = chance_of(np.array([mass]), member, xr.Dataset(null))
            said[token, whole[group]] = mass > 0 and chance[0] <= 0.05
    assert (reading.first.toarray() == first).all()
    assert (reading.said.toarray() == said).all() and 0 < said.sum() < said.size


def test_agreement_equals_loops_over_sets():
    random = np.random.default_rng(4)
    readings = []
    for _ in range(2):
        known = random.random(6) < 0.7
        first = random.choice(np.flatnonzero(known), 50)
        said = (random.random((50, 6)) < 0.4) & known
        first = sparse.csr_array(np.eye(6, dtype=np.int32)[first])
        readings.append(Reading(known, first, sparse.csr_array(said.astype(np.int32))))
    one, other = readings
    counted = {int(group) for group in np.flatnonzero(one.known & other.known)}
    assert 0 < len(counted) < 6
    found = {
        name: [part.toarray() for part in pair]
        for name, pair in compare_readings(one, other).items()
    }
    for token in range(50):
        said, also = (
            set(reading.said.toarray()[token].nonzero()[0]) & counted for reading in readings
        )
        first, second = (int(reading.first.toarray()[token].argmax()) for reading in readings)
        chosen = {first, second} <= counted
        expected = {
            "said": (said & also, said | also),
            "first": ({first} & {second}, {first, second}) if chosen else (set(), set()),
        }
        for name, pair in expected.items():
            for array, groups in zip(found[name], pair, strict=True):
                assert set(array[token].nonzero()[0]) == groups and array.max() == 1


@pytest.mark.parametrize("contexts", [False, True])
def test_of_logits_and_contexts_the_first_word_depends_on_nothing_that_is_varied(contexts):
    tokens, shuffled, lens, base_rates, _ = make_problem(unit=contexts)
    if contexts:
        random = np.random.default_rng(7)
        near = np.repeat(lens["text"], 3, axis=0)
        near += 0.1 * random.normal(size=near.shape).astype(np.float32)
        lens["contexts"] = near.astype(np.float16), np.repeat(np.arange(COUNT, dtype=np.int32), 3)
    table = measure(tokens, shuffled, lens, base_rates, embed_words=None)
    assert set(table["varied"]) == {"vocabulary", "temperature"}
    assert (table[table["measure"] == "first"]["value"] == 1).all()
    # With half of the words tokens of the others say these, which they would not.
    assert overall(table, "vocabulary")["said"] < 1
    halves = table[(table["varied"] == "vocabulary") & (table["readings"] != "")]
    assert halves["readings"].nunique() == 2 * SPLITS
    # Of a token whose word is left out there is no first word to agree on.
    first = halves[halves["measure"] == "first"]["n"]
    assert first.sum() == SPLITS * 40 * 8


def test_the_order_of_words_changes_nothing():
    tokens, shuffled, lens, base_rates, vectors = make_problem(group=IN_PAIRS)
    order = np.random.default_rng(6).permutation(COUNT)
    place = {word: number for number, word in enumerate(WORDS)}

    def embed_words(words: list[str], prompts: list[str]) -> np.ndarray:
        shift = PROMPTS.index(prompts[0]) if len(prompts) == 1 else 0
        changed = vectors + 0.6 * np.roll(vectors, shift, axis=0)
        return changed[[place[word] for word in words]]

    plain = measure(tokens, shuffled, lens, base_rates, embed_words)
    turned = measure(
        tokens,
        shuffled,
        lens | {"text": lens["text"][order]},
        base_rates.isel(word=order),
        embed_words,
    )
    pd.testing.assert_frame_equal(plain, turned)
    assert overall(plain, "prompts")["said"] < 1


def test_halves_hold_each_word_once_and_few_prompts_stand_alone():
    halves = dict(split_words(WORDS[::-1], np.random.default_rng(0)))
    assert len(halves) == 2 * SPLITS
    parts = list(halves.values())
    for one, other in zip(parts[::2], parts[1::2], strict=True):
        assert sorted([*one, *other]) == list(range(COUNT)) and abs(len(one) - len(other)) <= 1
    assert any((one != two).any() for one, two in zip(parts[::2], parts[2::2], strict=False))
    prompts = [f"{{}} {number}" for number in range(FEW + 1)]
    assert split_prompts(prompts[:FEW], None) == [[prompt] for prompt in prompts[:FEW]]
    one, other = split_prompts(prompts, np.random.default_rng(0))
    assert sorted(one + other) == prompts and abs(len(one) - len(other)) == 1
    again = split_prompts(prompts, np.random.default_rng(0))
    assert again == [one, other]
