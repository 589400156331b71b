"""The evaluator of a subject: features of another model, and the ridge regression on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from mine.core.evaluator import FeatureModel, weights_from_dataset, weights_to_dataset
from mine.core.ridge import fit_ridge
from mine.core.showing import Reader, show_blank
from mine.core.splits import draw_folds
from mine.logging import split_work
from mine.randomness import generator
from mine.statistics.permutation import gain_test
from mine.statistics.scores import pearson, r_squared

PERMUTATIONS = 10_000
"""Sign flips of the test that images are predicted."""


def embed_features(
    model: FeatureModel, images: np.ndarray, read_images: Reader, *, batch_size: int
) -> xr.Dataset:
    """Embed one shard of images.

    images: (image,) identities, none where no subject saw an image of the shard. Returns
    ``feature_value`` float32 (image, feature) and ``share`` float32 (feature,), the share of the
    image that a feature is taken over.
    """
    images, read_images, kept = show_blank(images, read_images)
    features = [
        model.encode_images(read_images(images[part]))
        for part in split_work(len(images), size=batch_size, what="images")
    ]
    return xr.Dataset(
        {
            "feature_value": (
                ("image", "feature"),
                np.concatenate(features),
                {"long_name": "feature of the evaluator's model: pooled, then cell by cell"},
            ),
            "share": (
                ("feature",),
                model.measure_shares(),
                {"long_name": "share of the image that the feature is taken over", "units": "1"},
            ),
        },
        coords={"image": ("image", images, {"long_name": "identity of the image"})},
    ).isel(image=kept)


def fit_evaluator(
    features: np.ndarray,
    responses: np.ndarray,
    *,
    share: np.ndarray,
    fitted: np.ndarray,
    test: np.ndarray,
    alphas: Sequence[float],
    folds: int,
    seed: int,
) -> xr.Dataset:
    """Fit the evaluator of a subject on some of its images and score it on others.

    features: (image, feature). responses: (image, voxel), z-scored. share: (feature,), by which a
    feature counts. fitted, test: bool (image,); images that are neither have no part. alphas:
    penalties to choose from, per voxel. folds: of the cross-validation that chooses, within the
    fitted images.

    Returns the weights (core.evaluator.weights_to_dataset), and of the test images r2, r and p
    (voxel): R², Pearson correlation, and the one-sided p of a sign flip over images that the
    prediction beats the mean of the fitted images. They are those of the weights as they are
    stored.

    Raises ValueError if an image is both fitted and tested.
    """
    fitted, test = np.asarray(fitted, dtype=bool), np.asarray(test, dtype=bool)
    if (fitted & test).any():
        raise ValueError("expected images that are fitted and images that are tested, found both")
    weights = fit_ridge(
        np.asarray(features[fitted], np.float64),
        responses[fitted],
        alphas=np.asarray(alphas, np.float64),
        folds=draw_folds(folds, seed, "evaluator"),
        importance=np.asarray(share, np.float64),
    )
    dataset = weights_to_dataset(weights)
    measured = responses[test].astype(np.float64)
    predicted = weights_from_dataset(dataset).predict(features[test])
    for name, score in {"r2": r_squared, "r": pearson}.items():
        dataset[name] = ("voxel", score(measured, predicted).astype(np.float32))
    centre, flips = responses[fitted].mean(axis=0), generator(seed, "evaluator", "flips")
    _, p = gain_test(measured, predicted, centre, permutations=PERMUTATIONS, generator=flips)
    dataset["p"] = ("voxel", p)
    dataset["r2"].attrs = {"long_name": "R² on the test images", "units": "1"}
    dataset["r"].attrs = {"long_name": "Pearson correlation on the test images", "units": "1"}
    dataset["p"].attrs = {"long_name": "that the test images are predicted", "units": "1"}
    return dataset
