"""Laws of the baselines and of the partition of variance."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import Ridge
from sklearn.linear_model import RidgeCV as SklearnRidgeCV
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from mine.core.ridge import fit_banded_ridge, fit_ridge, make_standardiser, measure_spread
from mine.stages import baselines
from mine.stages.baselines import (
    _predict_across_halves,
    fit_baselines,
    measure_semantic_gain,
    partition_variance,
)
from mine.statistics.permutation import sign_flip_test
from mine.statistics.scores import r_squared

ALPHAS = 10.0 ** np.arange(-1, 5)
FOLDS = KFold(4, shuffle=True, random_state=0)


def plant(images: int = 240, *, leak: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two bands, and voxels of content (0 to 3), of contrast (4 to 11) and of noise (12 to 51).

    leak: how much of the contrast the embedding encodes too.
    """
    generator = np.random.default_rng(0)
    low_level = generator.standard_normal((images, 40)) * np.linspace(1, 5, 40)
    embedding = generator.standard_normal((images, 10))
    responses = generator.standard_normal((images, 52))
    responses[:, :4] += embedding[:, :4]
    responses[:, 4:12] += (low_level / np.linspace(1, 5, 40))[:, :8]
    embedding += leak * low_level[:, :10] / np.linspace(1, 5, 40)[:10]
    return embedding, low_level, responses


@pytest.fixture(scope="module")
def planted_baselines():
    embedding, low_level, responses = plant(leak=0.5)
    training = np.arange(240) < 200
    halves = (np.arange(0, 200, 2), np.arange(1, 200, 2))
    arrays = (embedding, low_level, responses)
    return arrays, training, halves, run_baselines(*arrays, training, halves)


def run_baselines(embedding, low_level, responses, training, halves, captions=None):
    captions = embedding[:, :3] if captions is None else captions
    return fit_baselines(
        embedding, low_level, responses, training=training, halves=halves,
        captions=captions, alphas=ALPHAS, folds=4, mixtures=5, permutations=500, seed=0,
    )  # fmt: skip


def test_ridge_equals_scikit_learn_at_every_voxel():
    features, _, responses = plant()
    fit = fit_ridge(features, responses, alphas=ALPHAS, folds=FOLDS)
    scaled = StandardScaler().fit_transform(features)
    for voxel in (0, 5, 20):
        reference = SklearnRidgeCV(ALPHAS, cv=FOLDS, scoring="neg_mean_squared_error").fit(
            scaled, responses[:, voxel]
        )
        assert fit.alpha[voxel] == pytest.approx(reference.alpha_)
        np.testing.assert_allclose(
            fit.predict(features)[:, voxel], reference.predict(scaled), atol=1e-8
        )


@pytest.mark.parametrize("images", [40, 240])
def test_banded_ridge_equals_ridge_on_scaled_bands(images):
    # 40 images are fewer than the 50 features, 240 are more: the same estimate on both ways.
    *bands, responses = plant(images)
    new = [band[::-1] for band in bands]
    predict, alphas, weights = fit_banded_ridge(
        bands, responses, alphas=ALPHAS, folds=FOLDS, mixtures=5
    )
    np.testing.assert_allclose(weights.sum(axis=0), 1)
    assert set(np.round(weights[0] * 4, 4)) <= {0, 1, 2, 3, 4}
    split = predict(new)
    assert split.shape == (2, images, 52)
    width = np.mean([band.shape[1] for band in bands])
    for voxel in (0, 5, 20):
        columns = [
            np.sqrt(weight[voxel] * width / band.shape[1]) * make_standardiser(band)(other)
            for weight, band, other in zip(
                [*weights, *weights], [*bands, *bands], [*bands, *new], strict=True
            )
        ]
        reference = Ridge(alpha=alphas[voxel]).fit(np.hstack(columns[:2]), responses[:, voxel])
        np.testing.assert_allclose(
            split.sum(axis=0)[:, voxel], reference.predict(np.hstack(columns[2:])), atol=1e-6
        )


def test_a_band_that_is_switched_off_predicts_the_mean():
    embedding, low_level, responses = plant()
    predict, _, weights = fit_banded_ridge(
        [embedding, low_level], responses, alphas=ALPHAS, folds=FOLDS, mixtures=2
    )
    split, off = predict([embedding, low_level]), weights < 0.5
    assert (off.sum(axis=0) == 1).all()
    for band, voxel in np.argwhere(off):
        np.testing.assert_allclose(split[band, :, voxel], responses[:, voxel].mean() / 2, atol=1e-3)


def test_a_constant_feature_is_harmless():
    features = np.random.default_rng(0).standard_normal((30, 3)) + 7
    features[:, 1] = 1e6
    other = features.copy()
    other[:, 1] = -1
    scaled = make_standardiser(features)(other)
    assert (scaled[:, 1] == 0).all()
    np.testing.assert_allclose(scaled[:, [0, 2]].std(axis=0), 1)


def test_the_partition_sums_to_the_variance_explained():
    generator = np.random.default_rng(0)
    measured = generator.standard_normal((100, 6)) + 3
    predicted = generator.standard_normal((2, 100, 6)) * 0.3 + 0.3 * measured
    parts = partition_variance(measured, predicted)
    np.testing.assert_allclose(
        parts.sum(axis=0), r_squared(measured, predicted.sum(axis=0)), atol=1e-10
    )
    alone = np.stack([predicted.sum(axis=0) - 1.5, np.full((100, 6), 1.5)])
    np.testing.assert_allclose(partition_variance(measured, alone)[1].mean(), 0, atol=0.1)


def test_bands_and_their_test_tell_content_from_contrast_from_noise(planted_baselines):
    dataset = planted_baselines[-1]
    content, contrast, noise = slice(0, 4), slice(4, 12), slice(12, 52)
    p = dataset["semantic_p"].values
    assert p[content].max() < 0.01
    # The embedding encodes the contrast as well, and yet adds nothing to the low-level band.
    assert p[contrast].min() > 0.01
    assert (p[noise] < 0.05).mean() <= 0.1
    semantic, low_level = dataset["split_r2"].values
    assert (semantic[content] > 0.15).all() and (low_level[content] < 0.1).all()
    assert (low_level[contrast] > 2 * np.abs(semantic[contrast])).mean() > 0.7
    assert (dataset["low_level_r2"][contrast] > 0.15).all()


def test_content_counts_only_as_far_as_both_halves_show_it(planted_baselines):
    dataset = planted_baselines[-1]
    weaker = dataset["semantic_z"].min("half").values
    np.testing.assert_allclose(dataset["semantic_p"], norm.sf(weaker), atol=0.06)
    # There are voxels that one half alone would have let pass.
    stronger = dataset["semantic_z"].max("half").values
    assert ((norm.sf(stronger) < 0.05) & (dataset["semantic_p"].values > 0.2)).any()


def test_semantic_gain_is_a_partial_covariance():
    generator = np.random.default_rng(0)
    low_level = generator.standard_normal((4000, 3))
    measured = low_level + generator.standard_normal((4000, 3))
    # Knows the contrast; knows it and something more; knows nothing.
    semantic = 0.8 * low_level + generator.standard_normal((4000, 3))
    semantic[:, 1] += measured[:, 1] - low_level[:, 1]
    semantic[:, 2] = 1.0
    gain = measure_semantic_gain(measured, semantic, low_level)
    _, p = sign_flip_test(gain, permutations=500, generator=generator)
    assert p[0] > 0.05 and p[1] < 0.01 and p[2] == 1
    shifted = measure_semantic_gain(measured + 5, semantic - 2, 3 * low_level + 1)
    np.testing.assert_allclose(shifted, gain, atol=1e-9)


def test_test_images_are_predicted_and_never_fitted(planted_baselines):
    (embedding, low_level, responses), training, halves, dataset = planted_baselines
    assert list(dataset["model"].values) == ["ridge", "caption", "banded"]
    prediction = dataset["prediction"]
    assert prediction.dims == ("model", "image", "voxel") and prediction.shape == (3, 40, 52)
    r2 = r_squared(responses[~training], prediction.sel(model="banded").values)
    assert r2[:12].min() > 0
    changed = responses.copy()
    changed[~training] = 1e3
    again = run_baselines(embedding, low_level, changed, training, halves)
    assert again.identical(dataset)


def test_voxels_that_are_fitted_block_by_block_are_fitted_alike(planted_baselines, monkeypatch):
    arrays, training, halves, whole = planted_baselines
    monkeypatch.setattr(baselines, "VOXEL_BLOCK", 20)
    parts = run_baselines(*arrays, training, halves)
    assert list(parts.data_vars) == list(whole.data_vars)
    for name, values in whole.data_vars.items():
        assert parts[name].dims == values.dims and parts[name].attrs == values.attrs
        np.testing.assert_allclose(parts[name], values, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("captioned", "kept"),
    [([], False), (range(60), False), (range(60, 80), False), (range(1, 80), True)],
    ids=["none", "training images", "test images", "all but one"],
)
def test_captions_are_a_baseline_only_where_training_and_test_images_have_some(captioned, kept):
    embedding, low_level, responses = plant(80)
    training, halves = np.arange(80) < 60, (np.arange(0, 60, 2), np.arange(1, 60, 2))
    captions = np.zeros((80, 3))
    captions[list(captioned)] = embedding[list(captioned), :3]
    dataset = run_baselines(embedding, low_level, responses[:, :4], training, halves, captions)
    assert ("caption" in dataset["model"]) == kept
    assert {"ridge", "banded"} <= set(dataset["model"].values)


def test_a_half_is_predicted_by_the_other_half_alone():
    embedding, low_level, responses = plant(80)
    halves = (np.arange(0, 80, 2), np.arange(1, 80, 2))
    changed = responses.copy()
    changed[halves[0]] = changed[halves[0]][::-1]
    options = {"alphas": ALPHAS, "folds": FOLDS, "mixtures": 3}
    before, after = (
        _predict_across_halves([embedding, low_level], measured, halves, **options)
        for measured in (responses, changed)
    )
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one[..., halves[0], :], other[..., halves[0], :])
        assert not np.allclose(one[..., halves[1], :], other[..., halves[1], :])


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_a_constant_feature_has_no_spread_however_many_images_there_are(precision):
    features = np.random.default_rng(0).normal(size=(9_000, 3)).astype(precision)
    features[:, 1] = 0.1
    mean, deviation = measure_spread(features)
    assert mean.dtype == deviation.dtype == precision and (deviation > 0).tolist() == [1, 0, 1]
    np.testing.assert_allclose(deviation[[0, 2]], features[:, [0, 2]].std(axis=0), rtol=1e-4)
