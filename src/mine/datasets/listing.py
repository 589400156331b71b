"""What the workflow's rules have to know of a dataset before any of it is read.

One branch per kind of dataset. Imports nothing beyond the standard library, because the rules, and
with them every job, read this; the readers are behind mine.datasets.reader.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from mine.datasets.patterns import find_files, leaves_folder, list_names, split_label
from mine.datasets.tables import read_table
from mine.errors import InputError
from mine.references import voxel_references
from mine.sections import Dataset, Folder

IMAGE_KEYS = ("kind", "root")
"""Keys of the section `dataset` that decide the pixels of an image; of the others none does but
these two of the section `folder`."""

FOLDER_IMAGE_KEYS = ("images", "image_side")

NSD_FOLDER = "nsddata/experiments/nsd"
ALGONAUTS_IMAGES = "training_split/training_images"
ALGONAUTS_RESPONSES = "training_split/training_fmri"
ALGONAUTS_IMAGE = re.compile(r"train-(\d+)_nsd-(\d+)\.png")
"""Row of the responses from 1, and nsdId from 0."""

SIDES = ("lh", "rh")

CIFTI = (".dscalar.nii", ".dtseries.nii")


def list_files(dataset: Dataset) -> list[str]:
    """Return the files whose change says that the dataset has changed."""
    if dataset.kind == "algonauts":
        pattern = f"{{subject}}/{ALGONAUTS_RESPONSES}/*_training_fmri.npy"
        found = [str(one.path) for one in find_files(Path(dataset.root), pattern)]
        first = f"{dataset.root}/subj01/{ALGONAUTS_RESPONSES}/lh_training_fmri.npy"
        return found or [first]
    if dataset.kind == "folder":
        root = Path(dataset.root)
        tables = find_files(root, dataset.folder.trials)
        return [str(root / dataset.folder.images), *(str(one.path) for one in tables)]
    folder = f"{dataset.root}/{NSD_FOLDER}"
    return [f"{folder}/nsd_expdesign.mat", f"{folder}/nsd_stim_info_merged.csv"]


def list_read(
    dataset: Dataset,
    group: str,
    *,
    subject: str = "",
    references: Iterable[str] = (),
    downloaded: bool = False,
) -> list[str]:
    """Return the files, as far as they are there, whose content decides what a job reads.

    Responses of NSD, its atlases and the images of NSD and Algonauts are not among them: they come
    as they were published, and are far too much to look at each time.

    Args:
        group: "stimuli", "images", "responses" or "regions".
        subject: whose responses or regions.
        references: what the regions to be read stand for.
        downloaded: whether NSD's tables come from its bucket, so that they are not among them.
    """
    root = Path(dataset.root)
    tables = [*dataset.captions, *dataset.instances] if group == "stimuli" else []
    if dataset.kind == "folder":
        files = _list_folder(dataset, group, subject, references)
    elif group == "regions":
        files = _find_all(root, references, subject)
    elif dataset.kind == "algonauts" and group == "responses":
        files = _find_all(root, [f"{{subject}}/{ALGONAUTS_RESPONSES}/*_training_fmri.npy"], subject)
    else:
        files = [] if group == "images" or downloaded else list_files(dataset)
        if group == "responses":
            files += _find_all(root, voxel_references(dataset), subject)
    return sorted(file for file in {*tables, *files} if Path(file).is_file())


def _list_folder(
    dataset: Dataset, group: str, subject: str, references: Iterable[str]
) -> list[str]:
    """Return what a job reads of an experiment of one's own."""
    root, folder = Path(dataset.root), dataset.folder
    if group == "images":
        return _list_images(root / folder.images)
    if group == "stimuli":
        # which part of COCO's image is shown depends on the size of the image
        pictures = _list_images(root / folder.images) if dataset.instances else []
        return [*list_files(dataset), *pictures]
    if group == "regions":
        patterns = [_place_region(folder, reference) for reference in references]
        return _find_all(root, [*patterns, folder.localiser], subject)
    patterns = [folder.trials, folder.responses, folder.mask, folder.names, folder.ncsnr]
    patterns += [_place_region(folder, reference) for reference in voxel_references(dataset)]
    return [str(root / folder.images), *_find_all(root, patterns, subject)]


def _list_images(table: Path) -> list[str]:
    """Return the files that a table of images names in its folder. Of other names, and where it is
    no such table, the job that reads it tells."""
    try:
        names = read_table(table, needed=["image"]).columns["image"]
    except InputError:
        return []
    inside = (name for name in names if not (Path(name).is_absolute() or leaves_folder(name)))
    return [str(table.parent / name) for name in inside]


def _place_region(folder: Folder, reference: str) -> str:
    """Return the pattern of the map that an ROI's name, or the path of a map, stands for."""
    path = split_label(reference)
    return folder.rois.replace("{roi}", reference) if path is None else path[0]


def _find_all(root: Path, patterns: Iterable[str | None], subject: str) -> list[str]:
    """Return the files that any of the patterns means for a subject; a name means none."""
    found = [find_files(root, pattern, subject=subject) for pattern in patterns if pattern]
    return [str(one.path) for files in found for one in files]


def list_unseen_files(dataset: Dataset) -> list[str]:
    """Return the files whose change says that the images of another kind have changed."""
    return [f"{dataset.root}/{NSD_FOLDER}synthetic/nsdsynthetic_expdesign.mat"]


def is_there(dataset: Dataset) -> bool:
    """Tell whether there is anything of the dataset: the demo's is yet to be written."""
    return any(Path(path).exists() for path in list_files(dataset))


def count_identities(dataset: Dataset) -> int:
    """Return one more than the largest identity of an image, by which images fall into shards.

    Raises InputError if the dataset is not there.
    """
    if dataset.kind == "algonauts":
        largest = max(_list_algonauts(Path(dataset.root)), default=None)
        if largest is None:
            raise InputError(
                f"dataset.root: expected images in {dataset.root}/subj01/{ALGONAUTS_IMAGES}, found "
                "none"
            )
        return largest + 1
    if dataset.kind == "folder":
        table = Path(dataset.root) / dataset.folder.images
        if not table.is_file():
            raise InputError(f"dataset.folder.images: expected {table}, found no such file")
        with open(table, "rb") as file:
            return sum(1 for line in file if line.strip()) - 1
    table = Path(dataset.root) / NSD_FOLDER / "nsd_stim_info_merged.csv"
    if not table.is_file():
        raise InputError(f"dataset.root: expected {table}, found no such file")
    with open(table, "rb") as file:
        return sum(1 for _ in file) - 1


def describe_geometry(dataset: Dataset) -> str:
    """Return where the responses lie: "volume", "surface" or "list"."""
    if dataset.kind == "algonauts":
        return "surface"
    if dataset.kind == "folder":
        responses = dataset.folder.responses.lower()
        if "hemisphere" in list_names(responses) or responses.endswith(CIFTI):
            return "surface"
        # a table's columns lie in a volume if they are the voxels of a mask
        table = responses.endswith((".npy", ".hdf5", ".h5", ".mat"))
        return "list" if table and dataset.folder.names is not None else "volume"
    return "volume" if dataset.space.startswith("func") else "surface"


def describe_images(dataset: Dataset) -> dict[str, object]:
    """Return the keys that decide the images, for a rule that reads nothing else."""
    keys: dict[str, object] = {key: getattr(dataset, key) for key in IMAGE_KEYS}
    if dataset.kind == "folder":
        keys["folder"] = {key: getattr(dataset.folder, key) for key in FOLDER_IMAGE_KEYS}
    return keys


def list_maps(dataset: Dataset, stem: str, *, labels: bool) -> list[str]:
    """Return the paths of one map over a subject's voxels, as mine.datasets.maps writes it.

    stem: path without a suffix. labels: whether its values are labels or measurements.
    """
    geometry = describe_geometry(dataset)
    if geometry == "volume":
        return [f"{stem}.nii.gz"]
    if geometry == "list":
        return [f"{stem}.tsv"]
    return [f"{stem}.{side}.{'label' if labels else 'func'}.gii" for side in SIDES]


def _list_algonauts(root: Path) -> set[int]:
    """Return the nsdId of every training image of every subject."""
    folders = sorted(root.glob(f"subj??/{ALGONAUTS_IMAGES}"))
    names = [name for folder in folders for name in os.listdir(folder)]
    matches = [ALGONAUTS_IMAGE.fullmatch(name) for name in names]
    return {int(match[2]) for match in matches if match}
