"""Figures drawn anew from an archive alone: without the dataset, the models and Snakemake.

The record of a figure names its rule, its inputs and its parameters, which is all that the rule's
script is given by Snakemake. The scripts are those of the software that is installed.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import runpy
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mine.archive import CODE, contain, read_index
from mine.datasets.archive import PICTURES
from mine.datasets.image_files import open_image
from mine.errors import InputError
from mine.history import SUFFIX, read_history
from mine.sources import PACKAGE, code_digest

SCRIPTS = PACKAGE.parents[1] / "workflow" / "scripts"


class Named(list):
    """Files, wildcards or parameters as a script finds them: by name, and the files in order."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        super().__init__(path for value in named.values() for path in _as_list(value))
        self._named = {name: value for name, value in named.items() if name}
        vars(self).update(self._named)

    def items(self) -> Any:
        return self._named.items()


@dataclass(frozen=True)
class Drawing:
    """A figure to be drawn: what its script is given, and the originals by the new files."""

    rule: str
    script: Path
    given: dict[str, Any]
    originals: dict[str, Path]
    same_code: bool


@dataclass(frozen=True)
class Drawn:
    """A file that was drawn anew. same: whether it is the original, byte for byte, or for a picture
    pixel for pixel; None of one that the archive lacks, since it shows pictures of the dataset.
    same_code: whether the code is that which drew the original."""

    path: Path
    same: bool | None
    same_code: bool


def redraw_figures(folder: Path, place: Path, *, cores: int = 1) -> list[Drawn]:
    """Draw every figure of an archive anew, and compare it with the one in the archive.

    Args:
        folder: an archive, unpacked.
        place: where the figures go.
        cores: how many are drawn at a time.

    Raises:
        InputError: this is no archive, its content is not what its list says, or a record names a
            rule that draws no figure.
    """
    read_index(folder)
    drawings = list(plan_drawings(folder.absolute(), place.absolute()))
    # Processes of their own, because a script sends what it says to a log of its own.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=cores, mp_context=context) as pool:
        list(pool.map(_draw, drawings))
    return [
        Drawn(Path(path), compare_files(Path(path), original), drawing.same_code)
        for drawing in drawings
        for path, original in drawing.originals.items()
    ]


def check_place(place: Path, archive: Path) -> None:
    """Refuse a folder for figures in which anything would be lost: one with files in it, and one
    inside the archive, whose own figures they would replace and then be compared with. Its folder
    of the software is written to as it is.

    place: where the figures are to go. archive: a folder, or a ZIP file.
    """
    if place.exists() and not place.is_dir():
        raise InputError(f"{place}: expected a folder, or nothing there yet, found a file")
    inside, root = place.resolve(), archive.resolve()
    if inside.is_relative_to(root) and not inside.is_relative_to(root / CODE):
        raise InputError(f"{place}: expected a folder outside the archive, found one inside it")
    if place.is_dir() and any(place.iterdir()):
        raise InputError(
            f"{place}: expected an empty folder, or nothing there yet, found files in it"
        )


def plan_drawings(folder: Path, place: Path) -> Iterator[Drawing]:
    """Yield what is to be drawn, each job of the workflow once."""
    done = set()
    records = sorted(folder.glob(f"results/*/figures/**/*{SUFFIX}"))
    if not records:
        raise InputError(f"{folder}: expected the records of figures in it, found none")
    for path in records:
        record = read_history(path.with_name(path.name.removesuffix(SUFFIX) + ".png"))
        if record is None:
            raise InputError(f"{path}: expected the record of a figure, found that of no picture")
        job = (str(record["rule"]), tuple(sorted(record["wildcards"].items())))
        if job not in done:
            done.add(job)
            yield _plan_drawing(folder, place, path, record)


def compare_files(path: Path, original: Path) -> bool | None:
    """Tell whether two files are the same; of pictures, whether all their pixels are. None where
    there is no original."""
    if not original.is_file():
        return None
    if path.read_bytes() == original.read_bytes():
        return True
    if path.suffix != ".png":
        return False
    with open_image(path, formats=PICTURES) as one, open_image(original, formats=PICTURES) as other:
        try:
            return (one.size, one.mode, one.tobytes()) == (other.size, other.mode, other.tobytes())
        except (OSError, SyntaxError, ValueError):
            # Of one of them the pixels cannot be read.
            return False


def _plan_drawing(folder: Path, place: Path, path: Path, record: Mapping[str, Any]) -> Drawing:
    rule = str(record["rule"])
    script = SCRIPTS / f"{rule}.py"
    if not re.fullmatch(r"figure_\w+", rule) or not script.is_file():
        raise InputError(f"{path}: expected a rule that draws a figure, found {rule!r}")
    figures = folder.joinpath(*path.relative_to(folder).parts[:3])

    def find(entry: Mapping[str, Any]) -> str:
        if entry.get("outside"):
            raise InputError(
                f"{path}: expected files in the archive, found {entry['path']!r} outside of it"
            )
        results = folder / "results"
        return str(contain(results, os.path.relpath(path.parent / entry["path"], results)))

    def put(entry: Mapping[str, Any]) -> str:
        return str(contain(place, os.path.relpath(find(entry), figures)))

    parameters = {
        name: {"kind": "archive", "root": str(folder)} if name in ("images", "dataset") else value
        for name, value in record["parameters"].items()
    }
    log = place / "logs" / path.relative_to(figures)
    # What a figure waits for of the dataset may lie anywhere, and its script does not read it.
    inputs = {name: value for name, value in record["inputs"].items() if name != "dataset"}
    given = {
        "rule": rule,
        "input": _each(inputs, find),
        "output": _each(record["outputs"], put),
        "params": parameters,
        "wildcards": record["wildcards"],
        "log": {"": [str(log.with_name(log.name.removesuffix(SUFFIX) + ".log"))]},
    }
    originals = {
        put(entry): Path(find(entry))
        for value in record["outputs"].values()
        for entry in _as_list(value)
    }
    same_code = code_digest(script) == record["code"]
    return Drawing(rule, script, given, originals, same_code)


def _draw(drawing: Drawing) -> None:
    """Run the script of a figure with what Snakemake would give it."""
    for path in drawing.originals:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    given = {name: value for name, value in drawing.given.items() if name != "rule"}
    snakemake = SimpleNamespace(
        rule=drawing.rule, **{name: Named(value) for name, value in given.items()}
    )
    runpy.run_path(str(drawing.script), init_globals={"snakemake": snakemake})


def _each(named: Mapping[str, Any], convert: Any) -> dict[str, Any]:
    return {
        name: [convert(one) for one in value] if isinstance(value, list) else convert(value)
        for name, value in named.items()
    }


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
