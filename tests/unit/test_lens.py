"""The logit lens against a literal loop, its invariants, and where its words come from."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pytest

from mine.core.lens import (
    apply_lens,
    average_prompts,
    average_said,
    embed_category,
    embed_vocabulary,
    read_lists,
    read_word_list,
    tokenizer_words,
    unite_words,
    word_mass,
)
from mine.errors import InputError

WORDS, FEATURES = 9, 16


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def problem(*, images=3, tokens=5, words=WORDS, seed=0):
    random = np.random.default_rng(seed)
    text = unit(random.normal(size=(words, FEATURES))).astype(np.float32)
    raw = random.normal(1, 2, (images, tokens, FEATURES)).astype(np.float32)
    return raw, {"token_mean": raw.mean(axis=(0, 1)), "text": text, "temperature": 0.1}


@pytest.mark.parametrize("kept", [1, 4, WORDS])
def test_lens_equals_a_literal_loop(kept):
    raw, options = problem()
    word, score = apply_lens(raw, words_per_token=kept, **options)
    assert word.shape == score.shape == (3, 5, kept)
    assert word.dtype == np.int32 and score.dtype == np.float16
    for image in range(3):
        for token in range(5):
            centred = raw[image, token].astype(np.float64) - options["token_mean"]
            cosines = [
                float(centred @ row / np.linalg.norm(centred) / np.linalg.norm(row))
                for row in options["text"]
            ]
            exponentials = [np.exp(cosine / 0.1) for cosine in cosines]
            probability = np.array(exponentials) / sum(exponentials)
            order = sorted(range(WORDS), key=lambda index: -probability[index])[:kept]
            assert word[image, token].tolist() == order
            np.testing.assert_allclose(score[image, token], probability[order], rtol=2e-3)


def test_scores_are_probabilities_best_first():
    raw, options = problem()
    _, every = apply_lens(raw, words_per_token=100, **options)
    assert every.shape[-1] == WORDS
    np.testing.assert_allclose(every.astype(float).sum(axis=-1), 1, atol=2e-3)
    word, some = apply_lens(raw, words_per_token=3, **options)
    assert (some.astype(float).sum(axis=-1) <= 1.002).all()
    assert (np.diff(some.astype(float), axis=-1) <= 0).all()
    np.testing.assert_array_equal(some, every[..., :3])
    assert all(len(set(row)) == 3 for row in word.reshape(-1, 3).tolist())


@pytest.mark.parametrize("memory_bytes", [1, 12 * WORDS * 4, 2**28])
def test_memory_blocks_change_nothing(memory_bytes):
    raw, options = problem()
    word, score = apply_lens(raw, words_per_token=WORDS, **options)
    again = apply_lens(raw, words_per_token=WORDS, memory_bytes=memory_bytes, **options)
    np.testing.assert_array_equal(word, again[0])
    np.testing.assert_allclose(score.astype(float), again[1].astype(float), rtol=2e-3)


def test_a_constant_added_to_every_token_changes_nothing():
    raw, options = problem()
    offset = np.random.default_rng(1).normal(0, 5, FEATURES).astype(np.float32)
    moved = options | {"token_mean": (raw + offset).mean(axis=(0, 1))}
    word, score = apply_lens(raw, words_per_token=WORDS, **options)
    again = apply_lens(raw + offset, words_per_token=WORDS, **moved)
    np.testing.assert_array_equal(word, again[0])
    np.testing.assert_allclose(score.astype(float), again[1].astype(float), rtol=1e-2)
    uncentred, _ = apply_lens(raw + offset, words_per_token=1, **options)
    assert (uncentred[..., 0] != word[..., 0]).any()


def test_the_length_of_a_centred_token_changes_nothing():
    raw, options = problem()
    options["token_mean"] = np.zeros(FEATURES, np.float32)
    word, score = apply_lens(raw, words_per_token=4, **options)
    again = apply_lens(7 * raw, words_per_token=4, **options)
    np.testing.assert_array_equal(word, again[0])
    np.testing.assert_allclose(score.astype(float), again[1].astype(float), rtol=2e-3)


def test_planted_word_is_read_first():
    raw, options = problem(images=4, tokens=6)
    planted = np.random.default_rng(2).integers(0, WORDS, (4, 6))
    raw = options["token_mean"] + 3 * options["text"][planted]
    word, score = apply_lens(raw, words_per_token=2, **options)
    np.testing.assert_array_equal(word[..., 0], planted)
    colder = apply_lens(raw, words_per_token=2, **(options | {"temperature": 0.05}))[1]
    assert (colder[..., 0] >= score[..., 0]).all()


# --- the text side ---


def test_vocabulary_is_the_centred_mean_over_prompts():
    random = np.random.default_rng(0)
    table: dict[str, np.ndarray] = {}

    def encode(texts: list[str]) -> np.ndarray:
        for text in texts:
            table.setdefault(text, unit(random.normal(2, 1, FEATURES)))
        return np.stack([table[text] for text in texts])

    words, prompts = ["dog", "cat", "sea"], ["{}", "a photo of a {}"]
    vectors = average_prompts(words, prompts, encode)
    text, length, mean = embed_vocabulary(vectors)
    assert set(table) == {prompt.format(word) for prompt in prompts for word in words}
    means = [unit(sum(table[prompt.format(word)] for prompt in prompts)) for word in words]
    np.testing.assert_allclose(mean, sum(means) / 3, rtol=1e-5)
    for row, own in zip(text, means, strict=True):
        np.testing.assert_allclose(row, unit(own - sum(means) / 3), rtol=1e-5)
    np.testing.assert_allclose(text * length[:, None] + mean, vectors, rtol=1e-4, atol=1e-6)
    assert text.dtype == length.dtype == mean.dtype == np.float32
    for place in range(len(words)):
        alone = embed_category(vectors[place : place + 1], text_mean=mean)
        np.testing.assert_allclose(alone, text[place], atol=1e-6)
    both = embed_category(vectors[:2], text_mean=mean)
    np.testing.assert_allclose(both, unit(text[0] + text[1]), atol=1e-6)
    assert both.dtype == np.float32


def test_words_that_are_said_point_apart_once_their_mean_is_taken_away():
    random = np.random.default_rng(0)
    common, own = unit(random.normal(size=64)), np.linalg.qr(random.normal(size=(64, 8)))[0].T
    said, never = own + 2 * common, random.normal(0, 0.1, (40, 64)) - 2 * common
    vectors = np.concatenate([said, never]).astype(np.float32)
    tokens = (5 * common + 10 * own[random.integers(8, size=(20, 9))]).astype(np.float32)
    mean = average_said(tokens, vectors, temperature=1.0, words_per_token=10)
    largest = []
    for centre in (None, mean):
        text, _, _ = embed_vocabulary(vectors, mean=centre)
        largest.append((text[:8] @ text[:8].T - 2 * np.eye(8)).max())
    assert largest[0] > 0.9 and largest[1] < 0.1


def test_what_all_words_share_is_removed_from_the_text():
    random = np.random.default_rng(0)
    shared = 20 * random.normal(size=FEATURES)
    own = {word: random.normal(size=FEATURES) for word in "abcdefgh"}
    text, _, _ = embed_vocabulary(
        average_prompts(
            list(own), ["{}"], lambda texts: unit(np.stack([shared + own[text] for text in texts]))
        )
    )
    assert np.abs(text @ unit(shared)).max() < 0.2


def test_word_mass_is_the_inverse_of_keeping_the_best_words():
    raw, options = problem()
    word, score = apply_lens(raw, words_per_token=4, **options)
    mass = word_mass(word, score, words=WORDS)
    assert mass.shape == (3, 5, WORDS)
    np.testing.assert_array_equal(np.take_along_axis(mass, word.astype(int), axis=-1), score)
    np.testing.assert_allclose(mass.sum(axis=-1), score.astype(np.float32).sum(axis=-1), rtol=1e-5)


# --- where the words come from ---


def test_word_list_is_read_in_order_without_blanks(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("dog\n\n  hot dog \nété\n", encoding="utf-8")
    assert read_word_list(path) == ["dog", "hot dog", "été"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"dog\ncat\ndog\n", "expected each word once, found dog more than once"),
        (b"dog\n", "expected two words or more, one a line, found 1"),
        (b"", "expected two words or more, one a line, found 0"),
        ("dog\nété\n".encode("latin-1"), "expected text in UTF-8, found another encoding"),
    ],
)
def test_bad_word_list_is_refused_in_one_sentence(tmp_path, content, found):
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_word_list(path)
    assert str(path) in str(caught.value) and found in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "least"), [("colours", 35), ("materials", 50), ("parts", 130), ("actions", 130)]
)
def test_shipped_lists_are_of_single_words_in_order(repository, name, least):
    path = repository / f"resources/words/{name}.txt"
    words = read_word_list(path)
    assert len(words) >= least and words == sorted(words)
    assert path.read_text() == "\n".join([*words, ""])
    ending = "ing" if name == "actions" else ""
    assert all(re.fullmatch(rf"[a-z]{{2,}}{ending}", word) for word in words)


def test_missing_word_list_is_refused(tmp_path):
    with pytest.raises(InputError, match="lens.vocabulary: expected .* no such file .*none.txt"):
        read_word_list(tmp_path / "none.txt")


def test_named_lists_join_the_vocabulary_without_repeats_and_in_order(tmp_path):
    for name, words in (("colours", "red\ndog\nblue\n"), ("parts", "leg\nblue\neye\n")):
        (tmp_path / f"{name}.txt").write_text(words)
    paths = {name: str(tmp_path / f"{name}.txt") for name in ("parts", "colours")}
    lists = read_lists(paths)
    assert {name: each.words for name, each in lists.items()} == {
        "parts": ["leg", "blue", "eye"],
        "colours": ["red", "dog", "blue"],
    }
    assert unite_words(["zebra", "dog"], lists) == ["zebra", "dog", "leg", "blue", "eye", "red"]
    assert unite_words(["zebra", "blue", "dog"], {}) == ["zebra", "blue", "dog"]
    (tmp_path / "parts.txt").unlink()
    sentence = "lens.lists.parts: expected a text file with a word a line, found no such file .*"
    with pytest.raises(InputError, match=sentence):
        read_lists(paths)


def test_words_of_a_byte_pair_tokenizer_are_its_ends_of_words():
    entries = ["a</w>", "dog</w>", "do", "ing", "<start_of_text>", "Dog</w>", "c3po</w>", "sea</w>"]
    tokenizer = SimpleNamespace(encoder={entry: index for index, entry in enumerate(entries)})
    assert tokenizer_words(tokenizer) == ["dog", "sea"]


@pytest.mark.parametrize("mark", ["Ġ", "▁"])
def test_words_of_a_tokenizer_that_marks_beginnings(mark):
    entries = [f"{mark}sea", f"{mark}dog", "ing", f"{mark}of", f"{mark}Sea", "</s>", mark]
    # First pieces of "constitution" and "unfortunate", and another script.
    entries += [f"{mark}constit", f"{mark}unfortun", f"{mark}собака"]
    inner = SimpleNamespace(get_vocab=lambda: {entry: i for i, entry in enumerate(entries)})
    assert tokenizer_words(SimpleNamespace(tokenizer=inner)) == ["dog", "sea"]


def test_words_of_a_word_level_tokenizer_are_all_its_words():
    entries = ["[pad]", "[start]", "of", "dog", "sea", "a", "[end]"]
    inner = SimpleNamespace(get_vocab=lambda: {entry: i for i, entry in enumerate(entries)})
    assert tokenizer_words(SimpleNamespace(tokenizer=inner)) == ["dog", "sea"]


def test_words_of_clip_s_own_tokenizer_are_words():
    from open_clip.tokenizer import SimpleTokenizer

    words = tokenizer_words(SimpleTokenizer())
    assert {"dog", "face", "beach", "purple"} <= set(words)
    assert len(words) > 10_000 and len(set(words)) == len(words)
