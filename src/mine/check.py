"""Everything that can be known to be wrong before hours of work are spent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import xarray as xr

from mine.config import RESULTS, Config, InputError, find_problems
from mine.core.devices import sees_gpu
from mine.core.lens import read_sentences, read_word_list
from mine.core.preference import find_unknown, find_unknown_contrasts
from mine.datasets import coco, download, listing, nsd_masks
from mine.datasets.file_sizes import GIGABYTE, find_free
from mine.datasets.nsd_required import Selection
from mine.datasets.reader import open_dataset
from mine.datasets.recording import Recording
from mine.datasets.rois import require_region
from mine.disk import ATTRIBUTIONS, TOKENS, DiskUse, count_painted, estimate_disk
from mine.model_folders import check_model_folders, list_unchecked, read_side, read_token_shape
from mine.references import voxel_references
from mine.sections import ALL
from mine.stages.responses import describe_recording
from mine.wording import format_count

NSD_SHARED, NSD_OWN = 1000, 9000
"""Images of the Natural Scenes Dataset that all subjects were to see, and each of them alone."""
PIXEL_BYTES = 9
"""What a painted pixel takes: three of its own, and six while it is compressed and written."""
LEAST_TOLD = 0.05
"""Gigabytes on disk from which on they are told."""


def check_data(data: object, *, name: str) -> list[str]:
    """List what is wrong with a configuration, or with what it names.

    While a key is wrong, nothing that the keys name is looked at. Where jobs can be handed to a
    cluster, this machine is taken to be the one that hands them on, and not where they run.

    Args:
        data: what was read from its files.
        name: what messages call it.
    """
    config, problems = find_problems(data, name=name)
    here = shutil.which("sbatch") is None
    return problems if config is None else check_config(config, here=here)


def estimate_work(config: Config) -> str:
    """Say how many images are going to be made, at most, which takes the time of a GPU, whether
    their pixels may take more than `memory_gb`, what all that is large takes on disk, and what was
    not looked at.
    """
    tested = config.features.voxels
    voxels = "every voxel" if tested is None else format_count(tested, "voxel")
    pictures, edits = count_painted(config)
    left = ""
    if config.download.accept_terms and _dataset_is_to_come(config):
        left = "; the dataset is looked at once it has been downloaded"
    return (
        f"at most {pictures} pictures and {edits} edits for each of {voxels} of "
        f"{format_count(len(config.rois), 'region')} of "
        f"{format_count(len(config.subjects), 'subject')}, "
        f"{config.generator.steps} steps each{_tell_pixels(config, max(pictures, edits))}"
        f"{_tell_disk(config)}{left}{_tell_unchecked(config)}"
    )


def _tell_unchecked(config: Config) -> str:
    """Say which models may not be there at all; empty where each has been looked for."""
    found = [f"{model} ({key})" for key, model in list_unchecked(config).items()]
    if not found:
        return ""
    return (
        f"; not checked: whether the hub has {', '.join(found)}, which `mine download --models` "
        "tells and a run fetches"
    )


def _tell_pixels(config: Config, images: int) -> str:
    """Say from how many voxels on the pixels of a region are more than `memory_gb`, if it may have
    as many; empty otherwise. images: pictures or edits of a voxel, whichever are more, since a job
    that paints holds one or the other. Edits are taken to be as large as pictures."""
    side, voxels = read_side(config.generator), config.features.voxels
    fitting = int(config.memory_gb * GIGABYTE / max(1, images * side * side * PIXEL_BYTES))
    if voxels is not None and voxels <= fitting:
        return ""
    return (
        f"; at {side} pixels a side, painting a region takes more than memory_gb: "
        f"{config.memory_gb:g} from {fitting + 1:,} voxels on, so lower features.voxels or "
        "generator.size"
    )


def _tell_disk(config: Config) -> str:
    """Say what is yet to be written, by what takes it, what of it is not known, and whether it is
    more than is free."""
    estimate = _estimate(config, readable=True)
    needed, free = sum(estimate.known.values()) / GIGABYTE, find_free(RESULTS) / GIGABYTE
    parts = [
        f"{size / GIGABYTE:.1f} GB of {what}"
        for what, size in estimate.known.items()
        if size >= LEAST_TOLD * GIGABYTE
    ]
    only, said = "only " if needed > free else "", ""
    if parts:
        said = (
            f"; on disk at most {needed:.1f} GB more, before compression: {', '.join(parts)}, "
            f"where {only}{free:.1f} GB are free"
        )
    return said + "".join(f"; not counted: {what}" for what in estimate.unknown)


def describe_subjects(config: Config) -> list[str]:
    """Say in a line a subject how its tables and regions are understood, so that a mistake shows
    that is none in form; nothing of a dataset that is yet to come. No response is read.

    Raises InputError as the readers do, and for subjects that have none of the regions.
    """
    if _dataset_is_to_come(config):
        return []
    lines, problems = [], []
    for subject in config.subjects:
        recording, rois = _read_regions(config, subject)
        said = describe_recording(recording, test=config.dataset.test_images)
        try:
            require_region(rois)
        except InputError as error:
            problems.append(str(error))
        regions = [f"{size} in {roi}" for roi, size in _count_members(rois).items()]
        reasons = zip(rois.attrs["absent"], rois.attrs["absent_reason"], strict=True)
        absent = "".join(f"; {roi}: {reason}" for roi, reason in reasons)
        lines.append(f"{said}, {len(recording.voxels)} voxels, {', '.join(regions)}{absent}")
    if problems:
        raise InputError("\n".join(problems))
    return lines


def describe_controls(config: Config) -> list[str]:
    """Say beforehand which control of edits there cannot be, a sentence each: the word of another
    category takes a second category with a word of the list.

    Only a word list that is a file is known by now. Raises InputError as its reader does.
    """
    named = list(config.categories)
    if config.lens.vocabulary != "tokenizer":
        files = config.word_files().items()
        words = {word for key, path in files for word in read_word_list(Path(path), key)}
        named = [name for name in named if words & set(config.categories[name].prompts)]
    if len(named) > 1:
        return []
    found = f"{named[0]} alone" if named else "none"
    return [
        "categories: an edit by a word of another category takes two of them with a prompt in "
        f"lens.vocabulary, found {found}, so this control is left out where there is no other"
    ]


def check_config(config: Config, *, here: bool = True, whole: bool = True) -> list[str]:
    """List what is wrong with the files, the models and the machine of an analysis.

    Args:
        config: a configuration whose keys are right.
        here: whether the jobs run on this machine, so that its GPUs and its memory are theirs.
        whole: whether all of the analysis is to be run, so that there has to be room for what its
            later parts write. Whatever is run has tokens.

    Returns:
        One sentence for each problem, in the order in which to mend them; none if all is well.
    """
    of_dataset = _check_dataset(config)
    problems = [
        *of_dataset,
        *_check_categories(config),
        *_check_subsets(config),
        *_check_folds(config),
        *check_model_folders(config),
        *_check_texts(config),
        *(_check_devices(config) + _check_memory(config) if here else []),
        *_check_memory_of_sessions(config),
        *_check_disk(config, readable=not of_dataset, whole=whole),
    ]
    # A file of annotations is read for its objects and for its categories alone.
    return list(dict.fromkeys(problems))


def _check_dataset(config: Config) -> list[str]:
    if _dataset_is_to_come(config):
        return [] if config.demo else _check_own(config)
    reader = open_dataset(config.dataset)
    return reader.check(subjects=config.subjects, rois=config.roi_references())


def _check_own(config: Config) -> list[str]:
    """List what no rule fetches of NSD and is not there: COCO's annotations, masks of one's own."""
    dataset, root = config.dataset, Path(config.dataset.root)
    of_all, of_some = voxel_references(dataset), config.roi_references().values()
    options = {"subjects": config.subjects, "space": dataset.space}
    return [
        *coco.check_annotations(dataset.captions, dataset.instances),
        *nsd_masks.list_missing_masks(root, of_all, **options),
        *nsd_masks.list_missing_masks(root, of_some, others=config.subjects, **options),
    ]


def _check_categories(config: Config) -> list[str]:
    """List labels that no annotation has, and contrasts asked for that no localiser has."""
    if _dataset_is_to_come(config):
        return []
    reader, problems = open_dataset(config.dataset), []
    categories = {name: asdict(category) for name, category in config.categories.items()}
    try:
        known = reader.list_categories()
    except InputError as error:
        return [str(error)]
    if known:
        names = {*known, *known.values()} - {""}
        what = "categories or supercategories of dataset.instances"
        problems += find_unknown(categories, "instances", names, what)
    return problems + find_unknown_contrasts(categories, reader.list_contrasts(config.subjects))


def _check_subsets(config: Config) -> list[str]:
    """List sizes of learning curves above what a subject was shown: an upper bound, since some of
    it are test images."""
    if not config.encoders.images or (found := _find_fewest_images(config)) is None:
        return []
    least, shown = found
    return [
        f"encoders.images: expected at most the {shown} images of {least}, found {size}"
        for size in config.encoders.images
        if size > shown
    ]


def _check_folds(config: Config) -> list[str]:
    """List what leaves a fold of a cross-validation without an image: of the evaluator, which is
    fitted on half of the training images, and of the shortest learning curve."""
    folds, problems = config.baselines.folds, []
    shortest = min(config.encoders.images, default=folds)
    if shortest < folds:
        problems.append(
            f"encoders.images: expected at least baselines.folds, {folds}, found {shortest}"
        )
    found = _find_fewest_images(config)
    if found is not None and folds > found[1] // 2:
        problems.append(
            f"baselines.folds: expected at most {found[1] // 2}, half of the {found[1]} images of "
            f"{found[0]}, found {folds}"
        )
    return problems


def _find_fewest_images(config: Config) -> tuple[str, int] | None:
    """Return the subject that was shown the fewest images, and how many: an upper bound of what is
    fitted, since some are test images. None where it is not known."""
    if _dataset_is_to_come(config):
        return None
    reader = open_dataset(config.dataset)
    try:
        shown = {subject: reader.count_images([subject]) for subject in config.subjects}
    except InputError:
        # Told already, among the problems of the dataset.
        return None
    least = min(shown, key=lambda subject: shown[subject])
    return least, shown[least]


def _dataset_is_to_come(config: Config) -> bool:
    """Tell whether a rule has yet to write or to fetch the dataset, or is about to go on."""
    if config.download.accept_terms:
        return not download.is_complete(Path(config.dataset.root), Selection(**config.selection()))
    return config.demo is not None and not listing.is_there(config.dataset)


def _check_texts(config: Config) -> list[str]:
    """List what is wrong with the word lists and the corpus, as far as they are files."""
    problems = []
    reading = [
        partial(read_word_list, Path(path), key) for key, path in config.word_files().items()
    ]
    reading += [partial(read_sentences, Path(path)) for path in config.corpus_files().values()]
    for read in reading:
        try:
            read()
        except InputError as error:
            problems.append(str(error))
    return problems


def _check_devices(config: Config) -> list[str]:
    """List what asks for a GPU where none is seen."""
    if sees_gpu():
        return []
    sections = [config.backbone, config.encoder, config.evaluator, config.generator]
    sections += [] if config.phrasing.model is None else [config.phrasing]
    problems = [
        f"{type(one).__name__.lower()}.device: expected auto or cpu, since no GPU is seen on this "
        f"machine, found {one.device}"
        for one in sections
        if one.device.startswith("cuda")
    ]
    if config.generator.device == "auto" and config.generator.dtype == "float16":
        problems.append(
            "generator.dtype: expected float32 or bfloat16, since no GPU is seen on this machine, "
            "found float16"
        )
    return problems


def _check_memory(config: Config) -> list[str]:
    memory = _physical_memory() / GIGABYTE
    if config.memory_gb <= memory:
        return []
    return [
        f"memory_gb: expected at most the {memory:.1f} GB of this machine, found "
        f"{config.memory_gb:g}"
    ]


def _check_memory_of_sessions(config: Config) -> list[str]:
    needed = _loader_bytes(config) / GIGABYTE
    if config.memory_gb >= needed:
        return []
    return [
        f"memory_gb: expected at least {needed:.1f} GB, what two sessions of "
        f"{config.dataset.root} take, found {config.memory_gb:g}"
    ]


def _check_disk(config: Config, *, readable: bool, whole: bool) -> list[str]:
    """List what there is no room for. readable: whether nothing is wrong with the dataset."""
    # Not the pixels: how many voxels are tested is not known before they are described, and a run
    # that could end is not to be refused. `mine check` says what they take at most.
    # Nor attributions where only some voxels are kept: which, their responses say.
    dataset = config.dataset
    whole = whole and dataset.least_ncsnr is None and dataset.least_noise_ceiling is None
    asked = (TOKENS, ATTRIBUTIONS) if whole else (TOKENS,)
    estimate = _estimate(config, readable=readable and whole).known
    parts = {what: estimate[what] / GIGABYTE for what in asked if estimate[what]}
    needed, free = sum(parts.values()), find_free(RESULTS) / GIGABYTE
    if free >= needed:
        return []
    sizes = [f"the {what} ({size:.1f} GB)" for what, size in parts.items()]
    return [
        f"{RESULTS}: expected {needed:.1f} GB of free disk for {' and '.join(sizes)} before "
        f"compression, found {free:.1f} GB"
    ]


def _estimate(config: Config, *, readable: bool) -> DiskUse:
    """Estimate what is yet to be written. readable: whether nothing is wrong with the dataset, so
    that the voxels of its regions can be counted."""
    try:
        images = {one: _count_images(config, [one]) for one in config.subjects}
        # Images that subjects share count once among all of them.
        images[ALL] = _count_images(config, config.subjects)
    except InputError:
        # Told already, among the problems of the dataset.
        images = {}
    voxels = _count_voxels(config) if readable else None
    shape = read_token_shape(config.backbone)
    side = read_side(config.generator)
    return estimate_disk(config, RESULTS, shape=shape, side=side, images=images, voxels=voxels)


def _count_voxels(config: Config) -> dict[tuple[str, str], int] | None:
    """Count the voxels of each region that each subject has, by subject and region; None where the
    dataset is yet to come. No response is read."""
    if _dataset_is_to_come(config):
        return None
    voxels = {}
    for subject in config.subjects:
        _, rois = _read_regions(config, subject)
        voxels |= {(subject, roi): size for roi, size in _count_members(rois).items()}
    return voxels


def _read_regions(config: Config, subject: str) -> tuple[Recording, xr.Dataset]:
    """Open a subject, and find which of its voxels belong to which region."""
    reader = open_dataset(config.dataset)
    recording = reader.read_subject(subject)
    rois = reader.read_rois(subject, rois=config.roi_references(), voxels=recording.voxels)
    return recording, rois


def _count_members(rois: xr.Dataset) -> dict[str, int]:
    sizes = rois["member"].sum("voxel").values
    return {str(roi): int(size) for roi, size in zip(rois["roi"].values, sizes, strict=True)}


def _physical_memory() -> float:
    """Return the machine's memory, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _loader_bytes(config: Config) -> float:
    """Return what two sessions of the largest subject take, in bytes; 0 where it is not known."""
    try:
        return 2 * open_dataset(config.dataset).measure_session(config.subjects)
    except InputError:
        # Told already, among the problems of the dataset.
        return 0.0


def _count_images(config: Config, subjects: Sequence[str]) -> int:
    """Return the number of distinct images that some subjects saw; an upper bound beforehand."""
    if _dataset_is_to_come(config):
        if config.demo is None:
            return NSD_SHARED + NSD_OWN * len(subjects)
        return config.demo.images_shared + len(subjects) * config.demo.images_unique
    return open_dataset(config.dataset).count_images(subjects)
