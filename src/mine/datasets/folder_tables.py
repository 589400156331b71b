"""The two tables of an experiment of one's own: its images, and each subject's trials."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mine.datasets.held_out import draw_test_images
from mine.datasets.image_files import ImageFiles
from mine.datasets.patterns import find_files, leaves_folder, order_naturally, read_label
from mine.datasets.tables import MISSING, Table, read_table
from mine.errors import InputError
from mine.sections import Dataset, Folder
from mine.wording import format_count

IMAGE_COLUMNS = ("image", "stim_file")
"""Column of a trial's image: the plain name, and that of BIDS's events."""

LIST_COLUMNS = ("image", "split", "captions", "categories", "coco_id")
TRIAL_COLUMNS = (*IMAGE_COLUMNS, "session", "run", "trial", "onset", "split", "repeats")
"""Columns that are read of the table of images, and of a table of trials."""


@dataclass(frozen=True)
class ImageList:
    """The images of an experiment; their identities are the rows of the table, from 0.

    names: as the tables of trials call them. paths: of their files. split: (image,) "training",
    "test" or "", or None without that column. captions: per image, sentences. coco_id: (image,), or
    None. categories: per image, names, or None where it is not annotated; None without the column.
    """

    path: Path
    names: list[str]
    paths: list[Path]
    split: np.ndarray | None
    captions: list[list[str]]
    coco_id: np.ndarray | None
    categories: list[list[str] | None] | None

    @property
    def identities(self) -> dict[str, int]:
        """Identity by the name in its plainest form."""
        return {os.path.normpath(name): identity for identity, name in enumerate(self.names)}

    def open(self, side: int | None) -> ImageFiles:
        """Open the pixels, brought to a side where one is given."""
        return ImageFiles(dict(enumerate(self.paths)), side, self.path)


@dataclass(frozen=True)
class Trials:
    """All trials of a subject, in the order of the tables.

    labels: "session" and "run" -> (trial,) as far as they are known. image: int (trial,) identity,
    -1 for none. number: int (trial,) place in the file of responses from 0, -1 for no response, or
    None where the order of the rows tells. split: (trial,) "training", "test" or "". repeats: int
    (trial,) trials averaged, 0 where unknown, or None. For messages, tables: files in their order;
    table: int (trial,) number of the table of each; line: int (trial,) in it, from 1.
    """

    tables: Sequence[Path]
    table: np.ndarray
    line: np.ndarray
    labels: Mapping[str, np.ndarray]
    image: np.ndarray
    number: np.ndarray | None
    split: np.ndarray
    repeats: np.ndarray | None

    def __len__(self) -> int:
        return len(self.image)

    def session(self) -> np.ndarray:
        """Session of each trial: (trial,); all are of one where no session is told."""
        return self.labels.get("session", np.full(len(self), "", dtype="<U1"))

    def tell(self, rows: np.ndarray | Sequence[int] | None = None) -> str:
        """Path of the table in which some trials stand, or all; of several the first, and how many
        more there are."""
        return self._tell(rows, str)

    def name(self, rows: np.ndarray | Sequence[int] | None = None) -> str:
        """The same by the table's name alone."""
        return self._tell(rows, lambda path: path.name)

    def _tell(self, rows: np.ndarray | Sequence[int] | None, show: Callable[[Path], str]) -> str:
        numbers = np.unique(self.table if rows is None else self.table[np.asarray(rows)])
        first, more = show(self.tables[numbers[0]]), len(numbers) - 1
        return f"{first} and {format_count(more, 'other table')}" if more else first


def read_image_list(root: Path, folder: Folder) -> ImageList:
    """Read the table of images.

    Columns: ``image`` (a path relative to the table), and as far as there are any ``split``,
    ``captions`` (sentences between |), ``categories`` (names between |, n/a where nobody looked)
    and ``coco_id``. Raises InputError for a table that is not so.
    """
    table = read_table(Path(root) / folder.images, needed=["image"], known=LIST_COLUMNS)
    names = table.columns["image"]
    seen: set[str] = set()
    for row, name in enumerate(names):
        where = f"{table.path}: expected"
        if name in ("", MISSING):
            raise InputError(f"{where} a file as image, found {name!r} in line {table.line(row)}")
        # ./a.png is a.png
        if os.path.normpath(name) in seen:
            raise InputError(
                f"{where} each image once, found {name} again in line {table.line(row)}"
            )
        if Path(name).is_absolute() or leaves_folder(name):
            raise InputError(
                f"{where} paths inside the table's folder, found {name} in line {table.line(row)}"
            )
        seen.add(os.path.normpath(name))
    columns = table.columns
    categories = None
    if "categories" in columns:
        categories = [None if cell == MISSING else _split(cell) for cell in columns["categories"]]
    return ImageList(
        table.path,
        names,
        [table.path.parent / name for name in names],
        table.read_split("split") if "split" in columns else None,
        [_split(cell) for cell in columns.get("captions", [MISSING] * len(names))],
        table.read_numbers("coco_id", minimum=0) if "coco_id" in columns else None,
        categories,
    )


def read_trials(root: Path, subject: str, folder: Folder, images: ImageList) -> Trials:
    """Read the tables of a subject's trials.

    Columns: ``image`` or ``stim_file`` (n/a: none was shown); as far as there are any ``session``
    and ``run`` (which the file's name may tell instead), ``trial`` (place among the responses of
    the file from 1; n/a: there is no response), ``split`` and ``repeats``. Without ``trial`` the
    rows are in the order of the responses, so that ``onset``, where there is one, has to ascend
    within a run (of sessions and runs see folder_sessions.number_trials). Raises InputError for a
    table that is not so, or an image that the table of images lacks.
    """
    found = find_files(Path(root), folder.trials, subject=subject)
    if not found:
        path = Path(root) / folder.trials.replace("{subject}", subject)
        raise InputError(
            f"dataset.folder.trials: expected a table of the trials of {subject}, found no file "
            f"{path}"
        )
    parts: dict[str, list[np.ndarray]] = {}
    for number, file in enumerate(found):
        table = read_table(file.path, known=TRIAL_COLUMNS)
        part = _read_part(table, file.values, images)
        if "number" not in part and not folder.averaged:
            # averages have no order of presentation
            _check_order(table, part)
        part["table"] = np.full(len(table), number)
        part["line"] = np.array([table.line(row) for row in range(len(table))])
        for name in parts.keys() | part.keys():
            if parts and (name in parts) != (name in part):
                raise InputError(
                    f"{file.path}: expected the columns of {found[0].path}, found another choice "
                    f"of {'trial' if name == 'number' else name}"
                )
        for name, values in part.items():
            parts.setdefault(name, []).append(values)
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    count = len(joined["image"])
    return Trials(
        [file.path for file in found],
        joined["table"],
        joined["line"],
        {name: joined[name] for name in ("session", "run") if name in joined},
        joined["image"],
        joined.get("number"),
        joined.get("split", np.full(count, "", dtype="<U8")),
        joined.get("repeats"),
    )


def _read_part(table: Table, known: Mapping[str, str], images: ImageList) -> dict[str, np.ndarray]:
    """Columns of one table of trials, each (row,). known: what its name tells."""
    part = {"image": _find_images(table, images)}
    for name in ("session", "run"):
        if name in known:
            part[name] = np.full(len(table), read_label(known[name]))
            _check_told(table, name, read_label(known[name]))
        elif name in table.columns:
            part[name] = np.array([read_label(text) for text in table.read_names(name)])
    if "trial" in table.columns:
        part["number"] = table.read_numbers("trial", minimum=1) - 1
    if "split" in table.columns:
        part["split"] = table.read_split("split")
    if "repeats" in table.columns:
        part["repeats"] = table.read_numbers("repeats", minimum=1)
    return part


def _check_told(table: Table, name: str, told: str) -> None:
    """Raise InputError where a column says another session or run than the table's path does."""
    for row, text in enumerate(table.columns.get(name, [])):
        if text not in ("", MISSING) and read_label(text) != told:
            raise InputError(
                f"{table.path}: expected {told} as {name}, as its path says, found {text} in line "
                f"{table.line(row)}"
            )


def _check_order(table: Table, part: Mapping[str, np.ndarray]) -> None:
    """Raise InputError where the onsets of a run do not ascend with the rows, by which responses
    are told: a table that was sorted by something else would give each trial another's."""
    if "onset" not in table.columns:
        return
    last: dict[tuple[str, ...], float] = {}
    keys = [part[name].tolist() for name in ("session", "run") if name in part]
    for row, seconds in enumerate(table.read_seconds("onset").tolist()):
        key = tuple(column[row] for column in keys)
        if seconds < last.get(key, -np.inf):
            raise InputError(
                f"{table.path}: expected rows in the order of onset within each session and run, "
                "or a column trial with the place of each response, found an earlier onset in "
                f"line {table.line(row)}"
            )
        if not np.isnan(seconds):
            last[key] = seconds


def find_test_images(trials: Trials, images: ImageList) -> np.ndarray | None:
    """Identities of a subject's test images: (image,); None where no table splits the images.

    What the table of trials says goes before what the table of images says. Raises InputError for
    an image that is both, or neither.
    """
    shown = trials.image >= 0
    own = (trials.split != "") & shown
    if images.split is None and not own.any():
        return None
    split = np.full(len(images.names), "", dtype="<U8") if images.split is None else images.split
    split = split.copy()
    split[trials.image[own]] = trials.split[own]
    differ = np.flatnonzero(own & (trials.split != split[np.maximum(trials.image, 0)]))
    if len(differ):
        raise InputError(
            f"{trials.tell(differ[:1])}: expected each image to train or to test, found both of "
            f"{images.names[trials.image[differ[0]]]}"
        )
    used = np.unique(trials.image[shown])
    neither = used[split[used] == ""]
    if len(neither):
        rows = np.flatnonzero(trials.image == neither[0])[:1]
        raise InputError(
            f"{trials.tell(rows)}: expected a split of every image that is shown, found none of "
            f"{images.names[neither[0]]} here or in {images.path.name}"
        )
    return used[split[used] == "test"]


def find_test(dataset: Dataset, trials: Trials, images: ImageList) -> np.ndarray:
    """Identities of a subject's test images: as the tables say, else drawn among all images."""
    test = find_test_images(trials, images)
    if test is not None:
        return test
    shown = np.unique(trials.image[trials.image >= 0])
    drawn = draw_test_images(shown, fraction=dataset.test_fraction, seed=dataset.test_seed)
    return shown[drawn]


def list_sessions(trials: Trials, *, most: int | None) -> list[str]:
    """Labels of the sessions in their natural order, the first ``most`` of them."""
    return sorted(set(trials.session().tolist()), key=order_naturally)[:most]


def find_image_column(table: Table) -> str:
    """Column of a table of trials that says which image was shown; InputError without one."""
    for name in IMAGE_COLUMNS:
        if name in table.columns:
            return name
    raise InputError(
        f"{table.path}: expected a column image or stim_file, between tabs, found "
        f"{', '.join(table.columns)}"
    )


def _find_images(table: Table, images: ImageList) -> np.ndarray:
    names, column = images.identities, find_image_column(table)
    identities = np.empty(len(table), dtype=np.int64)
    for row, cell in enumerate(table.columns[column]):
        name = os.path.normpath(cell)
        if name != MISSING and name not in names:
            raise InputError(
                f"{table.path}: expected images of {images.path.name}, found {cell!r} in line "
                f"{table.line(row)}"
            )
        identities[row] = names.get(name, -1)
    return identities


def _split(cell: str) -> list[str]:
    if cell == MISSING:
        return []
    return [part for part in re.split(r"\s*\|\s*", cell) if part]
