"""Embedding, reading and counting, with a backbone whose numbers are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mine.core.backbone import standardise
from mine.core.lens import WordList, apply_lens, average_prompts, read_lens, word_mass
from mine.errors import InputError
from mine.shards import open_images
from mine.stages.dense import embed_dense
from mine.stages.embeddings import (
    build_vocabulary,
    embed_captions,
    embed_categories,
    embed_images,
    measure_base_rates,
)
from mine.stores import open_store, write_store

ROWS, COLUMNS, FEATURES = 2, 3, 8
WORDS = ["cat", "dog", "hound", "sea", "sky"]


class FakeBackbone:
    """Tokens are a fixed linear map of the pixels; texts have fixed random embeddings."""

    rows, columns, temperature, device, reads_logits = ROWS, COLUMNS, 0.05, "cpu", False

    def __init__(self) -> None:
        self.map = np.random.default_rng(0).normal(size=(3, FEATURES)).astype(np.float32)
        self.batches: list[int] = []

    def encode_images(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.batches.append(len(images))
        pixels = images[:, :ROWS, :COLUMNS].reshape(len(images), ROWS * COLUMNS, 3)
        tokens = (pixels / 50).astype(np.float32) @ self.map
        return tokens, tokens.mean(axis=1)

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        rows = [np.random.default_rng(list(text.encode())).normal(size=FEATURES) for text in texts]
        rows = np.array(rows, dtype=np.float32).reshape(len(texts), FEATURES)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def choose_words(self, words: list[str]) -> list[str]:
        return words

    def embed_words(self, words: list[str], prompts: list[str]) -> np.ndarray:
        return average_prompts(words, prompts, self.encode_texts)


def read_images(images: np.ndarray) -> np.ndarray:
    parts = [
        np.random.default_rng(int(image)).integers(0, 256, (ROWS, COLUMNS, 3)) for image in images
    ]
    return np.array(parts, dtype=np.uint8)


def make_vocabulary(
    backbone: FakeBackbone, temperature: float | None = None, **options
) -> xr.Dataset:
    return build_vocabulary(
        backbone,
        words=WORDS,
        prompts=["{}", "a {}"],
        temperature=temperature,
        reference_images=np.arange(7),
        read_images=read_images,
        words_per_token=3,
        batch_size=3,
        generator=np.random.default_rng(0),
        **{"contexts": None, "lists": {}, **options},
    )


def test_words_of_named_lists_are_marked_as_far_as_the_model_can_be_read_in_them():
    backbone, plain = FakeBackbone(), make_vocabulary(FakeBackbone())
    lists = {
        "animals": WordList(Path("animals.txt"), ["hound", "dog", "wolf"]),
        "last": WordList(Path("last.txt"), [WORDS[-1]]),
    }
    found = make_vocabulary(backbone, lists=lists)
    assert found["in_list"].dims == ("list", "word") and found["in_list"].dtype == bool
    assert found["list"].values.tolist() == ["animals", "last"]
    expected = [[word in each.words for word in WORDS] for each in lists.values()]
    assert found["in_list"].values.tolist() == expected
    # Nothing else is another, and without lists there is nothing of them.
    xr.testing.assert_identical(found.drop_vars(["in_list", "list"]), plain)
    xr.testing.assert_identical(make_vocabulary(FakeBackbone(), lists={}), plain)
    backbone.choose_words = lambda words: [word for word in words if word not in ("dog", "hound")]
    sentence = (
        "lens.lists.animals: expected in animals.txt at least one word that is a token of the "
        "model, found none of 3"
    )
    with pytest.raises(InputError, match=sentence):
        make_vocabulary(backbone, lists=lists)


def test_token_mean_is_the_mean_over_all_reference_tokens():
    backbone = FakeBackbone()
    vocabulary = make_vocabulary(backbone)
    assert backbone.batches == [3, 3, 1]
    tokens, _ = backbone.encode_images(read_images(np.arange(7)))
    np.testing.assert_allclose(
        vocabulary["token_mean"], tokens.reshape(-1, FEATURES).mean(axis=0), rtol=1e-5
    )
    assert vocabulary["token_mean"].dtype == vocabulary["text"].dtype == np.float32
    assert vocabulary["word"].values.tolist() == WORDS
    assert vocabulary.attrs["reference_images"] == 7


@pytest.mark.parametrize(("given", "kept"), [(None, 0.05), (0.2, 0.2)])
def test_temperature_is_the_given_one_or_the_model_s_own(given, kept):
    assert make_vocabulary(FakeBackbone(), given).attrs["temperature"] == kept


def test_where_logits_are_read_lengths_are_kept_and_nothing_is_taken_from_tokens():
    backbone = FakeBackbone()
    backbone.reads_logits = True
    vectors = np.random.default_rng(1).normal(2, 3, (len(WORDS), FEATURES)).astype(np.float32)
    backbone.embed_words = lambda words, prompts: vectors[[WORDS.index(word) for word in words]]
    backbone.choose_words = lambda words: [word for word in words if word != "hound"]
    vocabulary, known = make_vocabulary(backbone, temperature=0.7), [0, 1, 3, 4]
    assert vocabulary["word"].values.tolist() == [WORDS[place] for place in known]
    assert not vocabulary["token_mean"].any()
    np.testing.assert_allclose(np.linalg.norm(vocabulary["text"], axis=1), 1, rtol=1e-5)
    tokens, _ = backbone.encode_images(read_images(np.arange(3)))
    word, score = apply_lens(tokens, **read_lens(vocabulary), words_per_token=4)
    logits = tokens @ vectors[known].T / 0.7
    expected = np.exp(logits - logits.max(axis=-1, keepdims=True))
    expected /= expected.sum(axis=-1, keepdims=True)
    found = np.take_along_axis(expected, word.astype(int), axis=-1)
    np.testing.assert_allclose(score.astype(float), found, atol=2e-3)
    backbone.choose_words = lambda words: ["dog"]
    with pytest.raises(InputError, match="lens.vocabulary: expected at least two words"):
        make_vocabulary(backbone)


def test_embedded_images_hold_what_the_backbone_and_the_lens_give():
    backbone = FakeBackbone()
    vocabulary, images = make_vocabulary(backbone), np.array([4, 9, 2, 30, 11])
    embedded, lens = embed_images(
        backbone, images, read_images, vocabulary=vocabulary, words_per_token=3, batch_size=2
    )
    raw, pooled = backbone.encode_images(read_images(images))
    assert embedded["tokens"].dims == ("image", "token", "feature")
    assert embedded["tokens"].dtype == np.float16
    np.testing.assert_allclose(embedded["tokens"], standardise(raw), atol=2e-3)
    np.testing.assert_allclose(embedded["norm"], np.linalg.norm(raw, axis=-1), rtol=1e-5)
    np.testing.assert_allclose(embedded["pooled"], pooled, rtol=1e-5)
    word, score = apply_lens(
        raw,
        token_mean=vocabulary["token_mean"].values,
        text=vocabulary["text"].values,
        temperature=0.05,
        words_per_token=3,
    )
    assert lens["word"].dtype == np.int32 and lens["score"].dtype == np.float16
    np.testing.assert_array_equal(lens["word"], word)
    np.testing.assert_allclose(lens["score"].astype(float), score.astype(float), rtol=2e-3)
    for dataset in (embedded, lens):
        assert dataset["image"].values.tolist() == images.tolist()
        assert dataset["row"].values.tolist() == [0, 0, 0, 1, 1, 1]
        assert dataset["column"].values.tolist() == [0, 1, 2, 0, 1, 2]
        assert (dataset.attrs["rows"], dataset.attrs["columns"]) == (ROWS, COLUMNS)


def test_a_shard_without_images_is_stored_as_the_others_are(tmp_path: Path):
    backbone = FakeBackbone()
    vocabulary = make_vocabulary(backbone)

    def embed(*images: int) -> list[xr.Dataset]:
        shown, options = np.array(images, dtype=np.int32), {"batch_size": 2}
        dense = embed_dense(backbone, shown, read_images, moves=np.zeros((1, 3), int), **options)
        lenses = {"vocabulary": vocabulary, "words_per_token": 3}
        return [*embed_images(backbone, shown, read_images, **lenses, **options), dense]

    stores = []
    for part, (full, empty) in enumerate(zip(embed(4, 9), embed(), strict=True)):
        assert empty.sizes["image"] == 0
        assert describe_shape(empty) == describe_shape(full)
        shards = [tmp_path / f"{part}-{number}.zarr" for number in range(2)]
        write_store(empty, shards[0], provenance={})
        write_store(full, shards[1], provenance={})
        xr.testing.assert_identical(
            open_images(shards, np.array([9, 4])), full.sel(image=[9, 4]).load()
        )
        stores.append(shards)
    # The shards of a lens are read one after the other, whether they have an image or not.
    rates = [
        measure_base_rates(
            map(open_store, shards), np.array([4, 9]), vocabulary=vocabulary, merge_cosine=1
        )
        for shards in (stores[1], stores[1][1:])
    ]
    xr.testing.assert_identical(*rates)


def describe_shape(dataset: xr.Dataset) -> list[tuple]:
    """Return what does not depend on the number of images."""
    return [
        (name, one.dims, one.dtype, one.attrs, {**one.sizes} | {"image": 0})
        for name, one in dataset.variables.items()
    ] + [dataset.attrs]


def test_the_batch_changes_no_number():
    backbone = FakeBackbone()
    vocabulary, images = make_vocabulary(backbone), np.arange(5)
    first, second = (
        embed_images(
            backbone, images, read_images, vocabulary=vocabulary, words_per_token=2, batch_size=size
        )
        for size in (1, 5)
    )
    for one, other in zip(first, second, strict=True):
        xr.testing.assert_allclose(one, other, rtol=1e-3)


def make_lenses(words: int = len(WORDS), sizes=(4, 3), seed: int = 0) -> list[xr.Dataset]:
    random = np.random.default_rng(seed)
    lenses, first = [], 0
    for size in sizes:
        word = random.permuted(np.tile(np.arange(words), (size, 6, 1)), axis=-1)[..., :3]
        score = np.sort(random.dirichlet(np.ones(4), (size, 6))[..., :3])[..., ::-1]
        lenses.append(
            xr.Dataset(
                {
                    "word": (("image", "token", "rank"), word.astype(np.int32)),
                    "score": (("image", "token", "rank"), score.astype(np.float16)),
                },
                coords={"image": np.arange(first, first + size)},
            )
        )
        first += size
    return lenses


def test_base_rates_are_the_mean_probability_over_training_tokens():
    lenses, training = make_lenses(), np.array([0, 2, 5, 99])
    rates = measure_base_rates(
        lenses, training, vocabulary=make_vocabulary(FakeBackbone()), merge_cosine=0.9
    )
    readings = [
        word_mass(lens["word"].values, lens["score"].values, words=len(WORDS))[row]
        for lens in lenses
        for row, image in enumerate(lens["image"].values)
        if image in training
    ]
    assert rates.attrs == {"images": 3, "tokens": 18}
    assert rates["base_rate"].dtype == np.float32
    np.testing.assert_allclose(
        rates["base_rate"], np.concatenate(readings).mean(axis=0, dtype=float), rtol=1e-5
    )


def test_test_images_do_not_touch_the_base_rates():
    vocabulary, training = make_vocabulary(FakeBackbone()), np.array([0, 1, 4])
    lenses = make_lenses()
    first = measure_base_rates(lenses, training, vocabulary=vocabulary, merge_cosine=0.9)
    changed = [lens.copy(deep=True) for lens in lenses]
    for lens in changed:
        lens["score"].values[~np.isin(lens["image"].values, training)] = 0
    again = measure_base_rates(changed, training, vocabulary=vocabulary, merge_cosine=0.9)
    xr.testing.assert_identical(first, again)


def test_words_of_one_meaning_share_a_group():
    vocabulary = make_vocabulary(FakeBackbone())
    text = np.eye(len(WORDS), FEATURES, dtype=np.float32)
    text[2] = text[1]
    vocabulary["text"].values[:] = text
    group = measure_base_rates(
        make_lenses(), np.arange(7), vocabulary=vocabulary, merge_cosine=0.9
    )["group"].values
    assert group[1] == group[2] and len(set(group)) == 4


def test_categories_lie_in_the_space_of_the_vocabulary():
    backbone = FakeBackbone()
    vocabulary = make_vocabulary(backbone)
    text = embed_categories(
        backbone,
        {"animals": ["cat", "dog"], "sky": ["sky"]},
        prompts=["{}", "a {}"],
        text_mean=vocabulary["text_mean"].values,
        contexts=None,
    )["text"]
    assert text["category"].values.tolist() == ["animals", "sky"] and text.dtype == np.float32
    np.testing.assert_allclose(
        text.sel(category="sky"), vocabulary["text"].sel(word="sky"), atol=1e-6
    )
    both = vocabulary["text"].sel(word=["cat", "dog"]).sum("word").values
    np.testing.assert_allclose(text.sel(category="animals"), both / np.linalg.norm(both), atol=1e-6)


def test_captions_of_an_image_are_averaged():
    backbone = FakeBackbone()
    texts = [["a dog", "a red dog"], [], ["the sea"]]
    caption = embed_captions(backbone, texts, np.array([5, 6, 7]))["caption"]
    both = backbone.encode_texts(texts[0])
    np.testing.assert_allclose(caption.sel(image=5), (both[0] + both[1]) / 2, rtol=1e-5)
    assert not caption.sel(image=6).values.any()
    np.testing.assert_allclose(caption.sel(image=7), backbone.encode_texts(texts[2])[0], rtol=1e-6)
    assert caption.dtype == np.float32


def test_experiment_without_captions_has_features_of_none():
    caption = embed_captions(FakeBackbone(), [[], []], np.array([5, 6]))["caption"]
    assert caption.shape[0] == 2 and not caption.values.any()
