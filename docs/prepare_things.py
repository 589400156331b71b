"""Write THINGS-fMRI (Hebart et al. 2023, eLife 12:e82580) as a folder that MINE reads.

``python docs/prepare_things.py betas_csv --masks brainmasks --images object_images --output
data/things`` reads the single-trial responses in the form of tables. It writes for each subject the
responses of the voxels in regions, session by session, with their mask, their regions and a table
of trials. ``mine init folder --root data/things`` goes on from there. docs/data.md says which files
are needed and where they come from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
from preparing import (
    create_sessions,
    describe_trials,
    make_parser,
    read_columns,
    read_whole_numbers,
    run,
    write_images,
    write_table,
    write_whole,
)

from mine.datasets.grids import Grid, load_image, read_volume
from mine.datasets.nsd_files import check_own
from mine.datasets.series import open_hdf5
from mine.errors import InputError

LAYOUTS = (
    {
        "trials": "{subject}_StimulusMetadata.csv",
        "voxels": "{subject}_VoxelMetadata.csv",
        "responses": "{subject}_ResponseData.h5",
    },
    {
        "trials": "{subject}/voxel-metadata/{subject}_task-things_stimulus-metadata.tsv",
        "voxels": "{subject}/voxel-metadata/{subject}_task-things_voxel-metadata.tsv",
        "responses": "{subject}/voxel-metadata/{subject}_task-things_voxel-wise-responses.h5",
    },
)
"""Names of the same files in betas_csv, on figshare, and in ICA-betas, on OpenNeuro."""

MASK = "{subject}_space-T1w_brainmask.nii.gz"

TRIAL_COLUMNS = ("trial_type", "session", "run", "stimulus")
AXES = ("voxel_x", "voxel_y", "voxel_z")
MEASURES = ("subject_id", "nc_*", "splithalf_*", "prf-*")
"""Columns of the voxels that are no regions, beside their number and place."""

GROUP = "ResponseData"
VOXELS_AT_ONCE = 256


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("data", type=Path, help="the folder betas_csv, or ICA-betas")
    parser.add_argument("--masks", type=Path, required=True, help="the folder brainmasks")
    parser.add_argument("--images", type=Path, required=True, help="the folder of THINGS' images")
    parser.add_argument("--subjects", nargs="+", metavar="sub-01", help="else all that are there")
    parser.add_argument(
        "--regions",
        nargs="+",
        metavar="NAME",
        help="columns of the voxels, with * for anything; else all but those of Glasser's atlas",
    )
    run(prepare, parser, arguments)


def prepare(
    data: Path,
    *,
    masks: Path,
    images: Path,
    output: Path,
    subjects: Sequence[str] | None,
    regions: Sequence[str] | None,
) -> None:
    """Write the folder. Raises InputError if a file is not as it was published."""
    layout, found = find_subjects(data)
    subjects = subjects or found
    paths = {
        subject: {kind: data / name.format(subject=subject) for kind, name in layout.items()}
        for subject in subjects
    }
    trials = {subject: read_trials(files["trials"]) for subject, files in paths.items()}
    with write_whole(output) as root:
        called = write_images(root, images, find_split(paths, trials))
        for subject, files in paths.items():
            told = write_subject(
                root / subject,
                files,
                mask=masks / MASK.format(subject=subject),
                trials=trials[subject],
                called=called,
                regions=regions,
            )
            print(f"{subject}: {told}")
    print(f"wrote {output}; next: mine init folder --root {output}")


def find_subjects(data: Path) -> tuple[dict[str, str], list[str]]:
    """Find which of LAYOUTS a folder has, and its subjects."""
    for layout in LAYOUTS:
        found = sorted(data.glob(layout["trials"].format(subject="sub-*")))
        if found:
            return layout, [path.name.partition("_")[0] for path in found]
    names = " or ".join(layout["trials"].format(subject="sub-01") for layout in LAYOUTS)
    raise InputError(f"{data}: expected {names} in it, found neither")


def read_trials(path: Path) -> pd.DataFrame:
    """Read the trials, one a row, in the order of the columns of the responses."""
    table = read_columns(path, TRIAL_COLUMNS)
    for column in ("session", "run"):
        table[column] = read_whole_numbers(path, table, column)
    # catch trials are not in the tables of the release; their pictures show no object
    for column, good in (
        ("trial_type", table["trial_type"].isin(["train", "test"])),
        ("stimulus", table["stimulus"].notna()),
    ):
        wrong = np.flatnonzero(~good)
        if len(wrong):
            what = "train or test" if column == "trial_type" else "the name of a picture"
            raise InputError(
                f"{path}: expected {what} as {column}, found {table[column].iloc[wrong[0]]!r} in "
                f"line {wrong[0] + 2}"
            )
    return table


def find_split(
    paths: dict[str, dict[str, Path]], trials: dict[str, pd.DataFrame]
) -> dict[str, str]:
    """Split of each picture that was shown; InputError for one that trains and tests."""
    split: dict[str, str] = {}
    for subject, table in trials.items():
        for name, kind in zip(table["stimulus"], table["trial_type"], strict=True):
            if split.setdefault(name, kind) != kind:
                raise InputError(
                    f"{paths[subject]['trials']}: expected each picture to train or to test, found "
                    f"both of {name}"
                )
    if "test" not in split.values():
        path = next(iter(paths.values()))["trials"]
        raise InputError(f"{path}: expected trials of type test, found none")
    return split


def write_subject(
    folder: Path,
    files: dict[str, Path],
    *,
    mask: Path,
    trials: pd.DataFrame,
    called: dict[str, str],
    regions: Sequence[str] | None,
) -> str:
    """Write what belongs to a subject; returns what was written, in words."""
    voxels = read_columns(files["voxels"], ["voxel_id", *AXES])
    image = load_image(mask, nib.Nifti1Pair, "a brain mask as NIfTI")
    flat = place_voxels(files["voxels"], voxels, mask, image)
    chosen = choose_regions(files["voxels"], voxels, regions)
    inside = np.flatnonzero(np.any(list(chosen.values()), axis=0))
    # (trial, voxel) has its columns in the order of the mask's voxels
    rows = inside[np.argsort(flat[inside])]
    write_map(folder / "mask.nii.gz", flat[rows], image)
    for name, member in chosen.items():
        write_map(folder / "rois" / f"{name}.nii.gz", flat[member], image)
    write_table(
        folder / "trials.tsv",
        {
            "session": trials["session"],
            "run": trials["run"],
            "image": [called[name] for name in trials["stimulus"]],
        },
    )
    number = read_whole_numbers(files["voxels"], voxels, "voxel_id")
    write_responses(folder / "responses", files["responses"], number, rows=rows, trials=trials)
    test = trials["stimulus"][trials["trial_type"] == "test"].unique()
    told = describe_trials(trials["stimulus"], trials["session"], test)
    return f"{told}; {len(rows)} of {len(voxels)} voxels, in {len(chosen)} regions"


def write_responses(
    folder: Path, path: Path, number: np.ndarray, *, rows: np.ndarray, trials: pd.DataFrame
) -> None:
    """Write some voxels' responses, a file (trial, voxel) for each session.

    number: int (voxel,) identity of every voxel. rows: int (voxel,) which of them, in which order.
    Raises InputError for a file of another form.
    """
    sessions = create_sessions(folder, trials["session"].to_numpy(), len(rows))
    with open_hdf5(path) as file:
        data = find_responses(file, number, trials=len(trials))
        for start in range(0, len(rows), VOXELS_AT_ONCE):
            block = read_rows(data, rows[start : start + VOXELS_AT_ONCE])
            for places, array in sessions.values():
                array[:, start : start + len(block)] = block[:, places].T
    for _, array in sessions.values():
        array.flush()


def place_voxels(
    path: Path, voxels: pd.DataFrame, mask: Path, image: nib.Nifti1Image
) -> np.ndarray:
    """Place of each voxel on the grid of the brain mask: int (voxel,), in C order.

    Raises InputError if one lies outside the mask, or two at one place.
    """
    if len(image.shape) != 3:
        raise InputError(f"{mask}: expected a volume of three axes, found shape {image.shape}")
    grid = Grid("volume", image.shape, mask, affine=np.asarray(image.affine, float))
    brain = read_volume(mask, grid).reshape(image.shape) > 0
    place = np.stack([read_whole_numbers(path, voxels, axis) for axis in AXES])
    good = ((place >= 0) & (place < np.array(image.shape)[:, None])).all(axis=0)
    good[good] = brain[tuple(place[:, good])]
    if not good.all():
        wrong = int(np.flatnonzero(~good)[0])
        raise InputError(
            f"{path}: expected voxels inside the brain of {mask}, found {AXES[0]}, {AXES[1]} and "
            f"{AXES[2]} {tuple(place[:, wrong].tolist())} in line {wrong + 2}"
        )
    flat = np.ravel_multi_index(tuple(place), image.shape)
    first = np.unique(flat, return_index=True)[1]
    if len(first) < len(flat):
        again = int(np.setdiff1d(np.arange(len(flat)), first)[0])
        raise InputError(
            f"{path}: expected each voxel at a place of its own, found "
            f"{tuple(place[:, again].tolist())} again in line {again + 2}"
        )
    return flat


def choose_regions(
    path: Path, voxels: pd.DataFrame, regions: Sequence[str] | None
) -> dict[str, np.ndarray]:
    """Members of each region that has any: name for a file -> bool (voxel,).

    A region of each hemisphere, such as lFFA and rFFA, is there as a whole, too: FFA.
    """
    others = ("voxel_id", *AXES, *MEASURES)
    columns = [
        column for column in voxels if not any(fnmatchcase(column, other) for other in others)
    ]
    if regions is None:
        wanted = [column for column in columns if not column.startswith("glasser-")]
    else:
        for pattern in regions:
            if not any(fnmatchcase(column, pattern) for column in columns):
                raise InputError(
                    f"{path}: expected a column of a region {pattern}, found {', '.join(columns)}"
                )
        wanted = [column for column in columns if any(fnmatchcase(column, one) for one in regions)]
    members = {column: read_members(path, voxels, column) for column in wanted}
    for column in wanted:
        other = f"r{column[1:]}"
        if column.startswith("l") and other in members:
            members.setdefault(column[1:], members[column] | members[other])
    # such as LO1 (prf), which would be an awkward name of a file
    chosen = {
        re.sub(r"[^A-Za-z0-9_]+", "-", column).strip("-_"): inside
        for column, inside in members.items()
        if inside.any()
    }
    if not chosen:
        raise InputError(f"{path}: expected voxels in the columns of regions, found none")
    return chosen


def read_members(path: Path, voxels: pd.DataFrame, column: str) -> np.ndarray:
    """Which voxels a column says are in its region: bool (voxel,)."""
    wrong = np.flatnonzero(~voxels[column].isin([0, 1]))
    if len(wrong):
        raise InputError(
            f"{path}: expected 0 or 1 in the column {column} of a region, found "
            f"{voxels[column].iloc[wrong[0]]!s} in line {wrong[0] + 2}"
        )
    return voxels[column].to_numpy(bool)


def write_map(path: Path, flat: np.ndarray, image: nib.Nifti1Image) -> None:
    """Write a map that is 1 in some voxels, on the grid of an image."""
    values = np.zeros(image.shape, dtype=np.uint8)
    values.reshape(-1)[flat] = 1
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, image.affine), path)


def find_responses(file: h5py.File, number: np.ndarray, *, trials: int) -> h5py.Dataset:
    """The dataset (voxel, trial) of responses in a table that pandas wrote in its fixed form.

    Such a table has a group with one dataset for the columns of each type: the responses, of
    floating-point numbers, and the voxels' identities, of integers. The names of the columns are a
    pickle, which is not read: the columns are the trials, in the order of their table. number: int
    (voxel,) identity of each voxel as its own table has it. Raises InputError for another form,
    another shape or other voxels.
    """
    path = file.filename
    blocks: dict[str, h5py.Dataset] = {}
    check_own(file, GROUP)
    if isinstance(file.get(GROUP), h5py.Group):
        for name in sorted(file[GROUP]):
            if re.fullmatch(r"block\d+_values", name):
                check_own(file, f"{GROUP}/{name}")
                blocks[name] = file[f"{GROUP}/{name}"]
    shape = (len(number), trials)
    found = [data for data in blocks.values() if data.shape == shape and data.dtype.kind == "f"]
    if len(found) != 1:
        shapes = ", ".join(f"{name} {data.dtype} {data.shape}" for name, data in blocks.items())
        raise InputError(
            f"{path}: expected numbers of shape {shape}, the voxels and trials of the two tables, "
            f"as {GROUP}/block0_values, found {shapes or ', '.join(file) or 'nothing'}"
        )
    for data in blocks.values():
        if data.dtype.kind in "iu" and data.shape == (len(number), 1):
            differ = np.flatnonzero(data[:, 0] != number)
            if len(differ):
                raise InputError(
                    f"{path}: expected the voxels in the order of their table, found voxel "
                    f"{data[differ[0], 0]} in row {differ[0] + 1} instead of {number[differ[0]]}"
                )
    return found[0]


def read_rows(data: h5py.Dataset, rows: np.ndarray) -> np.ndarray:
    """Some rows of a dataset in any order, which HDF5 reads only in ascending order."""
    order = np.argsort(rows)
    block = np.empty((len(rows), data.shape[1]), dtype=np.float32)
    block[order] = data[rows[order]]
    return block


if __name__ == "__main__":
    main()
