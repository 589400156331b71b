"""Image tokens of tiny vision-language models against transformers' own forward pass."""

from __future__ import annotations

import json
import weakref
from dataclasses import replace
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoProcessor

from mine.core.backbone import load_backbone
from mine.core.lens import apply_lens, read_lens
from mine.core.vlm_backbone import LanguageBackbone
from mine.errors import InputError
from mine.stages.embeddings import build_vocabulary, embed_captions, embed_categories
from tests.reference.tiny_vlms import FAMILIES, PATCH, SIDE, save_model

# PaliGemma's processor hands tensors to numpy in the old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TILED = ("llava_next", "llava_onevision")
"""Families that see an image whole and in tiles."""
DYNAMIC = ("qwen2_vl", "qwen2_5_vl")
"""Families that take images of any size, and merge two by two patches."""
NAMES = ["dog", "cat", "sea"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {family: save_model(family, root / family) for family in FAMILIES}


def load(folder: Path, **options) -> LanguageBackbone:
    side = 3 * 2 * PATCH if folder.name in DYNAMIC else None
    settings = {"pretrained": None, "side": side, "device": "cpu"} | options
    return load_backbone(kind="vlm", model=f"local-dir:{folder}", **settings)


def random_images(count: int, side: int = SIDE, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def forward(backbone: LanguageBackbone, images: np.ndarray):
    """The model's own forward pass, and where its inputs have the image token."""
    inputs = backbone.prepare(images)
    with torch.no_grad():
        output = backbone.network(**inputs, output_hidden_states=True)
    return output, inputs["input_ids"] == backbone.network.config.image_token_id


def hooks(backbone: LanguageBackbone) -> int:
    layers = sum(len(module._forward_hooks) for module in backbone.decoder.layers)
    return layers + len(backbone.decoder._forward_pre_hooks)


# --- tokens ---


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_are_the_normed_states_of_a_plain_forward_pass(folders, family):
    backbone = load(folders[family])
    images = random_images(2, side=40)
    output, places = forward(backbone, images)
    layers = len(backbone.decoder.layers)
    assert len(output.hidden_states) == layers + 1
    count = backbone.rows * backbone.columns
    assert count == {"gemma3": 4}.get(family, 9 if family in DYNAMIC else 16)
    for layer in range(1, layers + 1):
        tokens, pooled = load(folders[family], layer=layer).encode_images(images)
        hidden = output.hidden_states[layer][places].unflatten(0, (2, -1))[:, :count]
        # transformers gives the last state with the final norm already.
        normed = hidden if layer == layers else backbone.decoder.norm(hidden)
        np.testing.assert_allclose(tokens, normed.detach().numpy(), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(pooled, tokens.mean(axis=1), rtol=1e-5, atol=1e-6)
        assert tokens.dtype == pooled.dtype == np.float32
    assert np.abs(tokens[0] - tokens[1]).max() > 1e-3


@pytest.mark.parametrize("family", TILED)
def test_tiles_are_left_out_and_change_no_token(folders, family):
    backbone, given, tiles = load(folders[family]), [], []
    backbone.decoder.layers[0].register_forward_pre_hook(lambda _, args: given.append(args[0]))
    tower = backbone.network.model.vision_tower
    tower.register_forward_pre_hook(lambda _, args: tiles.append(len(args[0])))
    plain = AutoModelForImageTextToText.from_pretrained(folders[family]).eval()
    processor = AutoProcessor.from_pretrained(folders[family])
    for rows, columns in ((SIDE, SIDE), (2 * SIDE, 2 * SIDE), (70, 20)):
        images = random_images(2, side=80)[:, :rows, :columns]
        tokens, _ = backbone.encode_images(images)
        inputs = processor(images=list(images), text=["<image>"] * 2, return_tensors="pt")
        with torch.no_grad():
            states = plain(**inputs, output_hidden_states=True).hidden_states[-1]
        places = inputs["input_ids"] == plain.config.image_token_id
        whole = states[places].unflatten(0, (2, -1))[:, :16].numpy()
        np.testing.assert_allclose(tokens, whole, rtol=1e-4, atol=1e-5)
        assert tiles.pop() == 4 and places.sum() > 2 * 2 * 16
    # What comes before the image is the mark at which texts begin.
    begins = family == "llava_next"
    assert {states.shape[1] for states in given} == {16 + begins} and not hooks(backbone)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_lens_is_the_model_s_own_prediction_at_the_last_layer(folders, family):
    backbone = load(folders[family])
    images = random_images(2)
    vocabulary = build_vocabulary(
        backbone,
        words=[*NAMES, "seafood"],
        prompts=["{}"],
        temperature=None,
        reference_images=np.arange(2),
        read_images=lambda rows: images[rows],
        words_per_token=3,
        batch_size=2,
        generator=np.random.default_rng(0),
        contexts=None,
        lists={},
    )
    assert vocabulary["word"].values.tolist() == NAMES
    tokens, _ = backbone.encode_images(images)
    word, score = apply_lens(tokens, **read_lens(vocabulary), words_per_token=3)
    output, places = forward(backbone, images)
    logits = output.logits[places].unflatten(0, (2, -1))[:, : tokens.shape[1]]
    numbers = backbone.tokenizer.convert_tokens_to_ids([f"▁{name}" for name in NAMES])
    expected = logits[..., numbers].softmax(dim=-1).numpy()
    found = np.take_along_axis(expected, word.astype(int), axis=-1)
    np.testing.assert_allclose(score.astype(float), found, atol=2e-3)
    assert (np.diff(found) <= 1e-6).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_are_row_major(folders, family):
    backbone = load(folders[family], layer=1)
    side = backbone.side or SIDE
    size = side // backbone.columns
    grey = np.full((1, side, side, 3), 128, dtype=np.uint8)
    plain = backbone.encode_images(grey)[0]
    row, column = 0, backbone.columns - 1
    place = (slice(row * size, (row + 1) * size), slice(column * size, (column + 1) * size))
    grey[0][place] = (255, 0, 90)
    change = np.linalg.norm(backbone.encode_images(grey)[0] - plain, axis=-1)[0]
    assert change.argmax() == row * backbone.columns + column


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl"])
def test_an_image_is_encoded_alike_in_any_batch(folders, family):
    backbone = load(folders[family])
    images = random_images(3)
    together = backbone.encode_images(images)
    alone = [backbone.encode_images(images[index : index + 1]) for index in range(3)]
    for part in range(2):
        apart = np.concatenate([pair[part] for pair in alone])
        np.testing.assert_allclose(together[part], apart, rtol=1e-3, atol=1e-4)


def test_later_layers_are_not_computed_and_nothing_is_left_behind(folders, monkeypatch):
    backbone = load(folders["llava"], layer=1)
    ran = []
    for place, block in enumerate(backbone.decoder.layers):
        block.register_forward_pre_hook(lambda *given, place=place: ran.append(place))
    backbone.encode_images(random_images(1))
    assert ran == [0] and hooks(backbone) == 0

    def fail(*given: object) -> None:
        raise MemoryError("out of memory")

    broken = backbone.decoder.layers[0].mlp.register_forward_pre_hook(fail)
    with pytest.raises(MemoryError):
        backbone.encode_images(random_images(1))
    assert hooks(backbone) == 0
    broken.remove()
    assert backbone.encode_images(random_images(1))[0].shape == (1, 16, 32)


@pytest.mark.parametrize("family", ["llava", *TILED])
def test_every_layer_is_read_in_one_forward_pass(folders, family):
    backbone, images, passes = load(folders[family]), random_images(2), []
    backbone.decoder.register_forward_pre_hook(lambda *_: passes.append(1))
    variants = dict(backbone.encode_variants(images))
    assert list(variants) == ["layer 1", "layer 2", "layer 3"] and len(passes) == 1
    for layer, tokens in enumerate(variants.values(), start=1):
        expected, _ = load(folders[family], layer=layer).encode_images(images)
        np.testing.assert_array_equal(tokens, expected)


def test_layers_are_given_one_after_the_other(folders):
    """The tokens of all layers of a large model are tens of gigabytes a batch."""
    given = []
    for _, tokens in load(folders["llava"]).encode_variants(random_images(2)):
        given.append(weakref.ref(tokens))
        assert [one() is None for one in given] == [True] * (len(given) - 1) + [False]
        assert not torch.is_inference_mode_enabled()
    assert len(given) == 3


@pytest.mark.parametrize("family", ["llava", "qwen2_vl", "gemma3"])
def test_lower_precision_gives_nearly_the_same(folders, family):
    images = random_images(2)
    plain, _ = load(folders[family]).encode_images(images)
    low = load(folders[family], dtype="bfloat16")
    assert low.network.dtype == torch.bfloat16
    tokens, _ = low.encode_images(images)
    assert tokens.dtype == np.float32 and 0 < np.abs(tokens - plain).max()
    assert np.corrcoef(tokens.ravel(), plain.ravel())[0, 1] > 0.98


# --- words and texts ---


def test_words_are_tokens_that_stand_for_them_alone(folders):
    backbone = load(folders["llava"])
    # "seafood" takes two tokens, "food" is a piece that begins no word, "owl" is unknown.
    assert backbone.choose_words(["sea", "seafood", "food", "owl", "dog"]) == ["sea", "dog"]
    number = backbone.tokenizer.convert_tokens_to_ids("▁sea")
    rows = backbone.embed_words(["sea"], ["a photo of {}"])
    np.testing.assert_array_equal(rows[0], backbone.head.weight[number].numpy())


def test_texts_have_unit_length_and_do_not_depend_on_the_batch(folders):
    texts = ["dog", "a dog and the cat", "the sea"]
    for family in FAMILIES:
        backbone = load(folders[family])
        embedded = backbone.encode_texts(texts, batch_size=2)
        np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, rtol=1e-5)
        apart = np.concatenate([backbone.encode_texts([text]) for text in texts])
        np.testing.assert_allclose(embedded, apart, atol=1e-4)
        assert np.abs(embedded[0] - embedded[1]).max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_texts_begin_where_the_tokenizer_says_that_texts_begin(folders, family):
    backbone = load(folders[family])
    words = backbone.tokenizer.convert_tokens_to_ids(["▁a", "▁dog"])
    start, end = (backbone.tokenizer.convert_tokens_to_ids(mark) for mark in ("[bos]", "[eos]"))
    begins = family not in (*DYNAMIC, "llava_onevision")
    expected = [[start, *words], [start]] if begins else [words, [end]]
    assert backbone.number_texts(["a dog", ""]) == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_images_without_captions_have_features_of_none(folders, family):
    caption = embed_captions(load(folders[family]), [[], []], np.array([5, 6]))["caption"]
    assert caption.shape == (2, 32) and not caption.values.any()


def test_category_without_a_word_of_the_model_is_refused(folders):
    backbone = load(folders["llava"])
    mean = np.zeros(32, dtype=np.float32)
    options = {"prompts": ["{}"], "text_mean": mean, "contexts": None}
    text = embed_categories(backbone, {"animals": ["dog", "puppy"]}, **options)["text"]
    row = backbone.embed_words(["dog"], ["{}"])[0]
    np.testing.assert_allclose(text[0], row / np.linalg.norm(row), rtol=1e-5)
    with pytest.raises(InputError, match="categories.tools.prompts: expected .* found saw, awl"):
        embed_categories(backbone, {"tools": ["saw", "awl"]}, **options)


# --- identity and refusals ---


def test_digest_is_that_of_the_files(folders):
    first = load(folders["llava"])
    assert load(folders["llava"], layer=2).digest == first.digest
    assert load(folders["paligemma"]).digest != first.digest


def test_model_of_a_hub_is_read_from_its_cache_at_its_revision(folders, tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    own = tmp_path / "models--a--b"
    revisions = {"main": "1" * 40, "older": "2" * 40}
    for (name, revision), family in zip(revisions.items(), ("llava", "paligemma"), strict=True):
        copy_model(folders[family], own / "snapshots" / revision)
        (own / "refs").mkdir(exist_ok=True)
        (own / "refs" / name).write_text(revision)
        # A cache may hold all of a repository.
        (own / "snapshots" / revision / "README.md").write_text(name)
    options = {"kind": "vlm", "pretrained": None, "device": "cpu"}
    for model, family in (("hf-hub:a/b", "llava"), ("hf-hub:a/b@older", "paligemma")):
        found = load_backbone(model=model, **options)
        assert found.digest == load(folders[family]).digest
    with pytest.raises(InputError, match="backbone.model: expected a model that transformers can"):
        load_backbone(model="hf-hub:a/c", **options)


def refuse(folder: Path, **options) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, **options)
    sentence = str(caught.value)
    assert sentence.startswith("backbone.") and "expected" in sentence and "found" in sentence
    assert "\n" not in sentence
    return sentence


def copy_model(folder: Path, target: Path) -> Path:
    target.mkdir(parents=True)
    for file in folder.iterdir():
        (target / file.name).write_bytes(file.read_bytes())
    return target


def test_missing_folder_and_missing_weights_are_refused(folders, tmp_path):
    assert "config.json" in refuse(tmp_path / "nowhere")
    folder = copy_model(folders["llava"], tmp_path / "llava")
    (folder / "model.safetensors").unlink()
    # Weights in a form that runs code when read are none.
    torch.save({}, folder / "pytorch_model.bin")
    assert "*.safetensors" in refuse(folder)


def test_missing_processor_is_refused(folders, tmp_path):
    folder = copy_model(folders["llava"], tmp_path / "llava")
    for file in ("processor_config.json", "tokenizer.json", "tokenizer_config.json"):
        (folder / file).unlink()
    refuse(folder)


def test_layer_that_the_model_lacks_is_refused(folders):
    assert "at most 3" in refuse(folders["llava"], layer=4)


@pytest.mark.parametrize("family", DYNAMIC)
def test_model_of_any_size_wants_a_size(folders, family):
    assert refuse(folders[family], side=None).startswith("backbone.side: ")
    wide = load(folders[family], side=4 * 2 * PATCH)
    assert (wide.rows, wide.columns) == (4, 4)
    assert wide.encode_images(random_images(1, side=25))[0].shape == (1, 16, 32)


def test_image_tokens_without_a_grid_are_refused(folders, tmp_path):
    folder = copy_model(folders["llava"], tmp_path / "llava")
    # With the class token there are 17.
    for file in ("config.json", "processor_config.json"):
        content = json.loads((folder / file).read_text())
        content["vision_feature_select_strategy"] = "full"
        (folder / file).write_text(json.dumps(content))
    assert "found" in refuse(folder) and "with 17" in refuse(folder)


def test_logits_that_are_more_than_a_product_are_refused(folders, monkeypatch):
    kind = type(load(folders["gemma3"]).network)
    plain = kind.forward

    def capped(self, *given, **named):
        output = plain(self, *given, **named)
        output.logits = 0.5 * torch.tanh(output.logits / 0.5)
        return output

    monkeypatch.setattr(kind, "forward", capped)
    assert "unembedding" in refuse(folders["gemma3"])


def test_overflow_is_refused(folders, tmp_path):
    folder = copy_model(folders["llava"], tmp_path / "llava")
    weights = load_file(folder / "model.safetensors")
    name = next(name for name in weights if name.endswith("projector.linear_2.weight"))
    save_file(weights | {name: 1e7 * weights[name]}, folder / "model.safetensors", {"format": "pt"})
    large = load(folder)
    assert np.isfinite(large.encode_images(random_images(1))[0]).all()
    sentence = "backbone.dtype: expected one .* stay finite, found float{}, in which they overflow"
    with pytest.raises(InputError, match=sentence.format(16)):
        load(folder, dtype="float16")
    large.decoder.norm.weight[0] = torch.nan
    with pytest.raises(InputError, match=sentence.format(32)):
        large.encode_images(random_images(1))
    with pytest.raises(InputError, match=sentence.format(32)):
        large.encode_texts(["a dog"])


def test_a_variant_leaves_its_model_as_it_was(folders):
    backbone = load(folders["llava"])
    assert replace(backbone, layer=1).network is backbone.network and backbone.layer == 3
