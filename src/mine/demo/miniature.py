"""The miniature Natural Scenes Dataset: scenes, simulated subjects and, apart from them, the truth.

:func:`write_miniature` writes NSD's own on-disk layout, for the loader; :func:`describe_truth`
returns what was planted, for the scoring stage alone.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from scipy import ndimage

from mine.demo import nsd_writer, planting, responding, scene_tables
from mine.demo.painting import render_scene
from mine.demo.scenes import Scene, describe_scene, sample_scene
from mine.demo.words import CATEGORIES, SUPERCATEGORIES
from mine.errors import InputError
from mine.randomness import generator
from mine.statistics.ceiling import ncsnr_from_trials

AFFINE = np.diag([planting.VOXEL_SIZE, planting.VOXEL_SIZE, planting.VOXEL_SIZE, 1.0])
AFFINE[:3, 3] = -planting.VOXEL_SIZE * (np.array(planting.SHAPE) - 1) / 2
FIRST_COCO_ID = 100_001
REPEATS = 3

MARK = "RENDERED.txt"
MARKED = "MINE's demo wrote this folder, and removes what is in it before it writes it anew.\n"
"""File by which a folder is known as one that the demo wrote, and what stands in it."""


@dataclass(frozen=True)
class Miniature:
    """The stimuli: scenes, images uint8 (image, row, column, 3), captions, and what each pixel
    shows.

    ``labels``: uint8 (image, row, column), 0 for background, else 1 + the index of the object's
    category. The first ``shared`` images are seen by every subject.
    """

    scenes: list[Scene]
    images: np.ndarray
    labels: np.ndarray
    captions: list[list[str]]
    shared: int


def render_stimuli(
    *, shared: int, unique: int, subjects_count: int, side: int, seed: int
) -> Miniature:
    """Draw and render every image of the dataset: the shared ones, then each subject's own."""
    random = generator(seed, "demo", "scenes")
    scenes = [sample_scene(random) for _ in range(shared + unique * subjects_count)]
    images = np.empty((len(scenes), side, side, 3), dtype=np.uint8)
    labels = np.zeros((len(scenes), side, side), dtype=np.uint8)
    names = list(CATEGORIES)
    for index, scene in enumerate(scenes):
        images[index], masks = render_scene(scene, side=side)
        for item, mask in zip(scene.objects, masks, strict=True):
            labels[index][mask >= 0.5] = 1 + names.index(item.category)
    captions = [describe_scene(scene, random) for scene in scenes]
    return Miniature(scenes, images, labels, captions, shared)


@dataclass(frozen=True)
class Design:
    """Which image each trial shows: ``order`` (trial,) and ``images`` (subject, image), all from
    0."""

    order: np.ndarray
    images: np.ndarray
    trials_per_session: int

    def images_of_trials(self, subject: int) -> np.ndarray:
        """Return the image of every trial of a subject (from 0): (trial,)."""
        return self.images[subject][self.order]


def draw_design(
    *, shared: int, unique: int, subjects_count: int, sessions: int, seed: int
) -> Design:
    """Draw an order in which every image of a subject is shown three times, spread over the
    sessions.
    """
    trials = (shared + unique) * REPEATS
    if trials % sessions:
        raise ValueError(f"{trials} trials do not fill {sessions} sessions of equal length")
    order = generator(seed, "demo", "order").permutation(
        np.repeat(np.arange(shared + unique), REPEATS)
    )
    own = shared + np.arange(unique * subjects_count).reshape(subjects_count, unique)
    images = np.concatenate([np.tile(np.arange(shared), (subjects_count, 1)), own], axis=1)
    return Design(order, images, trials // sessions)


def make_room(root: Path) -> None:
    """Make an empty folder for the dataset, but for the mark that it is the demo's.

    What an earlier run rendered there is removed, and nothing else ever is.

    Raises:
        InputError: there is something at ``root`` that the demo did not write.
    """
    if root.is_symlink() or (root.exists() and not root.is_dir()):
        raise InputError(f"{root}: expected a folder or nothing there yet, found a link or a file")
    there = list(root.iterdir()) if root.is_dir() else []
    mark = root / MARK
    if there and not (mark.is_file() and mark.read_bytes() == MARKED.encode()):
        raise InputError(
            f"{root}: expected a folder that the demo wrote, with its {MARK}, or nothing there "
            "yet, found other files, which are left as they are; move or delete the folder"
        )
    # The mark goes last: a run that is cut off here may go on.
    for path in there:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path != mark:
            path.unlink()
    root.mkdir(parents=True, exist_ok=True)
    mark.write_text(MARKED, encoding="utf-8")


def write_miniature(
    root: Path,
    miniature: Miniature,
    design: Design,
    *,
    names: list[str],
    seed: int,
    difficulty: planting.Difficulty = planting.DEMO,
) -> None:
    """Write stimuli, design, behaviour, annotations and every subject's recordings under ``root``.

    The first subject's betas are written as .nii.gz and the others' as .hdf5, the two forms NSD
    has.
    """
    count = len(miniature.scenes)
    coco_ids = FIRST_COCO_ID + np.arange(count)
    shared = np.arange(count) < miniature.shared
    nsd_writer.write_stimuli(root, miniature.images)
    nsd_writer.write_design(
        root,
        master_ordering=design.order + 1,
        subject_images=design.images + 1,
        shared=np.arange(miniature.shared) + 1,
    )
    numbers = [subject_number(name) for name in names]
    nsd_writer.write_stimulus_information(
        root,
        coco_ids=coco_ids,
        shared=shared,
        trials={number: design.images_of_trials(row) for row, number in enumerate(numbers)},
    )
    annotations = root / "annotations"
    nsd_writer.write_coco_captions(
        annotations / "captions_train2017.json",
        dict(zip(coco_ids.tolist(), miniature.captions, strict=True)),
    )
    labels = dict(zip(coco_ids.tolist(), miniature.labels, strict=True))
    nsd_writer.write_coco_instances(
        annotations / "instances_train2017.json",
        {image: _boxes(own) for image, own in labels.items()},
        masks={image: _masks(own) for image, own in labels.items()},
        categories=SUPERCATEGORIES,
        side=miniature.images.shape[1],
    )
    for row, name in enumerate(names):
        nsd_writer.write_behaviour(
            root,
            numbers[row],
            trials=design.images_of_trials(row),
            subject_images=design.images[row],
            trials_per_session=design.trials_per_session,
        )
        _write_subject(
            root,
            miniature,
            design,
            row,
            name,
            seed=seed,
            difficulty=difficulty,
            format="nii.gz" if row == 0 else "hdf5",
        )


def subject_number(name: str) -> int:
    """NSD's number of a subject: "subj01" → 1."""
    return int(name.removeprefix("subj"))


def _boxes(labels: np.ndarray) -> list[tuple[str, tuple[int, int, int, int]]]:
    names = list(CATEGORIES)
    found = []
    for index, place in enumerate(ndimage.find_objects(labels, max_label=len(names))):
        if place is not None:
            rows, columns = place
            box = (columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
            found.append((names[index], box))
    return found


def _masks(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == number for number in np.unique(labels) if number]


def _tabulate(miniature: Miniature, images: np.ndarray) -> scene_tables.SceneTable:
    scenes = [miniature.scenes[image] for image in images]
    return scene_tables.tabulate_scenes(scenes, miniature.labels[images])


def subject_responses(
    miniature: Miniature,
    design: Design,
    row: int,
    name: str,
    *,
    seed: int,
    difficulty: planting.Difficulty = planting.DEMO,
) -> tuple[planting.Plan, np.ndarray]:
    """Return what is planted in a subject and the noiseless responses to its images: (image,
    voxel).
    """
    plan = planting.plan_subject(name, seed=seed, difficulty=difficulty)
    seen = design.images[row]
    table = _tabulate(miniature, seen)
    contrast = responding.receptive_field_contrast(miniature.images[seen], plan.receptive_field)
    return plan, responding.noiseless_responses(plan, table, contrast)


def _write_subject(
    root: Path,
    miniature: Miniature,
    design: Design,
    row: int,
    name: str,
    *,
    seed: int,
    difficulty: planting.Difficulty,
    format: str,
) -> None:
    number = subject_number(name)
    plan, responses = subject_responses(
        miniature, design, row, name, seed=seed, difficulty=difficulty
    )
    random = generator(seed, "demo", "noise", name)
    percent = random.uniform(0.6, 1.6, responses.shape[1])
    baseline = random.uniform(0.2, 1.5, responses.shape[1])
    root_of_kernel = responding.noise_root(plan.ijk)
    sessions = len(design.order) // design.trials_per_session
    zscored = np.empty((len(design.order), responses.shape[1]), dtype=np.float32)
    everywhere = np.ones(planting.SHAPE, dtype=bool)
    for session in range(sessions):
        part = slice(session * design.trials_per_session, (session + 1) * design.trials_per_session)
        signal = responses[design.order[part]]
        noise = responding.draw_noise(
            signal, plan, repeats=REPEATS, kernel_root=root_of_kernel, random=random
        )
        # A session has its own gain and offset, which the loader's z-score has to remove.
        gain, offset = random.uniform(0.85, 1.15), random.normal(0, 0.3, responses.shape[1])
        raw = signal + noise
        betas = gain * percent * raw / np.sqrt(1 + noise.var(axis=0)) + baseline + offset
        zscored[part] = (raw - raw.mean(axis=0)) / raw.std(axis=0)
        nsd_writer.write_session(
            root,
            number,
            session + 1,
            betas,
            ijk=plan.ijk,
            shape=planting.SHAPE,
            affine=AFFINE,
            format=format,
        )
        nsd_writer.write_valid_session(root, number, session + 1, everywhere, affine=AFFINE)
    ncsnr = ncsnr_from_trials(zscored, design.order)
    nsd_writer.write_noise_ceiling_snr(root, number, _volume(plan.ijk, ncsnr), affine=AFFINE)
    nsd_writer.write_brain_mask(root, number, everywhere, affine=AFFINE)
    nsd_writer.write_mean(root, number, 500.0 * everywhere, affine=AFFINE)
    _write_regions(root, number, plan, random)


def _write_regions(
    root: Path, number: int, plan: planting.Plan, random: np.random.Generator
) -> None:
    whole = np.where(_volume(plan.ijk, np.ones(len(plan.ijk))) > 0, 1, -1)
    nsd_writer.write_roi(root, number, "nsdgeneral", whole, {1: "nsdgeneral"}, affine=AFFINE)
    for volume, labels in planting.VOLUME_LABELS.items():
        values = np.where(whole > 0, 0, -1)
        for region in planting.REGIONS:
            if region.volume == volume:
                values[tuple(plan.ijk[plan.region == region.name].T)] = region.label
        nsd_writer.write_roi(root, number, volume, values, labels, affine=AFFINE)
    for contrast in ("faces", "bodies", "places", "word"):
        preferred = np.isin(
            plan.region,
            [region.name for region in planting.REGIONS if region.localiser == contrast],
        )
        values = random.normal(0, 1, len(plan.ijk))
        values[preferred] = (
            2.5 + 6 * np.sqrt(plan.noise_ceiling[preferred]) + random.normal(0, 1, preferred.sum())
        )
        nsd_writer.write_localiser(root, number, contrast, _volume(plan.ijk, values), affine=AFFINE)


def _volume(ijk: np.ndarray, values: np.ndarray) -> np.ndarray:
    volume = np.zeros(planting.SHAPE)
    volume[tuple(ijk.T)] = values
    return volume


# --- truth ---


def describe_images(miniature: Miniature) -> xr.Dataset:
    """Return the truth about the images: ``label`` (image, row, column) and the scene as JSON
    (image,).
    """
    return xr.Dataset(
        {
            "label": (
                ("image", "row", "column"),
                miniature.labels,
                {"long_name": "0 for background, else 1 + index of the visible object's category"},
            ),
            "scene": (
                ("image",),
                [json.dumps(asdict(scene)) for scene in miniature.scenes],
                {"long_name": "the scene as JSON"},
            ),
        },
        coords={
            "image": ("image", np.arange(len(miniature.scenes)), {"long_name": "nsdId, from 0"})
        },
        attrs={"categories": list(CATEGORIES)},
    )


def describe_truth(
    miniature: Miniature,
    design: Design,
    row: int,
    name: str,
    *,
    seed: int,
    difficulty: planting.Difficulty = planting.DEMO,
) -> xr.Dataset:
    """Return what is planted in a subject's voxels, with the noiseless responses and planted
    regressors.
    """
    plan, responses = subject_responses(
        miniature, design, row, name, seed=seed, difficulty=difficulty
    )
    seen = design.images[row]
    table = _tabulate(miniature, seen)
    regressors, names = responding.planted_regressors(table)
    seconds = plan.dominant()
    places = [
        second.concept if second and second.kind == "place" else (np.nan, np.nan)
        for second in seconds
    ]
    is_word = [second is not None and second.kind != "place" for second in seconds]
    words = [
        str(second.concept) if word else "" for second, word in zip(seconds, is_word, strict=True)
    ]
    order = np.argsort(seen)
    return xr.Dataset(
        {
            "ijk": (("voxel", "axis"), plan.ijk, {"long_name": "place in the volume"}),
            "region": (("voxel",), plan.region.astype(str), {"long_name": "region"}),
            "main": (("voxel",), plan.main.astype(str), {"long_name": "planted main feature"}),
            "form": (("voxel",), plan.form.astype(str), {"long_name": "response form"}),
            "second_kind": (
                ("voxel",),
                [second.kind if second else "" for second in seconds],
                {"long_name": "kind of the second feature that dominates, or empty"},
            ),
            "second_word": (
                ("voxel",),
                words,
                {"long_name": "planted second feature that is a word"},
            ),
            "second_place": (
                ("voxel", "axis_of_place"),
                np.array(places, dtype=float),
                {"long_name": "planted second feature that is a place", "units": "image sides"},
            ),
            "suppressed": (
                ("voxel",),
                plan.suppressed.astype(str),
                {"long_name": "suppressed feature, or empty"},
            ),
            "mixture": (
                ("voxel", "second"),
                plan.mixture,
                {"long_name": "share of each second feature of the region"},
            ),
            "receptive_field": (
                ("voxel", "axis_of_place"),
                plan.receptive_field,
                {"long_name": "place that a contrast voxel looks at", "units": "image sides"},
            ),
            "planted_noise_ceiling": (
                ("voxel",),
                plan.noise_ceiling,
                {"long_name": "ceiling of an average of three trials", "units": "1"},
            ),
            "response": (
                ("image", "voxel"),
                responses[order].astype(np.float32),
                {"long_name": "noiseless response", "units": "its standard deviations over images"},
            ),
            "regressor": (
                ("image", "feature"),
                regressors[order].astype(np.float32),
                {"long_name": "planted regressor"},
            ),
        },
        coords={"image": ("image", seen[order]), "feature": names},
    )
