"""Sentences of words: what they add is found, and a model that adds is not heard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hub
import xarray as xr
from tokenizers import Tokenizer, models, pre_tokenizers

from mine.core.phrasing import FUNCTION_WORDS, find_added, load_phraser
from mine.errors import InputError
from mine.stages.phrasing import phrase_profiles

NAMES = ["face", "red", "dog", "beach", "running"]


@pytest.mark.parametrize(
    ("sentence", "words", "added"),
    [
        ("The red faces of a dog.", ["face", "red", "dog"], []),
        ("It is a dog that runs on the beach", ["dog", "running", "beach", "run"], []),
        ("A dog's face", ["faces", "dogs"], []),
        ("A happy red face and a happy dog", ["face", "red", "dog"], ["happy"]),
        ("Two faces", ["face"], ["two"]),
        ("3 faces, no dog", ["face", "dog"], ["3", "no"]),
        ("A face without a dog", ["face", "dog"], ["without"]),
        ("A traffic light", ["traffic light"], []),
        ("Un visage très rouge", ["face", "red"], ["un", "visage", "très", "rouge"]),
        ("", ["face"], []),
    ],
)
def test_content_words_that_were_not_given_are_found(sentence, words, added):
    assert find_added(sentence, words) == added


def test_words_that_deny_or_place_are_content():
    assert not FUNCTION_WORDS & {"no", "not", "without", "few", "more", "above", "behind", "two"}


def make_profiles() -> xr.Dataset:
    words = np.array([[0, 1, 2], [3, 2, 1], [0, 1, 2], [4, 0, 1]])
    listed = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]], dtype=bool)
    return xr.Dataset(
        {
            "word": (("sign", "voxel", "rank"), np.stack([words, words[:, ::-1]])),
            "listed": (("sign", "voxel", "rank"), np.stack([listed, ~listed])),
            "described": ("voxel", [True, True, True, False]),
        },
        coords={"sign": ["positive", "negative"], "voxel": [5, 7, 8, 9]},
    )


def test_a_sentence_stands_beside_its_words_unless_it_adds_to_them():
    asked = []

    def phrase(words):
        asked.append(words)
        return "A red face." if "red" in words else "A sunny beach."

    table = phrase_profiles(make_profiles(), NAMES, phrase)
    assert asked == [("face", "red"), ("beach",)]
    assert table.values.tolist() == [
        [5, "face, red", "A red face.", ""],
        [7, "beach", "", "sunny"],
        [8, "face, red", "A red face.", ""],
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random language model that has a few words."""
    entries = ["[end]", "[unk]", *NAMES, "sunny", "a", "."]
    tokenizer = Tokenizer(
        models.WordLevel({entry: n for n, entry in enumerate(entries)}, unk_token="[unk]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    config = hub.LlamaConfig(
        vocab_size=len(entries),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    place = tmp_path_factory.mktemp("language")
    hub.LlamaForCausalLM(config).save_pretrained(place)
    hub.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[unk]", eos_token="[end]", pad_token="[end]"
    ).save_pretrained(place)
    return place


def load(folder: Path, **changes):
    options = {
        "model": f"local-dir:{folder}",
        "prompt": "{}",
        "tokens": 12,
        "dtype": "float32",
        "device": "cpu",
    }
    return load_phraser(**(options | changes))


def test_a_model_in_a_folder_says_the_same_twice_and_is_checked(folder):
    phrase, digest = load(folder)
    said = {words: phrase(words) for words in (("face",), ("dog", "red"), ("beach", "running"))}
    again, same = load(folder)
    assert {words: again(words) for words in said} == said and same == digest and digest
    assert all("\n" not in sentence for sentence in said.values())
    assert len(set(said.values())) > 1
    table = phrase_profiles(make_profiles(), NAMES, phrase)
    for row in table.itertuples():
        words = tuple(row.words.split(", "))
        added = find_added(phrase(words), words)
        assert row.added == ", ".join(added)
        assert row.sentence == ("" if added else phrase(words))
    # It is random, so that some of what it says was not given.
    assert (table["added"] != "").any()


def test_a_prompt_of_a_chat_model_is_a_user_s_turn(folder, tmp_path):
    plain, _ = load(folder, prompt="a {} . a")
    tokenizer = hub.AutoTokenizer.from_pretrained(folder)
    tokenizer.chat_template = "a {{ messages[0]['content'] }} . a"
    hub.LlamaForCausalLM.from_pretrained(folder).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    chatting, _ = load(tmp_path)
    assert chatting(("dog", "red")) == plain(("dog", "red"))


def test_a_model_that_cannot_be_had_is_refused(folder, tmp_path):
    with pytest.raises(InputError, match="phrasing.model: expected the folder of a language model"):
        load(folder, model=None)
    with pytest.raises(InputError, match="to hold config.json, found no such file"):
        load(tmp_path)
