"""The demo's evaluator model: its labels, its training, and what the committed one reaches."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mine.core.evaluator import load_features
from mine.demo.evaluator_model import (
    ANSWERS,
    NOTHING,
    SIDE,
    build_model,
    label_scenes,
    name_answers,
    read_model,
    recognise,
    split_answers,
    to_input,
    write_model,
)
from mine.demo.evaluator_scores import THRESHOLD, render_images, score_model
from mine.demo.evaluator_training import augment, compute_losses, fit_model
from mine.demo.scenes import Scene, SceneObject, sample_scene
from mine.demo.words import BACKGROUNDS, CATEGORIES, COLOURS, EXPRESSIONS


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    random = np.random.default_rng([3, 14])
    return [sample_scene(random) for _ in range(60)]


@pytest.fixture(scope="module")
def folder(repository: Path) -> Path:
    return repository / "resources/demo/evaluator"


def place(category: str, row: float, column: float) -> Scene:
    thing = SceneObject(
        category, "red", "small", width=0.35, row=row, column=column, mirrored=False
    )
    return Scene("field", (thing,), texture=1)


# --- labels ---


def test_labels_say_what_a_scene_holds(scenes: list[Scene]) -> None:
    empty = dataclasses.replace(scenes[0], objects=())
    labels = label_scenes([*scenes, empty])
    for row, scene in enumerate([*scenes, empty]):
        colours = {item.category: item.colour for item in scene.objects}
        faces = [item.expression for item in scene.objects if item.category == "face"]
        for column, category in enumerate(CATEGORIES):
            colour = labels.colour[row, column]
            assert labels.presence[row, column] == (category in colours)
            named = None if colour == NOTHING else list(COLOURS)[colour]
            assert named == colours.get(category)
        assert [list(EXPRESSIONS)[labels.expression[row]]] == faces or (
            labels.expression[row] == NOTHING and not faces
        )
        assert list(BACKGROUNDS)[labels.background[row]] == scene.background


def test_names_are_in_the_order_of_the_answers() -> None:
    names = name_answers()
    places = split_answers(torch.arange(len(names))[None])
    assert {name: tuple(part.shape[1:]) for name, part in places.items()} == ANSWERS
    colour = places["colour"][0, list(CATEGORIES).index("dog"), list(COLOURS).index("blue")]
    assert names[colour] == "blue dog"
    assert [names[index] for index in places["background"][0]] == list(BACKGROUNDS)
    assert [names[index] for index in places["presence"][0]] == list(CATEGORIES)


# --- training ---


def test_augmentation_keeps_what_is_there(scenes: list[Scene]) -> None:
    images = render_images(scenes)
    varied = augment(images, np.random.default_rng(0))
    assert varied.dtype == torch.float32 and varied.shape == images.shape
    assert 0 <= varied.min() and varied.max() <= 1
    plain = images.astype(np.float32) / 255
    for before, after in zip(plain, varied.numpy(), strict=True):
        ways = (before, before[:, ::-1])
        assert max(np.corrcoef(way.ravel(), after.ravel())[0, 1] for way in ways) > 0.6
    again = augment(images, np.random.default_rng(0))
    assert torch.equal(varied, again)


def test_losses_are_the_literal_ones(scenes: list[Scene]) -> None:
    labels, rows = label_scenes(scenes), np.array([5, 2, 9, 30])
    logits = torch.randn(4, len(name_answers()), generator=torch.Generator().manual_seed(0))
    losses = compute_losses(logits, labels, rows)
    said = {name: part.numpy().astype(float) for name, part in split_answers(logits).items()}
    surprise = {"presence": [], "colour": [], "expression": [], "background": []}
    for image, row in enumerate(rows):
        for category, there in enumerate(labels.presence[row]):
            yes = 1 / (1 + np.exp(-said["presence"][image, category]))
            surprise["presence"].append(-np.log(yes if there else 1 - yes))
            if there:
                values = said["colour"][image, category]
                chosen = values[labels.colour[row, category]]
                surprise["colour"].append(np.log(np.exp(values).sum()) - chosen)
        for name in ("expression", "background"):
            truth = getattr(labels, name)[row]
            if truth != NOTHING:
                values = said[name][image]
                surprise[name].append(np.log(np.exp(values).sum()) - values[truth])
    for name, terms in surprise.items():
        expected = np.mean(terms) if terms else 0.0
        if name == "presence":
            expected *= len(CATEGORIES)
        assert float(losses[name]) == pytest.approx(expected, rel=1e-4)


def test_training_lowers_the_losses(scenes: list[Scene]) -> None:
    images, labels = render_images(scenes), label_scenes(scenes)
    rows = np.arange(len(scenes))
    before, after = (
        sum(compute_losses(model(to_input(images / np.float32(255))), labels, rows).values())
        for model in (
            fit_model(images, labels, steps=2, batch=16, rate=1e-6, seed=0),
            fit_model(images, labels, steps=16, batch=16, rate=4e-3, seed=0),
        )
    )
    assert after < 0.9 * before


def test_a_model_survives_its_folder(tmp_path: Path, scenes: list[Scene]) -> None:
    torch.manual_seed(0)
    model = build_model()
    write_model(model, tmp_path)
    images = render_images(scenes[:5])
    before, after = recognise(model, images), recognise(read_model(tmp_path), images, batch_size=2)
    assert model.training
    for name, shape in ANSWERS.items():
        found = getattr(after, name)
        assert found.shape == (5, *shape) and found.dtype == np.float32
        np.testing.assert_allclose(found, getattr(before, name), atol=0.02)
        if name != "presence":
            np.testing.assert_allclose(found.sum(axis=-1), 1, rtol=1e-5)


# --- the committed model ---


def test_committed_model_reaches_what_was_asked(folder: Path) -> None:
    scores = json.loads((folder / "scores.json").read_text())
    assert scores["presence"] >= 0.98 and scores["colour"] >= 0.97 and scores["background"] >= 0.99
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4 * 2**20
    fresh = score_model(read_model(folder), seed=77, scenes=150)
    for name in ("presence", "colour", "background", "presence_blurred", "colour_blurred"):
        assert fresh[name] > scores[name] - 0.04, name
    assert set(fresh) == set(scores)


def test_an_edit_is_recognised(folder: Path) -> None:
    model, dog = read_model(folder), list(CATEGORIES).index("dog")
    random = np.random.default_rng([3, 15])
    drawn = [sample_scene(random) for _ in range(300)]
    with_dog = [scene for scene in drawn if scene.without("dog") != scene]
    before = recognise(model, render_images(with_dog))
    after = recognise(model, render_images([scene.without("dog") for scene in with_dog]))
    assert (before.presence[:, dog] >= THRESHOLD).mean() > 0.9
    assert (after.presence[:, dog] >= THRESHOLD).mean() < 0.05


def test_features_tell_where_a_thing_is(folder: Path) -> None:
    model = load_features(
        kind="timm", model=f"local-dir:{folder}", pretrained=None, grid=2, device="cpu"
    )
    corners = [(row, column) for row in (0.25, 0.75) for column in (0.25, 0.75)]
    bare = dataclasses.replace(place("dog", 0.5, 0.5), objects=())
    images = render_images([*(place("dog", *corner) for corner in corners), bare])
    assert images.shape[1:] == (SIDE, SIDE, 3)
    features = model.encode_images(images).reshape(5, 5, -1)
    change = np.linalg.norm(features[:4, 1:] - features[4:, 1:], axis=-1)
    assert change.argmax(axis=1).tolist() == [0, 1, 2, 3]
