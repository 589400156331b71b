"""Subjects, regions and voxels: a thin way into their stores, and tables made from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.calibration import join_said
from mine.core.named_lists import find_sure_lists
from mine.errors import InputError
from mine.figures.voxels import describe_voxels
from mine.results.explanations import Explanation, Image, explain_image, tabulate_description
from mine.results.profiles import Profile, list_words
from mine.stores import open_store

if TYPE_CHECKING:
    from mine.results.folder import Results

SUPPRESSED = 4
"""Suppressed words in a table: as many as it has words."""


Key = TypeVar("Key", str, int)


class Keyed(ABC, Generic[Key]):
    """What is gone through by the keys that its brackets take, as a dict is."""

    @abstractmethod
    def _keys(self) -> list[Key]:
        """Return the keys, in their order."""

    def __iter__(self) -> Iterator[Key]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def __contains__(self, key: object) -> bool:
        return key in self._keys()


class Subject(Keyed[str]):
    """A subject of an analysis. `subject[roi]` is one of its regions, `list(subject)` their
    names."""

    def __init__(self, results: Results, name: str) -> None:
        self.results = results
        self.name = name
        self.path: Path = results.path / name

    def __repr__(self) -> str:
        return f"<{self.name}, {len(self.rois)} regions>"

    def __getitem__(self, roi: str) -> Region:
        """Return a region; InputError if the subject has none of that name."""
        if roi not in self.rois:
            known = ", ".join(self.rois)
            raise InputError(f"{self.name}: expected one of its regions, {known}, found {roi}")
        return Region(self, roi)

    def _keys(self) -> list[str]:
        return self.rois

    @property
    def rois(self) -> list[str]:
        """Names of the regions that the subject has."""
        return self.membership["roi"].values.tolist()

    @cached_property
    def membership(self) -> xr.Dataset:
        """Which voxels belong to which region, and where they lie: `rois.zarr`."""
        return open_store(self.path / "rois.zarr")

    @cached_property
    def responses(self) -> xr.Dataset:
        """Measured responses (image, voxel), z-scored: `responses.zarr`."""
        return open_store(self.path / "responses.zarr")

    @cached_property
    def scores(self) -> xr.Dataset:
        """R² on test images, with intervals, beside other models': `scores.zarr`."""
        return open_store(self.path / "scores.zarr")

    @cached_property
    def encoder(self) -> xr.Dataset:
        """Weights of the encoder of all training images: `encoder/all.zarr`."""
        return open_store(self.path / "encoder/all.zarr")


class Region(Keyed[int]):
    """A region of a subject. `region[number]` is one of its voxels, `list(region)` their numbers.

    Its stores are xarray datasets, whose variables docs/stores.md lists.

    >>> import mine
    >>> region = mine.open("results/demo")["subj01"]["FFA-1"]
    >>> region.profiles["z"].dims
    ('sign', 'voxel', 'rank')
    >>> len(region.table()) == len(region.voxels)
    True
    """

    def __init__(self, subject: Subject, name: str) -> None:
        self.subject = subject
        self.results = subject.results
        self.name = name
        self.path: Path = subject.path / name

    def __repr__(self) -> str:
        return f"<{self.name} of {self.subject.name}, {len(self.voxels)} voxels>"

    def __getitem__(self, number: int) -> Voxel:
        """Return a voxel by its number; InputError if it is none of the region's."""
        if number not in self.voxels:
            raise InputError(
                f"{self.name} of {self.subject.name}: expected one of its {len(self.voxels)} "
                f"voxels, between {min(self.voxels)} and {max(self.voxels)}, found {number}"
            )
        return Voxel(self, int(number))

    def _keys(self) -> list[int]:
        return self.voxels

    @cached_property
    def voxels(self) -> list[int]:
        """Numbers of the voxels: their places in the subject's `responses.zarr`."""
        member = self.subject.membership["member"].sel(roi=self.name).values
        return np.flatnonzero(member).tolist()

    @cached_property
    def profiles(self) -> xr.Dataset:
        """Words of every voxel over all images, and whether to believe them: `profiles.zarr`."""
        return open_store(self.path / "profiles.zarr")

    @cached_property
    def attributions(self) -> xr.Dataset:
        """What drove every voxel in every image: `attributions/all.zarr`."""
        return open_store(self.path / "attributions/all.zarr")

    @cached_property
    def descriptions(self) -> xr.Dataset:
        """Words of every voxel in every test image: `descriptions.zarr`."""
        return open_store(self.path / "descriptions.zarr")

    @cached_property
    def preference(self) -> xr.Dataset:
        """Which category every voxel and the region prefer: `preference.zarr`."""
        return open_store(self.path / "preference.zarr")

    @cached_property
    def structure(self) -> xr.Dataset:
        """What tells the voxels apart, and their clusters: `structure.zarr`."""
        return open_store(self.path / "structure.zarr")

    def store(self, name: str) -> xr.Dataset:
        """Open another store of the region by its name, such as `counterfactuals` or
        `attributions/first_half`; InputError if there is none of that name."""
        path = self.path / f"{name}.zarr"
        if not path.exists():
            found = [*self.path.glob("*.zarr"), *self.path.glob("*/*.zarr")]
            known = sorted(each.relative_to(self.path).with_suffix("").as_posix() for each in found)
            raise InputError(
                f"{self.name} of {self.subject.name}: expected one of its stores, "
                f"{', '.join(known)}, found {name}"
            )
        return open_store(path)

    def table(self) -> pd.DataFrame:
        """Return a row for each voxel, best fitted first, indexed by its number.

        Columns: `r2` of the encoder on test images, with `r2_low` and `r2_high` (95%);
        `noise_ceiling`; `r2_normalised`, R² over the ceiling; `reliability` of the profile across
        halves and `reliability_p`; `described`; `reason`, the first condition that fails where it
        is not; `words` and `suppressed`, the first four each, empty unless it is described;
        `preferred_by_words` and `preferred_by_responses`, categories, empty where there is none;
        `cluster`, from 1, missing where the voxel is in none or the region has none; `list_<name>`,
        the sure word of each named list (`lens.lists`), empty where there is none.
        """
        return self._table.copy()

    @cached_property
    def _table(self) -> pd.DataFrame:
        profiles, words = self.profiles, self.results.words
        table = describe_voxels(profiles, self.subject.scores, words)
        own = {int(voxel): place for place, voxel in enumerate(profiles["voxel"].values)}
        negative = profiles[["word", "listed"]].sel(sign="negative").load()
        table["suppressed"] = [
            ", ".join(list_words(negative.isel(voxel=own[voxel]), words)[:SUPPRESSED])
            if described
            else ""
            for voxel, described in table["described"].items()
        ]
        preferred = self.preference["preferred"].load()
        for column, evidence in (("words", "profile"), ("responses", "measured")):
            chosen = preferred.sel(evidence=evidence).to_series()
            table[f"preferred_by_{column}"] = chosen.reindex(table.index)
        cluster = self.structure["cluster"].to_series()
        if self.structure.attrs["clusters"] < 2:
            cluster = cluster[:0]
        table["cluster"] = cluster.astype("Int64").reindex(table.index) + 1
        for name in np.asarray(profiles.get("list", ())):
            of_list = profiles[["list_word", "list_listed", "described"]].sel(list=name).load()
            chosen = np.where(find_sure_lists(of_list), words[of_list["list_word"].values], "")
            table[f"list_{name}"] = pd.Series(chosen, profiles["voxel"]).reindex(table.index)
        return table

    def explain(self, image: Image, *, voxels: list[int] | None = None) -> dict[int, Explanation]:
        """Explain the prediction for one image in many voxels; see :meth:`Voxel.explain`.

        voxels: numbers; None takes all of the region.
        """
        if voxels is not None and not len(voxels):
            raise InputError(
                "voxels: expected one or more, or None for all of the region, found none"
            )
        numbers = self.voxels if voxels is None else [self[number].number for number in voxels]
        return explain_image(self, image, numbers)


class Voxel:
    """A voxel of a region: what it answers to, and why to an image."""

    def __init__(self, region: Region, number: int) -> None:
        self.region = region
        self.number = number

    def __repr__(self) -> str:
        return f"<voxel {self.number} in {self.region.name} of {self.region.subject.name}>"

    @property
    def summary(self) -> pd.Series:
        """The voxel's row of :meth:`Region.table`."""
        return self.region._table.loc[self.number]

    @cached_property
    def profile(self) -> Profile:
        """What the voxel answers to over all images, in words, and what suppresses it."""
        return Profile(self)

    @property
    def exemplars(self) -> pd.DataFrame:
        """The images of largest prediction, largest first.

        Columns: `image`, identity; `prediction` and measured `response`, in standard deviations of
        the response; `phrase`, the words that describe what drove the voxel, empty where the lens
        says nothing clearly there, missing where the image is no test image and so has no
        description.
        """
        region = self.region
        image = region.profiles["exemplar"].sel(voxel=self.number).values
        prediction = region.attributions["prediction"].sel(voxel=self.number, image=image)
        response = region.subject.responses["response"].isel(voxel=self.number).sel(image=image)
        said = region.descriptions.sel(condition="description", voxel=self.number)
        phrases = pd.Series(join_said(said, region.results.words), said["image"].values)
        return pd.DataFrame(
            {
                "image": image,
                "prediction": prediction.values,
                "response": response.values,
                "phrase": phrases.reindex(image).to_numpy(),
            }
        )

    def describe(self, image: int) -> pd.DataFrame:
        """Return the stored description of a test image, best word first.

        Columns: `word`; `weight`, its probability in the tokens that drove the voxel above its base
        rate, where it is above it; `row` and `column` of the patch that gave most of it. Raises
        InputError if the image is no test image.
        """
        descriptions = self.region.descriptions
        if image not in descriptions["image"].values:
            raise InputError(
                f"image {image}: expected one of the {descriptions.sizes['image']} test images, "
                "found none of that number; explain() takes any image"
            )
        return tabulate_description(
            descriptions.sel(voxel=self.number, image=image),
            self.region.results.words,
            self.region.profiles.sizes["column"],
        )

    def explain(self, image: Image) -> Explanation:
        """Explain the prediction for an image, as the workflow does: in closed form.

        image: a file, a PIL image, uint8 (row, column, 3), or the identity of one of the dataset's.
        The middle square is taken. An image of the dataset has the attributions and the words that
        are stored. Raises InputError for what is no image, and if the model is not the one that
        made the results.
        """
        return self.region.explain(image, voxels=[self.number])[self.number]
