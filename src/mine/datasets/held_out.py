"""Which images are kept for testing where the dataset does not say."""

from __future__ import annotations

import numpy as np

from mine.randomness import generator


def draw_test_images(identities: np.ndarray, *, fraction: float, seed: int) -> np.ndarray:
    """Draw the images that test: bool (image,), each with probability ``fraction``.

    Whether an image is drawn follows from its identity (from 0) and the seed alone. So all subjects
    share one split, and images or subjects that come later move no other image.
    """
    identities = np.asarray(identities, dtype=np.int64)
    if not len(identities):
        return np.zeros(0, dtype=bool)
    chances = generator(seed, "test images").random(int(identities.max()) + 1)
    return chances[identities] < fraction
