"""Faults injected one at a time into each format of NSD: each gives one sentence, and no traceback.

A sentence names the file, what was expected and what was found. It comes from the check, before
anything is read; reading the damaged dataset all the same is refused in a sentence too.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import scipy.io

from mine.datasets import nsd_files
from tests.data import surface_writer
from tests.data.faults import Damaged, Faults, hold_to_one_sentence, store_damaged
from tests.data.random_nsd import BETAS, TRIALS, RandomNsd

VOLUMES = ("nifti", "hdf5")
SURFACES = ("nativesurface", "fsaverage")
ALL = (*VOLUMES, *SURFACES)
HDF5 = ("hdf5", "nativesurface")
ROIS = {"FFA-1": "FFA-1"}

DESIGN = Path(nsd_files.DESIGN)
INFORMATION = Path(nsd_files.INFORMATION)
STIMULI = Path(nsd_files.STIMULI)
BEHAVIOUR = Path("nsddata/ppdata/subj01/behav/responses.tsv")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RandomNsd]:
    """A dataset of each format with which nothing is wrong."""
    return {
        format: RandomNsd(tmp_path_factory.mktemp(format), format=format, seed=11, regular=True)
        for format in ALL
    }


class DamagedNsd(Damaged):
    """A copy of a whole dataset, and the files that faults are put into."""

    def __init__(self, world: RandomNsd, root: Path) -> None:
        key = {"kind": "nsd", "space": world.space}
        super().__init__(world.root, key, root, subjects=("subj01",), rois=ROIS)
        self.world, self.space = world, world.space

    @property
    def folder(self) -> Path:
        return self.root / "nsddata_betas/ppdata/subj01" / self.space / BETAS

    @property
    def labels(self) -> Path:
        owner = "fsaverage" if self.space == "fsaverage" else "subj01"
        return self.root / "nsddata/freesurfer" / owner / "label"

    @property
    def session(self) -> Path:
        """The second session; on surfaces its right half."""
        ending = {"nifti": ".nii.gz", "fsaverage": ".mgh"}.get(self.world.format, ".hdf5")
        side = "rh." if self.world.surface else ""
        return self.folder / f"{side}betas_session02{ending}"

    @property
    def roi(self) -> Path:
        if self.world.surface:
            return self.labels / "rh.floc-faces.mgz"
        return self.root / "nsddata/ppdata/subj01" / self.space / "roi/floc-faces.nii.gz"

    @property
    def general(self) -> Path:
        return self.roi.with_name(self.roi.name.replace("floc-faces", "nsdgeneral"))

    @property
    def t_map(self) -> Path:
        if self.world.surface:
            return self.labels / "lh.flocfacestval.mgz"
        return self.root / "nsddata/ppdata/subj01" / self.space / "floc_facestval.nii.gz"

    @property
    def ncsnr(self) -> Path:
        return self.folder / ("rh.ncsnr.mgh" if self.world.surface else "ncsnr.nii.gz")

    def read(self, path: Path) -> np.ndarray:
        if self.world.surface:
            return nsd_files.open_mgh(path).read(slice(0, 1))[0]
        return np.asarray(nib.load(path).dataobj).copy()

    def write(self, path: Path, values: np.ndarray, affine: np.ndarray | None = None) -> None:
        """Write a map in the place of another."""
        if self.world.surface:
            surface_writer.write_mgh(path, values)
        else:
            affine = self.world.affine if affine is None else affine
            nib.save(nib.Nifti1Image(values.astype(np.float32), affine), path)

    def write_session(self, values: np.ndarray, affine: np.ndarray | None = None) -> None:
        """values: (trial, voxel or Z, Y, X), as HDF5 has them."""
        if self.world.format == "fsaverage":
            surface_writer.write_mgh(self.session, values.T, values.dtype.type)
        elif self.world.format == "nifti":
            affine = self.world.affine if affine is None else affine
            nib.save(nib.Nifti1Image(values.T, affine), self.session)
        else:
            with h5py.File(self.session, "w") as file:
                file["betas"] = values

    def shape(self) -> tuple[int, ...]:
        """Of a session as HDF5 has it, without trials."""
        return (self.world.vertices[1],) if self.world.surface else self.world.shape[::-1]

    def dtype(self) -> type:
        return np.float32 if self.world.format == "fsaverage" else np.int16


faults = Faults()
fault = functools.partial(faults.add, formats=ALL)


def change_design(world: DamagedNsd, **arrays: np.ndarray | None) -> None:
    content = scipy.io.loadmat(world.root / DESIGN)
    content = {name: content[name] for name in ("masterordering", "subjectim", "sharedix")}
    for name, values in arrays.items():
        if values is None:
            del content[name]
        else:
            content[name] = values
    scipy.io.savemat(world.root / DESIGN, content)


def cut(path: Path, share: float = 0.5) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


# --- the experiment -------------------------------------------------------------------------------


@fault("dataset.root: expected the dataset's folder, found none at /")
def root_is_missing(world):
    shutil.rmtree(world.root)


@fault(str(DESIGN), "expected the experiment's design, found no file")
def design_is_missing(world):
    (world.root / DESIGN).unlink()


@fault(str(DESIGN), "expected a MATLAB file, found one that is not")
def design_is_no_matlab_file(world):
    (world.root / DESIGN).write_bytes(b"<html>not found</html>" * 20)


@fault(str(DESIGN), "expected a MATLAB file, found one that is not")
def design_is_truncated(world):
    cut(world.root / DESIGN)


@fault(str(DESIGN), "expected masterordering, subjectim, sharedix, found no sharedix")
def design_lacks_the_shared_images(world):
    change_design(world, sharedix=None)


@fault(str(DESIGN), "expected whole numbers from 1 in subjectim, found others")
def design_counts_from_zero(world):
    change_design(world, subjectim=world.world.subject_images.astype(float))


@fault(str(DESIGN), "expected whole numbers from 1 in masterordering, found others")
def design_has_fractions(world):
    change_design(world, masterordering=world.world.ordering[None] + 1.5)


@fault(str(DESIGN), "expected a matrix of numbers as sharedix, found")
def design_has_text_for_numbers(world):
    change_design(world, sharedix=np.array(["a", "b"]))


@fault(str(DESIGN), "expected masterordering within the 24 images of subjectim, found 31")
def design_orders_images_that_it_lacks(world):
    ordering = world.world.ordering[None] + 1.0
    ordering[0, 3] = 31
    change_design(world, masterordering=ordering)


@fault(str(DESIGN), "expected at least 96 trials for the 4 sessions of subj01, found 50")
def design_is_too_short(world):
    change_design(world, masterordering=world.world.ordering[None, :50] + 1.0)


@fault(f"nsd/{DESIGN}: expected a row of subjectim for subj02, found 1 subject")
def design_lacks_the_subject(world):
    world.subjects = ["subj02"]
    change_design(world, subjectim=world.world.subject_images[:1] + 1.0)


@fault(str(BEHAVIOUR), "expected tab-separated columns SESSION and 73KID, found none")
def behaviour_lacks_a_column(world):
    table = pd.read_csv(world.root / BEHAVIOUR, sep="\t").drop(columns="73KID")
    table.to_csv(world.root / BEHAVIOUR, sep="\t", index=False)


def change_behaviour(world: DamagedNsd, column: str, row: int | slice, cell: str) -> None:
    table = pd.read_csv(world.root / BEHAVIOUR, sep="\t", dtype=str)
    table.loc[row, column] = cell
    table.to_csv(world.root / BEHAVIOUR, sep="\t", index=False)


@fault(str(BEHAVIOUR), "expected whole numbers from 1 as SESSION, found '1,0' in line 5")
def behaviour_has_decimal_commas(world):
    change_behaviour(world, "SESSION", slice(3, None), "1,0")


@fault(str(BEHAVIOUR), "expected whole numbers from 1 as 73KID, found '#NAME?' in line 9")
def behaviour_has_an_odd_cell(world):
    change_behaviour(world, "73KID", 7, "#NAME?")


@fault(str(BEHAVIOUR), "expected whole numbers from 1 as SESSION, found '' in line 2")
def behaviour_has_a_blank_column(world):
    change_behaviour(world, "SESSION", slice(None), "")


@fault(str(BEHAVIOUR), "expected whole numbers from 1 as 73KID, found '0' in line 4")
def behaviour_counts_from_zero(world):
    change_behaviour(world, "73KID", 2, "0")


@fault(str(BEHAVIOUR), "expected a row for each trial below the header, found none")
def behaviour_has_no_row(world):
    world.edit(str(BEHAVIOUR), lambda text: text.partition("\n")[0] + "\n")


@fault(str(BEHAVIOUR), "in trial 8 as in the design, found")
def behaviour_is_of_another_order(world):
    table = pd.read_csv(world.root / BEHAVIOUR, sep="\t")
    table.loc[7, "73KID"] = table.loc[7, "73KID"] % 40 + 1
    table.to_csv(world.root / BEHAVIOUR, sep="\t", index=False)


@fault(str(INFORMATION), "expected the table of images, found no file")
def information_is_missing(world):
    (world.root / INFORMATION).unlink()


@fault(str(INFORMATION), "expected a column cropBox, found")
def information_lacks_a_column(world):
    table = pd.read_csv(world.root / INFORMATION, index_col=0).drop(columns="cropBox")
    table.to_csv(world.root / INFORMATION)


@fault(str(INFORMATION), "expected each nsdId once, found one of them twice")
def information_has_an_image_twice(world):
    table = pd.read_csv(world.root / INFORMATION, index_col=0)
    table.loc[3, "nsdId"] = 4
    table.to_csv(world.root / INFORMATION)


@fault(str(INFORMATION), "expected a table, found one that is not")
def information_is_no_table(world):
    (world.root / INFORMATION).write_bytes(b"\xff\xfe\x00\x81" * 40)


@fault(
    str(INFORMATION), "expected a row of each image that the design shows to subj01, found only ",
    ", without ", " of them such as nsdId ",
)  # fmt: skip
def information_is_cut_off(world):
    path = world.root / INFORMATION
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:9]))


@fault(str(INFORMATION), "expected a column cocoId, found cocoSplit, cropBox, ")
def information_lacks_identities(world):
    table = pd.read_csv(world.root / INFORMATION, index_col=0).drop(columns="cocoId")
    table.to_csv(world.root / INFORMATION, index=False)


@fault(str(INFORMATION), "expected a column subject1, found none")
def information_lacks_the_subject(world):
    table = pd.read_csv(world.root / INFORMATION, index_col=0).drop(columns="subject1")
    table.to_csv(world.root / INFORMATION)


@fault(str(STIMULI), "expected an HDF5 file, found none")
def stimuli_are_missing(world):
    (world.root / STIMULI).unlink()


@fault(str(STIMULI), "expected a whole HDF5 file, found a damaged one")
def stimuli_are_truncated(world):
    cut(world.root / STIMULI)


@fault(str(STIMULI), "expected a dataset imgBrick, found images")
def stimuli_have_another_name(world):
    with h5py.File(world.root / STIMULI, "a") as file:
        file.move("imgBrick", "images")


@fault(str(STIMULI), "expected imgBrick to be uint8 (image, row, column, 3), found float64")
def stimuli_are_fractions(world):
    with h5py.File(world.root / STIMULI, "w") as file:
        file["imgBrick"] = np.zeros((42, 4, 4, 3))


@fault(str(STIMULI), "expected the images that the design shows to subj01, found only 5, without")
def stimuli_lack_images(world):
    with h5py.File(world.root / STIMULI, "a") as file:
        images = file["imgBrick"][:5]
        del file["imgBrick"]
        file["imgBrick"] = images


@fault("captions.json: expected COCO annotations, found no file")
def captions_are_missing(world):
    world.key["captions"] = [str(world.root / "captions.json")]


@fault("captions.json: expected whole JSON, found one that is cut off")
def captions_are_cut_off(world):
    path = world.root / "captions.json"
    path.write_text(json.dumps({"annotations": [{"image_id": 1, "caption": "a dog"}] * 9})[:-40])
    world.key["captions"] = [str(path)]


@fault("captions.json: expected whole JSON, found one that is cut off")
def captions_are_cut_off_after_one(world):
    path = world.root / "captions.json"
    path.write_text(json.dumps({"annotations": [{"image_id": 1, "caption": "a dog"}] * 9})[:-2])
    world.key["captions"] = [str(path)]


@fault(str(DESIGN), "expected test images of subj01", "in 4 sessions of 24 trials, found none")
def no_shared_image_was_shown(world):
    # the ordering never comes to the shared images, which are the first six
    ordering = np.where(world.world.ordering < 6, 20, world.world.ordering)
    change_design(world, masterordering=ordering[None] + 1.0)
    (world.root / BEHAVIOUR).unlink()


@fault("expected responses.tsv of every subject", "found one without")
def how_far_the_other_subject_came_is_not_known(world):
    world.key["test_images"] = "shared_common"
    (world.root / "nsddata/ppdata/subj02/behav/responses.tsv").unlink()


# --- sessions -------------------------------------------------------------------------------------


@fault("betas_session02: expected session 2 of 4 as", "found neither")
def session_is_missing(world):
    for path in world.folder.glob("*betas_session02.*"):
        path.unlink()


@fault("expected sessions 1 to 4 as", "found 2 of them, without 2, 4")
def sessions_are_missing(world):
    for number in (2, 4):
        for path in world.folder.glob(f"*betas_session{number:02d}.*"):
            path.unlink()


@fault("expected sessions of betas (", "found none")
def every_session_is_missing(world):
    shutil.rmtree(world.folder)


@fault("betas_assumehrf", "expected sessions of betas (", "found none")
def preparation_has_no_folder(world):
    world.key["betas"] = "betas_assumehrf"


@fault("betas_session02", "found a")
def session_is_truncated(world):
    cut(world.session)


@fault("betas_session02", "expected a", "found")
def session_is_empty(world):
    world.session.write_bytes(b"")


@fault("betas_session02", "expected a", "found")
def session_is_a_web_page(world):
    world.session.write_bytes(b"<html>Access denied</html>" * 50)


@fault("betas_session02", "expected betas as", "found")
def session_is_of_another_type(world):
    kind = np.int16 if world.world.format == "fsaverage" else np.float32
    world.write_session(np.ones((TRIALS, *world.shape()), dtype=kind))


@fault("betas_session02", "expected betas of", "found")
def session_has_other_axes(world):
    shape = (*world.shape(), 2) if world.world.surface else world.shape()
    if world.world.format == "fsaverage":
        image = nib.MGHImage(np.ones((shape[0], 2, 1, TRIALS), np.float32), np.eye(4))
        nib.save(image, world.session)
    else:
        world.write_session(np.ones((TRIALS, *shape)[-4 if world.world.surface else 1 :], np.int16))


@fault("betas_session02", "expected", "24", "found", "23")
def session_has_a_trial_less(world):
    world.write_session(np.ones((TRIALS - 1, *world.shape()), dtype=world.dtype()))


@fault("betas_session02", "expected the shape", "found")
def session_has_another_shape(world):
    *rest, last = world.shape()
    world.write_session(np.ones((TRIALS, *rest, last + 1), dtype=world.dtype()))


@fault(
    "betas_session02.nii.gz: expected the affine [[", " of betas_session01.nii.gz, found [[",
    formats=("nifti",),
)  # fmt: skip
def session_has_another_affine(world):
    flipped = world.world.affine @ np.diag([-1, 1, 1, 1])
    world.write_session(np.ones((TRIALS, *world.shape()), np.int16), flipped)


@fault("betas_session02", "expected a dataset betas, found data", formats=HDF5)
def session_has_another_dataset(world):
    with h5py.File(world.session, "a") as file:
        file.move("betas", "data")


@fault("rh.betas_session02", "expected the betas of the other hemisphere", formats=SURFACES)
def session_lacks_a_hemisphere(world):
    world.session.unlink()


@fault("mean.nii.gz: expected the position of the volume", formats=("hdf5",))
def nothing_says_where_the_volume_lies(world):
    for path in (world.root / "nsddata/ppdata/subj01" / world.space).rglob("*.nii.gz"):
        image = nib.load(path)
        image.set_sform(None, code=0)
        image.set_qform(None, code=0)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), None, image.header), path)
    world.ncsnr.unlink()


@fault("ncsnr", "expected the", "found")
def ncsnr_has_another_shape(world):
    world.write(world.ncsnr, world.read(world.ncsnr)[:-1])


@fault("ncsnr", "expected a", "found")
def ncsnr_is_a_web_page(world):
    world.ncsnr.write_bytes(b"<html>Access denied</html>" * 50)


@fault(
    "rh.floc-faces.mgz: expected a whole MGH file, found a damaged one: CRC check failed",
    formats=SURFACES,
)
def byte_of_a_roi_is_damaged(world):
    store_damaged(world.roi)


@fault("ncsnr", "expected the affine", "found", formats=VOLUMES)
def ncsnr_is_flipped(world):
    flipped = world.world.affine @ np.diag([-1, 1, 1, 1])
    world.write(world.ncsnr, world.read(world.ncsnr), flipped)


@fault("lh.ncsnr.mgh", "expected", "found", formats=SURFACES)
def ncsnr_lacks_a_hemisphere(world):
    nsd_files.name_sides(world.ncsnr)[0].unlink()


# --- regions --------------------------------------------------------------------------------------


@fault("ROI 'FFA-3'", "found no such name. Did you mean FFA-1?")
def roi_is_unknown(world):
    world.rois["FFA-3"] = "FFA-3"


@fault("ROI 'nsdgenerol'", "found no such name. Did you mean nsdgeneral?")
def voxel_set_is_unknown(world):
    world.key["voxels"] = ["nsdgenerol"]


@fault("subj01: expected voxels in nsdgeneral, found none")
def voxel_set_is_empty(world):
    for path in [world.general, *nsd_files.name_sides(world.general)]:
        if path.is_file():
            world.write(path, np.minimum(world.read(path), 0))


@fault("floc-faces", "expected the", "found")
def roi_has_another_shape(world):
    world.write(world.roi, world.read(world.roi)[:-1])


@fault("floc-faces.nii.gz", "expected the affine", "found", formats=VOLUMES)
def roi_is_flipped(world):
    flipped = world.world.affine @ np.diag([-1, 1, 1, 1])
    world.write(world.roi, world.read(world.roi), flipped)


@fault("floc-faces", "expected labels everywhere, found NaN in 2")
def roi_has_no_number_in_some_voxels(world):
    values = world.read(world.roi).astype(np.float32)
    values.reshape(-1)[[0, 3]] = np.nan
    world.write(world.roi, values)


@fault("floc-faces", "expected a", "found")
def roi_is_truncated(world):
    cut(world.roi, 0.6)


@fault("floc-faces", "expected a", "found")
def roi_is_a_web_page(world):
    world.roi.write_bytes(b"<html>Access denied</html>" * 50)


@fault("lh.floc-faces.mgz: expected an MGH file, found none", formats=SURFACES)
def roi_lacks_a_hemisphere(world):
    nsd_files.name_sides(world.roi)[0].unlink()


@fault("rh.floc-faces.nii.gz: expected both hemispheres of floc-faces", formats=VOLUMES)
def roi_is_of_one_hemisphere(world):
    world.roi.rename(world.roi.with_name(f"lh.{world.roi.name}"))
    world.roi.with_name(f"rh.{world.roi.name}").unlink(missing_ok=True)


@fault("floc-faces.mgz.ctab: expected a number and a name in line 2")
def names_of_labels_cannot_be_read(world):
    (world.labels / "floc-faces.mgz.ctab").write_text("0 Unknown\nFFA-1 2\n")


@fault("ROI 'FFA-1': expected a name of one atlas, found Kastner2015:FFA-1 or visualsulc:FFA-1")
def two_atlases_share_a_name(world):
    for atlas in ("Kastner2015", "visualsulc"):
        for path in nsd_files.name_sides(world.roi) if world.world.surface else [world.roi]:
            shutil.copy(path, path.with_name(path.name.replace("floc-faces", atlas)))
        shutil.copy(world.labels / "floc-faces.mgz.ctab", world.labels / f"{atlas}.mgz.ctab")
    (world.labels / "floc-faces.mgz.ctab").write_text("0 Unknown\n1 OFA\n")


@fault("ROI FFA-1: expected voxels in one of subj01, found none", "is in the voxel set of subj01")
def roi_lies_outside_of_the_voxel_set(world):
    world.key["voxels"] = ["OFA"]


@fault("food", "expected", "found none")
def mask_is_missing(world):
    hemisphere = "{hemisphere}." if world.world.surface else ""
    world.rois["food"] = f"{hemisphere}food.{'mgz' if world.world.surface else 'nii.gz'}"


def write_gifti_mask(world, name: str) -> list[Path]:
    """A mask of both hemispheres as GIFTI, with which nothing is wrong."""
    paths = []
    for side, vertices in zip(nsd_files.SIDES, world.world.vertices, strict=True):
        values = nib.gifti.GiftiDataArray(np.ones(vertices, np.float32))
        paths.append(world.root / f"{side}.{name}.gii")
        nib.save(nib.GiftiImage(darrays=[values]), paths[-1])
    world.rois[name] = f"{{hemisphere}}.{name}.gii"
    return paths


@fault("rh.food.gii: expected a GIFTI file, found one that is not: ", "Foo", formats=SURFACES)
def mask_is_in_an_unknown_encoding(world):
    path = write_gifti_mask(world, "food")[1]
    path.write_text(re.sub('Encoding="[^"]*"', 'Encoding="Foo"', path.read_text()))


@fault(
    "rh.food.gii: expected a GIFTI file, found one that is not: its XML has no element GIFTI",
    formats=SURFACES,
)
def mask_is_xml_but_not_gifti(world):
    write_gifti_mask(world, "food")[1].write_text("<html>Access denied</html>")


@fault("ROI mask ../", "or an absolute one, found one that leaves it")
def mask_leaves_the_dataset(world):
    hemisphere = "{hemisphere}." if world.world.surface else ""
    world.rois["food"] = f"../{hemisphere}food.{'mgz' if world.world.surface else 'nii.gz'}"


@fault("food.mgz: expected {hemisphere} in the name", "found none", formats=SURFACES)
def mask_is_of_no_hemisphere(world):
    world.rois["food"] = "food.mgz"


@fault("tval", "the t-map that thresholds FFA-1 (dataset.localiser_threshold.faces), found no file")
def t_map_is_missing(world):
    for path in [world.t_map, *nsd_files.name_sides(world.t_map)]:
        path.unlink(missing_ok=True)
    world.key["localiser_threshold"] = {"faces": 2.0}


@fault(
    "dataset.localiser_threshold: expected contrasts that regions are cut by, bodies, faces, ",
    "found face",
)
def threshold_is_of_no_contrast(world):
    world.key["localiser_threshold"] = {"face": 2.0}


@fault("tval", "expected the", "found")
def t_map_has_another_shape(world):
    world.write(world.t_map, world.read(world.t_map)[:-1])


@fault("rh.white: expected the", "found", formats=SURFACES)
def surface_has_other_vertices(world):
    path = world.labels.with_name("surf") / "rh.white"
    nib.freesurfer.write_geometry(path, np.zeros((5, 3)), np.array([[0, 1, 2]]))


@fault("lh.white: expected a surface of FreeSurfer, found none", formats=SURFACES)
def surface_is_a_web_page(world):
    (world.labels.with_name("surf") / "lh.white").write_bytes(b"<html>Access denied</html>" * 9)


HARMLESS = {
    "behaviour_is_of_another_order",
    "information_is_cut_off",
    "roi_lies_outside_of_the_voxel_set",
}
"""What the reader can go on with, or leaves out."""


def test_there_are_at_least_thirty_faults_in_each_format() -> None:
    assert all(sum(one == format for _, one in faults.cases) >= 30 for format in ALL)


@pytest.mark.parametrize(("name", "format"), faults.cases)
def test_each_fault_gives_its_own_sentence(
    whole: dict[str, RandomNsd], tmp_path: Path, name: str, format: str
) -> None:
    world = DamagedNsd(whole[format], tmp_path / "nsd")
    _, damage, parts = faults.table[name]
    hold_to_one_sentence(world, damage, parts, harmless=name in HARMLESS)


@pytest.mark.parametrize("format", ALL)
def test_all_faults_are_told_at_once(whole: dict, tmp_path: Path, format: str) -> None:
    world = DamagedNsd(whole[format], tmp_path / "nsd")
    for damage in (information_is_missing, stimuli_are_missing, session_is_missing, roi_is_unknown):
        damage(world)
    assert len(world.check()) == 4


@pytest.mark.parametrize("format", ALL)
def test_no_fault_is_seen_in_a_whole_dataset(whole: dict, tmp_path: Path, format: str) -> None:
    world = DamagedNsd(whole[format], tmp_path / "nsd")
    assert world.check() == []
    world.read_all()


def test_axes_in_reverse_are_told_by_shapes(whole: dict, tmp_path: Path) -> None:
    world = DamagedNsd(whole["hdf5"], tmp_path / "nsd")
    for path in world.folder.glob("betas_session*.hdf5"):
        with h5py.File(path, "a") as file:
            betas = file["betas"][:]
            del file["betas"]
            file["betas"] = betas.T
    x, y, z = world.world.shape
    said = [problem for problem in world.check() if "mean.nii.gz" in problem]
    assert len(said) == 1
    assert f"whose shape (X, Y, Z) is {(TRIALS, z, y)}, with {x} trials, found no" in said[0]
    assert said[0].endswith(f"of that shape that states one, but files of {(x, y, z)}")


def test_information_is_read_with_and_without_its_index(whole: dict, tmp_path: Path) -> None:
    world = DamagedNsd(whole["nifti"], tmp_path / "nsd")
    table = nsd_files.read_information(world.root)
    pd.read_csv(world.root / INFORMATION, index_col=0).to_csv(world.root / INFORMATION, index=False)
    again = nsd_files.read_information(world.root)
    pd.testing.assert_frame_equal(again, table[again.columns])
    assert world.check() == []
