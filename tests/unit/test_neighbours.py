"""Contexts of words in running text, and tokens read by the nearest of them."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import xarray as xr

from mine.core.backbone import load_backbone
from mine.core.lens import apply_lens, keep_words, read_lens, score_nearest
from mine.core.neighbours import (
    TEMPERATURE,
    Contexts,
    choose_layers,
    gather_contexts,
    open_contexts,
    read_contexts,
    read_corpus,
)
from mine.core.vlm_backbone import LanguageBackbone
from mine.errors import InputError
from mine.randomness import generator
from mine.stages.embeddings import build_vocabulary, embed_categories
from tests.reference.tiny_vlms import PATCH, SIDE, save_model

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

NAMES = ["dog", "cat", "sea"]
FAMILIES = ["llava", "qwen2_vl", "paligemma", "gemma3"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {family: save_model(family, root / family) for family in FAMILIES}


def load(folder: Path) -> LanguageBackbone:
    side = 3 * 2 * PATCH if folder.name == "qwen2_vl" else None
    return load_backbone(
        kind="vlm", model=f"local-dir:{folder}", pretrained=None, side=side, device="cpu"
    )


def make_texts(count: int, seed: int = 0) -> list[str]:
    """Sentences of two to nine words, of which some begin alike."""
    random = np.random.default_rng(seed)
    words = [*NAMES, "a", "the", "and"]
    return [" ".join(random.choice(words, size=random.integers(2, 10))) for _ in range(count)]


def gather(backbone: LanguageBackbone, texts: list[str], words=NAMES, **options) -> Contexts:
    settings = {"places": 1000, "layers": [1, 3], "draw": lambda word: generator(0, word)}
    return gather_contexts(backbone, words, texts, **(settings | options))


def list_contexts(
    backbone: LanguageBackbone, texts: list[str], layers: list[int]
) -> dict[str, list[np.ndarray]]:
    """Each text alone, position by position: unit vectors of every word, (layer, feature)."""
    found, seen = defaultdict(list), set()
    for text in texts:
        begin = "" if backbone.tokenizer.bos_token is None else "[bos] "
        ids = backbone.tokenizer(begin + text, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            output = backbone.decoder(
                input_ids=torch.tensor([ids]), output_hidden_states=True, use_cache=False
            )
        for position in range(2, len(ids)):
            name = backbone.tokenizer.convert_ids_to_tokens(ids[position]).removeprefix("▁")
            prefix = tuple(ids[: position + 1])
            if name in NAMES and prefix not in seen:
                seen.add(prefix)
                rows = []
                for layer in layers:
                    state = output.hidden_states[layer][0, position]
                    if layer < 3:
                        state = backbone.decoder.norm(state)
                    rows.append((state / state.norm()).numpy())
                found[name].append(np.array(rows))
    return found


def read(backbone: LanguageBackbone, contexts: Contexts, temperature=None) -> xr.Dataset:
    images = np.random.default_rng(0).integers(0, 256, (4, SIDE, SIDE, 3), dtype=np.uint8)
    return build_vocabulary(
        backbone,
        words=[*NAMES, "owl"],
        prompts=["{}"],
        temperature=temperature,
        reference_images=np.arange(4),
        read_images=lambda rows: images[rows],
        words_per_token=3,
        batch_size=2,
        generator=np.random.default_rng(0),
        contexts=contexts,
        lists={},
    )


# --- contexts ---


@pytest.mark.parametrize("family", FAMILIES)
def test_contexts_are_the_states_of_texts_read_one_by_one(folders, family):
    backbone, texts = load(folders[family]), make_texts(30)
    contexts = gather(backbone, texts, batch_size=7)
    expected = list_contexts(backbone, texts, [1, 3])
    assert contexts.words == NAMES and contexts.vectors.dtype == np.float16
    for place, name in enumerate(NAMES):
        own = contexts.vectors[contexts.owner == place].astype(np.float32)
        assert len(own) == 2 * len(expected[name]) > 20
        np.testing.assert_allclose(own, np.concatenate(expected[name]), atol=1e-3)


def test_a_word_has_at_most_so_many_places_of_its_own(folders):
    backbone, texts = load(folders["llava"]), make_texts(40)
    every, some = gather(backbone, texts), gather(backbone, texts, places=5)
    assert np.bincount(some.owner).tolist() == [10, 10, 10]
    for name in NAMES:
        whole, drawn = (each.select([name]).vectors for each in (every, some))
        near = drawn.astype(np.float32) @ whole.T.astype(np.float32)
        np.testing.assert_allclose(near.max(axis=1), 1, atol=2e-3)
        # Another word beside it changes nothing, nor does its place in the list.
        alone = gather(backbone, texts, words=["owl", name], places=5)
        assert alone.words == [name]
        np.testing.assert_allclose(alone.vectors, drawn, atol=2e-3)
    other = gather(backbone, texts, places=5, draw=lambda word: generator(1, word))
    assert np.abs(other.vectors.astype(np.float32) - some.vectors).max() > 0.05


class Pieces:
    """A tokenizer of given entries."""

    def __init__(self, entries: list[str]) -> None:
        self.entries = entries

    def get_vocab(self) -> dict[str, int]:
        return {entry: number for number, entry in enumerate(self.entries)}

    def convert_ids_to_tokens(self, numbers: list[int]) -> list[str]:
        return [self.entries[number] for number in numbers]


@pytest.mark.parametrize("mark", ["▁", "Ġ"])
def test_pieces_of_longer_words_are_no_words(mark):
    entries = [
        "[bos]",
        *(f"{mark}{word}" for word in ("the", "sea", "dog", "s")),
        "food",
        "ea",
        ".",
    ]
    text = ["the", "sea", "food", "sea", "dog", "sea", ".", "s", "ea", "dog"]
    whole = ["the", None, None, "sea", "dog", "sea", None, None, None, "dog"]
    backbone = LanguageBackbone(
        None, SimpleNamespace(tokenizer=Pieces(entries)), 1, None, torch.device("cpu"), ""
    )
    numbers = [
        entries.index(piece if piece in entries else f"{mark}{piece}") for piece in ["[bos]", *text]
    ]
    assert backbone.name_tokens(numbers) == [None, *whole]


def test_entries_without_marks_are_whole_words():
    entries = ["[bos]", "the", "sea", "food"]
    processor = SimpleNamespace(tokenizer=Pieces(entries))
    backbone = LanguageBackbone(None, processor, 1, None, torch.device("cpu"), "")
    assert backbone.name_tokens([1, 2, 3]) == ["the", "sea", "food"]


def test_layers_are_those_of_the_paper_unless_others_are_given():
    assert choose_layers(32, None) == [1, 2, 4, 8, 16, 24, 30, 31]
    assert choose_layers(28, None) == [1, 2, 4, 8, 16, 24, 26, 27]
    assert choose_layers(3, None) == [1, 2] and choose_layers(1, None) == [1]
    assert choose_layers(3, [3, 1]) == [1, 3]
    with pytest.raises(InputError, match="lens.layers: expected at most 3, found 4"):
        choose_layers(3, [1, 4])


# --- corpus ---


def test_captions_of_held_out_images_are_no_part_of_the_corpus(folders):
    captions = [["the dog", "a dog and the sea"], ["the cat the cat"], []]
    stimuli = xr.Dataset(
        {
            "captions": ("image", [json.dumps(own) for own in captions]),
            "held_out": ("image", [False, True, False]),
        }
    )
    assert read_corpus("captions", stimuli) == captions[0]
    lens = {"corpus": "captions", "contexts": 3, "layers": None}
    contexts = open_contexts(lens, load(folders["llava"]), NAMES, stimuli, seed=0)
    assert contexts.words == ["dog", "sea"]
    assert contexts.owner.tolist() == [0, 0, 0, 0, 1, 1]
    with pytest.raises(InputError, match="lens.corpus: expected a text file, .* found captions"):
        read_corpus("captions", stimuli.isel(image=[1, 2]))


def test_corpus_is_a_sentence_a_line(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("the dog \n\n a sea\n")
    assert read_corpus(str(path), xr.Dataset()) == ["the dog", "a sea"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "lens.corpus: expected `captions` or a text file with a sentence a line, found no"),
        (b"\xff\xfe\xff", "expected text in UTF-8, found another encoding"),
        (b" \n\n", "expected sentences, one a line, found none"),
    ],
)
def test_missing_or_empty_corpus_is_refused_in_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "corpus.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_corpus(str(path), xr.Dataset())
    assert sentence in str(caught.value) and str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


# --- reading ---


def test_a_token_that_is_a_context_reads_its_word_first(folders):
    backbone = load(folders["llava"])
    contexts = gather(backbone, make_texts(40), places=20)
    vocabulary = read(backbone, contexts)
    assert vocabulary["word"].values.tolist() == NAMES
    assert vocabulary.attrs["temperature"] == TEMPERATURE
    assert "length" not in vocabulary and not vocabulary["token_mean"].any()
    # Whatever its length.
    tokens = 3 * contexts.vectors[None].astype(np.float32)
    word, score = apply_lens(tokens, **read_lens(vocabulary), words_per_token=3)
    np.testing.assert_array_equal(word[0, :, 0], contexts.owner)
    assert (np.diff(score.astype(float)) <= 0).all() and (score[0, :, 0] > 1 / 3).all()


def draw_contexts(words: int, features: int, seed: int = 0) -> Contexts:
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(words, dtype=np.int32), random.integers(1, 9, size=words))
    vectors = random.normal(size=(len(owner), features))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Contexts([f"w{word}" for word in range(words)], vectors.astype(np.float16), owner)


def test_words_are_ranked_by_their_nearest_context():
    contexts = draw_contexts(12, 8)
    tokens = np.random.default_rng(1).normal(size=(2, 5, 8)).astype(np.float32)
    options = {
        "token_mean": np.zeros(8, np.float32),
        "text": np.zeros((12, 8), np.float32),
        "temperature": 0.2,
        "contexts": (contexts.vectors, contexts.owner),
    }
    word, score = apply_lens(tokens, words_per_token=4, **options)
    some, _ = apply_lens(tokens, words_per_token=4, **keep_words(options, np.array([2, 3, 7])))
    for image in range(2):
        for token in range(5):
            nearest = {}
            for vector, owner in zip(contexts.vectors, contexts.owner, strict=True):
                x, c = tokens[image, token].astype(float), vector.astype(float)
                cosine = x @ c / np.linalg.norm(x) / np.linalg.norm(c)
                nearest[owner] = max(nearest.get(owner, -1), cosine)
            ranked = sorted(nearest, key=nearest.get, reverse=True)
            assert word[image, token].tolist() == ranked[:4]
            chance = np.exp(np.array([nearest[owner] for owner in ranked]) / 0.2)
            np.testing.assert_allclose(score[image, token], (chance / chance.sum())[:4], rtol=2e-3)
            fewer = [place for place in ranked if place in (2, 3, 7)]
            assert some[image, token].tolist() == [(2, 3, 7).index(place) for place in fewer]
    for memory_bytes in (1, 200, 1000):
        again = apply_lens(tokens, words_per_token=4, memory_bytes=memory_bytes, **options)
        np.testing.assert_array_equal(again[0], word)
        np.testing.assert_allclose(again[1], score, rtol=2e-3)


def test_blocks_change_no_score_and_a_word_without_context_has_none():
    contexts = draw_contexts(9, 6)
    kept = contexts.owner != 4
    tokens = torch.from_numpy(np.random.default_rng(2).normal(size=(7, 6)).astype(np.float32))
    vectors, owner = contexts.vectors[kept], contexts.owner[kept]
    scores = [
        score_nearest(tokens, vectors, owner, words=9, memory_bytes=size)
        for size in (1, 300, 2**28)
    ]
    products = tokens.numpy() @ vectors.T.astype(np.float32)
    for score in scores:
        assert (score[:, 4] == -torch.inf).all()
        for word in (*range(4), *range(5, 9)):
            np.testing.assert_allclose(
                score[:, word], products[:, owner == word].max(axis=1), rtol=1e-5, atol=1e-6
            )


def test_categories_are_where_their_words_are(folders):
    backbone = load(folders["llava"])
    vocabulary = read(backbone, gather(backbone, make_texts(40), places=6), temperature=0.5)
    assert vocabulary.attrs["temperature"] == 0.5
    contexts, mean = read_contexts(vocabulary), vocabulary["text_mean"].values
    options = {"prompts": ["{}"], "text_mean": mean, "contexts": contexts}
    categories = {"animals": ["dog"], "all": ["cat", "owl"]}
    text = embed_categories(backbone, categories, **options)["text"]
    np.testing.assert_allclose(text, vocabulary["text"].values[:2], atol=1e-6)
    # "the" is a token of the model, but no word of the vocabulary.
    with pytest.raises(InputError, match="a word of the vocabulary, found owl, the"):
        embed_categories(backbone, {"birds": ["owl", "the"]}, **options)
    assert read_contexts(vocabulary.drop_vars("context")) is None


def test_vocabulary_wants_two_words_that_the_corpus_has(folders):
    backbone = load(folders["llava"])
    with pytest.raises(InputError, match="and in lens.corpus, found 1 of 4"):
        read(backbone, gather(backbone, make_texts(40), words=["dog"]))
