"""Read an experiment of one's own: a folder of images, tables of trials, responses, masks and ROIs.

The tables are in folder_tables, what belongs together in folder_sessions, the formats in series and
grids; FolderReader brings them together, as mine.datasets.reader wants them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from mine.datasets import coco, folder_rois, folder_sessions, folder_tables
from mine.datasets.folder_check import check_folder, check_keys
from mine.datasets.folder_sessions import Session
from mine.datasets.folder_tables import ImageList, Trials
from mine.datasets.grids import Grid
from mine.datasets.image_files import ImageFiles, find_crop, measure_upright
from mine.datasets.images import ImageTable
from mine.datasets.recording import Recording
from mine.datasets.rois import describe_rois
from mine.datasets.series import Series
from mine.datasets.voxels import VoxelSet
from mine.errors import InputError
from mine.references import voxel_references
from mine.sections import Dataset

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """A subject's trials and files, of which nothing but headers has been read."""

    trials: Trials
    sessions: list[Session]
    series: list[Series]

    @property
    def grid(self) -> Grid:
        return self.series[0].grid

    def tell_trial(self, session: int, trial: int) -> str:
        """Say where the response of a trial is: its file, its place there, its row."""
        one = self.sessions[session]
        piece = next(piece for piece in one.pieces if trial in piece.place)
        inside = int(piece.inside[np.flatnonzero(piece.place == trial)[0]])
        row = one.rows[trial]
        return (
            f"{self.series[piece.series].path}, response {inside + 1} "
            f"({self.trials.name([row])}, line {self.trials.line[row]})"
        )


@dataclass(frozen=True)
class FolderReader:
    """The experiment in the folder that a configuration names."""

    dataset: Dataset

    @property
    def root(self) -> Path:
        return Path(self.dataset.root)

    def check(self, *, subjects: Sequence[str], rois: Mapping[str, str]) -> list[str]:
        return check_folder(self.dataset, subjects=subjects, rois=rois)

    def list_categories(self) -> dict[str, str]:
        if self.dataset.instances:
            paths = [Path(path) for path in self.dataset.instances]
            return {} if coco.list_missing(paths) else coco.read_categories(paths)
        try:
            images = self._read_list()
        except InputError:
            # told among the problems of the dataset
            return {}
        return {name: "" for name in _name_categories(images)}

    def list_contrasts(self, subjects: Sequence[str]) -> list[str]:
        found = [
            folder_rois.list_contrasts(self.root, one, self.dataset.folder) for one in subjects
        ]
        return sorted({contrast for contrasts in found for contrast in contrasts})

    def count_images(self, subjects: Sequence[str]) -> int:
        images = self._read_list()
        trials = [self._read_trials(subject, images).image for subject in subjects]
        return len(np.unique([image for part in trials for image in part if image >= 0]))

    def measure_session(self, subjects: Sequence[str]) -> float:
        sizes = [0.0]
        images = self._read_list()
        for subject in subjects:
            opened = self._open(subject, images)
            longest = max(len(session.images) for session in opened.sessions)
            sizes.append(4.0 * longest * len(self._find_voxels(subject, opened)))
        return max(sizes)

    def read_images(self, subjects: Sequence[str]) -> ImageTable:
        images = self._read_list()
        count = len(images.names)
        seen = np.zeros((count, len(subjects)), dtype=bool)
        held_out = np.zeros(count, dtype=bool)
        for number, subject in enumerate(subjects):
            trials = self._read_trials(subject, images)
            seen[np.unique(trials.image[trials.image >= 0]), number] = True
            held_out[self._find_test(trials, images)] = True
        shown = np.flatnonzero(seen.any(axis=1))
        return ImageTable(
            identity=shown,
            source=str(images.path),
            subjects=list(subjects),
            seen=seen[shown],
            shared=seen[shown].all(axis=1),
            held_out=held_out[shown],
            captions=self._read_captions(images, shown),
            coco_id=None if images.coco_id is None else images.coco_id[shown],
            name=np.array([images.names[image] for image in shown], dtype=np.str_),
            **self._annotate(images, shown),
        )

    def open_stimuli(self) -> ImageFiles:
        return self._read_list().open(self.dataset.folder.image_side)

    def read_subject(self, subject: str) -> Recording:
        folder, images = self.dataset.folder, self._read_list()
        opened = self._open(subject, images)
        flat = self._find_voxels(subject, opened)
        ncsnr = None
        if folder.ncsnr is not None:
            ncsnr = folder_rois.read_ncsnr(
                self.root, subject, folder.ncsnr, grid=opened.grid, flat=flat
            )
        test = self._find_test(opened.trials, images)
        repeats = opened.trials.repeats if folder.averaged else None
        sessions = opened.sessions
        return Recording(
            subject=subject,
            images=tuple(session.images for session in sessions),
            shared=test,
            voxels=opened.grid.select(flat, space=folder.space),
            read_session=lambda number: folder_sessions.read_session(
                sessions[number], opened.series, flat
            ),
            ncsnr=ncsnr,
            test=test,
            averaged=folder.averaged,
            repeats=None if repeats is None else repeats[sessions[0].rows],
            attributes={
                "dataset": "folder",
                "subject": subject,
                "sessions": len(sessions),
                "voxel_set": list(self.dataset.voxels),
            },
            files=tuple(file for series in opened.series for file in series.files),
            labels=tuple(session.label for session in sessions if session.label),
            drawn=folder_tables.find_test_images(opened.trials, images) is None,
            responses=sum(series.trials for series in opened.series),
            tell_trial=opened.tell_trial,
        )

    def read_rois(self, subject: str, *, rois: Mapping[str, str], voxels: VoxelSet) -> xr.Dataset:
        folder = self.dataset.folder
        grid = self._open(subject, self._read_list()).grid
        found, absent = folder_rois.find_members(
            self.root, subject, folder, rois=rois, grid=grid, flat=voxels.index
        )
        return describe_rois(
            subject,
            voxels=voxels,
            found=found,
            absent=absent,
            t_values=folder_rois.read_localiser(
                self.root, subject, folder, grid=grid, flat=voxels.index
            ),
        )

    def read_background(self, subject: str, voxels: VoxelSet) -> None:
        """None: no key names an anatomy, so maps show the voxels that were fitted."""

    def _read_list(self) -> ImageList:
        problems = check_keys(self.dataset)
        if problems:
            raise InputError(problems[0])
        return folder_tables.read_image_list(self.root, self.dataset.folder)

    def _read_trials(self, subject: str, images: ImageList) -> Trials:
        return folder_tables.read_trials(self.root, subject, self.dataset.folder, images)

    def _find_test(self, trials: Trials, images: ImageList) -> np.ndarray:
        return folder_tables.find_test(self.dataset, trials, images)

    def _open(self, subject: str, images: ImageList) -> Opened:
        folder, trials = self.dataset.folder, self._read_trials(subject, images)
        limit = self.dataset.sessions
        files = folder_sessions.find_response_files(
            self.root, subject, folder, trials, sessions=limit
        )
        mask = folder_sessions.read_table_mask(self.root, subject, folder)
        series = [folder_sessions.open_file(file, mask) for file in files]
        numbers = []
        for file, one in zip(files, series, strict=True):
            folder_sessions.check_alike(one, series[0])
            numbers.append(
                folder_sessions.number_trials(file, one, trials, averaged=folder.averaged)
            )
        sessions = folder_sessions.make_sessions(
            trials, files, numbers, sessions=limit, together=folder.averaged
        )
        return Opened(trials, sessions, series)

    def _find_voxels(self, subject: str, opened: Opened) -> np.ndarray:
        return folder_rois.read_voxels(
            self.root,
            subject,
            self.dataset.folder,
            references=voxel_references(self.dataset),
            grid=opened.grid,
            columns=opened.series[0].columns,
        )

    def _read_captions(self, images: ImageList, shown: np.ndarray) -> list[list[str]]:
        """Captions of some images: the table's own, of an image without any those of COCO."""
        captions = [list(images.captions[image]) for image in shown]
        if images.coco_id is None or not self.dataset.captions:
            return captions
        identities = images.coco_id[shown]
        paths = [Path(path) for path in self.dataset.captions]
        texts = coco.read_captions(paths, coco_ids=identities)
        return [
            own or texts.get(int(one), []) for own, one in zip(captions, identities, strict=True)
        ]

    def _annotate(self, images: ImageList, shown: np.ndarray) -> dict[str, Any]:
        """What is known of the objects in some images, as ImageTable calls it."""
        if images.coco_id is not None and self.dataset.instances:
            return self._read_objects(images, shown)
        if images.categories is None:
            return {}
        names = _name_categories(images)
        own = [images.categories[image] for image in shown]
        present = np.array(
            [[name in (one or []) for name in names] for one in own], dtype=bool
        ).reshape(len(shown), len(names))
        annotated = np.array([one is not None for one in own], dtype=bool)
        return {"categories": dict.fromkeys(names, ""), "present": present, "annotated": annotated}

    def _read_objects(self, images: ImageList, shown: np.ndarray) -> dict[str, Any]:
        """The same from COCO's files, by what image_side leaves of each image."""
        identities = images.coco_id[shown]
        paths = [Path(path) for path in self.dataset.instances]
        categories, objects, sizes = coco.read_instances(paths, coco_ids=identities)
        crop = self._find_crops([images.paths[image] for image in shown], identities, sizes)
        unknown = np.isnan(crop).any(axis=1)
        # what shows an unknown part may show all of it
        cut = np.where(unknown[:, None], 0.0, crop)
        present, annotated = coco.find_present(
            identities, cut, categories=categories, instances=objects
        )
        if (annotated & unknown).any():
            log.info(
                "%s: %d of %d images that are annotated have other proportions than COCO's; which "
                "part they show is not known, and all objects of COCO's count",
                images.path,
                int((annotated & unknown).sum()),
                int(annotated.sum()),
            )
        return {
            "categories": categories,
            "present": present,
            "annotated": annotated,
            "crop": None if unknown.all() else crop,
        }

    def _find_crops(
        self, paths: Sequence[Path], identities: np.ndarray, sizes: Mapping[int, tuple[int, int]]
    ) -> np.ndarray:
        """Share of COCO's images cut away to show some files: float64 (image, 4), as ImageTable has
        it. sizes: of COCO's images. A file of other proportions shows a part that nothing tells."""
        crops = np.full((len(paths), 4), np.nan)
        for row, (path, image) in enumerate(zip(paths, identities.tolist(), strict=True)):
            if image in sizes:
                size = measure_upright(path)
                if coco.has_shape(size, sizes[image]):
                    crops[row] = find_crop(size, side=self.dataset.folder.image_side)
        return crops


def _name_categories(images: ImageList) -> list[str]:
    return sorted({name for one in images.categories or [] for name in one or []})
