"""Statistics at the size of one subject of the Natural Scenes Dataset: time and memory.

3,000 voxels, 1,000 images and 1,000 resamples by default. What is asked is that all of it together
takes at most 60 seconds on two cores, and 4 GB. Peak memory is that of the process up to the end of
each part, data and imports included: it never falls.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import scipy.stats  # noqa: F401  # or the first call would pay for its import
from common import peak_memory, read_options, time_call, write_record
from threadpoolctl import threadpool_limits  # comes with scikit-learn

from mine.statistics.bootstrap import bootstrap_interval, bootstrap_weights, stratified_weights
from mine.statistics.discrimination import area_under_roc_interval, mann_whitney_test
from mine.statistics.effects import d_prime, d_prime_interval
from mine.statistics.permutation import sign_flip_test
from mine.statistics.scores import (
    pearson_of_means,
    pearson_terms,
    r_squared_of_means,
    r_squared_terms,
)

MOST_SECONDS = 60
MOST_MB = 4000


def make_responses(options, generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Measured and predicted responses, float32 (image, voxel), and which images are positive."""
    shape = options.images, options.voxels
    positive = np.arange(options.images) < options.positives
    predicted = generator.normal(size=shape).astype(np.float32) + 0.3 * positive[:, None]
    measured = 0.5 * predicted + generator.normal(size=shape)
    return measured.astype(np.float32), predicted.astype(np.float32), positive


def bootstrap_scores(measured, predicted, options, generator) -> list[tuple]:
    """Intervals of R² and of the correlation, from the same resamples."""
    weights = bootstrap_weights(len(measured), resamples=options.resamples, generator=generator)
    return [
        bootstrap_interval(terms(measured, predicted), of_means, weights)
        for terms, of_means in (
            (r_squared_terms, r_squared_of_means),
            (pearson_terms, pearson_of_means),
        )
    ]


def flip_signs(measured, predicted, options, generator) -> tuple:
    """Paired test of two models' squared errors."""
    differences = np.square(measured) - np.square(measured - 0.5 * predicted)
    return sign_flip_test(differences, permutations=options.resamples, generator=generator)


def discriminate(measured, positive, options, generator) -> tuple:
    """Area under the ROC curve with p and interval."""
    weights = stratified_weights(positive, resamples=options.resamples, generator=generator)
    area, p = mann_whitney_test(measured, positive)
    return area, p, area_under_roc_interval(measured, positive, weights)


def size_effects(measured, positive, options, generator) -> tuple:
    """d′ with its interval."""
    weights = stratified_weights(positive, resamples=options.resamples, generator=generator)
    size = d_prime(measured, positive)
    return size, d_prime_interval(measured, positive, weights)


def main() -> None:
    options = read_options(
        __doc__.splitlines()[0], voxels=3000, images=1000, resamples=1000, positives=300
    )
    generator = np.random.default_rng(0)
    measured, predicted, positive = make_responses(options, generator)
    parts = {
        "bootstrap_scores": partial(bootstrap_scores, measured, predicted),
        "sign_flip": partial(flip_signs, measured, predicted),
        "area_under_roc": partial(discriminate, measured, positive),
        "d_prime": partial(size_effects, measured, positive),
    }
    measurements = {}
    with threadpool_limits(options.threads):
        for name, part in parts.items():
            seconds, _ = time_call(partial(part, options, generator))
            measurements[name] = {"seconds": round(seconds, 2), "peak_mb": peak_memory()}
    seconds, peak = sum(each["seconds"] for each in measurements.values()), peak_memory()
    write_record(
        "statistics_size",
        directory=options.results,
        libraries=("numpy", "scipy"),
        seconds=round(seconds, 2),
        peak_mb=peak,
        within_bounds=seconds <= MOST_SECONDS and peak <= MOST_MB,
        sizes={name: getattr(options, name) for name in _SIZES},
        threads=options.threads,
        parts=measurements,
    )


_SIZES = ("voxels", "images", "resamples", "positives")


if __name__ == "__main__":
    main()
