"""The index of a region: what its list of voxels, the search and the maps need of every voxel."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from mine.browser.scripts import round_numbers
from mine.core.named_lists import find_sure_lists
from mine.core.synonyms import name_as_listed
from mine.stages.preference import EVIDENCE


def index_region(
    profiles: xr.Dataset,
    structure: xr.Dataset,
    preference: xr.Dataset,
    table: pd.DataFrame,
    *,
    words: np.ndarray,
    group: np.ndarray,
    tested: np.ndarray,
) -> dict[str, object]:
    """Gather a region's voxels as columns, in the order of its stores.

    profiles, structure, preference: stores of the region. table: of
    mine.figures.voxels.describe_voxels. words, group: (word,) the vocabulary and its groups of
    synonyms. tested: voxels whose features were tested.

    Words are places in the list ``words`` of the index; ``synonyms`` has the others of each one's
    group. ``positive`` and ``negative`` are the words that are listed, which for a voxel that is
    not described are none; ``named`` are its sure words of named lists. ``cluster`` counts from 1,
    0 for none; in a region of one cluster none is reported. Words of clusters go by
    :func:`mine.core.synonyms.name_as_listed`.
    """
    voxels = profiles["voxel"].values
    own = table.loc[voxels]
    local = WordTable(words)
    described = own["described"].to_numpy()
    numbers = ("r2", "r2_low", "r2_high", "noise_ceiling", "r2_normalised", "reliability")
    categories = [str(name) for name in preference["category"].values]
    columns: dict[str, object] = {name: round_numbers(own[name].to_numpy()) for name in numbers}
    columns |= {
        "voxel": voxels.tolist(),
        "reliability_p": round_numbers(own["reliability_p"].to_numpy()),
        "specificity": round_numbers(profiles["specificity"].values),
        "reason": own["reason"].tolist(),
        "positive": _list_words(profiles.sel(sign="positive"), described, local),
        "negative": _list_words(profiles.sel(sign="negative"), described, local),
        "named": _list_named(profiles, local),
        "cluster": _find_clusters(structure, voxels).tolist(),
        "tested": np.isin(voxels, tested).astype(int).tolist(),
        "preferred": {
            evidence: _place_names(preference["preferred"].sel(evidence=evidence), categories)
            for evidence in EVIDENCE
        },
    }
    clusters = _describe_clusters(structure, name_as_listed([profiles], group), local)
    return {
        "categories": categories,
        "columns": columns,
        "clusters": clusters,
        "words": local.names,
        "synonyms": local.list_synonyms(group),
    }


class WordTable:
    """The words that a file uses, each once, in the order in which they are first met."""

    def __init__(self, words: np.ndarray) -> None:
        self.words = words
        self.names: list[str] = []
        self._places: dict[int, int] = {}

    def place(self, word: int) -> int:
        """Place of a word of the vocabulary among those of the file."""
        word = int(word)
        if word not in self._places:
            self._places[word] = len(self.names)
            self.names.append(str(self.words[word]))
        return self._places[word]

    def list_synonyms(self, group: np.ndarray) -> list[list[str]]:
        """The others of each word's group, of the file's words in their order. group: (word,)."""
        return [
            [
                str(self.words[other])
                for other in np.flatnonzero(group == group[word])
                if other != word
            ]
            for word in self._places
        ]


def _list_words(profile: xr.Dataset, described: np.ndarray, local: WordTable) -> list[list[int]]:
    listed = profile["listed"].values & described[:, None]
    return [
        [local.place(word) for word in own[chosen]]
        for own, chosen in zip(profile["word"].values, listed, strict=True)
    ]


def _list_named(profiles: xr.Dataset, local: WordTable) -> list[list[int]]:
    """Each voxel's sure words of named lists; none where an analysis has no such lists."""
    if "list" not in profiles.coords:
        return [[] for _ in profiles["voxel"]]
    sure = find_sure_lists(profiles).transpose("voxel", "list").values
    word = profiles["list_word"].transpose("voxel", "list").values
    return [
        [local.place(name) for name in own[chosen]] for own, chosen in zip(word, sure, strict=True)
    ]


def _find_clusters(structure: xr.Dataset, voxels: np.ndarray) -> np.ndarray:
    """Cluster of each voxel from 1: int (voxel,)."""
    found = np.zeros(len(voxels), dtype=int)
    if int(structure.attrs["clusters"]) > 1:
        place = {int(voxel): at for at, voxel in enumerate(voxels)}
        rows = [place[int(voxel)] for voxel in structure["voxel"].values]
        found[rows] = structure["cluster"].values + 1
    return found


def _describe_clusters(
    structure: xr.Dataset, name: np.ndarray, local: WordTable
) -> list[dict[str, object]]:
    """The number of voxels and the telling words of each reported cluster, by falling size.

    name: (word,), the word by which each goes.
    """
    if int(structure.attrs["clusters"]) < 2:
        return []
    return [
        {
            "voxels": int((structure["cluster"].values == number).sum()),
            "words": [local.place(name[word]) for word in row if word >= 0],
        }
        for number, row in enumerate(structure["cluster_word"].values)
    ]


def _place_names(preferred: xr.DataArray, names: list[str]) -> list[int]:
    """Place of each voxel's preferred category; -1 where it prefers none."""
    places = {name: place for place, name in enumerate(names)}
    return [places.get(str(name), -1) for name in preferred.values]
