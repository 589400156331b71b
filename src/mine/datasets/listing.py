"""What the workflow's rules have to know of a dataset before any of it is read.

One branch per kind of dataset. Imports nothing beyond the standard library, because the rules, and
with them every job, read this; the readers are behind mine.datasets.reader.
"""

from __future__ import annotations

from pathlib import Path

from mine.errors import InputError
from mine.sections import Dataset

IMAGE_KEYS = ("kind", "root")
"""Keys of the section `dataset` that decide the pixels of an image; of the others none does."""

NSD_FOLDER = "nsddata/experiments/nsd"

SIDES = ("lh", "rh")


def list_files(dataset: Dataset) -> list[str]:
    """Return the files whose change says that the dataset has changed."""
    folder = f"{dataset.root}/{NSD_FOLDER}"
    return [f"{folder}/nsd_expdesign.mat", f"{folder}/nsd_stim_info_merged.csv"]


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
    table = Path(dataset.root) / NSD_FOLDER / "nsd_stim_info_merged.csv"
    if not table.is_file():
        raise InputError(f"dataset.root: expected {table}, found no such file")
    with open(table, "rb") as file:
        return sum(1 for _ in file) - 1


def describe_geometry(dataset: Dataset) -> str:
    """Return where the responses lie: "volume", "surface" or "list"."""
    return "volume" if dataset.space.startswith("func") else "surface"


def describe_images(dataset: Dataset) -> dict[str, object]:
    """Return the keys that decide the images, for a rule that reads nothing else."""
    return {key: getattr(dataset, key) for key in IMAGE_KEYS}


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
