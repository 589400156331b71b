"""The files of a region: its index, and its cards a few voxels at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from mine.browser.cards import make_cards
from mine.browser.index import index_region
from mine.browser.scripts import write_script

PROFILE = ["word", "listed", "added", "added_p", "z", "q"]
PROFILE += ["reliability", "reliability_p", "specificity"]
PROFILE += ["described", "reason", "position_map"]
"""What is read of profiles; of named lists, where an analysis has them, LISTS too."""

LISTS = ["list_word", "list_listed", "list_added", "list_added_p"]

CARDS = 16
"""Voxels in a file of cards: what one click loads."""

BLOCK = 128
"""Voxels that are read at once; bounds the memory, changes no number."""


def write_region(
    folder: Path,
    key: str,
    stores: Mapping[str, xr.Dataset],
    scores: xr.Dataset,
    measured: xr.DataArray,
    table: pd.DataFrame,
    *,
    words: np.ndarray,
    group: np.ndarray,
    images: int,
    tests: Mapping[int, Mapping[str, object]],
) -> np.ndarray:
    """Write ``index.js`` and ``cards/<number>.js`` of a region, and return the images on its cards.

    key: "subject/region", under which the page is handed the files. stores: ``profiles``,
    ``attributions``, ``descriptions``, ``structure`` and ``preference`` of the region. scores: of
    the subject. measured: responses (image, voxel) of the subject. table: describe_voxels. group:
    (word,), the groups of synonyms. tests: of mine.browser.causal.describe_tests. The others are
    those of make_cards.
    """
    named = LISTS if "list" in stores["profiles"].coords else []
    profiles, descriptions = stores["profiles"][PROFILE + named], stores["descriptions"]
    shown = descriptions["image"].values
    index = index_region(
        profiles,
        stores["structure"],
        stores["preference"],
        table,
        words=words,
        group=group,
        tested=np.array(sorted(tests), dtype=int),
    )
    grid = [profiles.sizes["row"], profiles.sizes["column"]]
    index |= {"cards_per_file": CARDS, "grid": grid, "images": len(shown)}
    write_script(folder / "index.js", f"{key}/index", index)
    seen: set[int] = set()
    voxels = profiles["voxel"].values
    for start in range(0, len(voxels), BLOCK):
        own = voxels[start : start + BLOCK]
        block = {
            "profiles": profiles.sel(voxel=own).load(),
            "attributions": stores["attributions"].sel(voxel=own, image=shown).load(),
            "descriptions": descriptions.sel(voxel=own).load(),
        }
        responses = measured.sel(image=shown).isel(voxel=own).values
        for first in range(0, len(own), CARDS):
            part = slice(first, first + CARDS)
            cards = make_cards(
                **{name: store.isel(voxel=part) for name, store in block.items()},
                scores=scores.isel(voxel=own[part]),
                measured=responses[:, part],
                words=words,
                images=images,
                tests=tests,
            )
            number = (start + first) // CARDS
            write_script(folder / f"cards/{number}.js", f"{key}/cards/{number}", cards)
            for card in cards["cards"].values():
                seen.update(picture[0] for picture in card["images"])
    return np.array(sorted(seen), dtype=int)
