"""Profiles as sentences, each beside the words that it was made of."""

from __future__ import annotations

import pandas as pd
import xarray as xr

from mine.core.phrasing import Phraser, find_added


def phrase_profiles(profiles: xr.Dataset, names: list[str], phrase: Phraser) -> pd.DataFrame:
    """Make a sentence of the listed words of every described voxel.

    profiles: of :func:`mine.stages.profiles.build_profiles`. names: of the vocabulary. Returns a
    row a voxel: ``voxel``; ``words``, with commas, best first; ``sentence``, what the model made of
    them, empty where it added to them; and ``added``, the content words that were not given. Equal
    words are asked for once.
    """
    described = profiles.isel(voxel=profiles["described"].values).sel(sign="positive")
    rows, made = [], {}
    for voxel, word, listed in zip(
        described["voxel"].values,
        described["word"].values,
        described["listed"].values,
        strict=True,
    ):
        words = tuple(names[number] for number in word[listed])
        if words not in made:
            sentence = phrase(words)
            made[words] = sentence, find_added(sentence, words)
        sentence, added = made[words]
        rows.append((voxel, ", ".join(words), "" if added else sentence, ", ".join(added)))
    return pd.DataFrame(rows, columns=["voxel", "words", "sentence", "added"])
