"""Laws of the evaluator: features of tiny models built here, and the ridge regression on them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mine.core.evaluator import (
    FeatureModel,
    find_map,
    load_features,
    predict_responses,
    weights_from_dataset,
    weights_to_dataset,
)
from mine.core.ridge import fit_ridge
from mine.errors import InputError
from mine.stages.evaluator import embed_features, fit_evaluator
from mine.statistics.scores import pearson, r_squared

SIDE = 32
ARCHITECTURES = {
    "convolutional": ("resnet10t", {"stem_width": 8, "channels": [8, 8, 16, 12]}),
    "tokens": (
        "vit_tiny_patch16_224",
        {"img_size": SIDE, "patch_size": 8, "embed_dim": 12, "depth": 2, "num_heads": 2},
    ),
    "features_last": (
        "swin_tiny_patch4_window7_224",
        {
            "img_size": SIDE,
            "patch_size": 4,
            "window_size": 4,
            "embed_dim": 4,
            "depths": [1, 1],
            "num_heads": [1, 1],
        },
    ),
}
OUTPUT_STRIDE = {"convolutional": {"output_stride": 8}}
ALPHAS = [1.0, 10.0, 100.0]


def write_timm(folder: Path, kind: str, *, weights: bool = True) -> str:
    """Write a timm model of random weights as a ``local-dir:`` folder; return its name."""
    import timm
    from safetensors.torch import save_file

    architecture, arguments = ARCHITECTURES[kind]
    arguments = arguments | OUTPUT_STRIDE.get(kind, {})
    preparation = {
        "input_size": [3, SIDE, SIDE],
        "mean": [0.5] * 3,
        "std": [0.25] * 3,
        "interpolation": "bilinear",
        "crop_pct": 0.5,
    }
    description = {
        "architecture": architecture,
        "num_classes": 5,
        "model_args": arguments,
        "pretrained_cfg": preparation,
    }
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(description))
    if weights:
        torch.manual_seed(0)
        network = timm.create_model(architecture, num_classes=5, **arguments)
        with torch.no_grad():
            # Far from the initial values, so that no branch is as good as absent.
            for parameter in network.parameters():
                parameter.add_(0.1 * torch.randn_like(parameter))
        state = {name: value.contiguous() for name, value in network.state_dict().items()}
        save_file(state, folder / "model.safetensors")
    return f"local-dir:{folder}"


def write_open_clip(folder: Path) -> str:
    """Write an open_clip ResNet of random weights as a ``local-dir:`` folder; return its name."""
    import open_clip
    from safetensors.torch import save_file

    text = {"context_length": 8, "vocab_size": 16, "width": 8, "heads": 1, "layers": 1}
    vision = {"image_size": SIDE, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}
    model = {"embed_dim": 6, "text_cfg": text, "vision_cfg": vision}
    torch.manual_seed(0)
    folder.mkdir(parents=True)
    preparation = {"mean": [0.5] * 3, "std": [0.25] * 3, "size": [SIDE, SIDE]}
    description = {"model_cfg": model, "preprocess_cfg": preparation}
    (folder / "open_clip_config.json").write_text(json.dumps(description))
    network = open_clip.CLIP(**model)
    save_file(
        {name: value.contiguous() for name, value in network.state_dict().items()},
        folder / "open_clip_model.safetensors",
    )
    return f"local-dir:{folder}"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Names of a model of each architecture."""
    root = tmp_path_factory.mktemp("models")
    written = {kind: write_timm(root / kind, kind) for kind in ARCHITECTURES}
    return written | {"open_clip": write_open_clip(root / "open_clip")}


def load(name: str, *, kind: str = "timm", **options) -> FeatureModel:
    return load_features(kind=kind, model=name, pretrained=None, device="cpu", **options)


def random_images(count: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def read_last_map(name: str, kind: str, images: np.ndarray) -> np.ndarray:
    """The last map (image, row, column, feature) by timm's own means, of images as they are."""
    import timm

    network = timm.create_model(name, pretrained=True).eval()
    pixels = torch.from_numpy((images / np.float32(255) - 0.5) / 0.25).permute(0, 3, 1, 2)
    with torch.no_grad():
        last = network.forward_features(pixels.float()).numpy()
    if kind == "convolutional":
        return last.transpose(0, 2, 3, 1)
    if kind == "tokens":
        return last[:, 1:].reshape(len(images), 4, 4, -1)
    return last


# --- features ---


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_cells_are_means_of_the_last_map(names: dict[str, str], kind: str) -> None:
    images = random_images(3)
    last = read_last_map(names[kind], kind, images)
    assert last.shape[1:3] == (4, 4)
    pooled = load(names[kind]).encode_images(images)
    model = load(names[kind], grid=2)
    gridded = model.encode_images(images)
    assert pooled.dtype == gridded.dtype == np.float32
    assert gridded.shape == (3, 5 * pooled.shape[1])
    if kind != "tokens":
        np.testing.assert_allclose(pooled, last.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)
    shares = model.measure_shares().reshape(5, -1)
    assert (shares[0] == 1).all() and (shares[1:] == 0.25).all()
    assert (load(names[kind]).measure_shares() == np.ones(pooled.shape[1])).all()
    parts = gridded.reshape(3, 5, -1)
    np.testing.assert_allclose(parts[:, 0], pooled, rtol=1e-4, atol=1e-5)
    for row in range(2):
        for column in range(2):
            cell = last[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean(axis=(1, 2))
            np.testing.assert_allclose(parts[:, 1 + 2 * row + column], cell, rtol=1e-4, atol=1e-5)


# In the convolutional one every cell sees all of so small an image.
@pytest.mark.parametrize("kind", ["tokens", "features_last"])
def test_place_survives_in_the_cells(names: dict[str, str], kind: str) -> None:
    model = load(names[kind], grid=2)
    grey = np.full((5, SIDE, SIDE, 3), 128, dtype=np.uint8)
    for place in range(4):
        row, column = np.array(divmod(place, 2)) * SIDE // 2
        grey[place, row + 4 : row + 12, column + 4 : column + 12] = (255, 0, 90)
    features = model.encode_images(grey).reshape(5, 5, -1)
    change = np.linalg.norm(features[:4, 1:] - features[4:, 1:], axis=-1)
    assert change.argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_the_whole_image_is_seen(names: dict[str, str]) -> None:
    model = load(names["convolutional"])
    images = np.full((2, 48, 48, 3), 128, dtype=np.uint8)
    images[1, :6, :6] = 255
    plain, marked = model.encode_images(images)
    assert np.abs(plain - marked).max() > 1e-3


@pytest.mark.parametrize("kind", [*ARCHITECTURES, "open_clip"])
def test_an_image_is_encoded_alike_in_any_batch(names: dict[str, str], kind: str) -> None:
    library = "open_clip" if kind == "open_clip" else "timm"
    model, images = load(names[kind], kind=library), random_images(4, side=40)
    apart = np.concatenate([model.encode_images(images[index : index + 1]) for index in range(4)])
    np.testing.assert_allclose(model.encode_images(images), apart, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [*ARCHITECTURES, "open_clip"])
def test_a_shard_without_images_has_the_features_of_the_others(
    names: dict[str, str], kind: str
) -> None:
    library = "open_clip" if kind == "open_clip" else "timm"
    model, images = load(names[kind], kind=library), random_images(2)
    full = embed_features(model, np.array([0, 1]), images.__getitem__, batch_size=2)
    empty = embed_features(model, np.empty(0, dtype=int), images.__getitem__, batch_size=2)
    assert empty["feature_value"].shape == (0, full.sizes["feature"])
    assert empty["feature_value"].dtype == full["feature_value"].dtype
    np.testing.assert_array_equal(empty["share"], full["share"])


def test_embedding_of_open_clip_is_its_own(names: dict[str, str]) -> None:
    import open_clip

    images = random_images(2)
    found = load(names["open_clip"], kind="open_clip").encode_images(images)
    network = open_clip.create_model(names["open_clip"]).eval()
    pixels = torch.from_numpy((images / np.float32(255) - 0.5) / 0.25).permute(0, 3, 1, 2)
    with torch.no_grad():
        expected = network.encode_image(pixels.float()).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_digest_changes_with_the_files(tmp_path: Path) -> None:
    name = write_timm(tmp_path / "model", "convolutional")
    first = load(name).digest
    assert load(name, grid=2).digest == first
    config = tmp_path / "model/config.json"
    config.write_text(config.read_text() + "\n")
    assert load(name).digest != first


def test_another_model_than_the_pinned_one_is_refused(names: dict[str, str]) -> None:
    digest = load(names["convolutional"]).digest
    assert load(names["convolutional"], digest=digest).digest == digest
    with pytest.raises(InputError, match="evaluator.digest: expected the model of this digest"):
        load(names["convolutional"], digest="0" * 64)


def test_a_layer_without_places_is_no_map() -> None:
    with pytest.raises(ValueError, match=r"no map in a last layer of shape \(7,\)"):
        find_map(SimpleNamespace(), torch.zeros(1, 7))
    patches = SimpleNamespace(grid_size=(2, 2))
    with pytest.raises(ValueError, match=r"no map in a last layer of shape \(6, 3\)"):
        find_map(SimpleNamespace(patch_embed=patches, num_prefix_tokens=1), torch.zeros(1, 6, 3))


# --- refusals ---


def refuse(name: str, **options: object) -> str:
    settings = {"kind": "timm", "pretrained": None, "device": "cpu"} | options
    with pytest.raises(InputError) as caught:
        load_features(model=name, **settings)
    sentence = str(caught.value)
    assert sentence.startswith("evaluator.") and "expected" in sentence and "found" in sentence
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_missing_files_are_refused(tmp_path: Path, file: str) -> None:
    name = write_timm(tmp_path / "model", "convolutional")
    (tmp_path / "model" / file).unlink()
    sentence = refuse(name)
    assert sentence.startswith("evaluator.model: ") and file in sentence


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    for kind in ("timm", "open_clip"):
        assert str(tmp_path / "nowhere") in refuse(f"local-dir:{tmp_path / 'nowhere'}", kind=kind)


def test_weights_that_run_code_are_refused(tmp_path: Path) -> None:
    name = write_timm(tmp_path / "model", "convolutional", weights=False)
    torch.save({}, tmp_path / "model/pytorch_model.bin")
    assert "model.safetensors" in refuse(name)


@pytest.mark.parametrize("old", ['"channels": [8, 8, 16, 12]', '"architecture"', '{"arch'])
def test_descriptions_that_do_not_fit_are_refused(tmp_path: Path, old: str) -> None:
    name = write_timm(tmp_path / "model", "convolutional")
    config = tmp_path / "model/config.json"
    config.write_text(config.read_text().replace(old, old.replace("16, 12", "16, 8").upper()))
    assert str(tmp_path) in refuse(name)


def test_unknown_model_and_unknown_tag_are_refused() -> None:
    assert "resnet_of_none" in refuse("resnet_of_none", pretrained="a1_in1k")
    assert "no_such_tag" in refuse("resnet18", pretrained="no_such_tag")


def test_grid_without_places_is_refused(names: dict[str, str]) -> None:
    assert refuse(names["open_clip"], kind="open_clip", grid=2).startswith("evaluator.grid: ")
    sentence = refuse(names["tokens"], grid=5)
    assert sentence.startswith("evaluator.grid: expected at most 4") and sentence.endswith("5")


# --- regression ---


def plant(images: int = 150) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features and responses of which 20 images are for the test and 30 for nobody."""
    random = np.random.default_rng(0)
    features = random.normal(3, 2, (images, 12)).astype(np.float32)
    features[:, 4] = 7
    responses = features[:, :6] @ random.normal(size=(6, 5)) + random.normal(size=(images, 5))
    place = np.arange(images)
    return features, responses.astype(np.float32), place < 100, place >= 130


SHARE = np.array([1.0] * 4 + [0.25] * 8, dtype=np.float32)


def fit(features, responses, fitted, test):
    options = {"alphas": ALPHAS, "folds": 4, "seed": 0}
    return fit_evaluator(features, responses, share=SHARE, fitted=fitted, test=test, **options)


def test_prediction_is_the_literal_solution() -> None:
    features, responses, fitted, test = plant()
    dataset = fit(features, responses, fitted, test)
    weights = dataset.drop_vars("p")
    assert {str(value.dtype) for value in weights.variables.values()} == {"float32"}
    varying = np.delete(features.astype(np.float64), 4, axis=1)
    mean, scale = varying[fitted].mean(axis=0), varying[fitted].std(axis=0)
    scaled = (varying - mean) / scale * np.delete(SHARE, 4)
    centre = responses[fitted].mean(axis=0)
    predicted = weights_from_dataset(dataset).predict(features)
    for voxel, alpha in enumerate(dataset["alpha"].values):
        assert alpha in ALPHAS
        gram = scaled[fitted].T @ scaled[fitted] + alpha * np.eye(11)
        solved = np.linalg.solve(gram, scaled[fitted].T @ (responses[fitted] - centre)[:, voxel])
        expected = scaled @ solved + centre[voxel]
        np.testing.assert_allclose(predicted[:, voxel], expected, atol=1e-4)
    np.testing.assert_allclose(dataset["r2"], r_squared(responses[test], predicted[test]), 1e-4)
    np.testing.assert_allclose(dataset["r"], pearson(responses[test], predicted[test]), 1e-4)
    assert dataset["r2"].mean() > 0.5


def test_voxels_that_are_predicted_are_told_from_noise() -> None:
    features, responses, fitted, test = plant()
    planted = fit(features, responses, fitted, test)["p"].values
    assert (planted < 0.02).all()
    noise = np.random.default_rng(5).normal(size=(len(features), 400)).astype(np.float32)
    p = fit(features, noise, fitted, test)["p"].values
    # An evaluator of noise is beaten by the mean, so that the test is safe.
    assert (p <= 0.05).mean() < 0.07 and np.median(p) > 0.5


def test_what_a_prediction_has_to_beat_is_the_mean_of_the_fitted_images() -> None:
    """All test images are alike, and three deviations from the fitted ones: that is foretold,
    though it tells no test image from another."""
    features, _, fitted, test = plant()
    features[test] = features[fitted].mean(axis=0)
    features[test, 0] += 6
    noise = np.random.default_rng(1).normal(size=(len(features), 5))
    responses = (features[:, [0]] + noise).astype(np.float32)
    assert (fit(features, responses, fitted, test)["p"] < 1e-3).all()


def test_constant_feature_has_no_weight() -> None:
    features, responses, fitted, test = plant()
    dataset = fit(features, responses, fitted, test)
    assert not dataset["weight"][4].any() and dataset["scale"][4] == 1


def test_only_the_fitted_images_decide_the_weights() -> None:
    features, responses, fitted, test = plant()
    first = fit(features, responses, fitted, test)
    responses[~fitted] = -responses[~fitted]
    features[~(fitted | test)] = 99
    second = fit(features, responses, fitted, test)
    for name in ("weight", "intercept", "mean", "scale", "alpha"):
        np.testing.assert_array_equal(first[name], second[name])
    np.testing.assert_allclose(second["r"], -first["r"], atol=1e-6)


def test_an_image_is_not_fitted_and_tested() -> None:
    features, responses, fitted, _ = plant()
    with pytest.raises(ValueError, match="found both"):
        fit(features, responses, fitted, fitted)


def test_weights_survive_their_dataset() -> None:
    features, responses, fitted, _ = plant()
    weights = fit_ridge(
        features[fitted].astype(np.float64), responses[fitted], alphas=np.array(ALPHAS), folds=4
    )
    kept = weights_from_dataset(weights_to_dataset(weights))
    np.testing.assert_allclose(kept.predict(features), weights.predict(features), atol=1e-4)
    assert kept.predict(features).dtype == np.float32
    given = features.astype(np.float64) - weights.mean
    np.testing.assert_allclose(
        given @ weights.read_weights() + weights.intercept, weights.predict(features), atol=1e-8
    )


def test_images_are_predicted_as_their_features_are(names: dict[str, str]) -> None:
    model, images = load(names["convolutional"], grid=2), random_images(7)
    embedded = embed_features(model, np.arange(7) + 40, lambda ids: images[ids - 40], batch_size=3)
    features = embedded["feature_value"].values
    np.testing.assert_array_equal(embedded["image"], np.arange(7) + 40)
    np.testing.assert_array_equal(embedded["share"], model.measure_shares())
    responses = np.random.default_rng(1).normal(size=(7, 2))
    weights = fit_ridge(features.astype(np.float64), responses, alphas=np.array(ALPHAS), folds=3)
    found = predict_responses(weights, model, images, batch_size=2)
    np.testing.assert_allclose(found, weights.predict(features), atol=1e-4)
