"""Laws of observing new pictures: the same numbers as the stages give for the same images."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mine.config import load_config, read_yaml
from mine.core.encoder import position_basis, predict, random_encoder, weights_to_dataset
from mine.core.evaluator import load_features
from mine.core.evaluator import weights_to_dataset as evaluator_to_dataset
from mine.core.observing import MODELS, Observer, load_observer
from mine.core.ridge import Ridge
from mine.core.similarity import outside_similarity
from mine.demo.painting import render_scene
from mine.demo.scenes import sample_scene
from mine.stages.embeddings import embed_images

ROOT = Path(__file__).resolve().parents[2]
DEMO = asdict(load_config(ROOT / "config.yaml"))
CLIP = DEMO["backbone"] | {"device": "cpu", "batch_size": 4}
BACKBONES = [CLIP, CLIP | read_yaml(ROOT / "configs/demo-vlm.yaml")["backbone"]]
EVALUATOR = DEMO["evaluator"] | {"device": "cpu"}
VOXELS = 5


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    random = np.random.default_rng(0)
    return np.stack([render_scene(sample_scene(random), side=64)[0] for _ in range(6)])


@pytest.fixture(scope="module", params=BACKBONES, ids=lambda backbone: backbone["name"])
def backbone(request) -> dict[str, object]:
    return request.param


@pytest.fixture(scope="module")
def vocabulary(backbone) -> xr.Dataset:
    random = np.random.default_rng(1)
    text = random.normal(size=(9, 128)).astype(np.float32)
    lengths = {"length": ("word", np.linspace(0.1, 0.5, 9, dtype=np.float32))}
    return xr.Dataset(
        {
            "text": (("word", "feature"), text / np.linalg.norm(text, axis=1, keepdims=True)),
            "token_mean": ("feature", random.normal(size=128).astype(np.float32)),
            **(lengths if backbone["kind"] == "vlm" else {}),
        },
        attrs={"temperature": 0.1},
    )


@pytest.fixture(scope="module")
def ridge(images) -> Ridge:
    random = np.random.default_rng(2)
    features = load_features(
        kind="timm", model=EVALUATOR["model"], pretrained=None, grid=2, device="cpu"
    ).encode_images(images)
    count = features.shape[1]
    return Ridge(
        mean=features.mean(axis=0),
        scale=features.std(axis=0) + 0.1,
        weight=random.normal(size=(count, VOXELS)).astype(np.float32),
        intercept=random.normal(size=VOXELS).astype(np.float32),
        alpha=np.ones(VOXELS, np.float32),
    )


@pytest.fixture(scope="module")
def observer(backbone, vocabulary, ridge) -> Observer:
    weights = random_encoder(voxels=VOXELS, features=128, heads=2, head_width=8, basis=8, seed=0)
    return load_observer(
        backbone,
        EVALUATOR,
        vocabulary=vocabulary,
        words_per_token=3,
        encoder=weights_to_dataset(weights),
        position_orders=2,
        weights=evaluator_to_dataset(ridge),
    )


def test_the_encoder_predicts_as_from_stored_tokens(observer, images, vocabulary):
    predictions, lens = observer.observe(images)
    embedded, stored = embed_images(
        observer.backbone,
        np.arange(len(images)),
        lambda rows: images[rows],
        vocabulary=vocabulary,
        words_per_token=3,
        batch_size=6,
    )
    expected = predict(observer.encoder, embedded["tokens"].values, position_basis(8, 8, 2))
    assert predictions["encoder"] == pytest.approx(expected, abs=2e-3)
    assert (lens["word"].values == stored["word"].values).mean() > 0.999


def test_the_evaluator_predicts_by_its_own_model(observer, images, ridge):
    predictions, _ = observer.observe(images)
    features = observer.features.encode_images(images)
    literal = (features - ridge.mean) / ridge.scale @ ridge.weight + ridge.intercept
    assert predictions["evaluator"] == pytest.approx(literal, abs=1e-2)
    assert list(predictions) == list(MODELS)


def test_batches_change_nothing(observer, images):
    together, _ = observer.observe(images)
    alone = np.concatenate([observer.observe(images[[row]])[0]["encoder"] for row in range(6)])
    assert together["encoder"] == pytest.approx(alone, abs=2e-3)


def test_parts_are_what_is_observed_at_once(observer, images):
    predictions, lens = observer.observe(images)
    parts = list(observer.observe_parts(images))
    assert [part.sizes["image"] for _, part in parts] == [0, 4, 2]
    for model in MODELS:
        joined = np.concatenate([each[model] for each, _ in parts])
        np.testing.assert_array_equal(joined, predictions[model])
    xr.testing.assert_identical(xr.concat([part for _, part in parts], "image"), lens)


def test_no_picture_gives_no_prediction(observer):
    predictions, lens = observer.observe(np.empty((0, 64, 64, 3), np.uint8))
    assert all(values.shape == (0, VOXELS) for values in predictions.values())
    assert lens["word"].shape == (0, 64, 3)


def test_what_was_not_touched_is_similar_to_itself(images):
    mask = np.zeros((64, 64), dtype=bool)
    mask[20:40, 20:40] = True
    after = images[0].copy()
    after[mask] = 255 - after[mask]
    outside = outside_similarity(images[0], after, mask)
    assert outside > 0.9
    assert outside_similarity(images[0], images[0], mask) == pytest.approx(1)
    assert outside_similarity(images[0], images[1], mask) < outside
    assert np.isnan(outside_similarity(images[0], after, np.ones((64, 64), dtype=bool)))
