"""The profile of a voxel: its words with the evidence for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.named_lists import find_sure_lists

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mine.results.regions import Voxel

EVIDENCE = ("z", "q", "added", "added_p", "effect")
LISTS = {
    "list": "list",
    "word": "list_word",
    "added": "list_added",
    "added_p": "list_added_p",
}
"""Columns of the words of named lists, and where the store has them."""


def list_words(profile: xr.Dataset, words: np.ndarray) -> list[str]:
    """Words that measured responses confirm, best first.

    profile: ``word`` and ``listed`` (rank,). words: the vocabulary.
    """
    return words[profile["word"].values[profile["listed"].values]].tolist()


class Profile:
    """What a voxel answers to over all images. Words are withheld unless it is described."""

    def __init__(self, voxel: Voxel) -> None:
        self.voxel = voxel
        self._stored = voxel.region.profiles.sel(voxel=voxel.number).load()
        self.described: bool = bool(self._stored["described"])
        """Whether the words may be believed."""
        self.reason: str = str(self._stored["reason"].values)
        """`described`, or the first condition that fails."""
        self.reliability: float = float(self._stored["reliability"])
        """Correlation of the profiles of two halves of the images."""

    def __repr__(self) -> str:
        said = ", ".join(self.words["word"]) if self.described else f"withheld: {self.reason}"
        return f"<profile of voxel {self.voxel.number}: {said}>"

    @property
    def words(self) -> pd.DataFrame:
        """Words that drive the voxel, best first; none unless it is described.

        Columns: `word`; `z` and `q`, evidence of the attributions over images and its false
        discovery rate over words; `added` and `added_p`, partial correlation with the measured
        response, the words before it given, and its p; `effect`, mean attribution above its null,
        in standard deviations of the response.
        """
        return self._tabulate("positive")

    @property
    def suppressed(self) -> pd.DataFrame:
        """Words that suppress the voxel, with the columns of :attr:`words`."""
        return self._tabulate("negative")

    @property
    def lists(self) -> pd.DataFrame:
        """The voxel's words of named lists (`lens.lists`), one a list for which one is sure; none
        unless it is described.

        Columns: `list`, its name; `word`; `added` and `added_p`, partial correlation with the
        measured response, the other words of the profile given, and its p, corrected for the words
        of the list.
        """
        table = {name: [] for name in LISTS}
        if "list" in self._stored.coords:
            own = self._stored.isel(list=np.flatnonzero(find_sure_lists(self._stored)))
            table = {name: own[stored].values for name, stored in LISTS.items()}
            table["word"] = self.voxel.region.results.words[table["word"]]
        return pd.DataFrame(table)

    def plot(self) -> Figure:
        """Draw the profile with the voxel's images of largest prediction."""
        from mine.figures.profiles import draw_profiles

        region = self.voxel.region
        return draw_profiles(
            region.profiles.sel(voxel=[self.voxel.number]).load(),
            region.results.pictures(self._stored["exemplar"].values),
            words=region.results.words,
            table=region.table(),
            region=f"{region.name}, {region.subject.name}",
        )

    def _tabulate(self, sign: str) -> pd.DataFrame:
        listed = self._stored.sel(sign=sign)
        kept = listed["listed"].values & self.described
        words = self.voxel.region.results.words[listed["word"].values[kept]]
        evidence = {name: listed[name].values[kept] for name in EVIDENCE}
        return pd.DataFrame({"word": words, **evidence})
