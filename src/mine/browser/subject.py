"""The files of a subject: its regions, the pictures that their cards show, and its brain."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from mine.browser.causal import describe_tests, list_pictures
from mine.browser.pictures import write_pictures
from mine.browser.region import write_region
from mine.browser.scripts import write_script
from mine.figures.voxels import describe_voxels


@dataclass(frozen=True)
class Region:
    """What was found in a region. stores: by name, as they are opened; of ``generated`` and
    ``edits`` pixels are read as they are written."""

    name: str
    stores: Mapping[str, xr.Dataset]


def write_subject(
    folder: Path,
    subject: str,
    regions: Iterable[Region],
    *,
    scores: xr.Dataset,
    measured: xr.DataArray,
    brain: Mapping[str, object],
    words: np.ndarray,
    group: np.ndarray,
    read: Callable[[np.ndarray], np.ndarray],
    template: str,
    method: str,
    images: int,
    side: int,
    write_images: bool,
) -> None:
    """Write ``subject.js``, the files of every region and the pictures.

    scores: store of the subject. measured: (image, voxel), its responses to test images. brain: of
    :func:`mine.browser.brain.describe_brain`.
    words, group: (word,) the vocabulary and its groups of synonyms. read: identities → uint8
    (image, row, column, 3). template, method: of pictures and edits. images: on a card. side: of
    pictures, in pixels, at most. write_images: whether the dataset's own pictures are written:
    images, edits of them, which are images of the dataset but for a few patches, and the volume
    behind the slices.
    """
    shown: set[int] = set()
    listed = []
    for region in regions:
        stores = region.stores
        tests = describe_tests(
            *(stores[name] for name in ("generated", "sufficiency", "edits", "counterfactuals")),
            template=template,
            method=method,
        )
        pictures, edited, originals = list_pictures(tests)
        drawn = write_region(
            folder / region.name,
            f"{subject}/{region.name}",
            stores,
            scores,
            measured,
            describe_voxels(stores["profiles"], scores, words),
            words=words,
            group=group,
            images=images,
            tests=tests,
        )
        shown.update(drawn.tolist(), originals.tolist())
        made = {"generated": pictures} | ({"edits": edited} if write_images else {})
        for name, numbers in made.items():
            pixels = stores[name]["pixels"]
            write_pictures(
                lambda rows, pixels=pixels: pixels[rows].values,
                numbers,
                folder / region.name / name,
                side=side,
            )
        listed.append({"name": region.name, "voxels": stores["profiles"].sizes["voxel"]})
    if write_images:
        write_pictures(read, np.array(sorted(shown), dtype=int), folder / "images", side=side)
    else:
        brain = {**brain, "background": None}
    write_script(folder / "subject.js", f"{subject}/subject", {"rois": listed, "brain": brain})
