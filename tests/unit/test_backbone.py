"""Tokens of tiny open_clip models against open_clip itself and against literal loops."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from mine.core.backbone import load_backbone, standardise
from mine.core.backbone_keys import ALIGNMENTS
from mine.core.clip_backbone import ClipBackbone, attribute_pooled
from mine.core.models import digest_network
from mine.demo.clip_model import token_ids, write_tokenizer
from mine.errors import InputError

SIDE, PATCH, WIDTH = 32, 8, 24
VISION = {
    "image_size": SIDE,
    "patch_size": PATCH,
    "width": WIDTH,
    "head_width": 8,
    "layers": 2,
    "pool_type": "avg",
}
# An average is taken over all tokens alike: there is nothing to share out.
WAYS = [("tok", alignment) for alignment in ALIGNMENTS]
WAYS += [("avg", alignment) for alignment in ALIGNMENTS if alignment != "contribution"]
RESNET = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}


def write_folder(folder: Path, *, weights: bool = True, **vision) -> str:
    """Write a model of random weights as open_clip's ``local-dir:`` folder; return its name."""
    import open_clip
    from safetensors.torch import save_file

    text = {
        "context_length": 12,
        "vocab_size": len(token_ids()),
        "hf_tokenizer_name": "tokenizer of this folder",
        "width": 16,
        "heads": 2,
        "layers": 1,
    }
    replaces_all = "timm_model_name" in vision or isinstance(vision.get("layers"), list)
    model = {"embed_dim": 20, "text_cfg": text}
    model["vision_cfg"] = vision if replaces_all else VISION | vision
    preprocessing = {"mean": [0.5] * 3, "std": [0.25] * 3, "size": [SIDE, SIDE]}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": model, "preprocess_cfg": preprocessing})
    )
    write_tokenizer(folder)
    if weights:
        torch.manual_seed(0)
        network = open_clip.CLIP(**model)
        with torch.no_grad():
            # Far from the initial values, so that no part of a block is as good as absent.
            for parameter in network.visual.parameters():
                parameter.add_(0.2 * torch.randn_like(parameter))
        state = {name: value.contiguous() for name, value in network.state_dict().items()}
        save_file(state, folder / "open_clip_model.safetensors")
    return f"local-dir:{folder}"


@pytest.fixture(scope="module")
def names(tmp_path_factory) -> dict[str, str]:
    """Names of a model pooled by an average and of one pooled by its class token."""
    root = tmp_path_factory.mktemp("models")
    return {
        "avg": write_folder(root / "avg"),
        "tok": write_folder(root / "tok", pool_type="tok", ls_init_value=0.7),
    }


def load(name: str, alignment: str = "output") -> ClipBackbone:
    return load_backbone(model=name, pretrained=None, alignment=alignment, device="cpu")


def random_images(count: int, side: int = SIDE, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def pixels_of(backbone: ClipBackbone, images: np.ndarray) -> torch.Tensor:
    return torch.stack([backbone.preprocess(Image.fromarray(image)) for image in images])


# --- tokens ---


@pytest.mark.parametrize(("pooling", "alignment"), WAYS)
def test_pooled_is_what_open_clip_itself_encodes(names, pooling, alignment):
    backbone = load(names[pooling], alignment)
    images = random_images(3, side=48)
    tokens, pooled = backbone.encode_images(images)
    with torch.no_grad():
        expected = backbone.model.encode_image(pixels_of(backbone, images)).numpy()
    np.testing.assert_allclose(pooled, expected, rtol=1e-4, atol=1e-5)
    assert tokens.shape == (3, backbone.rows * backbone.columns, 20)
    assert (backbone.rows, backbone.columns) == (SIDE // PATCH, SIDE // PATCH)
    assert tokens.dtype == pooled.dtype == np.float32


def test_average_of_the_output_tokens_is_the_pooled_embedding(names):
    tokens, pooled = load(names["avg"]).encode_images(random_images(3))
    np.testing.assert_allclose(tokens.mean(axis=1), pooled, rtol=1e-4, atol=1e-5)


def literal_attention(block, normed: torch.Tensor, queries_as_keys: bool) -> torch.Tensor:
    """One image's attention, (position, width), by loops over heads and positions."""
    attention = block.attn
    weights, biases = attention.in_proj_weight, attention.in_proj_bias
    width = normed.shape[1]
    query, _, value = (
        normed @ weights[part * width : (part + 1) * width].T
        + biases[part * width : (part + 1) * width]
        for part in range(3)
    )
    size = width // attention.num_heads
    mixed = torch.zeros_like(value)
    for head in range(attention.num_heads):
        here = slice(head * size, (head + 1) * size)
        for position in range(len(normed)):
            logits = torch.stack(
                [query[position, here] @ other / size**0.5 for other in query[:, here]]
            )
            share = torch.softmax(logits, dim=0)
            mixed[position, here] = sum(
                share[other] * value[other, here] for other in range(len(normed))
            )
    chosen = mixed if queries_as_keys else value
    return chosen @ attention.out_proj.weight.T + attention.out_proj.bias


@pytest.mark.parametrize("pooling", ["avg", "tok"])
@pytest.mark.parametrize("alignment", ["value", "self"])
def test_changed_last_block_equals_its_literal_form(names, pooling, alignment):
    backbone = load(names[pooling], alignment)
    images = random_images(2)
    visual, block = backbone.model.visual, backbone.model.visual.transformer.resblocks[-1]
    tokens, _ = backbone.encode_images(images)
    with torch.no_grad():
        hidden = visual._embeds(pixels_of(backbone, images))
        for earlier in visual.transformer.resblocks[:-1]:
            hidden = earlier(hidden)
        for image, before in enumerate(hidden):
            normed = functional.layer_norm(before, (WIDTH,), block.ln_1.weight, block.ln_1.bias)
            attended = literal_attention(block, normed, alignment == "self")
            if pooling == "tok":
                attended = attended * block.ls_1.gamma
            if alignment == "value":
                after = before + attended
                fed = block.mlp(block.ln_2(after))
                after = after + (fed * block.ls_2.gamma if pooling == "tok" else fed)
            else:
                after = attended
            expected = visual.ln_post(after)[1:] @ visual.proj
            np.testing.assert_allclose(tokens[image], expected.numpy(), rtol=1e-3, atol=1e-4)


def test_contributions_add_up_to_what_open_clip_encodes(names):
    backbone = load(names["tok"], "contribution")
    pixels = pixels_of(backbone, random_images(3))
    with torch.no_grad():
        shares = attribute_pooled(backbone.model.visual, backbone.model.visual._embeds(pixels))
        expected = backbone.model.encode_image(pixels)
    torch.testing.assert_close(shares.sum(dim=1), expected, rtol=0, atol=1e-5)
    # As of a model pooled by an average, the tokens' mean is the embedding.
    tokens, pooled = backbone.encode_images(random_images(3))
    np.testing.assert_allclose(tokens.mean(axis=1), pooled, atol=1e-5)
    np.testing.assert_allclose(tokens / tokens.shape[1], shares.numpy(), atol=1e-5)


def test_contributions_are_what_the_class_token_takes_from_each_patch(names):
    backbone = load(names["tok"], "contribution")
    visual = backbone.model.visual
    with torch.no_grad():
        hidden = first = visual._embeds(pixels_of(backbone, random_images(1)))
        taken = torch.zeros(hidden.shape[1], WIDTH)
        for block in visual.transformer.resblocks:
            normed, attention = block.ln_1(hidden)[0], block.attn
            weights = attention(normed, normed, normed, average_attn_weights=False)[1]
            value = normed @ attention.in_proj_weight[2 * WIDTH :].T
            value += attention.in_proj_bias[2 * WIDTH :]
            size = WIDTH // attention.num_heads
            for head in range(attention.num_heads):
                here = slice(head * size, (head + 1) * size)
                for position in range(len(taken)):
                    passed = attention.out_proj.weight[:, here] @ value[position, here]
                    taken[position] += weights[head, 0, position] * passed * block.ls_1.gamma
            hidden = block(hidden)
        whole, norm = hidden[0, 0], visual.ln_post
        scaled = (taken - taken.mean(dim=1, keepdim=True)) / whole.var(correction=0).sqrt()
        expected = (scaled * norm.weight)[1:] @ visual.proj
        shares = attribute_pooled(visual, first)[0]
    # What is shared out evenly is the same for all.
    difference = shares - expected
    torch.testing.assert_close(
        difference, difference.mean(dim=0).expand_as(difference), rtol=0, atol=1e-4
    )


def test_there_is_a_variant_for_each_alignment_that_the_pooling_allows(names):
    images = random_images(2)
    for pooling in ("tok", "avg"):
        variants = dict(load(names[pooling]).encode_variants(images))
        assert [(pooling, name) for name in variants] == [way for way in WAYS if way[0] == pooling]
        for name, tokens in variants.items():
            expected, _ = load(names[pooling], name).encode_images(images)
            np.testing.assert_array_equal(tokens, expected)


def test_contribution_to_an_average_is_refused(names):
    assert "average" in refuse(names["avg"], alignment="contribution")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_lower_precision_gives_nearly_the_same(names, dtype):
    images = random_images(2)
    plain = load(names["tok"]).encode_images(images)
    low = load_backbone(model=names["tok"], pretrained=None, dtype=dtype, device="cpu")
    assert low.model.visual.proj.dtype == getattr(torch, dtype)
    for full, half in zip(plain, low.encode_images(images), strict=True):
        assert half.dtype == np.float32
        assert 0 < np.abs(half - full).max() < 0.05 * np.abs(full).max()
    assert low.encode_texts(["a dog"]).dtype == np.float32


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_overflow_is_refused(names, alignment):
    backbone = load(names["tok"], alignment)
    backbone.model.visual.proj[0, 0] = torch.inf
    backbone.model.token_embedding.weight[:] = torch.nan
    sentence = "backbone.dtype: expected one .* stay finite, found float32, in which they overflow"
    with pytest.raises(InputError, match=sentence):
        backbone.encode_images(random_images(1))
    with pytest.raises(InputError, match=sentence):
        backbone.encode_texts(["a dog"])


def test_alignments_differ_from_each_other(names):
    images = random_images(1)
    found = [load(names["tok"], alignment).encode_images(images)[0] for alignment in ALIGNMENTS]
    for first, second in itertools.combinations(range(len(ALIGNMENTS)), 2):
        assert np.abs(found[first] - found[second]).max() > 0.1


@pytest.mark.parametrize("alignment", ALIGNMENTS)
def test_an_image_is_encoded_alike_in_any_batch(names, alignment):
    backbone = load(names["tok"], alignment)
    images = random_images(5)
    together = backbone.encode_images(images)
    alone = [backbone.encode_images(images[index : index + 1]) for index in range(5)]
    for part in range(2):
        apart = np.concatenate([pair[part] for pair in alone])
        np.testing.assert_allclose(together[part], apart, rtol=1e-4, atol=1e-5)


def test_tokens_are_row_major(names):
    backbone = load(names["avg"])
    grey = np.full((1, SIDE, SIDE, 3), 128, dtype=np.uint8)
    plain = backbone.encode_images(grey)[0]
    row, column = 1, 3
    grey[:, row * PATCH : (row + 1) * PATCH, column * PATCH : (column + 1) * PATCH] = (255, 0, 90)
    change = np.linalg.norm(backbone.encode_images(grey)[0] - plain, axis=-1)[0]
    assert change.argmax() == row * backbone.columns + column


# --- texts ---


def test_texts_have_unit_length_and_do_not_depend_on_the_batch(names):
    backbone = load(names["avg"])
    texts = ["dog", "a red dog", "a picture of the beach", "a dog and a cat in the snow"]
    embedded = backbone.encode_texts(texts, batch_size=3)
    assert embedded.dtype == np.float32 and embedded.shape == (4, 20)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, rtol=1e-5)
    apart = np.concatenate([backbone.encode_texts([text]) for text in texts])
    np.testing.assert_allclose(embedded, apart, atol=1e-5)
    assert np.abs(embedded[0] - embedded[1]).max() > 1e-3


def test_temperature_is_the_inverse_of_the_learned_scale(names):
    backbone = load(names["avg"])
    scale = float(backbone.model.logit_scale.exp())
    assert backbone.temperature == pytest.approx(1 / scale, rel=1e-5)


# --- identity and refusals ---


def test_digest_changes_with_the_files_and_with_nothing_else(tmp_path):
    name = write_folder(tmp_path / "model")
    first = load(name).digest
    assert load(name, "value").digest == first
    config = tmp_path / "model/open_clip_config.json"
    config.write_text(config.read_text() + "\n")
    assert load(name).digest != first


@pytest.mark.parametrize("file", ["scores.json", "README.md", ".gitattributes"])
def test_what_is_said_beside_a_model_is_no_part_of_it(tmp_path, file):
    name = write_folder(tmp_path / "model")
    first = load(name).digest
    (tmp_path / "model" / file).write_text("{}")
    assert load(name).digest == first


def test_model_without_a_folder_is_known_by_weights_and_preparation(names):
    backbone, again, other = (load(names[name]) for name in ("avg", "avg", "tok"))
    first = digest_network(backbone.model, backbone.preprocess)
    assert digest_network(again.model, again.preprocess) == first
    assert digest_network(other.model, backbone.preprocess) != first
    with torch.no_grad():
        again.model.visual.proj[3, 4] += 1e-6
    assert digest_network(again.model, backbone.preprocess) != first
    backbone.preprocess.transforms.pop(0)
    assert digest_network(backbone.model, backbone.preprocess) != first


def test_another_model_than_the_pinned_one_is_refused(names):
    digest = load(names["avg"]).digest
    options = {"pretrained": None, "device": "cpu"}
    assert load_backbone(model=names["avg"], digest=digest, **options).digest == digest
    sentence = refuse(names["tok"], digest=digest)
    assert sentence.startswith("backbone.digest: ") and digest in sentence


def refuse(name: str, **options) -> str:
    settings = {"pretrained": None, "alignment": "output", "device": "cpu"} | options
    with pytest.raises(InputError) as caught:
        load_backbone(model=name, **settings)
    sentence = str(caught.value)
    assert sentence.startswith("backbone.") and "expected" in sentence and "found" in sentence
    assert "\n" not in sentence
    return sentence


def test_missing_folder_is_refused(tmp_path):
    assert str(tmp_path / "nowhere") in refuse(f"local-dir:{tmp_path / 'nowhere'}")


def test_missing_configuration_is_refused(tmp_path):
    name = write_folder(tmp_path / "model")
    (tmp_path / "model/open_clip_config.json").unlink()
    assert "open_clip_config.json" in refuse(name)


def test_missing_weights_are_refused(tmp_path):
    name = write_folder(tmp_path / "model", weights=False)
    assert "open_clip_model.safetensors" in refuse(name)


def test_weights_that_run_code_are_refused(tmp_path):
    name = write_folder(tmp_path / "model", weights=False)
    torch.save({}, tmp_path / "model/open_clip_pytorch_model.bin")
    assert "open_clip_model.safetensors" in refuse(name)


def test_weights_of_another_architecture_are_refused(tmp_path):
    name = write_folder(tmp_path / "model")
    config = tmp_path / "model/open_clip_config.json"
    config.write_text(config.read_text().replace('"layers": 2', '"layers": 3'))
    assert str(tmp_path) in refuse(name)


def test_unreadable_configuration_is_refused(tmp_path):
    name = write_folder(tmp_path / "model")
    (tmp_path / "model/open_clip_config.json").write_text("{")
    assert str(tmp_path) in refuse(name)


def test_unknown_model_is_refused():
    assert "ViT-Q-99" in refuse("ViT-Q-99")


def test_unknown_tag_is_refused():
    assert "no_such_tag" in refuse("ViT-B-32", pretrained="no_such_tag")


def test_unknown_alignment_is_refused(names):
    assert "sideways" in refuse(names["avg"], alignment="sideways")


@pytest.mark.parametrize(
    "vision",
    [
        {"attentional_pool": True, "attn_pooler_heads": 4, "attn_pooler_queries": 4},
        RESNET,
        {"timm_model_name": "vit_tiny_patch16_224", "image_size": 32, "timm_pool": "avg"},
        {"qk_norm": True},
        {"block_type": "custom"},
        {"pool_type": "none"},
    ],
    ids=["attention-pooled", "resnet", "timm", "normalised-queries", "custom-blocks", "unpooled"],
)
def test_towers_whose_tokens_cannot_be_mapped_are_refused(tmp_path, vision):
    assert "ViT" in refuse(write_folder(tmp_path / "model", **vision))


# --- standardised tokens ---


def test_standardised_tokens_have_mean_0_and_variance_1():
    tokens = np.random.default_rng(0).normal(3, 5, (2, 7, 64)).astype(np.float32)
    standard = standardise(tokens)
    np.testing.assert_allclose(standard.mean(axis=-1), 0, atol=1e-5)
    np.testing.assert_allclose(standard.var(axis=-1), 1, rtol=1e-4)
    np.testing.assert_allclose(
        standard, functional.layer_norm(torch.from_numpy(tokens), (64,)).numpy(), atol=1e-5
    )
    np.testing.assert_allclose(standardise(4 * tokens + 9), standard, atol=1e-4)


def test_constant_token_is_standardised_to_zero():
    assert not standardise(np.full((1, 2, 8), 3.0, dtype=np.float32)).any()
