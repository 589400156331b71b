"""One seed for a whole analysis, split into independent streams by name."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def generator(seed: int, *names: object) -> np.random.Generator:
    """Return the random stream that belongs to `names` under `seed`.

    The stream depends on the seed and the names alone, never on the order in which streams are
    asked for or on the process that asks: the same numbers whatever the number of jobs.

    Args:
        seed: the analysis's seed, not negative.
        names: what the stream is for, such as ("encoder", "subj01", "first_half").

    Returns:
        A generator, statistically independent of that of any other names.
    """
    # Imported late: rules import the configuration, and they must not wait for numpy.
    import numpy as np

    words = [hashlib.sha256(str(name).encode()).digest() for name in names]
    key = tuple(int.from_bytes(word[:8], "little") for word in words)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
