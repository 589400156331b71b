"""What the scripts that prepare public datasets share: the output, its tables, maps and images."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap

from mine.errors import InputError

STIMULI = "stimuli"
"""Name of the link to the folder of images."""


def make_parser(text: str) -> argparse.ArgumentParser:
    """A parser of what both scripts are told; text: what ``--help`` says of the script."""
    parser = argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    return parser


def run(
    prepare: Callable[..., None],
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
) -> None:
    """Call a function with what a parser finds, by name; InputError ends the script with its
    sentence. arguments: None takes those of the command line."""
    try:
        prepare(**vars(parser.parse_args(arguments)))
    except InputError as error:
        sys.exit(str(error))


@contextmanager
def write_whole(output: Path) -> Iterator[Path]:
    """Give a folder to write into, which gets its name only when all is written.

    Half a file of responses looks like a whole one, with zeros at its end. Raises InputError if the
    output is there, or what an interrupted run has left.
    """
    part = output.with_name(f"{output.name}.part")
    for folder in (output, part):
        if os.path.lexists(folder):
            raise InputError(
                f"{folder}: expected a place for a new folder, found one that is taken"
            )
    part.mkdir(parents=True)
    try:
        yield part
        part.rename(output)
    finally:
        # is no longer there where all went well
        shutil.rmtree(part, ignore_errors=True)


def read_columns(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """Read a table whose cells stand between tabs or commas, whatever its name says.

    Raises InputError if it is absent, empty, or lacks a needed column.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected a table, found no file")
    with open(path, encoding="utf-8-sig") as file:
        between = "\t" if "\t" in file.readline() else ","
    try:
        table = pd.read_csv(path, sep=between, encoding="utf-8-sig")
    except pd.errors.EmptyDataError:
        table = pd.DataFrame()
    missing = [name for name in needed if name not in table.columns]
    if missing:
        found = ", ".join(map(str, table.columns[:20])) or "none"
        raise InputError(f"{path}: expected a column {missing[0]}, found {found}")
    if not len(table):
        raise InputError(f"{path}: expected rows below the header, found none")
    return table


def read_whole_numbers(path: Path, table: pd.DataFrame, column: str) -> np.ndarray:
    """A column of a table as int64 (row,); InputError where there is another value."""
    numbers = pd.to_numeric(table[column], errors="coerce")
    wrong = np.flatnonzero(~(np.isfinite(numbers) & (numbers % 1 == 0)))
    if len(wrong):
        raise InputError(
            f"{path}: expected whole numbers as {column}, found {table[column].iloc[wrong[0]]!r} "
            f"in line {wrong[0] + 2}"
        )
    return numbers.to_numpy(np.int64)


def find_images(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Find pictures anywhere below a folder: the name of a file -> its path in the folder.

    Raises InputError if one is not there, or is there twice.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the folder of the images, found none")
    found: dict[str, list[str]] = {name: [] for name in names}
    for place, _, files in os.walk(folder):
        for file in files:
            if file in found:
                found[file].append(os.path.relpath(os.path.join(place, file), folder))
    for name, paths in found.items():
        if len(paths) > 1:
            raise InputError(
                f"{folder}: expected one file {name}, found {' and '.join(sorted(paths)[:2])}"
            )
    absent = [name for name, paths in found.items() if not paths]
    if absent:
        others = f", and {len(absent) - 1} others neither" if len(absent) > 1 else ""
        raise InputError(f"{folder}: expected a file {absent[0]} in it, found none{others}")
    return {name: paths[0] for name, paths in found.items()}


def write_images(
    root: Path,
    folder: Path,
    split: Mapping[str, str],
    more: Mapping[str, Mapping[str, object]] | None = None,
) -> dict[str, str]:
    """Link the folder of images and write the table of images, in the order of their names.

    split: name of a file -> "train" or "test". more: other columns, by name. Returns name of a file
    -> how the table calls it. A link, because thousands of pictures need not be there twice.
    """
    paths = find_images(folder, sorted(split))
    called = {name: f"{STIMULI}/{path}" for name, path in paths.items()}
    (root / STIMULI).symlink_to(folder.resolve(), target_is_directory=True)
    columns = {"image": list(called.values()), "split": [split[name] for name in called]}
    for column, values in (more or {}).items():
        columns[column] = [values[name] for name in called]
    write_table(root / "images.tsv", columns)
    return called


def write_table(path: Path, columns: Mapping[str, Iterable]) -> None:
    """Write a table in the form of BIDS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(dict(columns)).to_csv(path, sep="\t", index=False, na_rep="n/a")


def create_sessions(
    folder: Path, sessions: np.ndarray, voxels: int
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Create a file of responses for each session, to be filled.

    sessions: int (trial,). Returns for each session its trials and an array (trial, voxel) of
    single precision, which lies in the file.
    """
    folder.mkdir(parents=True)
    created = {}
    for session in np.unique(sessions).tolist():
        rows = np.flatnonzero(sessions == session)
        path = folder / f"ses-{session:02d}_betas.npy"
        array = open_memmap(path, mode="w+", dtype=np.float32, shape=(len(rows), voxels))
        created[session] = rows, array
    return created


def describe_trials(images: pd.Series, sessions: np.ndarray, test: Iterable[str]) -> str:
    """Say how many sessions, trials, images and repeats of test images there are."""
    counts = images.value_counts()
    tested = counts[counts.index.isin(list(test))]
    least, most = int(tested.min()), int(tested.max())
    times = f"{most} times" if least == most else f"{least} to {most} times"
    return (
        f"{len(np.unique(sessions))} sessions, {len(images)} trials, {len(counts)} images, "
        f"{len(tested)} of them test images, seen {times}"
    )
