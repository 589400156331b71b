"""The halves of the training images, which images a fit validates on, and the seed that it starts
from: the same for every form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mine.randomness import generator

if TYPE_CHECKING:
    from sklearn.model_selection import KFold


def split_halves(training_images: np.ndarray, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint halves of the training images, drawn at random; each ascends.

    Of an odd number the first half has one more. The same for any order of ``training_images``.
    """
    images = np.sort(np.asarray(training_images))
    shuffled = generator(seed, "halves").permutation(images)
    middle = (len(images) + 1) // 2
    return np.sort(shuffled[:middle]), np.sort(shuffled[middle:])


def draw_validation(count: int, fraction: float, seed: int, part: str) -> np.ndarray:
    """bool (image,): at least two images, drawn by the part's name, the same for its controls."""
    held = max(2, round(fraction * count))
    validation = np.zeros(count, dtype=bool)
    validation[generator(seed, "validation", part).permutation(count)[:held]] = True
    return validation


def draw_folds(folds: int, seed: int, model: str = "baselines") -> KFold:
    """The folds in which ridge regressions choose their penalties, drawn by the model's name."""
    from sklearn.model_selection import KFold

    state = int(generator(seed, model, "folds").integers(2**31))
    return KFold(folds, shuffle=True, random_state=state)


def derive_seed(seed: int, fit: str) -> int:
    """The seed of one fit, by its name."""
    return int(generator(seed, "fit", fit).integers(2**31))


def derive_seeds(seed: int, fit: str, members: int) -> list[int]:
    """The seeds of the members of an ensemble, the first that of the fit by itself."""
    others = [derive_seed(seed, f"{fit} {member}") for member in range(1, members)]
    return [derive_seed(seed, fit), *others]
