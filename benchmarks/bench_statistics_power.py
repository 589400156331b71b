"""Error rate and power of every test of mine.statistics on simulated effects, at a level of 5%.

Each simulation is normal noise of variance 1, with an effect of so many standard deviations, or
with none. ``table`` is what docs/pipeline.md shows. Where columns are a family, they correlate at a
half, and a fifth of them has the effect; power is the share of these that is found.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import scipy.stats
from common import read_options, time_call, write_record

from mine.statistics.discrimination import mann_whitney_test
from mine.statistics.multiple_comparisons import benjamini_hochberg
from mine.statistics.permutation import sign_flip_bound, sign_flip_test
from mine.statistics.regression import forward_selection, normal_scores

LEVEL = 0.05
PERMUTATIONS = 999
COLUMNS, AFFECTED = 50, 10

Test = Callable[[float, int, np.random.Generator], np.ndarray]
"""Of an effect, a number of simulations and a generator: whether each was rejected, or the share of
those that were to be."""


def flip_signs(effect, simulations, generator, *, images: int) -> np.ndarray:
    differences = generator.normal(size=(images, simulations)) + effect
    _, p = sign_flip_test(differences, permutations=PERMUTATIONS, generator=generator)
    return p <= LEVEL


def bound_flips(effect, simulations, generator, *, images: int) -> np.ndarray:
    differences = generator.normal(size=(images, simulations)) + effect
    z = differences.sum(axis=0) / np.sqrt(np.square(differences).sum(axis=0))
    return sign_flip_bound(z) <= LEVEL


def flip_family(effect, simulations, generator, *, images: int) -> np.ndarray:
    """Rejections that were to be, or without an effect whether there was any."""
    found = np.empty(simulations)
    for simulation in range(simulations):
        noise = generator.normal(size=(images, COLUMNS)) + generator.normal(size=(images, 1))
        differences = noise / np.sqrt(2) + effect * (np.arange(COLUMNS) < AFFECTED)
        _, p = sign_flip_test(differences, permutations=PERMUTATIONS, generator=generator)
        rejected = benjamini_hochberg(p) <= LEVEL
        found[simulation] = rejected[:AFFECTED].mean() if effect else rejected.any()
    return found


def rank_images(effect, simulations, generator, *, positives: int, others: int) -> np.ndarray:
    positive = np.arange(positives + others) < positives
    values = generator.normal(size=(len(positive), simulations)) + effect * positive[:, None]
    return mann_whitney_test(values, positive)[1] <= LEVEL


def select_candidate(effect, simulations, generator, *, images: int) -> np.ndarray:
    """Whether the candidate with the effect is taken first and is significant; without, any."""
    found = np.empty(simulations, dtype=bool)
    for simulation in range(simulations):
        candidates = generator.normal(size=(images, COLUMNS))
        known = generator.normal(size=(images, 2))
        response = effect * candidates[:, 0] + known.sum(axis=1) + generator.normal(size=images)
        first = forward_selection(response, known, candidates, count=1)
        found[simulation] = first.p[0] <= LEVEL and (effect == 0 or first.order[0] == 0)
    return found


def select_word(
    effect, simulations, generator, *, images: int, words: int, plain: bool = False
) -> np.ndarray:
    """The same of words as profiles offer them, for a voxel that sees half of its main feature:
    each is read in a tenth of the images, anywhere and together with the feature. plain: by the t
    of the partial correlation, which asks that responses vary alike in all images."""
    found = np.empty(simulations, dtype=bool)
    for simulation in range(simulations):
        main = generator.random(images) < 0.2
        read = (generator.random((images, words)) < 0.1) * generator.random((images, words))
        seen = main & (generator.random(images) < 0.5)
        response = 2.0 * seen + effect * (read[:, 0] > 0) + generator.normal(size=images)
        first = forward_selection(
            normal_scores(response),
            main[:, None].astype(float),
            np.hstack([read, main[:, None] * read]),
            count=1,
        )
        taken, p = first.order[0] % words == 0, first.p[0]
        if plain:
            r, degrees = first.correlation[0], images - 3
            p = 2 * words * scipy.stats.t.sf(r * np.sqrt(degrees / (1 - r**2)), degrees)
        found[simulation] = p <= LEVEL and (effect == 0 or taken)
    return found


def select_rider(
    effect, simulations, generator, *, images: int, reliability: float, taken: float
) -> np.ndarray:
    """The same of words that ride on the main feature, of which a reading holds this share of the
    variance and is taken to hold that one: five of 120 go with the feature itself (r = 0.6) and add
    nothing to it. Words are listed up to the first that is not sure, six at most."""
    found = np.empty(simulations, dtype=bool)
    for simulation in range(simulations):
        main, words = generator.normal(size=images), generator.normal(size=(images, 120))
        read = np.sqrt(reliability) * main + np.sqrt(1 - reliability) * generator.normal(
            size=images
        )
        words[:, 1:6] = 0.6 * main[:, None] + 0.8 * words[:, 1:6]
        response = 0.44 * main + effect * words[:, 0] + generator.normal(size=images)
        first = forward_selection(
            normal_scores(response), read[:, None], words, count=6, reliability=taken
        )
        listed = first.order[np.cumprod(first.p <= LEVEL).astype(bool)]
        found[simulation] = 0 in listed if effect else len(listed) > 0
    return found


# Test, its units, which simulations, effects, and how many simulations in one of many.
IMAGE_EFFECTS = (0.2, 0.5, 0.8)
RIDER_EFFECTS = (0.05, 0.1, 0.2)
TESTS: list[tuple[str, str, Test, tuple[float, ...], int]] = [
    ("sign_flip_test", "20 images", partial(flip_signs, images=20), IMAGE_EFFECTS, 1),
    ("sign_flip_test", "100 images", partial(flip_signs, images=100), IMAGE_EFFECTS, 1),
    ("sign_flip_bound", "100 images", partial(bound_flips, images=100), IMAGE_EFFECTS, 1),
    (
        "benjamini_hochberg of sign_flip_test",
        f"100 images, {COLUMNS} columns",
        partial(flip_family, images=100),
        IMAGE_EFFECTS,
        10,
    ),
    (
        "mann_whitney_test",
        "20 : 80 images",
        partial(rank_images, positives=20, others=80),
        IMAGE_EFFECTS,
        1,
    ),
    (
        "forward_selection",
        f"100 images, {COLUMNS} candidates",
        partial(select_candidate, images=100),
        IMAGE_EFFECTS,
        5,
    ),
    (
        "forward_selection",
        "1,000 images, 120 words, half of the main feature seen",
        partial(select_word, images=1000, words=120),
        IMAGE_EFFECTS,
        10,
    ),
    (
        "plain t",
        "1,000 images, 120 words, half of the main feature seen",
        partial(select_word, images=1000, words=120, plain=True),
        IMAGE_EFFECTS,
        10,
    ),
    *(
        (
            "forward_selection",
            f"{images:,} images, 120 words, reliability of reading {reliability}, taken as {taken}",
            partial(select_rider, images=images, reliability=reliability, taken=taken),
            RIDER_EFFECTS,
            20,
        )
        for images, reliability, taken in (
            (1000, 1.0, 1.0),
            (1000, 1.0, 0.9),
            (1000, 0.9, 1.0),
            (1000, 0.9, 0.9),
            (9000, 0.9, 1.0),
            (9000, 0.9, 0.9),
            (9000, 0.8, 0.9),
        )
    ),
]


def measure(options, generator) -> list[dict[str, object]]:
    rows = []
    for name, units, test, effects, cost in TESTS:
        simulations = max(options.simulations // cost, 20)
        false = test(0.0, simulations, generator)
        least, most = scipy.stats.binom.interval(0.95, simulations, LEVEL) / np.array(simulations)
        power = [float(np.mean(test(effect, simulations, generator))) for effect in effects]
        rows.append(
            {
                "test": name,
                "units": units,
                "simulations": simulations,
                "false": float(np.mean(false)),
                "binomial": [float(least), float(most)],
                "effects": list(effects),
                "power": power,
            }
        )
    return rows


def write_row(row: dict) -> str:
    """One row of the table in docs/pipeline.md."""
    power = " | ".join(
        f"{value:.2f} ({effect})"
        for effect, value in zip(row["effects"], row["power"], strict=True)
    )
    least, most = row["binomial"]
    false = f"{row['false']:.3f} [{least:.3f}, {most:.3f}]"
    return f"| `{row['test'].replace(' of ', '` of `')}` | {row['units']} | {false} | {power} |"


def main() -> None:
    options = read_options(__doc__.splitlines()[0], simulations=4000)
    seconds, rows = time_call(partial(measure, options, np.random.default_rng(0)))
    write_record(
        "statistics_power",
        libraries=("numpy", "scipy"),
        directory=options.results,
        seconds=round(seconds, 2),
        level=LEVEL,
        rows=rows,
        table=[write_row(row) for row in rows],
    )


if __name__ == "__main__":
    main()
