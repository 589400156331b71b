"""What goes into the archive of a finished analysis: all that its figures are drawn from.

Which stores these are, and which images are shown, is read from the records of the figures.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mine.archive import CODE, Source, check_destination, write_archive
from mine.config import RESULTS, Config, describe_changes
from mine.datasets.archive import BACKGROUNDS, IMAGES
from mine.datasets.reader import open_dataset
from mine.datasets.voxels import VolumeVoxels, voxels_of
from mine.errors import InputError
from mine.figures.catalogue import FIGURES
from mine.history import (
    SUFFIX,
    describe_file,
    hide_folders,
    history_path,
    list_entries,
    read_history,
)
from mine.provenance import dump_json, library_versions, store_path
from mine.sources import PACKAGE, code_digest
from mine.stores import check_store, open_store
from mine.summary.region_table import read_region_names

SOFTWARE = PACKAGE.parents[1]
SCRIPTS = SOFTWARE / "workflow" / "scripts"
PARTS = (
    *("Snakefile", "Makefile", "pyproject.toml", "requirements.lock", "README.md", "LICENSE"),
    *("CITATION.cff", "src/mine", "workflow", "profiles", "envs"),
)
"""What of the software goes along: what installs it, the workflow and the library."""

ORIGINAL_PIXELS = "edits.zarr/pixels/c"
"""Chunks of edited images: most of their pixels are those of the dataset's own images."""

UNDRAWN = "responses.zarr/response/c"
"""Chunks that a figure's store has and no figure reads: the measured responses."""

APART = ("logs", "benchmarks", "browser")
"""Folders of the results that stay behind: the browser shows the dataset's images and its responses
by the hundred, and is made of stores."""

SOURCES = {".py", ".smk", ".yaml", ".json", ".html", ".css", ".js", ".rst", ".def"}
"""Endings of the software's files, apart from those that are named."""

LICENCE = (
    "The dataset's own pictures are not part of the archive: neither the images shown to the "
    "subjects, nor edits of them, nor what lies behind maps. Figures that show any of these are "
    "not either; their tables are."
)

README = """\
Archive of the analysis `{name}`, made by MINE {version}.

config.yaml          the configuration
requirements.lock    every library with its version and hashes
results/             {stores}, tables, figures, and how each was made
software/            MINE as it was when this was archived{other}
archive.json         every file with its size and sha256
{pictures}

To draw every figure anew from this archive alone, without the dataset and the models:

    cd software
    make install
    .venv/bin/mine figures .. --to figures

`mine provenance results/{name}/...` prints how a store, a table or a figure was made.
"""


def export_analysis(
    config: Config,
    source: Source,
    place: Path,
    *,
    images: bool = False,
    everything: bool = False,
) -> dict[str, Any]:
    """Write the archive of a finished analysis; call it where the workflow ran.

    Args:
        config: the configuration of the analysis.
        source: the file that it was read from, or the text of several.
        place: a folder to be made, or a file that ends in .zip.
        images: whether the dataset's own pictures go along, as far as figures show them: stimuli,
            edits of them, and the volumes behind maps. Not every dataset may be given on.
        everything: whether all stores go along, not those alone that figures are drawn from.

    Returns:
        Counts of what is in it: figures, stores, images, files; under `left` the files of the
        results that are not, since no record names them; under `other` the rules of which results
        were made by other code than goes along.

    Raises:
        InputError: nothing can be written to `place`, the analysis is not finished, figures or what
            they are drawn from are not of the same run or made by another configuration, or a store
            that goes along is not whole.
    """
    if changes := describe_changes(config):
        raise InputError(f"{changes}; export them by the configuration that made them")
    results = RESULTS / config.name
    if place.resolve().is_relative_to(results.resolve()):
        # The next archive would hold this one.
        raise InputError(f"{place}: expected a place outside {results}, found one inside")
    check_destination(place)
    for path in list_expected(config, results):
        _require(path)
    records = read_figures(results)
    inputs = list_inputs(records, results)
    drawn_from = {path for path in inputs if path.suffix == ".zarr"}
    showing = set() if images else set(list_showing(records))
    stores, leave_out = None if everything else drawn_from, _leave_out(images, everything)
    found = list(list_results(results, stores, leave_out=leave_out, dataset=config.dataset.root))
    known = select_recorded(found)
    files: dict[str, Source] = {
        path.as_posix(): path for path in found if path in known and path not in showing
    }
    for store in list_stores(files, stores):
        check_store(store)
    for path in inputs:
        _require_packed(path, files, dataset=config.dataset.root)
    files |= list_left_out(files, leave_out=leave_out)
    shown = sorted({image for record in records.values() for image in record["images"]})
    if images:
        files |= gather_pictures(config, records, shown)
    other = list_other_code(files)
    files |= gather_software()
    version = library_versions()["mine"]
    about = {
        "name": config.name,
        "version": version,
        "images": images,
        "stores": "all" if everything else "figures",
        "other_code": other,
    }
    pictures = "images/              the images that figures show" if images else f"\n{LICENCE}"
    readme = README.format(
        name=config.name,
        version=version,
        stores="all stores" if everything else "the stores that figures are drawn from",
        pictures=pictures,
        other=f";\n                     other code made what is of {', '.join(other)}"
        if other
        else "",
    )
    files |= {"config.yaml": source, "README.txt": readme.encode()}
    write_archive(place, files, about)
    return {
        "figures": len([name for name in files if name.endswith(".png") and "/figures/" in name]),
        "stores": len({name.split(".zarr/")[0] for name in files if ".zarr/" in name}),
        "images": len(shown) if images else 0,
        "files": len(files),
        "left": sorted(set(found) - known),
        "other": other,
    }


def describe_places(config: Config) -> str:
    """Say which absolute paths of the configuration an archive holds; nothing where there are
    none."""
    found = list(dict.fromkeys(_list_places(asdict(config))))
    if not found:
        return ""
    return (
        "The configuration goes along as it is, with the absolute paths that it names: "
        f"{', '.join(found)}."
    )


def list_expected(config: Config, results: Path) -> Iterator[Path]:
    """Yield what the workflow leaves behind of a finished analysis last: every figure as a picture,
    for print and as a table, of every subject and each region that it has, and the table of what
    was found in subjects.

    Raises:
        InputError: the table of the regions that a subject has is not there.
    """
    tables = {subject: results / subject / "regions.tsv" for subject in config.subjects}
    for table in tables.values():
        _require(table)
    regions = {subject: read_region_names(table) for subject, table in tables.items()}
    for figure in FIGURES:
        if figure.demo and config.demo is None:
            continue
        named = (
            figure.files.format(subject=subject, roi=roi)
            for subject in config.subjects
            for roi in regions[subject]
        )
        for name in dict.fromkeys(named):
            yield from (results / "figures" / f"{name}.{kind}" for kind in ("png", "pdf", "tsv"))
    yield results / "summary" / "subjects.tsv"


def read_figures(results: Path) -> dict[Path, dict[str, Any]]:
    """Return the record of every figure of an analysis, by the PNG."""
    records = {}
    for path in sorted(_walk(results / "figures")):
        if path.suffix != ".png":
            continue
        record = read_history(path)
        if record is None:
            raise InputError(
                f"{path}: expected its record {history_path(path).name} beside it, found none, so "
                "draw it anew"
            )
        records[path] = record
    return records


def list_inputs(records: dict[Path, dict[str, Any]], results: Path) -> list[Path]:
    """Return what figures were drawn from, within the results, and make sure that it is the same.

    Raises:
        InputError: a file is absent, or another than the figure was drawn from.
    """
    found: dict[Path, dict[str, Any]] = {}
    for figure, record in records.items():
        for _, entry in list_entries(record["inputs"]):
            path = Path(os.path.normpath(figure.parent / entry["path"]))
            if entry.get("outside") or not path.is_relative_to(results):
                continue
            found.setdefault(path, describe_file(path))
            used = {key: entry[key] for key in ("digest", "size") if key in entry}
            if found[path] != used:
                what = "another" if found[path] else "none"
                raise InputError(
                    f"{path}: expected what {figure} was drawn from, found {what}, so let the "
                    "workflow finish"
                )
    return sorted(found)


def list_showing(records: dict[Path, dict[str, Any]]) -> Iterator[Path]:
    """Yield the pictures among the files of figures that show any of the dataset: images that were
    shown, edits of them, or the volume behind maps."""
    for figure, record in records.items():
        if not (record["images"] or record["rule"] == "figure_maps"):
            continue
        for _, entry in list_entries(record["outputs"]):
            path = Path(os.path.normpath(figure.parent / entry["path"]))
            if path.suffix != ".tsv":
                yield path


def list_results(
    results: Path,
    stores: set[Path] | None,
    *,
    leave_out: tuple[str, ...],
    dataset: Path | str | None = None,
) -> Iterator[Path]:
    """Yield the files of an analysis that may go into an archive; links are followed.

    stores: of which the content goes along; None means all. Manifests and records of the others do,
    so that the chain can be followed. leave_out: parts of paths of chunks that do not. dataset: a
    folder of which nothing does, wherever it lies and by whatever name it is reached.
    """

    def is_passed(folder: Path) -> bool:
        if folder.parent == results and folder.name in APART:
            return True
        if folder.suffix == ".zarr" and stores is not None:
            return folder not in stores
        return folder.name.endswith(".zarr.partial")

    for path in _walk(results, is_passed, dataset=_find_own(dataset, results)):
        out = _is_left_out(path.as_posix(), leave_out)
        if not (out or path.name.startswith(".snakemake") or path.name.endswith(".partial")):
            yield path


def select_recorded(paths: Iterable[Path]) -> set[Path]:
    """Return those of the files that the workflow wrote: records, what they name as outputs, the
    manifests of stores, and of each store what its manifest lists. Anything else may be anybody's.

    Raises:
        InputError: a record or a manifest is something else.
    """
    paths, known = set(paths), set()
    for path in paths:
        if path.name.endswith(SUFFIX):
            known.add(path)
            record = read_history(path.with_name(path.name.removesuffix(SUFFIX) + ".png")) or {}
            for _, entry in list_entries(record.get("outputs", {})):
                known.add(Path(os.path.normpath(path.parent / entry["path"])))
        elif ".zarr/" not in path.as_posix() and _is_manifest(path):
            known.add(path)
            store = store_path(path)
            files = json.loads(path.read_text(encoding="utf-8")).get("files", {})
            known.update(store / name for name in files)
    return paths & known


def list_other_code(files: Iterable[str]) -> list[str]:
    """Return the rules of which results were made by other code than the software's: an update or
    an edit has come between.

    files: of the results, by their names in the archive.
    """
    records = (json.loads(Path(name).read_text("utf-8")) for name in files if name.endswith(SUFFIX))
    used = {(record["rule"], record["code"]) for record in records if record["code"] is not None}
    scripts = {rule: SCRIPTS / f"{rule}.py" for rule, _ in used}
    now = {rule: code_digest(path) for rule, path in scripts.items() if path.is_file()}
    return sorted({rule for rule, code in used if now.get(rule) != code})


def list_stores(files: Mapping[str, Source], stores: set[Path] | None) -> list[Path]:
    """Return the stores that go along, also where nothing but a manifest or a part is left of one.

    files: of the results, by their names in the archive. stores: as `list_results` takes them.
    """
    found = {Path(name.split(".zarr/")[0] + ".zarr") for name in files if ".zarr/" in name}
    if stores is None:
        others = (Path(name) for name in files if ".zarr/" not in name)
        stores = {store_path(path) for path in others if _is_manifest(path)}
    return sorted(found | stores)


def list_left_out(files: Mapping[str, Source], *, leave_out: tuple[str, ...]) -> dict[str, bytes]:
    """Return the manifests of stores of which chunks stay behind, without these: elsewhere a chunk
    that is missing is a fault, here it reads as nothing.

    files: as above. leave_out: parts of paths of the chunks that stay behind; a chunk that is
    missing for another reason stays in the manifest, where it is a fault.
    """
    found = {}
    for name, source in files.items():
        store = f"{name.removesuffix('.json')}.zarr"
        if not name.endswith(".json") or f"{store}/zarr.json" not in files:
            continue
        manifest = json.loads(Path(source).read_text(encoding="utf-8"))
        kept = {
            part: size
            for part, size in manifest["files"].items()
            if not _is_left_out(f"{store}/{part}", leave_out)
        }
        if kept != manifest["files"]:
            found[name] = dump_json(manifest | {"files": kept}).encode()
    return found


def gather_pictures(
    config: Config, records: dict[Path, dict[str, Any]], shown: list[int]
) -> dict[str, bytes]:
    """Return the images that figures show as PNG, and the volumes behind maps, by their names."""
    from PIL import Image

    reader, files = open_dataset(config.dataset), {}
    stimuli = reader.open_stimuli()
    for image in shown:
        stream = io.BytesIO()
        Image.fromarray(stimuli.read(np.array([image]))[0]).save(stream, format="png")
        files[f"{IMAGES}/{image}.png"] = stream.getvalue()
    for figure, record in records.items():
        if record["rule"] != "figure_maps":
            continue
        subject = record["wildcards"]["subject"]
        responses = figure.parent / record["inputs"]["responses"]["path"]
        voxels = voxels_of(open_store(os.path.normpath(responses)))
        background = None
        if isinstance(voxels, VolumeVoxels):
            background = reader.read_background(subject, voxels)
        if background is not None:
            stream = io.BytesIO()
            np.save(stream, background, allow_pickle=False)
            files[f"{BACKGROUNDS}/{subject}.npy"] = stream.getvalue()
    return files


def gather_software() -> dict[str, Source]:
    """Return the software's own files, by their names in an archive."""
    lock = SOFTWARE / "requirements.lock"
    if not lock.is_file():
        raise InputError(f"{lock}: expected the lock file in MINE's own folder, found none")
    files: dict[str, Source] = {lock.name: lock}
    tracked = _list_tracked()
    for part in PARTS:
        path = SOFTWARE / part
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            name = file.relative_to(SOFTWARE)
            is_own = _is_source(name) if tracked is None else name.as_posix() in tracked
            if file.is_file() and is_own:
                files[f"{CODE}/{name.as_posix()}"] = file
    return files


def _list_tracked() -> set[str] | None:
    """Return the files that the software's repository holds, by their names in it; None where the
    software is in none, or git does not read it. What else lies there may be anybody's."""
    if not (SOFTWARE / ".git").exists():
        return None
    command = ["git", "-C", str(SOFTWARE), "ls-files", "-z"]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return set(done.stdout.decode().split("\0")) - {""}


def _is_source(name: Path) -> bool:
    """Tell whether a file is of the software by its name: of a known ending and not hidden."""
    is_hidden = any(part.startswith((".", "__pycache__")) for part in name.parts)
    return not is_hidden and (name.suffix in SOURCES or name.as_posix() in PARTS)


def _list_places(value: Any) -> Iterator[str]:
    """Yield every absolute path among the values of a configuration, at any depth."""
    if isinstance(value, Mapping | list | tuple):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _list_places(one)
    elif hide_folders(value) != value:
        yield value


def _find_own(dataset: Path | str | None, results: Path) -> Path | None:
    """Return the folder of a dataset with no link in its path; None where the results lie in it, so
    that it says of no file whether it is the dataset's."""
    place = None if dataset is None else Path(dataset).resolve()
    return None if place is None or results.resolve().is_relative_to(place) else place


def _walk(
    top: Path,
    is_passed: Callable[[Path], bool] = lambda folder: False,
    *,
    dataset: Path | None = None,
) -> Iterator[Path]:
    """Yield every file in a folder, links followed, but for those that lead back to where they lie
    or into the dataset.

    is_passed: which folders are not looked into. dataset: a folder with no link in its path.
    """

    def is_out(path: Path) -> bool:
        return dataset is not None and path.resolve().is_relative_to(dataset)

    for folder, names, files in os.walk(top, followlinks=True):
        here, real = Path(folder), Path(folder).resolve()
        names[:] = [
            name
            for name in names
            if not (is_passed(here / name) or is_out(here / name))
            and not ((here / name).is_symlink() and real.is_relative_to((here / name).resolve()))
        ]
        for path in (here / name for name in files):
            if path.is_file() and not (path.is_symlink() and is_out(path)):
                yield path


def _require_packed(path: Path, files: Mapping[str, Source], *, dataset: Path | str) -> None:
    """Refuse an archive without something that its figures are drawn from."""
    packed = path / "zarr.json" if path.suffix == ".zarr" else path
    if packed.as_posix() in files or path.resolve().is_relative_to(Path(dataset).resolve()):
        return
    raise InputError(
        f"{path}: expected it among the files that go into the archive, since figures are drawn "
        "from it, found it left out; run the workflow again, which records it"
    )


def _require(path: Path) -> None:
    if not path.is_file():
        raise InputError(
            f"{path}: expected this file of a finished analysis, found none; `snakemake --cores "
            "all` with its configuration goes on where it stopped"
        )


def _is_manifest(path: Path) -> bool:
    """Tell whether a file of the results is the manifest of a store, which is named in it."""
    if path.suffix != ".json" or path.name.endswith(SUFFIX):
        return False
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(content, dict) and content.get("store") == store_path(path).name


def _is_left_out(name: str, leave_out: tuple[str, ...]) -> bool:
    return any(f"{part}/" in name for part in leave_out)


def _leave_out(images: bool, everything: bool) -> tuple[str, ...]:
    return (*(() if images else (ORIGINAL_PIXELS,)), *(() if everything else (UNDRAWN,)))
