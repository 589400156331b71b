"""The folder of an analysis's results: its configuration, what subjects share, and the model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from mine.config import Config, find_changes, load_config
from mine.core.hubs import PIPELINES
from mine.errors import InputError
from mine.figures.voxels import gather_pictures
from mine.results.regions import Keyed, Subject
from mine.stores import open_store, read_manifest

if TYPE_CHECKING:  # torch is wanted only where an image is explained
    from mine.core.backbone import Backbone
    from mine.core.generation import Generator
    from mine.datasets.images import Stimuli


MOVED = (
    "dataset.root",
    "dataset.folder.images",
    "backbone.model",
    "evaluator.model",
    *(f"generator.{key}" for key in PIPELINES),
    "phrasing.model",
)
"""Keys that say where something is, which may have moved since. Nothing finished follows from
them: what is read again, images and backbone, is checked against what made the results."""


class Results(Keyed[str]):
    """Results of an analysis, of which nothing is read before it is asked for.

    `results[subject]` is a subject, `results[subject][roi]` one of its regions. As of a dict,
    `list(results)` are the names, in the configuration's order.
    """

    def __init__(
        self, path: Path | str, *, config: Path | str | Mapping[str, Any] | None = None
    ) -> None:
        """See :func:`mine.open`."""
        self.path = Path(path)
        if not self.path.is_dir():
            raise InputError(f"{path}: expected the results of an analysis, found no such folder")
        own = self.path / "config.json"
        if not own.is_file() and (below := _list_analyses(self.path)):
            raise InputError(
                f"{path}: expected the folder of one analysis's results, found such folders in it; "
                f"name one: {', '.join(map(str, below))}"
            )
        if config is None and not own.is_file():
            raise InputError(
                f"{own}: expected the configuration that made the results, found none; the "
                "workflow writes it when it is run again, or name the file"
            )
        self.config: Config = load_config(own if config is None else config, is_run=False)
        if config is not None and own.is_file():
            _check_settings(
                self.config, own, name="config" if isinstance(config, Mapping) else config
            )

    def __repr__(self) -> str:
        return f"<results in {self.path}, {len(self.subjects)} subjects>"

    def __getitem__(self, subject: str) -> Subject:
        """Return a subject; InputError if the analysis has none of that name."""
        if subject not in self.subjects:
            known = ", ".join(self.subjects)
            raise InputError(f"{self.path}: expected one of its subjects, {known}, found {subject}")
        return Subject(self, subject)

    def _keys(self) -> list[str]:
        return self.subjects

    @property
    def subjects(self) -> list[str]:
        """Names of the subjects."""
        return list(self.config.subjects)

    @cached_property
    def images(self) -> xr.Dataset:
        """What is known about the images: `stimuli.zarr`, see docs/stores.md."""
        return open_store(self.path / "stimuli.zarr")

    @cached_property
    def vocabulary(self) -> xr.Dataset:
        """Words and their text embeddings: `vocabulary.zarr`, see docs/stores.md."""
        return open_store(self.embeddings / "vocabulary.zarr")

    @cached_property
    def words(self) -> np.ndarray:
        """The vocabulary: text (word,), into which stores give indices."""
        return self.vocabulary["word"].values

    @cached_property
    def base_rates(self) -> xr.Dataset:
        """How often every word is read, and its group of synonyms: `base_rates.zarr`, in memory."""
        return open_store(self.embeddings / "base_rates.zarr").load()

    @property
    def embeddings(self) -> Path:
        """Folder of what the backbone made."""
        return self.path / "embeddings" / self.config.backbone.name

    def pictures(self, images: Sequence[int] | np.ndarray) -> xr.DataArray:
        """Read pixels: uint8 (image, row, column, channel), in the order asked for.

        images: identities. Raises InputError if the dataset is no longer where it was.
        """
        images = np.atleast_1d(np.asarray(images))
        return gather_pictures(self._stimuli.read, images).sel(image=images)

    @cached_property
    def _stimuli(self) -> Stimuli:
        from mine.datasets.listing import describe_images
        from mine.datasets.reader import open_dataset

        dataset = replace(self.config.dataset, root=self._locate(self.config.dataset.root))
        return open_dataset(describe_images(dataset)).open_stimuli()

    @cached_property
    def backbone(self) -> Backbone:
        """The model that made the tokens, loaded.

        Raises InputError if it cannot be had, or is another than the one that made the results.
        """
        from mine.core.backbone import open_backbone
        from mine.core.backbone_keys import KEY

        chosen = self.config.backbone
        model = chosen.model
        if model.startswith("local-dir:"):
            model = f"local-dir:{self._locate(model.removeprefix('local-dir:'))}"
        made = read_manifest(self.embeddings / "vocabulary.zarr")["models"]["backbone"]
        loaded = open_backbone(asdict(chosen), model=model)
        if loaded.digest != made:
            raise InputError(
                f"{KEY}: expected the model that made {self.path}, of digest {made}, found {model} "
                f"of digest {loaded.digest}"
            )
        return loaded

    @cached_property
    def generator(self) -> Generator:
        """The model that makes pictures, opened as the rules open it: `generate(prompts, seeds=)`,
        `inpaint(images, masks, prompts, seeds=)` and more.

        Raises InputError if it cannot be had.
        """
        from mine.core.generation import load_generator

        keys = asdict(self.config.generator)
        del keys["prompt"]
        for key in PIPELINES:
            # Any other name is one of a hub.
            if keys[key] and Path(folder := self._locate(keys[key])).is_dir():
                keys[key] = folder
        return load_generator(**keys)

    def _locate(self, path: str) -> str:
        """Return a path of the configuration from anywhere: relative ones start at the folder in
        which the workflow ran, which holds `results/<name>`."""
        return str(self.path.absolute().parent.parent / path)


def _list_analyses(folder: Path) -> list[Path]:
    """Return the folders in a folder that hold the results of an analysis, by their configuration:
    the file of that name of a model names no subjects."""
    return [path.parent for path in sorted(folder.glob("*/config.json")) if _is_analysis(path)]


def _is_analysis(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, Mapping) and "subjects" in content


def _check_settings(given: Config, path: Path, *, name: object) -> None:
    """Raise InputError if a configuration is not the one beside the results, which would then be
    read by the settings of others: of the keys on which results depend only those of MOVED may
    differ."""
    for key, expected, found in find_changes(load_config(path, is_run=False), given):
        if key not in MOVED:
            raise InputError(
                f"{name}: expected {key} as in {path}, by which the results were made, "
                f"{expected!r}, found {found!r}; only {', '.join(MOVED)} and how it is run may "
                "differ"
            )
