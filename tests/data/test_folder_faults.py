"""Faults in an experiment of one's own: each gives one sentence, and no traceback."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from mine.datasets import grids, nsd_files
from mine.datasets.grids import Grid
from mine.datasets.image_files import find_twins
from mine.datasets.reader import open_dataset
from mine.errors import InputError
from tests.data.faults import Damaged, Faults, hold_to_one_sentence, store_damaged
from tests.data.random_folder import FORMATS, SUBJECTS, RandomFolder, save_gifti

ROIS = {"FFA": "FFA", "PPA": "PPA"}
ARRAYS = ("volumes", "masked", "columns")
VOLUMES = ("nifti", "volumes", "masked", "hdf5", "matlab")

TRIALS = "sub-01/ses-01/trials.tsv"
BETAS = "sub-01/ses-01/sub-01_ses-01_betas.nii.gz"

faults = Faults()
fault = faults.add


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, RandomFolder]:
    """A dataset of each format with which nothing is wrong."""
    return {
        format: RandomFolder(tmp_path_factory.mktemp(format), format=format, seed=7, regular=True)
        for format in FORMATS
    }


def copy_world(whole: dict[str, RandomFolder], format: str, folder: Path) -> Damaged:
    world = whole[format or "nifti"]
    return Damaged(world.root, world.key, folder / "own", subjects=SUBJECTS, rois=ROIS)


def find_responses(world: Damaged) -> Path:
    return next(
        path for path in sorted(world.path("sub-01/ses-01").iterdir()) if "tsv" not in path.name
    )


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    image = nib.load(path)
    return np.asarray(image.dataobj), image.affine


def write(path: Path, values: np.ndarray, affine: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(values, affine), path)


def store_rois_as_arrays(world: Damaged, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """Store every region of a volume as .npy, that of the first subject's FFA changed."""
    for subject in SUBJECTS:
        for roi in ROIS:
            values, _ = read(world.path(f"{subject}/rois/{roi}.nii.gz"))
            first = (subject, roi) == ("sub-01", "FFA")
            np.save(world.path(f"{subject}/rois/{roi}.npy"), change(values) if first else values)
    world.key["folder"]["rois"] = "{subject}/rois/{roi}.npy"


# --- keys ---


@fault("dataset.root: expected the dataset's folder, found none at /", "/own")
def root_is_missing(world):
    shutil.rmtree(world.root)


@fault("dataset.folder.trials: expected subject, session, run in braces, found {subjekt}")
def pattern_has_an_unknown_name(world):
    world.key["folder"]["trials"] = "{subject}/{subjekt}.tsv"


@fault(
    "dataset.roi_references.FFA: expected subject, hemisphere in braces, found {roi} in {subject}/"
)
def reference_has_an_unknown_name(world):
    world.key["roi_references"] = {"FFA": "{subject}/rois/{roi}.nii.gz"}
    world.rois = {"FFA": "{subject}/rois/{roi}.nii.gz"}


@fault("dataset.folder.rois: expected a path inside dataset.root or an absolute one, found ../")
def pattern_leaves_the_dataset(world):
    world.key["folder"]["rois"] = "../{roi}.nii.gz"


@fault("dataset.folder.responses: expected {subject} in the path, found")
def responses_are_of_no_subject(world):
    world.key["folder"]["responses"] = "betas.nii.gz"


@fault("dataset.folder.responses: expected a name that ends in .nii, ", ".tiff")
def responses_are_of_an_unknown_format(world):
    world.key["folder"]["responses"] = "{subject}/betas.tiff"


@fault("dataset.folder.names: expected null, since only .npy and .hdf5")
def names_of_a_volume(world):
    world.key["folder"]["names"] = "{subject}/names.tsv"


@fault("dataset.folder.responses: expected {hemisphere} with .gii and .npy only")
def volume_by_hemisphere(world):
    world.key["folder"]["responses"] = "{subject}/{hemisphere}.nii.gz"


@fault("dataset.folder.mask: expected braces in pairs, found {subject/mask.nii.gz")
def brace_is_not_closed(world):
    world.key["folder"]["mask"] = "{subject/mask.nii.gz"


# --- images ---


@fault("images.tsv: expected a table, found no file")
def images_table_is_missing(world):
    world.path("images.tsv").unlink()


@fault("images.tsv: expected a table with a header, found an empty file")
def images_table_is_empty(world):
    world.path("images.tsv").write_text("")


@fault("images.tsv: expected a table in UTF-8, found something else")
def images_table_is_of_another_encoding(world):
    world.path("images.tsv").write_bytes("image\tcaptions\nÄ\tÄ\n".encode("latin-1"))


@fault("images.tsv: expected a column image, between tabs, found image,split")
def images_table_has_commas(world):
    world.edit("images.tsv", lambda text: text.replace("\t", ","))


@fault("images.tsv: expected 4 cells in line 3, found 3")
def images_table_has_a_short_line(world):
    def cut(text):
        lines = text.splitlines()
        return "\n".join([*lines[:2], lines[2].rpartition("\t")[0], *lines[3:]])

    world.edit("images.tsv", cut)


@fault("images.tsv: expected each image once, found images/picture_00.png again in line 18")
def image_is_listed_twice(world):
    world.edit("images.tsv", lambda text: text + text.splitlines()[1] + "\n")


@fault("images.tsv: expected paths inside the table's folder, found ../secret.png in line 18")
def image_leaves_the_folder(world):
    world.edit("images.tsv", lambda text: text + "../secret.png\ttrain\tn/a\tn/a\n")


@fault("images.tsv: expected train, test or n/a as split, found 'validation' in line 3")
def split_is_unknown(world):
    world.edit("images.tsv", lambda text: text.replace("train", "validation", 1))


@fault("images.tsv: expected a name of its own for each column")
def column_is_there_twice(world):
    world.edit("images.tsv", lambda text: text.replace("captions", "split", 1))


@fault("picture_03.png: expected an image, found no file, and 1 others neither")
def images_are_missing(world):
    for number in (3, 4):
        world.path(f"images/picture_0{number}.png").unlink()


@fault("picture_05.png: expected an image as PNG, JPEG, BMP, GIF, TIFF, WEBP, found something else")
def image_is_a_web_page(world):
    world.path("images/picture_05.png").write_text("<html>not found</html>")


@fault("picture_05.png: expected a whole image, found a damaged one")
def image_is_cut_off(world):
    path = world.path("images/picture_05.png")
    path.write_bytes(path.read_bytes()[:-100])


@fault("picture_05.png: expected a whole image, found a damaged one")
def photograph_is_cut_off(world):
    path = world.path("images/picture_05.png")
    # What a file is, its beginning says, whatever it is called.
    Image.open(path).convert("RGB").save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:-100])


@fault("picture_06.png: expected square images of one size, 32 × 32 pixels, found 32 × 30", "side")
def image_has_another_size(world):
    Image.new("RGB", (30, 32)).save(world.path("images/picture_06.png"))


@fault("picture_06.png: expected an image of 8 bits a channel, found Pillow's mode I;16")
def image_has_sixteen_bits(world):
    pixels = np.zeros((32, 32), dtype=np.uint16)
    Image.fromarray(pixels).save(world.path("images/picture_06.png"))


@fault(
    "picture_05.png: expected an opaque image, found transparent pixels; put it on the background"
)
def image_has_a_transparent_pixel(world):
    image = Image.open(world.path("images/picture_05.png")).convert("RGBA")
    image.putpixel((3, 4), (1, 2, 3, 254))
    image.save(world.path("images/picture_05.png"))


@fault(
    "picture_06.png: expected an opaque image, found transparent pixels; put it on the background"
)
def image_has_a_transparent_colour(world):
    image = Image.open(world.path("images/picture_06.png"))
    image.save(world.path("images/picture_06.png"), transparency=image.getpixel((3, 4)))


@fault(
    "picture_07.png: expected an opaque image, found transparent pixels; put it on the background"
)
def image_has_a_transparent_place_in_its_palette(world):
    image = Image.open(world.path("images/picture_07.png")).quantize(8)
    image.save(world.path("images/picture_07.png"), "GIF", transparency=image.getpixel((3, 4)))


def test_a_transparent_image_is_not_called_damaged(whole: dict, tmp_path: Path) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    image_has_a_transparent_pixel(world)
    path = world.path("images/picture_05.png")
    assert world.check()[0].startswith(f"{path}: expected an opaque image")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_an_image_that_is_opaque_may_have_an_alpha_channel(
    whole: dict, tmp_path: Path, mode: str
) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    path = world.path("images/picture_05.png")
    image = Image.open(path).convert("L").point(lambda value: min(value, 254)).convert(mode)
    # a transparent colour that no pixel has
    options = {"transparency": 255} if mode == "P" else {}
    expected = np.asarray(image.convert("RGB"))
    image.save(path, "TIFF" if mode == "PA" else "PNG", **options)
    assert world.check() == []
    found = open_dataset(world.key).open_stimuli().read([5])[0]
    np.testing.assert_array_equal(found, expected)


@fault("images.tsv: expected a column coco_id, by which dataset.captions")
def captions_without_identities(world):
    world.path("captions.json").write_text('{"annotations": []}')
    world.key["captions"] = [str(world.path("captions.json"))]


def add_identities(world, number=lambda row: row):
    """Give each image an identity in COCO. number: of a row, from 0 -> the cell."""
    header, *rows = world.path("images.tsv").read_text().splitlines()
    rows = [f"{row}\t{number(place)}" for place, row in enumerate(rows)]
    world.path("images.tsv").write_text("\n".join([f"{header}\tcoco_id", *rows]) + "\n")


def add_captions(world, image: object, caption: object) -> None:
    content = {"annotations": [{"image_id": image, "caption": caption}]}
    world.path("captions.json").write_text(json.dumps(content))
    world.key["captions"] = [str(world.path("captions.json"))]


@fault('captions.json: expected a whole number as image_id in each of annotations, found "1"')
def captions_have_texts_for_identities(world):
    add_identities(world)
    add_captions(world, "1", "a dog")


@fault("captions.json: expected a text as caption in each of annotations, found null")
def caption_is_null(world):
    add_identities(world)
    add_captions(world, 1, None)


@fault("captions.json: expected captions of the dataset's", "found none of any")
def captions_are_of_other_images(world):
    add_identities(world)
    add_captions(world, 10**6, "a dog")


@fault("images.tsv: expected whole numbers from 0 or n/a as coco_id, found '1", "in line 2")
def identity_has_nineteen_digits(world):
    add_identities(world, lambda row: row or 10**19)


@fault("images.tsv: expected a table, found a folder")
def table_of_images_is_a_folder(world):
    world.path("images.tsv").unlink()
    world.path("images.tsv").mkdir()


# --- trials ---


@fault("dataset.folder.trials: expected a table of the trials of sub-01, found no file", ".tsv")
def trials_are_missing(world):
    for path in world.path("sub-01").glob("*/trials.tsv"):
        path.unlink()


@fault("trials.tsv: expected images of images.tsv, found 'images/other.png' in line 2")
def trial_shows_an_unknown_image(world):
    world.edit(TRIALS, lambda text: text.replace(text.split("\n")[1], "images/other.png", 1))


@fault("trials.tsv: expected a column image or stim_file, between tabs, found picture")
def trials_lack_the_column_of_images(world):
    world.edit(TRIALS, lambda text: text.replace("image", "picture", 1))


@fault("betas.nii.gz: expected a response for each of the 31 trials that trials.tsv has, found 32")
def trial_is_missing(world):
    world.edit(TRIALS, lambda text: text.rstrip().rpartition("\n")[0] + "\n")


def blank_trials(world, count):
    """Let the last trials of the first table show no image and have no response."""
    header, *rows = world.path(TRIALS).read_text().splitlines()
    rows[-count:] = ["n/a"] * count
    world.path(TRIALS).write_text("\n".join([header, *rows]) + "\n")
    values, affine = read(world.path(BETAS))
    write(world.path(BETAS), values[..., :-count], affine)


@fault(
    "betas.nii.gz: expected a response for each of the 32 trials that trials.tsv has, found 30; 2 "
    "rows show no image: leave out what has no response either, or add a column trial with the "
)
def trials_without_an_image_have_no_response(world):
    blank_trials(world, 2)


def test_trials_without_a_response_are_told_by_the_column_trial(
    whole: dict, tmp_path: Path
) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    blank_trials(world, 2)
    first = world.path(TRIALS)
    add_column(world, "trial", lambda row, path: "n/a" if path == first and row >= 30 else row + 1)
    assert world.check() == []
    assert len(open_dataset(world.key).read_subject("sub-01").images[0]) == 30


@fault("trials.tsv: expected letters and digits alone as session", "found day_1 in line 2")
def session_has_an_underscore(world):
    world.key["folder"]["trials"] = "{subject}/trials.tsv"
    for subject in SUBJECTS:
        rows = [
            f"{row}\tday_{session}"
            for session in (1, 2)
            for row in world.path(f"{subject}/ses-0{session}/trials.tsv")
            .read_text()
            .split("\n")[1:-1]
        ]
        table = world.path(f"{subject}/trials.tsv")
        table.write_text("\n".join(["image\tsession", *rows]) + "\n")
    world.subjects = ["sub-01"]


@fault("/ses-02/trials.tsv: expected", "/ses-01/trials.tsv, found another choice of run")
def tables_differ(world):
    world.edit(TRIALS, lambda text: text.replace("\n", "\t1\n").replace("image\t1", "image\trun"))


@fault("images.tsv: expected each image once, found ./images/picture_00.png again in line 18")
def image_is_listed_twice_in_two_forms(world):
    world.edit("images.tsv", lambda text: text + "./" + text.splitlines()[1] + "\n")


@fault(
    "images.tsv: expected a picture to train sub-01 or to test it, found the same file as "
    "images/picture_01.png, which trains, and images/picture_03.png, which tests"
)
def picture_trains_and_tests_under_two_names(world):
    shutil.copy(world.path("images/picture_03.png"), world.path("images/picture_01.png"))
    world.subjects = ["sub-01"]


@fault("images.tsv: expected the column captions by that name, found caption")
def column_is_singular(world):
    world.edit("images.tsv", lambda text: text.replace("captions", "caption", 1))


@fault("images.tsv: expected the column split by that name, found Split")
def column_has_a_capital(world):
    world.edit("images.tsv", lambda text: text.replace("split", "Split", 1))


@fault("images.tsv: expected one column for split, found Split beside it")
def column_stands_beside_its_double(world):
    world.edit("images.tsv", lambda text: text.replace("\n", "\ttrain\n"))
    world.edit("images.tsv", lambda text: text.replace("\ttrain\n", "\tSplit\n", 1))


def add_column(world, name, find):
    """Add a column to tables of trials. find: number of a row, from 0, and its file -> a cell."""
    for path in world.root.glob("*/*/trials.tsv"):
        header, *rows = path.read_text().splitlines()
        rows = [f"{row}\t{find(number, path)}" for number, row in enumerate(rows)]
        path.write_text("\n".join([f"{header}\t{name}", *rows]) + "\n")


@fault("ses-01/trials.tsv: expected a name as run in every row, found 'n/a' in line 7")
def run_is_not_told_in_a_row(world):
    first = world.path(TRIALS)
    add_column(world, "run", lambda row, path: "n/a" if (path, row) == (first, 5) else "1")


@fault("ses-01/trials.tsv: expected a name as run in every row, found '' in line 7")
def run_is_left_empty_in_a_row(world):
    first = world.path(TRIALS)
    add_column(world, "run", lambda row, path: "" if (path, row) == (first, 5) else "1")


@fault(
    "ses-01/trials.tsv: expected rows in the order of onset within each session and run, or a "
    "column trial",
    "found an earlier onset in line 12",
)
def rows_are_not_in_the_order_of_onset(world):
    first = world.path(TRIALS)
    add_column(world, "onset", lambda row, path: 5 if (path, row) == (first, 10) else 4 * row)


@fault("ses-01/trials.tsv: expected 1 as session, as its path says, found 3 in line 7")
def session_is_not_that_of_the_path(world):
    first = world.path(TRIALS)
    add_column(
        world,
        "session",
        lambda row, path: "3" if (path, row) == (first, 5) else ["n/a", path.parent.name][row % 2],
    )


def add_runs(world, find):
    """Give the trials of the first table a run. find: number of a row, from 0 -> the run."""
    first = world.path(TRIALS)
    add_column(world, "run", lambda row, path: find(row) if path == first else 1)


@fault(
    "ses-01/trials.tsv: expected the rows of each session and run together and in the order of "
    "their numbers, or a column trial",
    "found run 1 after 2 in line 4",
)
def runs_are_interleaved(world):
    add_runs(world, lambda row: 1 + row % 2)


@fault("ses-01/trials.tsv: expected the rows of each session and run", "found run run2 after run10")
def runs_are_joined_in_the_order_of_their_texts(world):
    add_runs(world, lambda row: ("run1", "run10", "run2", "run3")[row // 8])


@fault("ses-01/trials.tsv: expected the rows of each session and run", "found run pre after post")
def run_begins_again(world):
    add_runs(world, lambda row: ("pre", "post", "pre", "last")[row // 8])


@fault("b.tsv: expected the rows of each session and run", "found session 1 after 2 in line 2")
def session_begins_again_in_another_table(world):
    """All sessions in one file of responses, and tables whose names put the run first."""
    world.key["folder"] |= {"trials": "{subject}/*.tsv", "responses": "{subject}/betas.nii.gz"}
    for subject in SUBJECTS:
        files = sorted(world.path(subject).glob("ses-*/*.nii.gz"))
        parts, affines = zip(*map(read, files), strict=True)
        write(world.path(f"{subject}/betas.nii.gz"), np.concatenate(parts, axis=-1), affines[0])
        rows = [
            row
            for path in sorted(world.path(subject).glob("ses-*/trials.tsv"))
            for row in path.read_text().splitlines()[1:]
        ]
        half = len(rows) // 2
        for name, part in (("a", rows[:half]), ("b", rows[half:])):
            lines = [f"{row}\t{1 + (n >= half // 2)}" for n, row in enumerate(part)]
            path = world.path(f"{subject}/{name}.tsv")
            path.write_text("\n".join(["image\tsession", *lines]) + "\n")
    world.subjects = ["sub-01"]


@fault("ses-01/trials.tsv: expected seconds or n/a as onset, found 'early' in line 2")
def onset_is_a_text(world):
    first = world.path(TRIALS)
    add_column(world, "onset", lambda row, path: "early" if (path, row) == (first, 0) else row)


@fault(
    "ses-03/b_trials.tsv and 2 other tables: expected two training trials or more in session 3, to "
    "fit the z-score on, found 1"
)
def session_in_several_tables_is_too_short(world):
    world.key["folder"]["trials"] = "{subject}/ses-{session}/*trials.tsv"
    folder = world.path("sub-01/ses-03")
    folder.mkdir()
    for name, picture in (("", "00"), ("b_", "01"), ("c_", "03")):
        (folder / f"{name}trials.tsv").write_text(f"image\nimages/picture_{picture}.png\n")
    values, affine = read(world.path(BETAS))
    write(folder / "sub-01_ses-03_betas.nii.gz", values[..., :3], affine)


def add_numbers(world, change):
    for session in ("01", "02"):
        for subject in SUBJECTS:
            world.edit(
                f"{subject}/ses-{session}/trials.tsv",
                lambda text: "\n".join(
                    f"{line}\t{number or 'trial'}" for number, line in enumerate(text.splitlines())
                ),
            )
    world.edit(TRIALS, change)


@fault("trials.tsv: expected each number of a trial once", "found 2 more than once")
def trial_is_numbered_twice(world):
    add_numbers(world, lambda text: text.replace("\t1\n", "\t2\n"))


@fault("betas.nii.gz: expected 33 responses or more, as trials.tsv counts them, found 32")
def trial_has_no_response(world):
    add_numbers(world, lambda text: text.replace("\t32", "\t33"))


@fault("trials.tsv: expected whole numbers from 1 or n/a as trial, found '0' in line 2")
def trials_are_counted_from_zero(world):
    add_numbers(world, lambda text: text.replace("\t1\n", "\t0\n"))


@fault(
    "trials.tsv and 1 other table: expected a column run, by which dataset.folder.responses tells "
    "files apart"
)
def files_are_by_run_and_trials_are_not(world):
    world.key["folder"]["responses"] = "{subject}/ses-{session}/{subject}_ses-*_b{run}s.nii.gz"
    world.subjects = ["sub-01"]


@fault("trials.tsv: expected each image to train or to test, found both of images/picture_")
def image_trains_and_tests(world):
    def split(text):
        lines = text.splitlines()
        twice = next(line for line in lines if lines.count(line) > 1)
        place, rows = lines.index(twice), ["train" for _ in lines]
        rows[place] = "test"
        rows[0] = "split"
        return "\n".join(f"{line}\t{row}" for line, row in zip(lines, rows, strict=True))

    other = "\n".join
    for subject in SUBJECTS:
        for session in ("01", "02"):
            if (subject, session) != ("sub-01", "01"):
                world.edit(
                    f"{subject}/ses-{session}/trials.tsv",
                    lambda text: other(
                        f"{line}\t{'n/a' if number else 'split'}"
                        for number, line in enumerate(text.splitlines())
                    ),
                )
    world.edit(TRIALS, split)


@fault("expected test images among the 16 that sub-", "found none")
def nothing_is_left_to_test(world):
    world.edit("images.tsv", lambda text: text.replace("\ttest\t", "\ttrain\t"))
    world.subjects = ["sub-01"]


@fault("trials.tsv: expected a split of every image that is shown, found none of images/picture_00")
def image_has_no_split(world):
    world.edit("images.tsv", lambda text: text.replace("\ttest\t", "\tn/a\t", 1))
    world.subjects = ["sub-01"]


@fault("trials.tsv: expected two training trials or more in session 3, to fit the z-score on")
def session_is_too_short(world):
    folder = world.path("sub-01/ses-03")
    folder.mkdir()
    (folder / "trials.tsv").write_text("image\nimages/picture_01.png\nimages/picture_00.png\n")
    values, affine = read(world.path(BETAS))
    write(folder / "sub-01_ses-03_betas.nii.gz", values[..., :2], affine)


@fault(
    "trials.tsv and 1 other table: expected each image once, since dataset.folder.averaged is "
    "true, found 16"
)
def averages_are_none(world):
    world.key["folder"]["averaged"] = True
    world.subjects = ["sub-01"]


@fault("1 other table: expected two test images or more among the 16 that sub-01 saw", "found 1")
def one_image_tests(world):
    world.edit("images.tsv", lambda text: text.replace("\ttest\t", "\ttrain\t"))
    world.edit("images.tsv", lambda text: text.replace("\ttrain\t", "\ttest\t", 1))
    world.subjects = ["sub-01"]


@fault(
    "dataset.least_noise_ceiling: expected null, or repeats of sub-01's test images or "
    "dataset.folder.ncsnr, by which there is a noise ceiling, found 0.1"
)
def ceiling_is_asked_for_with_one_repeated_test_image(world):
    world.key |= {"least_noise_ceiling": 0.1, "sessions": 1}
    world.subjects, seen = ["sub-01"], set()
    header, *rows = world.path(TRIALS).read_text().splitlines()
    test = "images/picture_00.png"
    once = ["n/a" if row in seen - {test} else seen.add(row) or row for row in rows]
    world.path(TRIALS).write_text("\n".join([header, *once]) + "\n")


# --- responses ---


@fault("expected responses of sub-02, found no file")
def responses_are_missing(world):
    for path in world.path("sub-02").glob("*/*betas*"):
        path.unlink()


@fault("expected a file with the responses of session 1, which trials.tsv has, found none")
def session_is_missing(world):
    world.path(BETAS).unlink()


@fault("betas.nii.gz: expected trials of session 2 in trials.tsv, found none")
def trials_of_a_session_are_missing(world):
    world.path("sub-01/ses-02/trials.tsv").unlink()


@fault("betas.nii.gz: expected a NIfTI file, found one that is not")
def responses_are_a_web_page(world):
    world.path(BETAS).write_bytes(b"<html>Access denied</html>" * 20)


@fault("betas.nii.gz: expected", "bytes for 32 trials of shape (", "found a truncated file of")
def responses_are_cut_off(world):
    content = world.path(BETAS).read_bytes()
    world.path(BETAS).write_bytes(content[: len(content) * 2 // 3])


@fault("betas.nii.gz: expected", "bytes for 32 trials of shape (", "found a truncated file of 5000")
def responses_lack_a_block(world):
    content = gzip.decompress(world.path(BETAS).read_bytes())
    blocks = [gzip.compress(content[:4000]), gzip.compress(content[4000:5000])]
    world.path(BETAS).write_bytes(b"".join(blocks))


def test_responses_may_be_compressed_in_blocks(whole: dict, tmp_path: Path) -> None:
    """As bgzip does; the end of such a file tells the size of its last block alone."""
    world = copy_world(whole, "nifti", tmp_path)
    expected = open_dataset(world.key).read_subject("sub-01").read_session(0)
    content = gzip.decompress(world.path(BETAS).read_bytes())
    starts = range(0, len(content), 1000)
    blocks = [gzip.compress(content[start : start + 1000]) for start in starts]
    world.path(BETAS).write_bytes(b"".join([*blocks, gzip.compress(b"")]))
    reader = open_dataset(world.key)
    assert reader.check(subjects=SUBJECTS, rois=ROIS) == []
    np.testing.assert_array_equal(reader.read_subject("sub-01").read_session(0), expected)


@pytest.mark.parametrize("reader", ["grids", "nsd_files"])
def test_a_damaged_byte_of_a_map_is_told_by_the_checksum(tmp_path: Path, reader: str) -> None:
    path = tmp_path / "map.nii.gz"
    # more than nibabel reads of any file to find out what it is
    write(path, np.ones((9, 9, 9), dtype=np.float32), np.eye(4))
    grid = Grid("volume", (9, 9, 9), path, affine=np.eye(4))
    read_volume = {
        "grids": lambda: grids.read_volume(path, grid),
        "nsd_files": lambda: nsd_files.read_volume(path).values,
    }[reader]
    assert (read_volume() == 1).all()
    store_damaged(path)
    with pytest.raises(InputError) as refused:
        read_volume()
    assert str(refused.value).startswith(
        f"{path}: expected a whole NIfTI file, found a damaged one: CRC check failed"
    )


@pytest.mark.parametrize("ending", ["nii.gz", "NII.GZ"])
def test_a_damaged_byte_of_responses_is_told_by_the_checksum(
    whole: dict, tmp_path: Path, ending: str
) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    pattern = world.key["folder"]["responses"]
    for path in world.root.glob("*/*/*_betas.nii.gz"):
        path.rename(path.with_name(path.name.replace("nii.gz", ending)))
    world.key["folder"]["responses"] = pattern.replace("nii.gz", ending)
    path = world.path(BETAS.replace("nii.gz", ending))
    world.read_all()
    store_damaged(path)
    assert world.check() == [], "of responses nothing but the ends is read"
    recording = open_dataset(world.key).read_subject("sub-01")
    with pytest.raises(InputError) as refused:
        recording.read_session(0)
    assert str(refused.value).startswith(
        f"{path}: expected a whole file, found a damaged one: CRC check failed"
    )
    recording.read_session(1)


@fault("betas.nii: expected", "bytes for 32 trials of shape (", "found a truncated file of")
def plain_responses_are_cut_off(world):
    for path in list(world.root.glob("*/*/*_betas.nii.gz")):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    path = world.path(BETAS).with_suffix("")
    path.write_bytes(path.read_bytes()[:-99])
    world.key["folder"]["responses"] = world.key["folder"]["responses"].removesuffix(".gz")


@fault("ses-02_betas.nii.gz: expected the shape", "/sub-01_ses-01_betas.nii.gz, found")
def session_has_another_shape(world):
    path = world.path(BETAS.replace("01_betas", "02_betas").replace("ses-01/", "ses-02/"))
    values, affine = read(path)
    write(path, values[:-1], affine)


@fault("ses-02_betas.nii.gz: expected the affine [[", "sub-01_ses-01_betas.nii.gz, found [[")
def session_lies_elsewhere(world):
    path = world.path(BETAS.replace("01_betas", "02_betas").replace("ses-01/", "ses-02/"))
    values, affine = read(path)
    affine[0, 3] += 2
    write(path, values, affine)


@fault("betas.nii.gz: expected one response and one trial, found 32 and 1")
def file_of_one_trial_has_many(world):
    add_numbers(world, lambda text: re.sub(r"\t([2-9]|\d\d)$", "\tn/a", text, flags=re.MULTILINE))
    world.key["folder"]["responses"] = "{subject}/ses-{session}/{subject}_ses-0{trial}_betas.nii.gz"
    world.key["sessions"] = 1
    world.subjects = ["sub-01"]
    world.path("sub-01/ses-02/sub-01_ses-02_betas.nii.gz").unlink()


@fault(
    ".npy: expected an array of numbers, found Python objects (a pickle), which are never loaded",
    formats=ARRAYS,
)
def array_is_a_pickle(world):
    np.save(find_responses(world), np.array({"betasmd": 1}, dtype=object))


@fault(
    "expected an array of numbers, found Python objects (a pickle), which are never loaded; save "
    "its betas by themselves, by `np.save('betasmd.npy', np.load('TYPED_FITHRF_GLMDENOISE_RR.npy'",
    formats=("volumes",),
)
def array_is_the_result_of_glmsingle(world):
    world.key["folder"]["responses"] = "{subject}/ses-{session}/TYPED_FITHRF_GLMDENOISE_RR.npy"
    for path in world.root.glob("*/*/*_betasmd.npy"):
        path.rename(path.with_name("TYPED_FITHRF_GLMDENOISE_RR.npy"))
    path = world.path("sub-01/ses-01/TYPED_FITHRF_GLMDENOISE_RR.npy")
    np.save(path, np.array({"betasmd": np.zeros(3)}, dtype=object))


@fault(".npy: expected a whole array of NumPy, found a damaged one", formats=ARRAYS)
def array_is_cut_off(world):
    path = find_responses(world)
    path.write_bytes(path.read_bytes()[:-40])


@fault(".npy: expected an array of 2 or 4 axes, found shape", formats=ARRAYS)
def array_has_other_axes(world):
    np.save(find_responses(world), np.zeros((3, 3, 3)))


@fault(".npy: expected an array of numbers, found <U", formats=ARRAYS)
def array_is_of_texts(world):
    np.save(find_responses(world), np.array([["a", "b"]]))


@fault("masked.npy: expected a column for each of the", formats=("masked",))
def columns_do_not_match_the_mask(world):
    path = find_responses(world)
    np.save(path, np.load(path)[:, :-1])


@fault("columns.npy: expected the", "columns.tsv names, found", formats=("columns",))
def columns_do_not_match_the_names(world):
    path = find_responses(world)
    np.save(path, np.load(path)[:, :-1])


@fault("columns.tsv: expected each name once, found voxel_1 more than once", formats=("columns",))
def name_is_there_twice(world):
    world.edit("sub-01/columns.tsv", lambda text: text.replace("voxel_0", "voxel_1"))


@fault("columns.tsv: expected lh, rh or n/a as hemisphere, found 'up'", formats=("columns",))
def hemisphere_is_unknown(world):
    world.edit("sub-01/columns.tsv", lambda text: text.replace("lh", "up"))


@fault("columns.tsv: expected millimetres as x, y and z, found a text", formats=("columns",))
def place_is_a_text(world):
    world.edit("sub-01/columns.tsv", lambda text: text.replace("0.5", "here", 1))


@fault("columns.tsv: expected finite millimetres", "for voxel_0", formats=("columns",))
def place_is_not_finite(world):
    world.edit("sub-01/columns.tsv", lambda text: text.replace("0.5", "nan", 1))


@fault(
    "columns.tsv: expected each name at a place of its own, found voxel_0 and voxel_2",
    formats=("columns",),
)
def two_voxels_are_at_one_place(world):
    world.edit("sub-01/columns.tsv", lambda text: text.replace("\t2.5", "\t0.5"))


@fault("expected dataset.folder.names or dataset.folder.mask to say", formats=("columns",))
def columns_have_no_names(world):
    world.key["folder"]["names"] = None
    world.subjects = ["sub-01"]
    world.key["sessions"] = 1


@fault(": expected a dataset betasmd, modelmd or betas, found other", formats=("hdf5", "matlab"))
def hdf5_has_another_dataset(world):
    with h5py.File(find_responses(world), "w") as file:
        file["other"] = [1]


@fault(": expected a whole HDF5 file, found one that is not", formats=("hdf5", "matlab"))
def hdf5_is_none(world):
    find_responses(world).write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))


@fault(": expected the shape", "mask.nii.gz and its trials, found", formats=("hdf5", "volumes"))
def volume_has_another_shape_than_the_mask(world):
    path = find_responses(world)
    if path.suffix == ".npy":
        np.save(path, np.load(path)[:-1])
    else:
        with h5py.File(path, "r+") as file:
            values = file["betasmd"][:-1]
            del file["betasmd"]
            file["betasmd"] = values


@fault("func.gii: expected a GIFTI file with arrays, found none", formats=("gifti",))
def gifti_is_a_web_page(world):
    find_responses(world).write_text("<html><br></html")


@fault("func.gii: expected a whole GIFTI file, found one that is cut off", formats=("gifti",))
def gifti_is_cut_off(world):
    path = find_responses(world)
    path.write_bytes(path.read_bytes()[:-500])


def test_damage_of_the_right_hemisphere_is_told_of_its_file(whole: dict, tmp_path: Path) -> None:
    world = copy_world(whole, "gifti", tmp_path)
    path = find_responses(world).with_name(find_responses(world).name.replace("hemi-L", "hemi-R"))
    content = path.read_bytes()
    # An array that is no Base64: neither the first lines nor the end show it.
    path.write_bytes(content.replace(b"<Data>", b"<Data>A", 1))
    with pytest.raises(InputError) as refused:
        world.read_all()
    assert str(refused.value).startswith(f"{path}: expected")
    assert str(refused.value).count(": expected") == 1 and "\n" not in str(refused.value)


@fault("hemi-R.func.gii: expected the 32 trials of", "found 31", formats=("gifti",))
def hemispheres_have_other_trials(world):
    path = world.path("sub-01/ses-01/sub-01_ses-01_hemi-R.func.gii")
    save_gifti(str(path), np.stack([one.data for one in nib.load(path).darrays])[:-1])


@fault(": expected the shape", "found", formats=("gifti", "vertices"))
def hemisphere_is_missing_in_a_session(world):
    paths = sorted(world.path("sub-01/ses-02").iterdir())
    next(path for path in paths if "hemi-R" in path.name or ".rh." in path.name).unlink()


@fault("dscalar.nii: expected a CIFTI file, found", formats=("cifti",))
def cifti_is_a_volume(world):
    write(find_responses(world), np.zeros((3, 3, 3, 2)), np.eye(4))


@fault("dscalar.nii: expected", "grayordinates, found a truncated file of", formats=("cifti",))
def cifti_is_cut_off(world):
    path = find_responses(world)
    path.write_bytes(path.read_bytes()[:-40])


# --- masks and ROIs ---


@fault("mask.nii.gz: expected a mask as NIfTI, found no file")
def mask_is_missing(world):
    world.path("sub-01/mask.nii.gz").unlink()
    world.key["folder"]["mask"] = "{subject}/mask.nii.gz"


@fault("dataset.folder.mask: expected the brain's mask, or ROIs alone in dataset.voxels")
def mask_is_not_named(world):
    world.key["folder"]["mask"] = None


@fault("mask.nii.gz: expected the shape", "betas.nii.gz, found")
def mask_has_another_shape(world):
    values, affine = read(world.path("sub-01/mask.nii.gz"))
    write(world.path("sub-01/mask.nii.gz"), values[1:], affine)


@fault("mask.nii.gz: expected the affine", "betas.nii.gz, found")
def mask_lies_elsewhere(world):
    values, affine = read(world.path("sub-01/mask.nii.gz"))
    affine[1, 3] += 1
    write(world.path("sub-01/mask.nii.gz"), values, affine)


@fault("mask.nii.gz: expected voxels above 0 in the mask, found none")
def mask_is_empty(world):
    values, affine = read(world.path("sub-01/mask.nii.gz"))
    write(world.path("sub-01/mask.nii.gz"), 0 * values, affine)


@fault("FFA.nii.gz: expected a number in every place, found NaN in 1")
def roi_is_not_a_number(world):
    values, affine = read(world.path("sub-01/rois/FFA.nii.gz"))
    values = values.astype(np.float32)
    values[0, 0, 0] = np.nan
    write(world.path("sub-01/rois/FFA.nii.gz"), values, affine)


@fault("FFA.nii.gz: expected the affine", "found")
def roi_lies_elsewhere(world):
    values, affine = read(world.path("sub-01/rois/FFA.nii.gz"))
    affine[2, 3] -= 3
    write(world.path("sub-01/rois/FFA.nii.gz"), values, affine)


@fault("FFA.nii.gz: expected a NIfTI file, found one that is not")
def roi_is_cut_off(world):
    content = world.path("sub-01/rois/FFA.nii.gz").read_bytes()
    world.path("sub-01/rois/FFA.nii.gz").write_bytes(content[:-30])


@fault("ROI EBA: expected voxels in one of sub-01, sub-02, found none: sub-01 has no file")
def roi_is_unknown(world):
    world.rois["EBA"] = "EBA"


@fault("ROI 'a/b': expected a name, or the path of a map such as .nii.gz")
def roi_is_no_name(world):
    world.rois["EBA"] = "a/b"


@fault("ROI ../x.nii.gz: expected a path inside dataset.root or an absolute one")
def roi_leaves_the_dataset(world):
    world.rois["EBA"] = "../x.nii.gz"


@fault(
    "expected the",
    "of",
    "found",
    formats=("columns", "gifti", "vertices"),
)
def roi_has_another_length(world):
    path = next(world.path("sub-01/rois").glob("FFA.*"))
    if path.suffix == ".gii":
        save_gifti(str(path), np.zeros((1, 3)))
    else:
        np.save(path, np.zeros(3))


@fault("FFA.npy: expected the shape (", "betas.nii.gz, found (")
def roi_has_no_axes_of_a_volume(world):
    store_rois_as_arrays(world, lambda values: values.reshape(1, -1))


@fault("FFA.mgz: expected a map of the volume of", "as .nii, .nii.gz or .npy, found another name")
def roi_of_a_volume_is_stored_as_those_of_surfaces(world):
    for subject in SUBJECTS:
        values, affine = read(world.path(f"{subject}/rois/FFA.nii.gz"))
        nib.save(nib.MGHImage(values, affine), world.path(f"{subject}/rois/FFA.mgz"))
    world.key["folder"]["rois"] = "{subject}/rois/{roi}.mgz"
    world.rois = {"FFA": "FFA"}
    world.subjects = ["sub-01"]


@fault("FFA.nii.gz: expected the region FFA of dataset.voxels, found no file")
def voxel_set_is_missing(world):
    world.key["voxels"] = ["FFA"]
    world.rois = {"PPA": "PPA"}
    world.path("sub-01/rois/FFA.nii.gz").unlink()


@fault("FFA.nii.gz: expected real numbers, found")
def roi_is_a_picture_in_colours(world):
    values, affine = read(world.path("sub-01/rois/FFA.nii.gz"))
    colours = np.zeros(values.shape, dtype=[(name, "u1") for name in "RGB"])
    write(world.path("sub-01/rois/FFA.nii.gz"), colours, affine)


@fault("FFA.nii.gz: expected real numbers, found complex64")
def roi_is_complex(world):
    values, affine = read(world.path("sub-01/rois/FFA.nii.gz"))
    write(world.path("sub-01/rois/FFA.nii.gz"), values.astype(np.complex64), affine)


@fault("ncsnr.nii.gz: expected the published ncsnr of sub-01, found no file")
def ncsnr_is_missing(world):
    world.key["folder"]["ncsnr"] = "{subject}/ncsnr.nii.gz"
    shutil.copy(world.path("sub-02/mask.nii.gz"), world.path("sub-02/ncsnr.nii.gz"))


def write_ncsnr(world, change):
    """Name a map of ncsnr. change: of the values, from 0 to 1 -> those of the first subject."""
    world.key["folder"]["ncsnr"] = "{subject}/ncsnr.nii.gz"
    for subject in SUBJECTS:
        mask, affine = read(world.path(f"{subject}/mask.nii.gz"))
        # beside the mask anything may stand
        values = np.where(mask > 0, np.linspace(0, 1, mask.size).reshape(mask.shape), -1)
        values = change(values) if subject == "sub-01" else values
        write(world.path(f"{subject}/ncsnr.nii.gz"), values.astype(np.float32), affine)


@fault("sub-01/ncsnr.nii.gz: expected an ncsnr, which is rarely above 1, found", "in percent")
def ncsnr_is_a_ceiling_in_percent(world):
    write_ncsnr(world, lambda values: 80 * values)


@fault("sub-01/ncsnr.nii.gz: expected an ncsnr of 0 or more in the voxels", "found -1 at least")
def ncsnr_is_negative(world):
    write_ncsnr(world, lambda values: values * 0 - 1)


@fault("sub-01/ncsnr.nii.gz: expected an ncsnr of the voxels that are used, found no number")
def ncsnr_is_no_number(world):
    write_ncsnr(world, lambda values: values * np.nan)


def test_an_ncsnr_is_not_judged_where_it_is_not_known_which_voxels_are_used(
    whole: dict, tmp_path: Path
) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    write_ncsnr(world, lambda values: values * 0 - 1)
    world.key["folder"]["mask"] = "{subject}/no_mask.nii.gz"
    (problem, *others) = world.check()
    assert "no_mask.nii.gz: expected" in problem and not any("ncsnr.nii" in each for each in others)


def test_an_ncsnr_may_be_high_or_lack_in_some_voxels(whole: dict, tmp_path: Path) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    write_ncsnr(world, lambda values: np.where(values > 0.8, np.nan, 6 * values))
    assert world.check() == []
    world.read_all()


@fault("tmap_faces.nii.gz: expected the shape")
def localiser_has_another_shape(world):
    world.key["folder"]["localiser"] = "{subject}/tmap_{contrast}.nii.gz"
    write(world.path("sub-01/tmap_faces.nii.gz"), np.zeros((2, 2, 2)), np.eye(4))


@fault(
    "dataset.folder.localiser: expected files of sub-01 or sub-02 in", "found none by {subject}/"
)
def localiser_is_not_there(world):
    world.key["folder"]["localiser"] = "{subject}/tmap_{contrast}.nii.gz"


HARMLESS = {
    "roi_is_unknown",
    "localiser_is_not_there",
    "picture_trains_and_tests_under_two_names",
    "captions_without_identities",
}
"""What the reader can go on with: an ROI or a contrast that nobody has is left out; contents of
images are compared by the check alone, without which no run starts."""


def test_there_are_at_least_thirty_faults() -> None:
    assert len(faults.table) >= 30
    assert {format or "nifti" for _, format in faults.cases} == set(FORMATS)


@pytest.mark.parametrize(("name", "format"), faults.cases)
def test_each_fault_gives_its_own_sentence(
    whole: dict[str, RandomFolder], tmp_path: Path, name: str, format: str
) -> None:
    world = copy_world(whole, format, tmp_path)
    _, damage, parts = faults.table[name]
    hold_to_one_sentence(world, damage, parts, harmless=name in HARMLESS)


def test_sentences_are_all_different(whole: dict[str, RandomFolder], tmp_path: Path) -> None:
    said = {}
    for name, format in faults.cases:
        world = copy_world(whole, format, tmp_path / f"{name}{format}")
        faults.table[name][1](world)
        for sentence in world.check():
            said.setdefault(sentence.replace(f"{name}{format}", ""), set()).add(name)
    assert not [names for names in said.values() if len(names) > 1]


def test_all_faults_are_told_at_once_and_in_order(whole: dict, tmp_path: Path) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    for damage in (roi_is_unknown, mask_is_empty, trial_is_missing, images_are_missing):
        damage(world)
    said = world.check()
    order = ["picture_03.png", "betas.nii.gz", "mask.nii.gz", "ROI EBA"]
    assert len(said) == 4
    assert all(word in sentence for word, sentence in zip(order, said, strict=True)), said


@pytest.mark.parametrize(
    ("name", "find"),
    [
        ("onset", lambda row, path: 4 * (row % 16)),
        ("onset", lambda row, path: "n/a" if row % 16 == 3 else row % 16),
        ("trial", lambda row, path: 32 - row),
    ],
)
def test_onsets_begin_again_with_a_run_and_say_nothing_beside_trial(
    whole: dict, tmp_path: Path, name: str, find: Callable
) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    add_column(world, "run", lambda row, path: 1 + row // 16)
    add_column(world, name, find)
    if name == "trial":
        add_column(world, "onset", lambda row, path: -row)
    assert world.check() == []


@pytest.mark.parametrize(
    ("runs", "trials"),
    [
        (("2", "10", "11", "12"), None),
        (("pre", "post", "last", "03"), None),
        (("A2", "B1", "B10", "C3"), None),
        (("2", "1", "2", "1"), "trial"),
    ],
)
def test_runs_follow_one_another_by_their_numbers_unless_trials_have_places(
    whole: dict, tmp_path: Path, runs: tuple, trials: str | None
) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    add_column(world, "run", lambda row, path: runs[row // 8])
    if trials:
        add_column(world, trials, lambda row, path: row + 1)
    assert world.check() == []
    world.read_all()


@pytest.mark.parametrize("format", FORMATS)
def test_no_fault_is_seen_in_a_whole_dataset(whole: dict, tmp_path: Path, format: str) -> None:
    world = copy_world(whole, format, tmp_path)
    assert world.check() == []
    world.read_all()


def test_pictures_that_are_the_same_may_both_train(whole: dict, tmp_path: Path) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    shutil.copy(world.path("images/picture_02.png"), world.path("images/picture_01.png"))
    assert world.check() == []


def test_files_of_one_size_and_the_same_ends_are_told_apart(tmp_path: Path) -> None:
    contents = [bytes(20000), bytes(9999) + b"1" + bytes(10000), bytes(20000), bytes(3), bytes(20)]
    paths = [tmp_path / str(number) for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    assert find_twins([*paths, tmp_path / "absent"]) == [[0, 2]]


def test_a_picture_of_too_many_pixels_is_called_that(
    whole: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    problems = world.check()
    assert problems[0].endswith("expected an image of at most 200 pixels, found one of more")


def test_of_what_a_library_says_one_line_is_told(whole: dict, tmp_path: Path) -> None:
    world = copy_world(whole, "cifti", tmp_path)
    path = next(iter(sorted(world.path("sub-01/rois").glob("FFA*"))))
    path.write_bytes(path.read_bytes()[:-1])
    said = [*world.check()]
    with pytest.raises(InputError) as refused:
        world.read_all()
    assert said and all("\n" not in one and "?" not in one for one in [*said, str(refused.value)])
    assert said[0].startswith(f"{path}: expected a whole CIFTI file, found a damaged one: Expected")


def test_images_may_be_called_in_another_form_of_their_path(whole: dict, tmp_path: Path) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    expected = open_dataset(world.key).read_subject("sub-01").images
    world.edit(TRIALS, lambda text: text.replace("images/", "./images//"))
    assert world.check() == []
    np.testing.assert_array_equal(open_dataset(world.key).read_subject("sub-01").images, expected)


def test_a_caption_may_hold_any_character_but_a_tab_and_a_new_line(
    whole: dict, tmp_path: Path
) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    world.edit("images.tsv", lambda text: text.replace("number 1\t", "number\u2028one\x0b\t"))
    assert world.check() == []
    assert "number\u2028one" in open_dataset(world.key).read_images(SUBJECTS).captions[1]


@pytest.mark.parametrize("flat", [False, True])
def test_an_array_with_the_axes_of_the_volume_or_one_is_a_region(
    whole: dict, tmp_path: Path, flat: bool
) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    reader = open_dataset(world.key)
    voxels = reader.read_subject("sub-01").voxels
    expected = reader.read_rois("sub-01", rois=world.rois, voxels=voxels)
    store_rois_as_arrays(world, lambda values: values.reshape(-1) if flat else values)
    assert world.check() == []
    found = open_dataset(world.key).read_rois("sub-01", rois=world.rois, voxels=voxels)
    np.testing.assert_array_equal(found["member"], expected["member"])


@pytest.mark.parametrize(
    ("format", "appended"), [("PNG", b"more"), ("JPEG", b"more"), ("BMP", b"")]
)
def test_an_image_that_is_whole_may_end_in_any_way(
    whole: dict, tmp_path: Path, format: str, appended: bytes
) -> None:
    world = copy_world(whole, "nifti", tmp_path)
    path = world.path("images/picture_05.png")
    Image.open(path).convert("RGB").save(path, format)
    path.write_bytes(path.read_bytes() + appended)
    assert world.check() == []
