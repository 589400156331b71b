"""Laws of reading an experiment of one's own: what is read equals a literal reader of each format.

Each law is held on random miniatures (tests/data/random_folder.py), a new one for each seed.
"""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image, ImageOps

from mine.cli import main
from mine.datasets import coco
from mine.datasets.grids import Grid, read_map
from mine.datasets.held_out import draw_test_images
from mine.datasets.image_files import find_crop, measure_upright, read_image
from mine.datasets.listing import list_read
from mine.datasets.patterns import read_label
from mine.datasets.reader import open_dataset, restore_section
from mine.datasets.voxels import voxels_of
from mine.errors import InputError
from mine.sections import Dataset
from mine.stages.stimuli import build_stimuli
from tests.data.random_folder import FORMATS, SUBJECTS, SUFFIX, RandomFolder
from tests.reference import folder_readers
from tests.reference.responses import build_responses

SEEDS = 5
CLOSE = {"rtol": 2e-4, "atol": 2e-4}
"""Responses are around 100 before they are z-scored, and stored in single precision."""


def read_literally(world: RandomFolder, subject: str):
    """Trials that showed an image, and their responses (trial, place), file by file."""
    images = pd.read_csv(world.root / "images.tsv", sep="\t")
    paths = sorted((world.root / subject).glob("**/trials.tsv"))
    trials = folder_readers.read_trials(world.root, subject, paths, images)
    if "session" not in trials:
        trials["session"] = np.repeat([path.parent.name[4:] for path in paths], 32)
    betas: list = [None] * len(trials)
    keys = ["session", "run"] if world.by_run else ["session"]
    for values, part in trials.groupby(keys):
        stem = Path(world.stem(subject, *values)).relative_to(world.root)
        rows = world.read(world.root, subject, f"{stem}{SUFFIX[world.format]}")
        for place, row in enumerate(part.index):
            betas[row] = rows[int(part.loc[row, "trial"]) - 1 if world.numbered else place]
    shown = (trials["image"] >= 0).to_numpy()
    return trials[shown], np.array(betas)[shown]


def find_split(world: RandomFolder, trials: pd.DataFrame) -> list[int]:
    """Images that test, ascending: as the table says, or drawn by their identities."""
    seen = sorted(set(trials["image"]))
    if world.split == "trials":
        return sorted(set(trials["image"][trials["split"] == "test"]))
    if world.split == "images":
        return [image for image in seen if image % 3 == 0]
    drawn = {"fraction": world.key["test_fraction"], "seed": world.key["test_seed"]}
    return np.array(seen)[draw_test_images(seen, **drawn)].tolist()


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("format", FORMATS)
def test_responses_equal_those_of_a_literal_reader(tmp_path: Path, format: str, seed: int) -> None:
    world = RandomFolder(tmp_path, format=format, seed=seed)
    zscore = ["training", "all"][seed % 2]
    reader = open_dataset(world.key)
    assert reader.check(subjects=SUBJECTS, rois={"FFA": "FFA", "PPA": "PPA"}) == []
    for subject in SUBJECTS:
        recording = reader.read_subject(subject)
        found = build_responses(recording, standardise_on=zscore)
        trials, betas = read_literally(world, subject)
        test = find_split(world, trials)
        images, response, ncsnr = folder_readers.average(trials, betas, test, zscore)
        np.testing.assert_array_equal(found["image"], images)
        np.testing.assert_array_equal(found["image"][found["split"] == "test"], test)
        repeats = [(trials["image"] == image).sum() for image in images]
        np.testing.assert_array_equal(found["repeats"], repeats)
        np.testing.assert_allclose(found["response"], response, **CLOSE)
        if ncsnr is None:
            assert np.isnan(found["noise_ceiling"]).all()
            continue
        counts = np.array([(trials["image"] == image).sum() for image in test])
        ceiling = ncsnr**2 / (ncsnr**2 + (1 / counts).mean())
        np.testing.assert_allclose(found["noise_ceiling"], ceiling, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize("format", FORMATS)
def test_rois_equal_those_of_a_literal_reader(tmp_path: Path, format: str, seed: int) -> None:
    world = RandomFolder(tmp_path, format=format, seed=seed)
    reader = open_dataset(world.key)
    for subject in SUBJECTS:
        voxels = reader.read_subject(subject).voxels
        stored = build_responses(reader.read_subject(subject))
        rois = reader.read_rois(
            subject, rois={"FFA": "FFA", "PPA": "PPA"}, voxels=voxels_of(stored)
        )
        names = [path.name.split(".")[0] for path in (tmp_path / subject / "rois").iterdir()]
        assert set(rois["roi"].values) == set(names)
        assert set(rois.attrs["absent"]) == {"FFA", "PPA"} - set(names)
        for roi in set(names):
            inside = find_region(world, subject, roi, voxels)
            np.testing.assert_array_equal(rois["member"].sel(roi=roi), inside)


def find_region(world: RandomFolder, subject: str, roi: str, voxels) -> np.ndarray:
    stem = f"{world.root}/{subject}/rois/{roi}"
    if world.geometry == "volume":
        values = folder_readers.read_world(f"{stem}.nii.gz", None)
        places = np.round(voxels.position, 3) + 0.0
        return np.array([values[tuple(place)] > 0 for place in places])
    if world.geometry == "list":
        return np.load(f"{stem}.npy")[voxels.index] > 0
    if world.geometry == "cifti":
        axis = nib.load(f"{stem}.dscalar.nii").header.get_axis(1)
        values = nib.load(f"{stem}.dscalar.nii").get_fdata()[0]
        names = np.where(axis.name == "CIFTI_STRUCTURE_CORTEX_LEFT", "left", "right")
        known = {
            (side, vertex): value > 0
            for side, vertex, value, surface in zip(
                names, axis.vertex, values, axis.surface_mask, strict=True
            )
            if surface
        }
        return np.array(
            [known[pair] for pair in zip(voxels.hemisphere, voxels.vertex, strict=True)]
        )
    sides = []
    for side in ("lh", "rh"):
        path = f"{stem}.{side}.{'gii' if world.format == 'gifti' else 'npy'}"
        gii = world.format == "gifti"
        sides.append(nib.load(path).darrays[0].data if gii else np.load(path))
    return np.concatenate(sides)[voxels.index] > 0


@pytest.mark.parametrize("format", FORMATS)
def test_voxels_lie_where_the_files_say(tmp_path: Path, format: str) -> None:
    world = RandomFolder(tmp_path, format=format, seed=3)
    voxels = open_dataset(world.key).read_subject("sub-02").voxels
    assert voxels.space == "T1w"
    assert len(voxels) == world.places
    assert (np.diff(voxels.index) > 0).all()
    if world.geometry == "volume":
        np.testing.assert_array_equal(voxels.index, np.flatnonzero(world.mask))
        np.testing.assert_allclose(voxels.affine, world.affine, atol=1e-5)
    elif world.geometry == "list":
        assert voxels.name[2] == "voxel_2" and voxels.position[2].tolist() == [2.5] * 3
        assert voxels.hemisphere[:3].tolist() == ["left", "right", "unknown"]
    else:
        assert voxels.vertices == world.vertices


@pytest.mark.parametrize("seed", range(SEEDS))
def test_images_equal_those_of_a_literal_reader(tmp_path: Path, seed: int) -> None:
    world = RandomFolder(tmp_path, format="columns", seed=seed)
    reader = open_dataset(world.key)
    stimuli = build_stimuli(reader.read_images(SUBJECTS))
    table = pd.read_csv(tmp_path / "images.tsv", sep="\t", keep_default_na=False)
    tested = set()
    for subject in SUBJECTS:
        trials, _ = read_literally(world, subject)
        tested |= set(find_split(world, trials))
        seen = stimuli["image"][stimuli["seen"].sel(subject=subject)]
        np.testing.assert_array_equal(seen, sorted(set(trials["image"])))
        held = build_responses(reader.read_subject(subject))
        test = held["image"][held["split"] == "test"].values
        assert stimuli["held_out"].sel(image=test).all()
    assert set(stimuli["image"].values[stimuli["held_out"]]) == tested
    np.testing.assert_array_equal(stimuli["shared"], stimuli["seen"].all("subject"))
    assert (stimuli["held_out"] != stimuli["shared"]).any()
    for image in stimuli["image"].values:
        row, one = table.iloc[image], stimuli.sel(image=image)
        assert str(one["name"].values) == row["image"]
        assert json.loads(str(one["captions"].values)) == row["captions"].split(" | ")
        assert bool(one["annotated"]) == (row["categories"] != "n/a")
        for category in ("dog", "cat"):
            present = bool(one["category_present"].sel(category=category))
            assert present == (category in row["categories"])
    pixels = reader.open_stimuli().read(stimuli["image"].values[::-1])
    assert pixels.shape == (stimuli.sizes["image"], 24, 24, 3)


def write_objects(root: Path, size: tuple[int, int], boxes: list[list[int]]) -> dict:
    """Give every image of a world an identity in COCO, 100 and so on, where it has an object: in
    the image of a size (rows, columns) a dog in a box. Returns keys of the section dataset."""
    table = root / "images.tsv"
    header, *rows = table.read_text().splitlines()
    known = [f"{row}\t{100 + number}" for number, row in enumerate(rows)]
    table.write_text("\n".join([f"{header}\tcoco_id", *known]) + "\n")
    content = {
        "categories": [{"id": 1, "name": "dog"}],
        "images": [
            {"id": 100 + number, "height": size[0], "width": size[1]} for number in range(len(rows))
        ],
        "annotations": [
            {"image_id": 100 + number, "category_id": 1, "bbox": box}
            for number, box in enumerate(boxes)
        ],
    }
    (root / "instances.json").write_text(json.dumps(content))
    return {"instances": [str(root / "instances.json")]}


def draw_box(size: tuple[int, int], box: list[int], *, scale: int) -> Image.Image:
    left, top, width, height = box
    inside = np.zeros(size, dtype=np.uint8)
    inside[top : top + height, left : left + width] = 255
    return Image.fromarray(inside.repeat(scale, axis=0).repeat(scale, axis=1))


@pytest.mark.parametrize("size", [(48, 80), (90, 50), (60, 60)])
def test_an_object_counts_if_half_of_it_is_shown(tmp_path: Path, size: tuple[int, int]) -> None:
    world = RandomFolder(tmp_path, format="columns", seed=1)
    random = np.random.default_rng(size)
    boxes = []
    for name in world.names:
        width, height = random.integers(8, 24, 2).tolist()
        left, top = random.integers(0, (size[1] - width, size[0] - height), endpoint=True).tolist()
        boxes.append([left, top, width, height])
        draw_box(size, boxes[-1], scale=int(random.integers(1, 4))).save(tmp_path / name)
    reader = open_dataset(world.key | write_objects(tmp_path, size, boxes))
    assert reader.check(subjects=SUBJECTS, rois={}) == []
    stimuli = build_stimuli(reader.read_images(SUBJECTS))
    pixels = reader.open_stimuli().read(stimuli["image"].values)[..., 0] / 255
    _, masks = coco.read_masks(
        [tmp_path / "instances.json"],
        coco_ids=stimuli["coco_id"].values,
        crops=stimuli["crop"].values,
        rows=24,
        columns=24,
    )
    judged = []
    for image, shown, objects in zip(stimuli["image"].values, pixels, masks, strict=True):
        share = shown.mean() * min(size) ** 2 / np.prod(boxes[image][2:])
        if abs(share - 0.5) > 0.05:
            present = stimuli["category_present"].sel(image=image, category="dog")
            assert bool(present) == (share > 0.5)
            judged.append(bool(present))
        # where the object is in what is shown, too
        assert np.abs(objects[0][1] - shown).mean() < 0.05
    assert len(judged) > 6 and (size == (60, 60) or not all(judged))
    assert stimuli["annotated"].all()


def test_which_part_is_shown_is_not_known_of_other_proportions(tmp_path: Path, caplog) -> None:
    world = RandomFolder(tmp_path, format="columns", seed=1)
    size, outside = (48, 80), [0, 0, 10, 48]
    for name in world.names:
        draw_box(size, outside, scale=2).save(tmp_path / name)
    draw_box((48, 48), outside, scale=1).save(tmp_path / world.names[0])
    keys = world.key | write_objects(tmp_path, size, [outside] * len(world.names))
    with caplog.at_level("INFO"):
        stimuli = build_stimuli(open_dataset(keys).read_images(SUBJECTS))
    known = stimuli["image"] > 0
    np.testing.assert_array_equal(stimuli["category_present"][:, 0], ~known)
    np.testing.assert_allclose(stimuli["crop"][known], [[0, 0, 0.2, 0.2]] * int(known.sum()))
    assert stimuli["crop"][~known].isnull().all() and stimuli["annotated"].all()
    count = stimuli.sizes["image"]
    assert (
        f"images.tsv: 1 of {count} images that are annotated have other proportions" in caplog.text
    )
    for name in world.names:
        draw_box((48, 48), outside, scale=1).save(tmp_path / name)
    assert "crop" not in build_stimuli(open_dataset(keys).read_images(SUBJECTS))


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_what_is_shown_is_the_middle_once_a_camera_has_been_turned(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"turned.{ending}"
    pixels = np.random.default_rng(0).integers(0, 256, (9, 6, 3), dtype=np.uint8)
    upright = Image.fromarray(pixels.repeat(8, axis=0).repeat(8, axis=1))
    assert find_crop((72, 48), side=5) == (1 / 6, 1 / 6, 0, 0)
    assert find_crop((72, 48), side=None) == (0, 0, 0, 0)
    for orientation, method in ((1, None), (6, Image.Transpose.ROTATE_90)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = upright if method is None else upright.transpose(method)
        stored.save(path, exif=exif)
        assert measure_upright(path) == (72, 48)
        with Image.open(path) as image:
            expected = ImageOps.fit(ImageOps.exif_transpose(image), (5, 5))
        np.testing.assert_array_equal(read_image(path, side=5), np.asarray(expected))


def test_images_of_one_size_come_as_they_are(tmp_path: Path) -> None:
    world = RandomFolder(tmp_path, format="columns", seed=0, regular=True)
    pixels = open_dataset(world.key).open_stimuli().read([3, 1])
    for image, name in zip(pixels, (world.names[3], world.names[1]), strict=True):
        np.testing.assert_array_equal(image, np.asarray(Image.open(tmp_path / name)))


def test_one_file_for_each_trial(tmp_path: Path) -> None:
    """As fitlins writes them: a map of each trial's effect, named by entities of BIDS."""
    world = RandomFolder(tmp_path, format="nifti", seed=1, regular=True)
    expected = open_dataset(world.key).read_subject("sub-01")
    for subject in SUBJECTS:
        for session in ("01", "02"):
            path = Path(f"{world.stem(subject, session)}_betas.nii.gz")
            image = nib.load(path)
            values = image.get_fdata(dtype=np.float32)
            for trial in range(values.shape[3]):
                name = f"{subject}_ses-{session}_task-x_contrast-{trial + 1:03d}_stat-effect"
                one = nib.Nifti1Image(values[..., trial], image.affine)
                nib.save(one, path.parent / f"{name}_statmap.nii.gz")
            table = path.parent / "trials.tsv"
            rows = table.read_text().splitlines()
            numbered = [f"{row}\t{number or 'trial'}" for number, row in enumerate(rows)]
            table.write_text("\n".join(numbered) + "\n")
    world.folder["responses"] = (
        "{subject}/ses-{session}/{subject}_ses-{session}_task-*_contrast-{trial}_stat-effect_"
        "statmap.nii.gz"
    )
    assert open_dataset(world.key).check(subjects=SUBJECTS, rois={}) == []
    found = open_dataset(world.key).read_subject("sub-01")
    for number in range(2):
        np.testing.assert_array_equal(found.images[number], expected.images[number])
        np.testing.assert_array_equal(found.read_session(number), expected.read_session(number))


def test_averaged_responses_are_taken_as_they_are(tmp_path: Path) -> None:
    world = RandomFolder(tmp_path, format="columns", seed=0, regular=True)
    folder = tmp_path / "sub-01"
    values = np.random.default_rng(0).normal(size=(len(world.names), 7)).astype(np.float32)
    np.save(folder / "all.npy", values)
    names = "\n".join(["name", *(f"v{n}" for n in range(7))])
    (folder / "columns.tsv").write_text(names + "\n")
    rows = [f"{name}\t3" for name in world.names]
    (folder / "trials.tsv").write_text("\n".join(["image\trepeats", *rows]) + "\n")
    np.save(folder / "ncsnr.npy", np.full(7, 0.5))
    world.folder |= {
        "averaged": True,
        "trials": "{subject}/trials.tsv",
        "responses": "{subject}/all.npy",
        "ncsnr": "{subject}/ncsnr.npy",
    }
    reader = open_dataset(world.key)
    assert reader.check(subjects=["sub-01"], rois={}) == []
    found = build_responses(reader.read_subject("sub-01"))
    np.testing.assert_array_equal(found["response"], values)
    np.testing.assert_allclose(found["noise_ceiling"], 0.25 / (0.25 + 1 / 3), rtol=1e-6)
    world.folder["ncsnr"] = None
    found = build_responses(open_dataset(world.key).read_subject("sub-01"))
    assert np.isnan(found["noise_ceiling"]).all()
    assert found.attrs["noise_ceiling_source"].startswith("none")


def test_a_trial_is_told_by_its_file_and_its_line(tmp_path: Path) -> None:
    world = RandomFolder(tmp_path, format="masked", seed=7, regular=True)
    path = tmp_path / "sub-01/ses-02/sub-01_ses-02_masked.npy"
    values = np.load(path)
    values[17] = np.nan
    np.save(path, values)
    said = rf"^{path}, response 18 \(trials.tsv, line 19\), sub-01, session 2, trial 18: expected"
    with pytest.raises(InputError, match=said):
        build_responses(open_dataset(world.key).read_subject("sub-01"))


def test_a_check_says_how_each_subject_is_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = RandomFolder(tmp_path, format="masked", seed=7, regular=True)
    (tmp_path / "sub-02/rois/PPA.nii.gz").unlink()
    for path in tmp_path.glob("*/ses-02/trials.tsv"):
        rows = path.read_text().splitlines()
        rows[1] = "n/a"
        path.write_text("\n".join(rows) + "\n")
    monkeypatch.setattr("mine.check.check_config", lambda *_, **__: [])
    content = {"name": "own", "subjects": list(SUBJECTS), "rois": ["FFA", "PPA"]}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**content, "dataset": world.key}))
    assert main(["check", str(tmp_path / "own.yaml")]) == 0
    captured = capsys.readouterr()
    assert captured.err == "", "what is left out is said once"
    _, first, second = captured.out.splitlines()
    rois = {}
    for subject in SUBJECTS:
        reader = open_dataset(world.key)
        voxels = reader.read_subject(subject).voxels
        rois[subject] = (len(voxels), reader.read_rois(subject, rois={"FFA": "FFA"}, voxels=voxels))
    assert first.startswith(
        "sub-01: 2 sessions of 31 to 32 trials, 16 images (63 of 64 responses are used), of which "
        "6 test images ("
    )
    for line, subject in zip((first, second), SUBJECTS, strict=True):
        count, members = rois[subject]
        assert f", {count} voxels, {int(members['member'].sum())} in FFA" in line
    assert second.endswith(f"; PPA: sub-02 has no file {tmp_path}/sub-02/rois/PPA.nii.gz")


def test_sessions_are_taken_from_the_first(tmp_path: Path) -> None:
    world = RandomFolder(tmp_path, format="gifti", seed=0, regular=True)
    whole = open_dataset(world.key).read_subject("sub-01")
    first = open_dataset({**world.key, "sessions": 1}).read_subject("sub-01")
    assert len(whole.images) == 2 and len(first.images) == 1
    np.testing.assert_array_equal(first.read_session(0), whole.read_session(0))


def test_labels_of_an_atlas_and_a_localiser(tmp_path: Path) -> None:
    world = RandomFolder(tmp_path, format="nifti", seed=4, regular=True)
    world.folder["localiser"] = "{subject}/rois/{contrast}.nii.gz"
    reader = open_dataset(world.key)
    assert reader.list_contrasts(SUBJECTS) == ["FFA", "PPA"]
    voxels = reader.read_subject("sub-01").voxels
    references = {"one": "{subject}/rois/FFA.nii.gz:1", "all": "{subject}/rois/FFA.nii.gz"}
    rois = reader.read_rois("sub-01", rois=references, voxels=voxels)
    values = np.asarray(nib.load(tmp_path / "sub-01/rois/FFA.nii.gz").dataobj)[tuple(voxels.ijk.T)]
    np.testing.assert_array_equal(rois["member"].sel(roi="one"), values == 1)
    np.testing.assert_array_equal(rois["member"].sel(roi="all"), values > 0)
    np.testing.assert_allclose(rois["t"].sel(contrast="FFA"), values)
    chosen = {**world.key, "voxels": ["FFA"]}
    np.testing.assert_array_equal(
        open_dataset(chosen).read_subject("sub-01").voxels.index, voxels.index[values > 0]
    )


def test_voxels_outside_a_localisers_mask_have_no_t_value(tmp_path: Path, caplog) -> None:
    world = RandomFolder(tmp_path, format="nifti", seed=4, regular=True)
    world.folder["localiser"] = "{subject}/tmap_{contrast}.nii.gz"
    voxels = open_dataset(world.key).read_subject("sub-01").voxels
    values = np.ones(voxels.shape)
    values[tuple(voxels.ijk[0])], values[tuple(voxels.ijk[1])] = np.nan, np.inf
    nib.save(nib.Nifti1Image(values, voxels.affine), tmp_path / "sub-01/tmap_faces.nii.gz")
    rois = open_dataset(world.key).read_rois("sub-01", rois={"FFA": "FFA"}, voxels=voxels)
    expected = np.where(np.arange(len(voxels)) < 2, np.nan, 1)
    np.testing.assert_array_equal(rois["t"].sel(contrast="faces"), expected)
    assert f"localiser faces: 2 of {len(voxels)} voxels have no t-value" in caplog.messages


@pytest.mark.parametrize("text", ["1", "01", "ses-01", "1.0", "01.00", "run-1"])
def test_a_label_is_one_however_its_number_is_written(text: str) -> None:
    assert read_label(text) == "1"
    assert read_label("1.5") == "1.5" and read_label("v1.0") == "v1.0"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_an_array_of_a_volume_is_told_from_one_with_other_axes(tmp_path: Path, order) -> None:
    grid = Grid("volume", (3, 4, 5), Path("betas.nii.gz"), affine=np.eye(4))
    values = np.arange(60).reshape(3, 4, 5)
    np.save(tmp_path / "map.npy", values.transpose(order))
    if order == (0, 1, 2):
        read = read_map(tmp_path, "map.npy", grid)
        np.testing.assert_array_equal(read[0], values.reshape(-1))
        return
    shape = values.transpose(order).shape
    said = f"map.npy: expected the shape (3, 4, 5) of betas.nii.gz, found {shape}"
    with pytest.raises(InputError, match=re.escape(said)):
        read_map(tmp_path, "map.npy", grid)


@pytest.mark.parametrize("reference", ["wang.V1", "{subject}/rois/wang.V1.nii.gz"])
def test_the_mask_that_is_read_is_one_whose_change_is_seen(tmp_path: Path, reference: str) -> None:
    world = RandomFolder(tmp_path, format="nifti", seed=0, regular=True)
    masks = [tmp_path / subject / "rois" / "wang.V1.nii.gz" for subject in SUBJECTS]
    for mask in masks:
        mask.with_name("FFA.nii.gz").rename(mask)
    dataset = restore_section(Dataset, world.key | {"voxels": [reference]})
    reader = open_dataset(dataset)
    rois = reader.read_rois(
        SUBJECTS[0], rois={"V1": reference}, voxels=reader.read_subject(SUBJECTS[0]).voxels
    )
    assert rois["member"].values.all()
    for group in ("responses", "regions"):
        read = list_read(dataset, group, subject=SUBJECTS[0], references=[reference])
        assert str(masks[0]) in read and str(masks[1]) not in read


def test_the_images_that_are_read_are_those_whose_change_is_seen(tmp_path: Path) -> None:
    world = RandomFolder(tmp_path, format="nifti", seed=0, regular=True)
    table = tmp_path / "images.tsv"
    header, *lines = table.read_text().splitlines()
    lines = [f" {line}" for line in lines]  # cells are taken without blanks around them
    lines[5] = lines[5].replace("\tA picture", '\t"A picture', 1)
    table.write_text("\n".join([header, *lines]))
    dataset = restore_section(Dataset, world.key)
    read = open_dataset(dataset).open_stimuli().paths.values()
    assert list_read(dataset, "images") == sorted(map(str, read)) and len(read) == len(world.names)
    # Their sizes tell which part of COCO's images they show.
    assert not set(list_read(dataset, "stimuli")) & set(map(str, read))
    with_objects = restore_section(Dataset, world.key | {"instances": ["instances.json"]})
    assert set(list_read(with_objects, "stimuli")) > set(map(str, read))
    # What is no table is refused by the job that reads it, not while rules are read.
    table.write_text("pictures\n")
    assert list_read(dataset, "images") == []


def test_whether_an_image_tests_depends_on_nothing_else() -> None:
    few, many = np.array([5, 900, 17]), np.arange(1000)
    drawn = draw_test_images(many, fraction=0.1, seed=3)
    assert 60 < drawn.sum() < 140
    np.testing.assert_array_equal(draw_test_images(few, fraction=0.1, seed=3), drawn[few])
    assert (draw_test_images(many, fraction=0.1, seed=4) != drawn).any()
