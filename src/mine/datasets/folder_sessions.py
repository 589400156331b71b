"""Which response of which file belongs to which trial, and the sessions that are made of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from mine.datasets.folder_tables import Trials, list_sessions
from mine.datasets.grids import TOLERANCE, Grid, read_volume
from mine.datasets.nibabel_files import load_image, show_affine
from mine.datasets.patterns import (
    HEMISPHERES,
    NAMES,
    find_files,
    list_names,
    order_naturally,
    read_label,
)
from mine.datasets.series import Series, open_series
from mine.datasets.tables import read_table
from mine.errors import InputError
from mine.sections import Folder

TELLS = ("session", "run", "trial")
"""Names by which files of responses are told apart."""


@dataclass(frozen=True)
class ResponseFile:
    """A file of responses, or the two of both hemispheres, and whose they are.

    paths: "both", or "left" and "right" -> file. labels: of TELLS -> value, as far as the name of
    the file says. rows: int (row,) rows of the trials, in their order.
    """

    paths: Mapping[str, Path]
    labels: Mapping[str, str]
    rows: np.ndarray

    @property
    def path(self) -> Path:
        return next(iter(self.paths.values()))


@dataclass(frozen=True)
class Piece:
    """Trials of a session that are in one file. series: its number. inside: int (trial,) place in
    the file. place: int (trial,) place in the session."""

    series: int
    inside: np.ndarray
    place: np.ndarray


@dataclass(frozen=True)
class Session:
    """label: its name in the tables. images: int (trial,). rows: int (trial,) of the trials."""

    label: str
    images: np.ndarray
    rows: np.ndarray
    pieces: Sequence[Piece]


def find_response_files(
    root: Path, subject: str, folder: Folder, trials: Trials, *, sessions: int | None
) -> list[ResponseFile]:
    """Find the files of responses of the first sessions and the trials that each holds.

    Raises InputError if there is none, if a trial has no file or a file no trial, or if the tables
    lack a column by which the files are told apart.
    """
    pattern = folder.responses
    tells = [name for name in list_names(pattern) if name in TELLS]
    columns = dict(trials.labels)
    if trials.number is not None:
        columns["trial"] = np.array([str(number + 1) for number in trials.number])
    for name in tells:
        if name not in columns:
            raise InputError(
                f"{trials.tell()}: expected a column {name}, by which dataset.folder.responses "
                "tells files apart, found none"
            )
        _check_labels(trials, name, columns[name])
    groups = _group_files(root, subject, pattern)
    if not groups:
        path = Path(root) / pattern.replace("{subject}", subject)
        raise InputError(f"{path}: expected responses of {subject}, found no file")
    used = np.isin(trials.session(), list_sessions(trials, most=sessions))
    has_response = np.ones(len(trials), dtype=bool)
    if trials.number is not None:
        has_response = trials.number >= 0
    left = used & has_response
    files = []
    for labels, paths in groups:
        here = np.ones(len(trials), dtype=bool)
        for name, value in labels.items():
            here &= columns[name] == value
        path = next(iter(paths.values()))
        if not here.any():
            what = ", ".join(f"{name} {value}" for name, value in labels.items())
            raise InputError(
                f"{path}: expected trials of {what or subject} in {trials.name()}, found none"
            )
        rows = np.flatnonzero(here & has_response)
        if used[rows].any():
            twice = rows[used[rows] & ~left[rows]]
            if len(twice):
                raise InputError(
                    f"{path}: expected one file for each trial, found a second one for line "
                    f"{trials.line[twice[0]]} of {trials.name(twice[:1])}"
                )
            left[rows] = False
            files.append(ResponseFile(paths, labels, rows))
    if left.any():
        row = int(np.flatnonzero(left)[0])
        what = ", ".join(f"{name} {columns[name][row]}" for name in tells)
        raise InputError(
            f"{Path(root) / pattern.replace('{subject}', subject)}: expected a file with the "
            f"responses of {what or subject}, which {trials.name([row])} has, found none"
        )
    return files


def _check_labels(trials: Trials, name: str, labels: np.ndarray) -> None:
    """Raise InputError for a label of a session or run that no name of a file can hold."""
    for row, label in enumerate(labels.tolist() if name != "trial" else []):
        if not re.fullmatch(NAMES[name], label):
            raise InputError(
                f"{trials.tell([row])}: expected letters and digits alone as {name}, by which "
                f"dataset.folder.responses tells files apart, found {label} in line "
                f"{trials.line[row]}"
            )


@dataclass(frozen=True)
class MaskOfTable:
    """What says where the columns of a table of responses lie: a mask's grid and its flat places
    above 0, or the names of a list."""

    grid: Grid | None = None
    columns: np.ndarray | None = None
    listed: Grid | None = None


def read_table_mask(root: Path, subject: str, folder: Folder) -> MaskOfTable:
    """Read what .npy and .hdf5 responses lack themselves: the mask's position or columns' names.

    Raises InputError for a file that is named and cannot be read.
    """
    if folder.names is not None:
        path = Path(root) / folder.names.replace("{subject}", subject)
        return MaskOfTable(listed=_read_names(path))
    if folder.mask is None or not folder.mask.lower().endswith((".nii", ".nii.gz")):
        return MaskOfTable()
    path = Path(root) / folder.mask.replace("{subject}", subject)
    image = load_image(path, nib.Nifti1Pair, "a mask as NIfTI")
    if len(image.shape) < 3:
        raise InputError(f"{path}: expected a volume of three axes, found shape {image.shape}")
    # a mask is where the responses are: without a position in its header, nibabel's guess serves
    grid = Grid("volume", tuple(image.shape[:3]), path, affine=np.asarray(image.affine, float))
    return MaskOfTable(grid, np.flatnonzero(read_volume(path, grid).reshape(-1) > 0))


def open_file(file: ResponseFile, mask: MaskOfTable) -> Series:
    """Open a file of responses. mask: of :func:`read_table_mask`."""
    return open_series(file.paths, mask=mask.grid, columns=mask.columns, listed=mask.listed)


def number_trials(
    file: ResponseFile, series: Series, trials: Trials, *, averaged: bool
) -> np.ndarray:
    """Place in its file of each trial that the file holds: int (row,), from 0.

    averaged: whether the responses are averages, which have no order of presentation. Raises
    InputError where the trials and the responses of the file do not match, or where nothing but
    the order of the rows tells places and this is not the order of sessions and runs.
    """
    if "trial" in file.labels:
        if series.trials != 1 or len(file.rows) != 1:
            raise InputError(
                f"{file.path}: expected one response and one trial, found {series.trials} and "
                f"{len(file.rows)}"
            )
        return np.zeros(1, dtype=np.int64)
    if trials.number is None:
        if len(file.rows) != series.trials:
            raise InputError(
                f"{file.path}: expected a response for each of the {len(file.rows)} trials that "
                f"{trials.name(file.rows)} has, found {series.trials}"
                f"{_explain_blanks(trials.image[file.rows], series.trials)}"
            )
        if not averaged:
            _check_blocks(file, trials)
        return np.arange(series.trials)
    numbers = trials.number[file.rows]
    values, counts = np.unique(numbers, return_counts=True)
    if counts.max() > 1:
        twice = values[counts > 1][0]
        raise InputError(
            f"{trials.tell(file.rows[numbers == twice])}: expected each number of a trial once for "
            f"{file.path.name}, found {twice + 1} more than once"
        )
    if values[-1] >= series.trials:
        raise InputError(
            f"{file.path}: expected {values[-1] + 1} responses or more, as "
            f"{trials.name(file.rows[numbers == values[-1]])} counts them, found {series.trials}"
        )
    return numbers


def _explain_blanks(images: np.ndarray, responses: int) -> str:
    """What to do where the rows that show an image are as many as the responses; else nothing.
    images: (row,) identities, -1 for none."""
    blanks = int((images < 0).sum())
    if not blanks or len(images) - blanks != responses:
        return ""
    said = "1 row shows" if blanks == 1 else f"{blanks} rows show"
    return (
        f"; {said} no image: leave out what has no response either, or add a column trial with the "
        "place of each response, n/a where there is none"
    )


def _check_blocks(file: ResponseFile, trials: Trials) -> None:
    """Raise InputError unless the rows of each session and of each run in it follow one another,
    those with a number by their numbers: joined files and sorted rows come in other orders, and
    would give each trial another's response."""
    names = [name for name in trials.labels if name not in file.labels]
    blocks = list(zip(*(trials.labels[name][file.rows].tolist() for name in names), strict=True))
    seen = {blocks[0][:depth] for depth in range(1, len(names) + 1)} if names else set()
    for row, before, here in zip(file.rows[1:], blocks, blocks[1:], strict=False):
        if before == here:
            continue
        depth = next(n for n, pair in enumerate(zip(before, here, strict=True)) if len({*pair}) > 1)
        if here[: depth + 1] in seen or _descends(before[depth], here[depth]):
            raise InputError(
                f"{trials.tell([row])}: expected the rows of each session and run together and in "
                "the order of their numbers, or a column trial with the place of each response "
                "(also where runs are counted anew in each task), "
                f"found {names[depth]} {here[depth]} after {before[depth]} in line "
                f"{trials.line[row]}"
            )
        seen |= {here[:depth] for depth in range(1, len(names) + 1)}


def _descends(before: str, here: str) -> bool:
    """Tell whether two labels differ in numbers alone and the second is the lower one. Of others,
    such as pre and post, nothing says which came first."""
    words = {re.sub(r"\d+", "0", label) for label in (before, here)}
    return len(words) == 1 and order_naturally(here) < order_naturally(before)


def check_alike(series: Series, first: Series) -> None:
    """Raise InputError unless two files have the same places."""
    here, there = series.grid, first.grid
    if here.shape != there.shape:
        raise InputError(
            f"{series.path}: expected the shape {there.shape} of {first.path}, found {here.shape}"
        )
    both = here.affine is not None and there.affine is not None
    if both and not np.allclose(here.affine, there.affine, rtol=0, atol=TOLERANCE):
        raise InputError(
            f"{series.path}: expected the affine {show_affine(there.affine)} of {first.path}, "
            f"found {show_affine(here.affine)}"
        )
    columns = [one.columns for one in (series, first)]
    if columns[0] is not None and not np.array_equal(*columns):
        raise InputError(f"{series.path}: expected the grayordinates of {first.path}, found others")


def make_sessions(
    trials: Trials,
    files: Sequence[ResponseFile],
    numbers: Sequence[np.ndarray],
    *,
    sessions: int | None,
    together: bool,
) -> list[Session]:
    """Bring trials and responses together, session by session.

    numbers: of number_trials, per file. Trials that showed no image are left out. together: all
    sessions as one, as responses that were averaged before come.
    """
    label = trials.session()
    names = list_sessions(trials, most=sessions)
    owner = np.full(len(trials), -1, dtype=np.int64)
    inside = np.full(len(trials), -1, dtype=np.int64)
    for number, (file, places) in enumerate(zip(files, numbers, strict=True)):
        owner[file.rows], inside[file.rows] = number, places
    made = []
    for name in [""] if together else names:
        mine = np.isin(label, names) if together else label == name
        rows = np.flatnonzero(mine & (owner >= 0) & (trials.image >= 0))
        pieces = []
        for number in np.unique(owner[rows]):
            place = np.flatnonzero(owner[rows] == number)
            # in the order of the file, which may only be read forwards
            place = place[np.argsort(inside[rows[place]], kind="stable")]
            pieces.append(Piece(int(number), inside[rows[place]], place))
        if len(rows):
            made.append(Session(name, trials.image[rows], rows, pieces))
    return made


def read_session(session: Session, series: Sequence[Series], flat: np.ndarray) -> np.ndarray:
    """Responses of a session: float32 (trial, voxel). flat: (voxel,) places on the grid."""
    values = np.empty((len(session.images), len(flat)), dtype=np.float32)
    for piece in session.pieces:
        values[piece.place] = series[piece.series].read(piece.inside, flat)
    return values


def _group_files(
    root: Path, subject: str, pattern: str
) -> list[tuple[dict[str, str], dict[str, Path]]]:
    """Files by what tells them apart, those of both hemispheres together."""
    groups: dict[tuple[tuple[str, str], ...], dict[str, Path]] = {}
    for file in find_files(Path(root), pattern, subject=subject):
        values = {name: read_label(file.values[name]) for name in TELLS if name in file.values}
        paths = groups.setdefault(tuple(values.items()), {})
        side = "both"
        if "hemisphere" in file.values:
            left = file.values["hemisphere"] in {names[0] for names in HEMISPHERES}
            side = "left" if left else "right"
        if side in paths:
            raise InputError(
                f"{file.path}: expected one file for the same trials, found {paths[side].name} too"
            )
        paths[side] = file.path
    for paths in groups.values():
        if len(paths) == 2:
            ordered = {side: paths[side] for side in ("left", "right")}
            paths.clear()
            paths.update(ordered)
    return [(dict(key), paths) for key, paths in groups.items()]


def _read_names(path: Path) -> Grid:
    """Grid of a list of columns: a table with ``name``, and ``hemisphere``, ``x``, ``y``, ``z`` as
    far as they are known."""
    table = read_table(path, needed=["name"], known=["name", "hemisphere"])
    names = table.columns["name"]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{path}: expected each name once, found {twice} more than once")
    hemispheres = millimetres = None
    if "hemisphere" in table.columns:
        words = {"lh": "left", "L": "left", "left": "left", "rh": "right", "R": "right"}
        words |= {"right": "right", "n/a": "unknown"}
        cells = table.columns["hemisphere"]
        wrong = next((cell for cell in cells if cell not in words), None)
        if wrong is not None:
            raise InputError(f"{path}: expected lh, rh or n/a as hemisphere, found {wrong!r}")
        hemispheres = np.array([words[cell] for cell in cells], dtype="<U7")
    if all(axis in table.columns for axis in "xyz"):
        try:
            millimetres = np.array([[float(c) for c in table.columns[axis]] for axis in "xyz"]).T
        except ValueError:
            raise InputError(f"{path}: expected millimetres as x, y and z, found a text") from None
        _check_places(path, names, millimetres)
    return Grid(
        "list",
        (len(names),),
        path,
        names=np.array(names, dtype=np.str_),
        hemispheres=hemispheres,
        millimetres=millimetres,
    )


def _check_places(path: Path, names: Sequence[str], millimetres: np.ndarray) -> None:
    """Raise InputError unless each column has a place of its own: (column, 3)."""
    lost = np.flatnonzero(~np.isfinite(millimetres).all(axis=1))
    if len(lost):
        raise InputError(
            f"{path}: expected finite millimetres as x, y and z, found others for {names[lost[0]]}"
        )
    # in the precision of the stores
    _, first, place = np.unique(
        millimetres.astype(np.float32), axis=0, return_index=True, return_inverse=True
    )
    again = np.flatnonzero(first[place] != np.arange(len(names)))
    if len(again):
        one, other = names[first[place[again[0]]]], names[again[0]]
        raise InputError(
            f"{path}: expected each name at a place of its own, found {one} and {other} at the "
            "same; where places are not known, leave x, y and z out"
        )
