"""Read the Natural Scenes Dataset (Allen et al. 2022, Nature Neuroscience 25) as published.

``read_subject`` gives a Recording, from which a stage makes responses; ``read_rois`` gives the
ROIs of its voxels; ``open_stimuli`` and ``read_*`` give images and what is known about them;
``check_nsd`` lists everything that is wrong, in seconds, before any of it is read whole.
"""

from __future__ import annotations

import json
import mmap
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from mine.datasets import nsd_files, nsd_rois, nsd_sessions
from mine.datasets.nsd_check import check_nsd
from mine.datasets.nsd_rois import read_rois
from mine.datasets.recording import Recording, VoxelSet, voxels_of
from mine.errors import InputError

__all__ = [
    "Stimuli",
    "check_nsd",
    "open_stimuli",
    "read_captions",
    "read_categories",
    "read_information",
    "read_instances",
    "read_mean",
    "read_rois",
    "read_subject",
    "voxels_of",
]

BETAS = "betas_fithrf_GLMdenoise_RR"
SPACE = "func1pt8mm"


def read_mean(
    root: Path, subject: str, *, space: str, shape: Sequence[int], affine: np.ndarray
) -> np.ndarray | None:
    """Read a subject's mean functional volume, float32 (X, Y, Z); None where there is none, or
    where it shows nothing, being constant.

    shape, affine: those of the betas. Raises InputError for a volume on another grid.
    """
    path = nsd_files.subject_folder(root, subject, space) / "mean.nii.gz"
    if not path.is_file():
        return None
    volume = nsd_files.read_volume(path)
    betas = Path(f"{space} betas of {subject}")
    values = nsd_files.match_volume(volume, shape=tuple(shape), affine=affine, of=betas)
    values = np.asarray(values, dtype=np.float32)
    return values if np.ptp(values) > 0 else None


@dataclass(frozen=True)
class Stimuli:
    """The images of nsd_stimuli.hdf5, read as they are asked for."""

    path: Path
    shape: tuple[int, int, int, int]

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Images by nsdId (from 0), in the order asked for: uint8 (image, row, column, 3).

        Each stored chunk is read once, in the order of the file.
        """
        indices = np.asarray(indices, dtype=np.int64)
        wrong = indices[(indices < 0) | (indices >= self.shape[0])]
        if len(wrong):
            raise InputError(
                f"{self.path}: expected image {wrong[0]}, found {self.shape[0]} images (from 0)"
            )
        images = np.empty((len(indices), *self.shape[1:]), dtype=np.uint8)
        order = np.argsort(indices, kind="stable")
        with h5py.File(self.path, "r") as file:
            data = file["imgBrick"]
            step = data.chunks[0] if data.chunks else 1
            chunk = indices[order] // step
            for part in np.split(order, np.flatnonzero(np.diff(chunk)) + 1):
                if len(part):
                    start, stop = indices[part[0]], indices[part[-1]] + 1
                    images[part] = data[start:stop][indices[part] - start]
        return images


def open_stimuli(root: Path) -> Stimuli:
    """Open the stimuli of the dataset; the side of an image is whatever the file has."""
    return Stimuli(*nsd_files.open_stimulus_file(root))


def read_information(root: Path) -> pd.DataFrame:
    """Read nsd_stim_info_merged.csv: one row per image, indexed by nsdId (from 0)."""
    return nsd_files.read_information(root)


def read_captions(paths: Iterable[Path], *, coco_ids: Iterable[int]) -> dict[int, list[str]]:
    """Read COCO captions (captions_train2017.json and the like): cocoId -> sentences.

    Only the images of coco_ids are kept; one without captions is left out.
    """
    wanted = set(map(int, coco_ids))
    captions: dict[int, list[str]] = {}
    for path in paths:
        for entry in _read_coco(path, "annotations", ("image_id", "caption")):
            if entry["image_id"] in wanted:
                captions.setdefault(entry["image_id"], []).append(str(entry["caption"]).strip())
    return captions


def read_instances(
    paths: Iterable[Path], *, coco_ids: Iterable[int]
) -> tuple[dict[str, str], dict[int, list[tuple[str, tuple[float, float, float, float]]]]]:
    """Read COCO objects (instances_train2017.json and the like).

    Returns all categories, name -> supercategory ("" for none), in the order of their numbers, and
    for each image of coco_ids that a file covers its objects as (category, (left, top, right,
    bottom)), the box in fractions of the whole COCO image. An image that is covered and shows
    nothing has an empty list.
    """
    wanted = set(map(int, coco_ids))
    known: dict[int, dict] = {}
    objects: dict[int, list[tuple[str, tuple[float, float, float, float]]]] = {}
    for path in paths:
        content = _load_json(path)
        categories = _entries(path, content, "categories", ("id", "name"))
        own = {entry["id"]: entry["name"] for entry in categories}
        known |= {entry["id"]: entry for entry in categories}
        sizes = {
            entry["id"]: (entry["width"], entry["height"])
            for entry in _entries(path, content, "images", ("id", "width", "height"))
            if entry["id"] in wanted
        }
        for image in sizes:
            objects.setdefault(image, [])
        fields = ("image_id", "category_id", "bbox")
        for entry in _entries(path, content, "annotations", fields):
            if entry["image_id"] in sizes:
                width, height = sizes[entry["image_id"]]
                x, y, w, h = entry["bbox"]
                box = (x / width, y / height, (x + w) / width, (y + h) / height)
                objects[entry["image_id"]].append((own[entry["category_id"]], box))
    return _name_categories(known), objects


def read_categories(paths: Iterable[Path]) -> dict[str, str]:
    """Read only the categories of COCO instance files: name -> supercategory ("" for none).

    Neither images nor objects are parsed, which in COCO's own files are half a gigabyte.
    """
    known: dict[int, dict] = {}
    for path in map(Path, paths):
        content = {"categories": _find_list(path, "categories")}
        entries = _entries(path, content, "categories", ("id", "name"))
        known |= {entry["id"]: entry for entry in entries}
    return _name_categories(known)


def _name_categories(known: Mapping[int, dict]) -> dict[str, str]:
    """Categories in the order of their numbers: name -> supercategory."""
    entries = [known[number] for number in sorted(known)]
    return {str(entry["name"]): str(entry.get("supercategory", "")) for entry in entries}


def _find_list(path: Path, key: str) -> object:
    """Return the first list that stands under a key of a JSON file; None where there is none."""
    if not path.is_file() or path.stat().st_size == 0:
        return _load_json(path)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
        for found in re.finditer(rf'"{key}"\s*:\s*(?=\[)'.encode(), text):
            # Of the list only its end is not known; no list of categories is a megabyte long.
            part = text[found.end() : found.end() + 2**20].decode("utf-8", errors="ignore")
            try:
                return json.JSONDecoder().raw_decode(part)[0]
            except ValueError as error:
                raise InputError(f"{path}: expected JSON, found something else: {error}") from None
    return None


def read_subject(
    root: Path,
    subject: str,
    *,
    space: str = SPACE,
    betas: str = BETAS,
    voxels: str | Sequence[str] = "nsdgeneral",
    sessions: int | None = None,
) -> Recording:
    """Open one subject: which image each trial showed, which voxels, and how to read the betas.

    space: "func1pt8mm" or "func1mm". betas: folder of the betas' version. voxels: references of
    ROIs (see mine.datasets.nsd_rois), united. sessions: how many to use, from the first; all that
    are there by default.

    Betas are read from HDF5 where both formats are there. Raises InputError for whatever is
    missing, damaged, of another shape or affine, or in disagreement with the design.
    """
    root = Path(root)
    files = nsd_sessions.open_sessions(root, subject, space=space, betas=betas, sessions=sessions)
    images = nsd_sessions.assign_images(root, subject, files)
    affine = nsd_sessions.find_affine(root, subject, files, space=space, betas=betas)
    first = files[0]
    grid = {"shape": first.shape, "affine": affine, "of": first.path}
    mask = nsd_rois.read_mask(root, subject, voxels, space=space, **grid)
    ijk = np.argwhere(mask)
    hemisphere = nsd_rois.read_hemisphere(root, subject, ijk, space=space, shape=first.shape)
    path = nsd_files.betas_folder(root, subject, space, betas) / "ncsnr.nii.gz"
    ncsnr = None
    if path.is_file():
        volume = nsd_files.match_volume(nsd_files.read_volume(path), **grid)
        ncsnr = volume[mask].astype(np.float32)
    behaviour = nsd_files.read_behaviour(root, subject)
    planned = len(files) if behaviour is None else int(behaviour["SESSION"].max())
    return Recording(
        subject=subject,
        images=images,
        shared=np.sort(nsd_files.read_design(root).shared),
        voxels=VoxelSet(ijk, first.shape, affine, hemisphere, space),
        read_session=lambda number: nsd_sessions.read_session(files[number], ijk),
        ncsnr=ncsnr,
        attributes={
            "dataset": "Natural Scenes Dataset",
            "subject": subject,
            "betas": betas,
            "betas_format": ", ".join(sorted({file.format for file in files})),
            "sessions": len(files),
            "sessions_recorded": planned,
            "voxel_set": voxels if isinstance(voxels, str) else list(voxels),
        },
    )


def _read_coco(path: Path, key: str, fields: tuple[str, ...]) -> list[dict]:
    return _entries(path, _load_json(path), key, fields)


def _load_json(path: Path) -> object:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: expected COCO annotations, found no file")
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, found something else: {error}") from None


def _entries(path: Path, content: object, key: str, fields: tuple[str, ...]) -> list[dict]:
    entries = content.get(key) if isinstance(content, dict) else None
    if not isinstance(entries, list):
        raise InputError(f"{path}: expected COCO annotations with a list {key}, found none")
    for entry in entries:
        if not isinstance(entry, dict) or any(name not in entry for name in fields):
            raise InputError(
                f"{path}: expected {', '.join(fields)} in each of {key}, found one without"
            )
    return entries
