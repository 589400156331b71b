"""The command line: `mine init` to begin with, `mine download` for the data, `mine check` before
hours of work are spent, `mine show`, `mine explain`, `mine compare`, `mine provenance` and
`mine export` when they have been."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

import mine
from mine.config import (
    REPLACED,
    Config,
    InputError,
    describe_changes,
    find_problems,
    load_config,
    read_yaml,
)
from mine.settings_documents import default_yaml, json_schema
from mine.wording import format_count

LEFT = 8
"""Most files that are named where many stay behind."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0, or 1 where something is wrong."""
    options = _parser().parse_args(arguments)
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Who read the output, `head` say, has had enough; Python would write to it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        place = _find_place(error, options)
        if place is None:
            # Where it was raised says more.
            raise
        print(
            f"{place}: expected a place that can be read and written, found: {error.strerror}",
            file=sys.stderr,
        )
        return 1


def config_schema() -> str:
    """Return the JSON schema of the configuration, as it is committed."""
    return json.dumps(json_schema(Config, title="Configuration of MINE"), indent=2) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mine", description=mine.__doc__)
    parser.add_argument("--version", action="version", version=f"mine {mine.__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")
    check = commands.add_parser(
        "check",
        help="list everything that is wrong with a configuration and the files it names",
        description="Print every problem, the one to fix first at the top. Nothing is computed.",
    )
    _add_files(check)
    check.set_defaults(run=_check)
    download = commands.add_parser(
        "download",
        help="download what a configuration uses of the Natural Scenes Dataset, or its models",
        description="Print how much there is to download, then fetch missing files and verify the "
        "others. Run the same command again to continue an interrupted download.",
    )
    _add_files(download)
    what = download.add_mutually_exclusive_group()
    what.add_argument(
        "--dry-run", action="store_true", help="list what would be fetched, and fetch nothing"
    )
    what.add_argument(
        "--models",
        action="store_true",
        help="fetch its models from the Hugging Face hub into their cache instead, to copy them to "
        "machines without a network",
    )
    download.set_defaults(run=_download)
    init = commands.add_parser(
        "init",
        help="write a configuration for a dataset and fill in what is found on disk",
        description="Write the ready-made configuration for a kind of dataset, and fill in the "
        "subjects, regions and files that are in its folder. Then run `mine check` on it.",
    )
    init.add_argument(
        "kind", choices=("nsd", "algonauts", "folder"), help="kind of dataset (dataset.kind)"
    )
    init.add_argument("--root", required=True, help="folder that holds the dataset")
    init.add_argument("--output", help="file to write; <kind>.yaml here by default")
    init.add_argument("--force", action="store_true", help="replace an existing file")
    init.set_defaults(run=_init)
    _add_results(commands)
    config = commands.add_parser(
        "config",
        help="print a configuration with every key, its help and its default",
        description="Print a configuration to start from, or a description of its keys.",
    )
    config.add_argument(
        "--as",
        dest="form",
        choices=("yaml", "schema"),
        default="yaml",
        help="a file to fill in, or a JSON schema",
    )
    config.set_defaults(run=_print_config)
    _add_provenance(commands)
    _add_archive(commands)
    return parser


def _add_files(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "config",
        nargs="+",
        help="YAML file of the analysis; each further file overrides those before it, as with "
        "Snakemake's --configfile",
    )


def _read_files(paths: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Return what is in files of a configuration, each laid over those before it as Snakemake does
    with those of --configfile, and what messages call it."""
    # Imported late, as below.
    from snakemake.utils import update_config

    merged: dict[str, Any] = {}
    for path in paths:
        data = read_yaml(path)
        if not isinstance(data, Mapping):
            raise InputError("\n".join(find_problems(data, name=path)[1]))
        update_config(merged, data)
    return merged, " + ".join(paths)


def _find_place(error: OSError, options: argparse.Namespace) -> str | None:
    """Return the file or folder that the system would not read or write: the one it names, or where
    the disk is full, of which it names none, the one that the command was asked to write. None of
    an error that is not the system's, or of which nobody knows the place."""
    # Imported late, as below.
    from mine.stores import DISK_FULL

    if error.errno is not None and error.filename is not None:
        return str(error.filename)
    if error.errno not in DISK_FULL:
        return None
    asked = (getattr(options, name, None) for name in ("to", "output", "figure"))
    return next(filter(None, asked), None)


def _count_cores(text: str) -> int:
    """Read how many cores to use, at least 1, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, found {text!r}")
    return int(text)


def _check_place(path: Path) -> None:
    """Refuse a file that cannot be written before anything is computed for it."""
    if not path.parent.is_dir():
        raise InputError(f"{path}: expected the folder {path.parent}, found none")
    if path.is_dir():
        raise InputError(f"{path}: expected a file to write, found a folder")
    place = path if path.exists() else path.parent
    if not os.access(place, os.W_OK):
        raise InputError(
            f"{path}: expected a place that can be written, found no right to write to {place}"
        )


def _spare_file(path: Path, *, force: bool) -> None:
    """Refuse to write over a file unless that was asked for."""
    if path.exists() and not force:
        raise InputError(f"{path}: expected no such file, or --force to replace it, found one")


def _add_provenance(commands: Any) -> None:
    provenance = commands.add_parser(
        "provenance",
        help="print how a store, a table or a figure was made, back to the raw files",
        description="Print the rules, code, parameters, models and versions behind a file of the "
        "results, and everything that it was made from, each with its digest. The exit status is 1 "
        "if a file on the way is missing, damaged or not the one that was used, or if no record "
        "says how the file was made.",
    )
    provenance.add_argument("path", metavar="store", help="a store, table or figure of the results")
    provenance.add_argument(
        "--as",
        dest="form",
        choices=("tree", "json"),
        default="tree",
        help="a tree for people, or JSON for programs; tree by default",
    )
    provenance.set_defaults(run=_provenance)


def _add_archive(commands: Any) -> None:
    export = commands.add_parser(
        "export",
        help="bundle a finished analysis for an archive",
        description="Copy the figures, the tables, the stores that figures are drawn from, the "
        "records of how each was made, the configuration, the lock file and the software into one "
        "archive, with a list of checksums. Run this in the folder where the workflow ran.",
    )
    _add_files(export)
    export.add_argument("--to", required=True, help="folder to create, or FILE.zip")
    export.add_argument(
        "--images",
        action="store_true",
        help="add the dataset's own pictures that figures show, edits of them, the volumes behind "
        "maps, and the figures that show any of these; use this only if you may pass the dataset "
        "on, which NSD does not allow for its images",
    )
    export.add_argument(
        "--all",
        action="store_true",
        help="add every store, not only those that figures are drawn from",
    )
    export.set_defaults(run=_export)
    figures = commands.add_parser(
        "figures",
        help="draw every figure again from an archive alone",
        description="Check an archive of `mine export`, draw its figures with the installed "
        "software, and compare them with those in the archive. Nothing else is read. The exit "
        "status is 1 if a figure or its table differs.",
    )
    figures.add_argument("archive", help="folder or ZIP file that `mine export` wrote")
    figures.add_argument("--to", required=True, help="folder for the figures")
    figures.add_argument(
        "--cores",
        type=_count_cores,
        default=1,
        help="how many figures to draw at a time; 1 by default",
    )
    figures.set_defaults(run=_figures)


def _add_results(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands that read finished results."""
    show = commands.add_parser(
        "show",
        help="print what was found in a region, or in one of its voxels",
        description="Print a row for each voxel of a region, best predicted first, or one voxel's "
        "profile with the evidence for its words.",
    )
    show.add_argument("subject", help="name of the subject")
    show.add_argument("roi", help="name of the region")
    show.add_argument(
        "voxel",
        nargs="?",
        type=int,
        help="number of a voxel, from the first column of the region's table",
    )
    show.set_defaults(run=_show)
    explain = commands.add_parser(
        "explain",
        help="predict the responses to a new image, and say in words what drives them",
        description="Print predictions and words for all voxels of a region, largest response "
        "first, or for one voxel.",
    )
    explain.add_argument(
        "image",
        help="a picture, in a format that docs/data.md lists; its central square is used",
    )
    explain.add_argument("--subject", required=True, help="name of the subject")
    explain.add_argument("--roi", required=True, help="name of the region")
    explain.add_argument("--voxel", type=int, help="number of a voxel; all voxels by default")
    explain.add_argument(
        "--figure", help="file to write a figure to, such as explained.png or explained.pdf"
    )
    explain.add_argument("--force", action="store_true", help="replace an existing figure")
    explain.set_defaults(run=_explain)
    compare = commands.add_parser(
        "compare",
        help="print whether another analysis of the same voxels says the same of them",
        description="Compare two finished analyses, of another model, encoder or seed: R², rank "
        "correlation of profiles, and words listed by both, in a row for each region that both "
        "have, over voxels that both predict about equally well.",
    )
    compare.add_argument("first", help="folder of the results, results/<name>")
    compare.add_argument("second", help="folder of the results of the other analysis")
    compare.add_argument("--output", help="table to write, with a row for each voxel")
    compare.add_argument("--force", action="store_true", help="replace an existing table")
    compare.set_defaults(run=_compare)
    for command in (show, explain):
        command.add_argument(
            "--results",
            default="results/demo",
            help="folder of the results; results/demo by default",
        )
        command.add_argument(
            "--config",
            help="configuration that made the results, if their folder holds none or if the "
            "dataset or the model has moved",
        )


def _show(options: argparse.Namespace) -> int:
    # Imported late, as below.
    from mine.results.printing import print_region, print_voxel

    region = mine.open(options.results, config=options.config)[options.subject][options.roi]
    print(print_region(region) if options.voxel is None else print_voxel(region[options.voxel]))
    return 0


def _explain(options: argparse.Namespace) -> int:
    # Imported late, as below.
    from mine.results.printing import check_ending, print_explanations, save_explanations

    if options.figure:
        figure, image = Path(options.figure), Path(options.image)
        _check_place(figure)
        check_ending(options.figure)
        if figure.exists() and image.exists() and figure.samefile(image):
            raise InputError(f"{figure}: expected another file than the image, found the image")
        _spare_file(figure, force=options.force)
    region = mine.open(options.results, config=options.config)[options.subject][options.roi]
    voxels = None if options.voxel is None else [options.voxel]
    explanations = region.explain(options.image, voxels=voxels)
    print(print_explanations(region, explanations))
    if options.figure:
        save_explanations(region, explanations, options.figure)
        print(f"\nwrote {options.figure}")
    return 0


def _compare(options: argparse.Namespace) -> int:
    # Imported late, as below.
    from mine.results.comparing import compare_results
    from mine.results.printing import print_comparison
    from mine.stores import write_table

    if options.output:
        _check_place(Path(options.output))
        _spare_file(Path(options.output), force=options.force)
    # How far it is, on standard error: the table is what it prints.
    logging.basicConfig(format="%(asctime)s %(message)s")
    logging.getLogger("progress").setLevel(logging.INFO)
    voxels, rows = compare_results(mine.open(options.first), mine.open(options.second))
    print(print_comparison(rows))
    if options.output:
        write_table(voxels, options.output)
        print(f"\nwrote {options.output}")
    return 0


def _check(options: argparse.Namespace) -> int:
    # Imported late: `mine config` and `mine --help` need not wait for the readers of files.
    from mine.check import check_data, describe_controls, describe_subjects, estimate_work

    data, name = _read_files(options.config)
    problems = check_data(data, name=name)
    if problems:
        print("\n".join(problems))
        return 1
    config = load_config(data)
    # What readers log of regions that are left out is among what is said of each subject.
    logging.getLogger("mine").addHandler(logging.NullHandler())
    understood = describe_subjects(config)
    print(f"{name}: nothing wrong; {estimate_work(config)}")
    if understood:
        print("\n".join(understood))
    if missed := describe_controls(config):
        print("\n".join(missed))
    if changes := describe_changes(config):
        print(f"{changes}; {REPLACED}")
    return 0


def _download(options: argparse.Namespace) -> int:
    from mine.datasets import download
    from mine.datasets.bucket import Bucket
    from mine.datasets.nsd_required import Selection

    data, name = _read_files(options.config)
    config = load_config(data, name=name)
    if options.models:
        return _fetch_models(config)
    _require_downloadable(config, name)
    chosen, root = config.download, Path(config.dataset.root)
    selection = Selection(**config.selection())
    if options.dry_run:
        plan = download.plan_download(
            Bucket(chosen.endpoint), root, selection, connections=chosen.connections
        )
        for one in plan.objects():
            state = "missing" if one.key in plan.missing else "there"
            print(f"{state}\t{one.size}\t{one.key}")
        print("\n".join(plan.describe()))
        download.check_disk(plan)
        return 0
    download.require_terms(chosen.accept_terms)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    try:
        download.download_files(
            root,
            selection,
            endpoint=chosen.endpoint,
            connections=chosen.connections,
            megabytes_per_second=chosen.megabytes_per_second,
        )
    except KeyboardInterrupt:
        print("interrupted; run the same command again to continue", file=sys.stderr)
        return 130
    return 0


def _require_downloadable(config: Config, name: str) -> None:
    """Refuse a dataset that nothing is downloaded of, whatever the terms: before these are asked
    for, which the configuration would then have to take back."""
    if config.demo is not None:
        raise InputError(
            f"{name}: demo: expected no such section with `mine download`, since the demo writes "
            "its own dataset, found one"
        )
    if config.dataset.kind != "nsd":
        raise InputError(
            f"{name}: dataset.kind: expected nsd with `mine download`, since only nsd is "
            f"downloaded, found {config.dataset.kind}; --models fetches models with any kind"
        )


def _fetch_models(config: Config) -> int:
    from mine.core.hubs import fetch_models

    for name in ("backbone", "evaluator", "generator"):
        # The command allows what the key forbids to the workflow.
        allowed = {"allow_download": True} if name == "generator" else {}
        for model in fetch_models(name, asdict(getattr(config, name)) | allowed):
            print(f"{name}\t{model}", flush=True)
    return 0


def _init(options: argparse.Namespace) -> int:
    # Imported late, as above.
    from mine.draft import draft_config, write_draft

    path = Path(options.output or f"{options.kind}.yaml")
    _check_place(path)
    _spare_file(path, force=options.force)
    draft = draft_config(options.kind, Path(options.root))
    write_draft(draft, path)
    print("\n".join([*draft.notes, f"wrote {path}; next: mine check {path}"]))
    return 0


def _provenance(options: argparse.Namespace) -> int:
    from mine import lineage

    nodes = lineage.trace_origin(options.path)
    problems = lineage.list_problems(nodes)
    if options.form == "json":
        print(lineage.render_json(nodes), end="")
    else:
        print(lineage.render_tree(nodes))
        print(f"{len(nodes)} files on the way, {len(problems)} problems")
    return 1 if problems else 0


def _export(options: argparse.Namespace) -> int:
    from mine.exporting import LICENCE, describe_places, export_analysis

    data, name = _read_files(options.config)
    config, place = load_config(data, name=name), Path(options.to)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
    source = Path(name) if len(options.config) == 1 else text.encode()
    counts = export_analysis(config, source, place, images=options.images, everything=options.all)
    left, other = counts.pop("left"), counts.pop("other")
    print(f"wrote {place}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    if left:
        more = f" and {len(left) - LEFT} more" if len(left) > LEFT else ""
        print(f"Left behind, since no record names them: {', '.join(map(str, left[:LEFT]))}{more}.")
    if other:
        print(
            "Made by other code than the archive's software, as MINE has changed since: what is of "
            f"{format_count(len(other), 'rule')} ({', '.join(other)}). Run the workflow again to "
            "have it made by this code."
        )
    if places := describe_places(config):
        print(places)
    if not options.images:
        print(LICENCE)
    return 0


def _figures(options: argparse.Namespace) -> int:
    from mine.archive import extract_archive
    from mine.redrawing import check_place, redraw_figures

    source, place = Path(options.archive), Path(options.to)
    check_place(place, source)
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as unpacked:
        if not source.is_dir():
            extract_archive(source, Path(unpacked))
            source = Path(unpacked)
        drawn = redraw_figures(source, place, cores=options.cores)
    for one in drawn:
        if one.same is False:
            why = "" if one.same_code else "; its code is not that of the original"
            print(f"{one.path}: differs from the archive's{why}")
    same, absent = (sum(one.same is told for one in drawn) for told in (True, None))
    apart = f", {absent} not part of it" if absent else ""
    print(f"{len(drawn)} files drawn in {place}, {same} of them as in the archive{apart}")
    return 0 if same + absent == len(drawn) else 1


def _print_config(options: argparse.Namespace) -> int:
    print(config_schema() if options.form == "schema" else default_yaml(Config), end="")
    return 0
