"""Which files an analysis reads, in every format: what is chosen suffices, and none is idle."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from mine.config import Config, load_config
from mine.datasets import nsd_files
from mine.datasets.nsd_required import Selection, choose_files, list_label_tables, list_prefixes
from mine.datasets.reader import open_dataset
from mine.demo import nsd_writer
from mine.errors import InputError
from tests.data.random_nsd import BETAS, FORMATS
from tests.data.test_nsd_synthetic import Synthetic

SURFACES = ["nativesurface", "fsaverage"]


def write_source(root: Path, format: str, **dataset: object) -> Config:
    """Write a miniature with NSD-synthetic, and return the configuration of an analysis of it."""
    world = Synthetic(root, format=format, seed=3).world
    if not world.surface:
        at = {"affine": world.affine, "space": world.space}
        nsd_writer.write_mean(root, 1, world.random.random(world.shape), **at)
    own = {"space": world.space, "test_images": "shared_common", "synthetic": True, **dataset}
    return load_config(
        {
            "name": "one",
            "subjects": ["subj01"],
            "rois": ["FFA-1"],
            "dataset": {"root": str(root), **own},
            "download": {"format": "nii.gz" if format.startswith("nifti") else "hdf5"},
        }
    )


def list_names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]


def choose(config: Config, names: list[str]) -> dict[str, list[str]]:
    """Choose as a download does: among what is listed, by what the tables of labels say."""
    selection, root = Selection(**config.selection()), Path(config.dataset.root)
    offered = [name for name in names if name.startswith(tuple(list_prefixes(selection)))]
    labels: dict[str, dict[str, list[str]]] = {}
    for name, (owner, atlas) in list_label_tables(selection, offered).items():
        labels.setdefault(owner, {})[atlas] = list(nsd_files.read_labels(root / name).values())
    return choose_files(selection, offered, labels)


def read_everything(config: Config, root: Path) -> list[object]:
    """What an analysis learns of its dataset in a folder; a message if it cannot read it."""
    reader = open_dataset({**vars(config.dataset), "root": str(root)})
    found: list[object] = []
    try:
        problems = reader.check(subjects=config.subjects, rois=config.roi_references())
        found += [problem.replace(str(root), "") for problem in problems]
        images = reader.read_images(config.subjects)
        one = reader.read_subject("subj01")
        rois = reader.read_rois("subj01", rois=config.roi_references(), voxels=one.voxels)
        unseen, further = reader.read_unseen("subj01", one.voxels)
        found += [images.identity, reader.open_stimuli().read(images.identity[:3])]
        found += [*map(one.read_session, range(len(one.images))), *one.images, one.ncsnr]
        found += [one.common, one.voxels.index, one.voxels.hemisphere, one.voxels.position]
        found += [reader.list_contrasts(config.subjects), rois["member"].values, rois["t"].values]
        found += [reader.read_background("subj01", one.voxels)]
        found += [unseen.read_session(0), further.read([0, len(further) - 1])]
    except InputError as error:
        found.append(str(error).replace(str(root), ""))
    return found


def are_equal(first: list[object], second: list[object]) -> bool:
    try:
        np.testing.assert_equal(first, second)
    except AssertionError:
        return False
    return True


@pytest.mark.parametrize("format", FORMATS)
def test_what_is_chosen_suffices_and_nothing_of_it_is_idle(tmp_path: Path, format: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    config = write_source(source, format)
    chosen = sorted(name for names in choose(config, list_names(source)).values() for name in names)
    for name in chosen:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, target / name)
    whole = read_everything(config, source)
    assert not [one for one in whole if isinstance(one, str)]
    np.testing.assert_equal(read_everything(config, target), whole)
    # Tables of labels are taken all: they say which of the other files hold a region.
    for name in [name for name in chosen if not name.endswith(".ctab")]:
        (target / name).write_bytes(b"")
        assert not are_equal(read_everything(config, target), whole), name
        shutil.copy(source / name, target / name)


@pytest.mark.parametrize("format", SURFACES)
def test_a_hemisphere_that_is_not_on_offer_is_told(tmp_path: Path, format: str) -> None:
    config = write_source(tmp_path, format)
    names = list_names(tmp_path)
    folder = f"nsddata_betas/ppdata/subj01/{format}/{BETAS}"
    left = [name for name in names if f"{folder}/rh.betas_session02" not in name]
    with pytest.raises(InputError) as caught:
        choose(config, left)
    suffix = "mgh" if format == "fsaverage" else "hdf5"
    assert str(caught.value) == (
        f"{folder}/betas_session02: expected it of both hemispheres in the bucket, found only "
        f"{folder}/lh.betas_session02.{suffix}"
    )


@pytest.mark.parametrize("format", ["hdf5", "fsaverage"])
def test_a_session_that_may_be_missing_is_left_out(tmp_path: Path, format: str) -> None:
    config = write_source(tmp_path, format, skip_missing_sessions=True)
    left = [name for name in list_names(tmp_path) if "betas_session02" not in name]
    chosen = choose(config, left)["subj01"]
    assert sum("betas_session" in name for name in chosen) == (6 if format == "fsaverage" else 3)
    strict = write_source(tmp_path / "strict", format)
    left = [name for name in list_names(tmp_path / "strict") if "betas_session02" not in name]
    with pytest.raises(InputError, match="expected session 2 of 4 in the bucket"):
        choose(strict, left)


def test_what_nsd_synthetic_needs_is_a_group_of_its_own(tmp_path: Path) -> None:
    config = write_source(tmp_path, "hdf5")
    names = list_names(tmp_path)
    folder = f"nsddata_betas/ppdata/subj01/func1pt8mm/nsdsynthetic{BETAS}"
    assert choose(config, names)["synthetic"] == [
        "nsddata/experiments/nsdsynthetic/nsdsynthetic_expdesign.mat",
        f"{folder}/betas_nsdsynthetic.hdf5",
        "nsddata_stimuli/stimuli/nsdsynthetic/nsdsynthetic_colorstimuli_subj01.hdf5",
        "nsddata_stimuli/stimuli/nsdsynthetic/nsdsynthetic_stimuli.hdf5",
    ]
    with pytest.raises(InputError, match="expected betas of NSD-synthetic in the bucket"):
        choose(config, [name for name in names if folder not in name])
    without = write_source(tmp_path / "without", "hdf5", synthetic=False)
    assert "synthetic" not in choose(without, list_names(tmp_path / "without"))
