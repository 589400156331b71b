"""Write BOLD5000 (Chang et al. 2019, Scientific Data 6:49) as a folder that MINE reads.

``python docs/prepare_bold5000.py BOLD5000_GLMsingle_ROI_betas/py --events ds001499 --images
Presented_Stimuli --output data/bold5000`` reads the betas of regions that release 2.0 made with
GLMsingle and writes for each subject the responses, session by session, with a table of the voxels,
the regions and a table of trials. ``mine init folder --root data/bold5000`` goes on from there.
docs/data.md says which files are needed and where they come from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from preparing import (
    create_sessions,
    describe_trials,
    make_parser,
    read_columns,
    run,
    write_images,
    write_table,
    write_whole,
)

from mine.datasets.numpy_files import open_array
from mine.errors import InputError

BETAS = "{subject}_GLMbetas-{version}_allses_{region}.npy"
VERSION = "TYPED-FITHRF-GLMDENOISE-RR"
EVENTS = "sub-{subject}/ses-*/func/sub-{subject}_ses-*_task-5000scenes_run-*_events.tsv"

ALIASES = {"LO": "LOC", "RRSC": "RSC"}
"""Names that some files of regions have in place of the others' name."""

REPEATED = "rep_"
"""How the type of an image begins that is among the 113 that were shown more than once."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("betas", type=Path, help="the folder py of BOLD5000_GLMsingle_ROI_betas")
    parser.add_argument("--events", type=Path, required=True, help="OpenNeuro's folder ds001499")
    parser.add_argument("--images", type=Path, required=True, help="the folder Presented_Stimuli")
    parser.add_argument("--subjects", nargs="+", metavar="CSI1", help="else all that are there")
    parser.add_argument("--version", default=VERSION, help="of the betas (default: %(default)s)")
    run(prepare, parser, arguments)


def prepare(
    betas: Path,
    *,
    events: Path,
    images: Path,
    output: Path,
    subjects: Sequence[str] | None,
    version: str,
) -> None:
    """Write the folder. Raises InputError if a file is not as it was published."""
    files = {
        subject: find_betas(betas, subject, version)
        for subject in subjects or find_subjects(betas, version)
    }
    trials = {subject: read_trials(events, subject) for subject in files}
    shown = pd.concat(trials.values())
    # flagged for whom it was: a subject who came less often saw some of them once
    test = set(shown["image"][shown["repeated"]])
    if not test:
        raise InputError(
            f"{events}: expected events whose ImgType begins with {REPEATED}, found none"
        )
    split = {name: "test" if name in test else "train" for name in shown["image"]}
    with write_whole(output) as root:
        called = write_images(
            root, images, split, {"coco_id": {name: find_coco(name) for name in split}}
        )
        for subject, paths in files.items():
            told = write_subject(
                root / f"sub-{subject}", subject, paths, trials[subject], called=called
            )
            tried = describe_trials(trials[subject]["image"], trials[subject]["session"], test)
            print(f"sub-{subject}: {tried}; {told}")
    print(f"wrote {output}; next: mine init folder --root {output}")


def find_subjects(betas: Path, version: str) -> list[str]:
    """Subjects of whom there are betas, by name."""
    pattern = BETAS.format(subject="*", version=version, region="*")
    found = sorted({path.name.partition("_")[0] for path in betas.glob(pattern)})
    if not found:
        name = BETAS.format(subject="CSI1", version=version, region="LHEarlyVis")
        raise InputError(f"{betas}: expected files such as {name}, found none")
    return found


def find_betas(betas: Path, subject: str, version: str) -> dict[str, Path]:
    """Files of a subject's betas by region, such as LHPPA, in the order of their names."""
    stem, ending = BETAS.format(subject=subject, version=version, region="*").split("*")
    found: dict[str, Path] = {}
    for path in sorted(betas.glob(f"{stem}*{ending}")):
        match = re.fullmatch("(LH|RH)([A-Za-z0-9]+)", path.name[len(stem) : -len(ending)])
        if match is None:
            raise InputError(
                f"{path}: expected a region behind LH or RH at the end of its name, found neither"
            )
        found[match[1] + ALIASES.get(match[2], match[2])] = path
    if not found:
        raise InputError(f"{betas / stem}*{ending}: expected betas of {subject}, found no file")
    return found


def read_trials(events: Path, subject: str) -> pd.DataFrame:
    """Read which image each trial showed, in the order of the betas: by session, run and onset.

    Columns: session, run, image (name of a file) and repeated, whether it is one of those that were
    to be shown more than once.
    """
    parts = []
    for path in events.glob(EVENTS.format(subject=subject)):
        match = re.search(r"_ses-(\d+)_task-5000scenes_run-(\d+)_events", path.name)
        if match is None:
            raise InputError(f"{path}: expected numbers as session and run, found others")
        table = read_columns(path, ["onset", "stim_file", "ImgType"])
        if table[["stim_file", "ImgType"]].isna().any(axis=None):
            raise InputError(f"{path}: expected an image in every row, found rows without one")
        part = pd.DataFrame({"session": int(match[1]), "run": int(match[2])}, table.index)
        part["image"] = table["stim_file"]
        part["repeated"] = table["ImgType"].str.startswith(REPEATED)
        if not table["onset"].is_monotonic_increasing:
            raise InputError(f"{path}: expected rows in the order of onset, found others")
        parts.append(part)
    if not parts:
        path = events / EVENTS.format(subject=subject)
        raise InputError(f"{path}: expected events of {subject}, found no file")
    return pd.concat(parts, ignore_index=True).sort_values(
        ["session", "run"], kind="stable", ignore_index=True
    )


def find_coco(name: str) -> str:
    """Identity in COCO of an image that comes from there, which its name says."""
    match = re.match(r"COCO_train2014_(\d+)\.", name)
    return str(int(match[1])) if match else "n/a"


def write_subject(
    folder: Path,
    subject: str,
    paths: dict[str, Path],
    trials: pd.DataFrame,
    *,
    called: dict[str, str],
) -> str:
    """Write what belongs to a subject; returns what was written, in words."""
    arrays = {region: open_array(path, axes=(2,)) for region, path in paths.items()}
    for region, array in arrays.items():
        if len(array) != len(trials):
            raise InputError(
                f"{paths[region]}: expected a row for each of the {len(trials)} events of "
                f"{subject}, found {len(array)}"
            )
    owner = np.repeat(list(arrays), [array.shape[1] for array in arrays.values()])
    place = np.concatenate([np.arange(array.shape[1]) + 1 for array in arrays.values()])
    write_table(
        folder / "voxels.tsv",
        {
            "name": [f"{region}-{number}" for region, number in zip(owner, place, strict=True)],
            "hemisphere": [region[:2].lower() for region in owner],
        },
    )
    regions = np.array([region[2:] for region in owner])
    (folder / "rois").mkdir()
    for region in np.unique(regions):
        np.save(folder / "rois" / f"{region}.npy", (regions == region).astype(np.uint8))
    write_table(
        folder / "trials.tsv",
        {
            "session": trials["session"],
            "run": trials["run"],
            "image": [called[name] for name in trials["image"]],
        },
    )
    sessions = trials["session"].to_numpy()
    for rows, written in create_sessions(folder / "responses", sessions, len(owner)).values():
        for region, array in arrays.items():
            written[:, owner == region] = array[rows]
        written.flush()
    return f"{len(owner)} voxels in {len(np.unique(regions))} regions"


if __name__ == "__main__":
    main()
