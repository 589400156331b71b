"""How often a voxel of one category alone would be given a further word, on a demo's own readings.

``.venv/bin/python benchmarks/listing_power.py results/demo`` prints the table of docs/pipeline.md:
responses to one category, with a noise ceiling of 0.5, are simulated on the demo's training images,
and words are sought in them as profiles seek them, the first word given.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import sparse

from mine.core.readings import bend_presence, gather_presence, gather_together
from mine.demo.scenes import CATEGORIES
from mine.shards import list_shards, open_images
from mine.statistics.regression import forward_selection, normal_scores
from mine.stores import open_store

LEVEL, DRAWS = 0.05, 20
FEATURES = ("face", "person", "food")
RELIABILITIES = (1.0, 0.95, 0.9, 0.8)


def simulate_drives(label: np.ndarray) -> Iterator[np.ndarray]:
    """Responses without noise to a category's mask, bool (image, row, column): by presence, by
    area and by area that levels off."""
    area = label.mean(axis=(1, 2))
    yield (area > 0).astype(float)
    yield area
    yield area / (area + area[area > 0].mean())


def find_added(
    response: np.ndarray, forms: dict[str, np.ndarray], offers: sparse.csc_array
) -> dict[str, bool]:
    """Whether a further word is listed, by what is known of the first and by how reliable its
    reading is taken to be. forms: known columns (image, column)."""
    asked = [
        ("max and mean", 1.0),
        *(("roots and squares besides", each) for each in RELIABILITIES),
    ]
    found = {}
    for form, reliability in asked:
        first = forward_selection(response, forms[form], offers, count=1, reliability=reliability)
        found[f"{form}, {reliability}"] = bool((first.p <= LEVEL).any())
    return found


def measure(results: Path, generator: np.random.Generator) -> dict[str, float]:
    """Share of simulated voxels that list a further word."""
    folder = next(results.glob("embeddings/*/base_rates.zarr")).parent
    responses = open_store(results / "subj01" / "responses.zarr")
    training = responses["image"].values[responses["split"].values != "test"]
    truth = open_store(results / "truth" / "images.zarr")["label"].sel(image=training).values
    group = open_store(folder / "base_rates.zarr")["group"].values
    words = open_store(folder / "vocabulary.zarr")["word"].values.tolist()
    lens: xr.Dataset = open_images(list_shards(folder / "lens" / "shards.json"), training)
    largest, mean = gather_presence(lens, group)
    firsts = {name: int(group[words.index(name)]) for name in FEATURES}
    together = gather_together(lens, group, np.array(list(firsts.values())))
    found: dict[str, list[bool]] = {}
    for name, first in firsts.items():
        own, filled = (each[:, [first]].toarray()[:, 0].astype(float) for each in (largest, mean))
        forms = {
            "max and mean": np.column_stack([own, filled]),
            "roots and squares besides": bend_presence(own, filled),
        }
        offers = sparse.hstack([largest, together[first]], format="csc").astype(float)
        for drive in simulate_drives(truth == 1 + list(CATEGORIES).index(name)):
            for _ in range(DRAWS):
                noisy = drive / drive.std() + generator.standard_normal(len(drive))
                for key, added in find_added(normal_scores(noisy), forms, offers).items():
                    found.setdefault(key, []).append(added)
    return {key: float(np.mean(added)) for key, added in found.items()}


if __name__ == "__main__":
    for key, share in measure(Path(sys.argv[1]), np.random.default_rng(0)).items():
        print(f"| {key} | {share:.2f} |")
