"""The demo's vision-language model: how it is built, its training, what the committed one
reaches."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from mine.core.backbone import load_backbone
from mine.core.models import load_open_clip
from mine.demo import words
from mine.demo.clip_losses import EMPTY, MIXED, own_patches
from mine.demo.clip_model import END, SIDE, START, encode_images
from mine.demo.painting import render_scene
from mine.demo.scenes import Scene, sample_scene
from mine.demo.vlm_model import (
    IMAGE,
    TOKENS,
    build_model,
    build_processor,
    convert_tower,
    language_ids,
    write_model,
)
from mine.demo.vlm_training import (
    TARGETS,
    encode_captions,
    fit_model,
    read_features,
    read_positions,
    score_model,
    set_targets,
)


@pytest.fixture(scope="module")
def clip(repository: Path) -> torch.nn.Module:
    name = f"local-dir:{repository / 'resources/demo/clip'}"
    return load_open_clip(model=name, pretrained=None, key="clip")[0].eval()


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "resources/demo/vlm"


@pytest.fixture(scope="module")
def drawn() -> tuple[list[Scene], np.ndarray, np.ndarray]:
    random = np.random.default_rng([3, 16])
    scenes = [sample_scene(random) for _ in range(24)]
    rendered = [render_scene(scene, side=SIDE) for scene in scenes]
    images = np.stack([image for image, _ in rendered])
    return scenes, images, np.stack([own_patches(masks) for _, masks in rendered])


def prepare(images: np.ndarray) -> dict[str, torch.Tensor]:
    pictures = [Image.fromarray(image) for image in images]
    texts = [IMAGE] * len(images)
    return build_processor()(images=pictures, text=texts, return_tensors="pt")


def test_the_tower_is_the_clip_s(clip, drawn):
    torch.manual_seed(0)
    model, (_, images, _) = build_model(clip).eval(), drawn
    inputs = prepare(images[:3])
    with torch.no_grad():
        output = model.model.vision_tower(inputs["pixel_values"], output_hidden_states=True)
        visual = clip.visual
        tokens = visual.ln_post(output.hidden_states[-1][:, 1:]) @ visual.proj
        expected, _ = encode_images(clip, inputs["pixel_values"])
    torch.testing.assert_close(tokens, expected, rtol=1e-4, atol=1e-4)
    assert convert_tower(visual).keys() == model.model.vision_tower.state_dict().keys()
    assert not any(one.requires_grad for one in model.model.vision_tower.parameters())
    features = read_features(model, images[:3]).float()
    torch.testing.assert_close(features, output.hidden_states[-1][:, 1:], rtol=1e-3, atol=1e-2)


def test_training_reads_the_positions_that_the_model_itself_has(clip, drawn):
    torch.manual_seed(0)
    model, (_, images, _) = build_model(clip).eval(), drawn
    ids = language_ids()
    captions = ["a dog", "a red house and a car in the snow"]
    table = encode_captions(captions, ids)
    assert table[:, 0].tolist() == [ids[START]] * 2
    assert (table[:, 1 : 1 + TOKENS] == ids[IMAGE]).all()
    assert table[0, 1 + TOKENS :].tolist()[:4] == [ids["a"], ids["dog"], ids[END], 0]
    inputs = prepare(images[:2])
    with torch.no_grad():
        features = read_features(model, images[:2]).float()
        image, text = read_positions(model, features, table)
        logits = model(input_ids=table, pixel_values=inputs["pixel_values"]).logits
    torch.testing.assert_close(image, logits[:, 1 : 1 + TOKENS], rtol=1e-2, atol=1e-2)
    # What stands at a place predicts the next: the image's last position the first word.
    torch.testing.assert_close(text, logits[:, TOKENS:-1], rtol=1e-2, atol=1e-2)


def test_targets_say_what_a_patch_shows(drawn):
    scenes, _, owners = drawn
    ids = language_ids()
    targets = set_targets(scenes, owners, ids).reshape(len(scenes), *owners.shape[1:], len(ids))
    for scene, own, target in zip(scenes, owners, targets.numpy(), strict=True):
        for (row, column), owner in np.ndenumerate(own):
            found = target[row, column]
            if owner == MIXED:
                assert not found.any()
                continue
            if owner == EMPTY:
                expected = {"background": scene.background}
            else:
                item = scene.objects[owner]
                kinds = ("category", "colour", "expression", "size")
                expected = {kind: getattr(item, kind) for kind in kinds if getattr(item, kind)}
            total = sum(TARGETS[kind] for kind in expected)
            assert found.sum() == pytest.approx(1, rel=1e-5)
            for kind, concept in expected.items():
                mass = found[[ids[word] for word in words.CONCEPTS[concept]]]
                assert mass.sum() == pytest.approx(TARGETS[kind] / total, rel=1e-5)
                assert np.ptp(mass) < 1e-6


def test_training_lowers_the_loss_and_leaves_the_tower(clip, drawn):
    torch.manual_seed(0)
    model, (scenes, images, owners) = build_model(clip), drawn
    before = model.model.vision_tower.state_dict()["embeddings.class_embedding"].clone()
    features = read_features(model, images)
    target = set_targets(scenes, owners, language_ids())

    def measure() -> float:
        table = encode_captions(["a dog"] * len(scenes), language_ids())
        with torch.no_grad():
            said = read_positions(model, features.float(), table)[0]
        said = functional.log_softmax(said, dim=-1).flatten(0, 1)
        return float(-(target * said).sum() / (target.sum(dim=1) > 0).sum())

    first = measure()
    fit_model(model, scenes, features, owners, steps=12, batch=12, rate=4e-3, seed=0)
    assert measure() < 0.8 * first
    after = model.model.vision_tower.state_dict()["embeddings.class_embedding"]
    torch.testing.assert_close(after, before)


def test_a_model_survives_its_folder(clip, drawn, tmp_path):
    torch.manual_seed(0)
    model, (_, images, _) = build_model(clip).eval(), drawn
    write_model(model, tmp_path / "model")
    backbone = load_backbone(
        kind="vlm", model=f"local-dir:{tmp_path / 'model'}", pretrained=None, device="cpu"
    )
    assert (backbone.rows, backbone.columns) == (8, 8)
    assert backbone.choose_words(words.vocabulary()) == words.vocabulary()
    tokens, _ = backbone.encode_images(images[:2])
    with torch.no_grad():
        output = model(**prepare(images[:2]), output_hidden_states=True)
    expected = output.hidden_states[-1][:, 1 : 1 + TOKENS].numpy()
    assert np.corrcoef(tokens.ravel(), expected.ravel())[0, 1] > 0.999


def test_committed_model_reaches_what_was_asked(folder):
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["dense_category"] >= 0.8
    assert sum(path.stat().st_size for path in folder.iterdir()) < 10 * 2**20
    backbone = load_backbone(kind="vlm", model=f"local-dir:{folder}", pretrained=None, device="cpu")
    fresh = score_model(backbone.network, seed=77, scenes=100)
    for name in ("dense_category", "dense_colour", "dense_background", "dense_top_word_true"):
        assert fresh[name] > scores[name] - 0.04, name
    assert set(fresh) == set(scores)
