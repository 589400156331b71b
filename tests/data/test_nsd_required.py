"""Which files an analysis reads: exactly those, whatever else there is."""

from __future__ import annotations

from pathlib import Path

import pytest

from mine.config import load_config
from mine.datasets import nsd_files, nsd_required, nsd_rois
from mine.datasets.nsd_required import Selection, choose_files, find_source, list_prefixes
from mine.errors import InputError
from tests.data.miniature_bucket import FOLDER, select

EXPERIMENT = ["nsddata/experiments/nsd/nsd_expdesign.mat"] + [
    "nsddata/experiments/nsd/nsd_stim_info_merged.csv"
]


@pytest.fixture(scope="module")
def names(source: Path) -> list[str]:
    return [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def labels(source: Path) -> dict:
    return {
        subject: {
            atlas: set(entries.values())
            for atlas, entries in nsd_rois.list_labels(source, subject, "func1pt8mm").items()
        }
        for subject in ("subj01", "subj02")
    }


def test_files_of_one_subject(names: list[str], labels: dict) -> None:
    files = choose_files(select(subjects=["subj01"]), names, labels)
    volumes = "nsddata/ppdata/subj01/func1pt8mm"
    assert files == {
        "experiment": EXPERIMENT,
        "regions": [
            *(
                f"nsddata/freesurfer/subj01/label/{atlas}.mgz.ctab"
                for atlas in ("Kastner2015", "floc-faces", "nsdgeneral", "prf-visualrois")
            ),
            f"{volumes}/floc_facestval.nii.gz",
            f"{volumes}/roi/floc-faces.nii.gz",
            f"{volumes}/roi/lh.nsdgeneral.nii.gz",
            f"{volumes}/roi/nsdgeneral.nii.gz",
            f"{volumes}/roi/prf-visualrois.nii.gz",
            f"{volumes}/roi/rh.nsdgeneral.nii.gz",
        ],
        "subj01": [
            "nsddata/ppdata/subj01/behav/responses.tsv",
            f"{volumes}/mean.nii.gz",
            f"{FOLDER}/betas_session01.hdf5",
            f"{FOLDER}/betas_session02.hdf5",
            f"{FOLDER}/ncsnr.nii.gz",
        ],
        "stimuli": ["nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"],
    }


def test_every_file_lies_below_a_prefix_and_in_one_group(names: list[str], labels: dict) -> None:
    chosen = [name for files in choose_files(select(), names, labels).values() for name in files]
    assert len(set(chosen)) == len(chosen) and set(chosen) < set(names)
    assert all(name.startswith(tuple(list_prefixes(select()))) for name in chosen)


@pytest.mark.parametrize(
    ("changes", "more", "fewer"),
    [
        (
            {"format": "nii.gz"},
            {f"{FOLDER}/betas_session0{number}.nii.gz" for number in (1, 2)},
            {f"{FOLDER}/betas_session0{number}.hdf5" for number in (1, 2)},
        ),
        (
            {"sessions": 1},
            set(),
            {f"{FOLDER}/betas_session02.hdf5"},
        ),
        (
            {"references": ["Kastner2015:V1v", "FFA-1"]},
            {"nsddata/ppdata/subj01/func1pt8mm/roi/Kastner2015.nii.gz"},
            {"nsddata/ppdata/subj01/func1pt8mm/roi/prf-visualrois.nii.gz"},
        ),
        (
            {"voxels": ["nsdgeneral", "OFA"]},
            {
                f"nsddata/ppdata/subj01/func1pt8mm/roi/{side}.floc-faces.nii.gz"
                for side in ("lh", "rh")
            },
            set(),
        ),
        (
            {"contrasts": ["bodies"]},
            {"nsddata/ppdata/subj01/func1pt8mm/floc_bodiestval.nii.gz"},
            {"nsddata/ppdata/subj01/func1pt8mm/floc_facestval.nii.gz"},
        ),
        (
            {"voxels": ["brainmask"]},
            {"nsddata/ppdata/subj01/func1pt8mm/brainmask.nii.gz"},
            # Its halves tell the hemispheres, and stay.
            {"nsddata/ppdata/subj01/func1pt8mm/roi/nsdgeneral.nii.gz"},
        ),
        ({"references": ["FFA-1", "prf-visualrois:V1v", "own/{subject}.nii.gz"]}, set(), set()),
    ],
)
def test_one_choice_changes_its_files_only(
    names: list[str], labels: dict, changes: dict, more: set, fewer: set
) -> None:
    before, after = (
        {
            name
            for files in choose_files(one, names, labels).values()
            for name in files
            if "subj02" not in name
        }
        for one in (select(), select(**changes))
    )
    assert (after - before, before - after) == (more, fewer)


def test_region_that_one_subject_lacks_is_left_out_there(names: list[str], labels: dict) -> None:
    regions = choose_files(select(references=["FFA-1"]), names, labels)["regions"]
    volumes = [name for name in regions if name.endswith("roi/floc-faces.nii.gz")]
    assert volumes == ["nsddata/ppdata/subj01/func1pt8mm/roi/floc-faces.nii.gz"]


def test_halves_stand_in_for_a_missing_volume(names: list[str], labels: dict) -> None:
    left = [name for name in names if not name.endswith("roi/floc-faces.nii.gz")]
    regions = choose_files(select(), left, labels)["regions"]
    assert sum("h.floc-faces.nii.gz" in name for name in regions) == 2


@pytest.mark.parametrize("reference", ["FFA-1", "OFA", "V1v", "V1d", "IPS0", "nsdgeneral"])
@pytest.mark.parametrize("subject", ["subj01", "subj02"])
def test_region_is_found_as_the_reader_finds_it(
    source: Path, labels: dict, reference: str, subject: str
) -> None:
    volumes = nsd_rois.list_volumes(source, subject, "func1pt8mm")
    region = nsd_rois.find_region(source, subject, reference, space="func1pt8mm")
    source = find_source(reference, volumes=volumes, labels=labels[subject])
    assert source == (None if region is None else region.source)


def test_what_is_not_on_offer_is_told_at_once(names: list[str], labels: dict) -> None:
    left = [name for name in names if not name.endswith(nsd_files.DESIGN)]
    with pytest.raises(InputError) as caught:
        choose_files(select(sessions=2, references=["FFA-9"], format="nii.gz"), left, labels)
    assert str(caught.value).splitlines() == [
        f"{nsd_files.DESIGN}: expected this file in the bucket, found none",
        f"{FOLDER.replace('subj01', 'subj02')}/betas_session02: expected session 2 of 2 in the "
        "bucket, found sessions up to 1; dataset.sessions says how many are read",
        "ROI 'FFA-9': expected a label or a volume that one of subj01, subj02 has in the bucket, "
        "found none; the nearest are FFA-1, OFA",
    ]
    without = [name for name in names if not name.endswith("betas_session01.nii.gz")]
    with pytest.raises(InputError, match=r"found only \.hdf5; download.format chooses"):
        choose_files(select(format="nii.gz"), without, labels)
    with pytest.raises(InputError, match="expected sessions of betas in the bucket, found none"):
        choose_files(select(betas="betas_of_nobody"), names, labels)


def test_name_of_two_atlases_is_refused(names: list[str], labels: dict) -> None:
    labels = {"subj01": {"HCP": {"V9"}, "Wang": {"V9"}}}
    with pytest.raises(InputError, match="expected a name of one atlas, found HCP:V9 or Wang:V9"):
        find_source("V9", volumes=[], labels=labels["subj01"])


def test_configuration_says_what_is_selected() -> None:
    config = load_config(
        {
            "name": "one",
            "subjects": ["subj01"],
            "rois": ["FFA-1", "V1v"],
            "dataset": {
                "root": "nsd",
                "sessions": 3,
                "voxels": ["nsdgeneral", "early"],
                "roi_references": {"V1v": "Kastner2015:V1v", "early": "prf-visualrois"},
                "localiser_threshold": {"bodies": 2},
            },
            "categories": {"faces": {"prompts": ["face"], "localiser": "faces"}},
            "download": {"format": "nii.gz"},
        }
    )
    selection = Selection(**config.selection())
    assert selection.references == ["FFA-1", "Kastner2015:V1v"]
    assert selection.voxels == ["nsdgeneral", "prf-visualrois"]
    assert selection.contrasts == ["bodies", "faces"]
    assert (selection.format, selection.sessions) == ("nii.gz", 3)
    assert selection.groups == ["experiment", "regions", "subj01", "stimuli"]
    assert nsd_required.EXPERIMENT == selection.groups[0]
