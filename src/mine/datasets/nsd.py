"""Read the Natural Scenes Dataset (Allen et al. 2022, Nature Neuroscience 25) as published.

``read_subject`` gives a Recording, from which a stage makes responses; ``read_rois`` gives the
ROIs of its voxels; ``read_images`` what is known about the images; ``Stimuli`` their pixels;
``check_nsd`` lists everything that is wrong, in seconds, before any of it is read whole. NsdReader
brings them together, as mine.datasets.reader wants them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import xarray as xr

from mine.datasets import coco, nsd_files, nsd_rois, nsd_sessions
from mine.datasets.images import ImageTable
from mine.datasets.nsd_check import check_nsd
from mine.datasets.nsd_rois import read_rois
from mine.datasets.recording import Recording
from mine.datasets.voxels import VolumeVoxels, VoxelSet
from mine.errors import InputError
from mine.sections import Dataset

__all__ = ["NsdReader", "Stimuli", "check_nsd", "read_images", "read_rois", "read_subject"]

BETAS = "betas_fithrf_GLMdenoise_RR"
SPACE = "func1pt8mm"


@dataclass(frozen=True)
class Stimuli:
    """The images of nsd_stimuli.hdf5, read as they are asked for."""

    path: Path
    shape: tuple[int, int, int, int]

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Images by nsdId (from 0), in the order asked for: uint8 (image, row, column, 3).

        Each stored chunk is read once, in the order of the file.
        """
        indices = np.asarray(indices, dtype=np.int64)
        wrong = indices[(indices < 0) | (indices >= self.shape[0])]
        if len(wrong):
            raise InputError(
                f"{self.path}: expected image {wrong[0]}, found {self.shape[0]} images (from 0)"
            )
        images = np.empty((len(indices), *self.shape[1:]), dtype=np.uint8)
        order = np.argsort(indices, kind="stable")
        with h5py.File(self.path, "r") as file:
            data = file["imgBrick"]
            step = data.chunks[0] if data.chunks else 1
            chunk = indices[order] // step
            for part in np.split(order, np.flatnonzero(np.diff(chunk)) + 1):
                if len(part):
                    start, stop = indices[part[0]], indices[part[-1]] + 1
                    images[part] = data[start:stop][indices[part] - start]
        return images


@dataclass(frozen=True)
class NsdReader:
    """NSD in the folder that a configuration names."""

    dataset: Dataset

    @property
    def root(self) -> Path:
        return Path(self.dataset.root)

    @property
    def instances(self) -> list[Path]:
        return [Path(path) for path in self.dataset.instances]

    @property
    def captions(self) -> list[Path]:
        return [Path(path) for path in self.dataset.captions]

    def check(self, *, subjects: Sequence[str], rois: Mapping[str, str]) -> list[str]:
        return check_nsd(
            self.root,
            subjects=subjects,
            rois=rois,
            space=self.dataset.space,
            betas=self.dataset.betas,
            voxels=self.dataset.voxels,
            sessions=self.dataset.sessions,
            t_threshold=self.dataset.localiser_threshold or None,
            captions=self.captions,
            instances=self.instances,
        )

    def list_categories(self) -> dict[str, str]:
        if not all(path.is_file() for path in self.instances):
            return {}
        return coco.read_categories(self.instances)

    def list_contrasts(self, subjects: Sequence[str]) -> list[str]:
        space = self.dataset.space
        found = [nsd_rois.list_contrasts(self.root, one, space=space) for one in subjects]
        return sorted({contrast for contrasts in found for contrast in contrasts})

    def count_images(self, subjects: Sequence[str]) -> int:
        design = nsd_files.read_design(self.root)
        return len({image for subject in subjects for image in design.trial_images(subject)})

    def measure_session(self, subjects: Sequence[str]) -> float:
        sizes = [0.0]
        for subject in subjects:
            found = nsd_sessions.find_sessions(
                self.root, subject, space=self.dataset.space, betas=self.dataset.betas
            )
            for session, paths in list(found.items())[:1]:
                file = nsd_sessions.open_session(paths[0], session)
                sizes.append(2.0 * float(np.prod(file.shape)) * file.trials)
        return max(sizes)

    def read_images(self, subjects: Sequence[str]) -> ImageTable:
        return read_images(
            self.root, subjects=subjects, captions=self.captions, instances=self.instances
        )

    def open_stimuli(self) -> Stimuli:
        return open_stimuli(self.root)

    def read_subject(self, subject: str) -> Recording:
        return read_subject(
            self.root,
            subject,
            space=self.dataset.space,
            betas=self.dataset.betas,
            voxels=self.dataset.voxels,
            sessions=self.dataset.sessions,
        )

    def read_rois(self, subject: str, *, rois: Mapping[str, str], voxels: VoxelSet) -> xr.Dataset:
        threshold = self.dataset.localiser_threshold
        return read_rois(self.root, subject, rois=rois, voxels=voxels, t_threshold=threshold)


def open_stimuli(root: Path) -> Stimuli:
    """Open the stimuli of the dataset; the side of an image is whatever the file has."""
    return Stimuli(*nsd_files.open_stimulus_file(root))


def read_images(
    root: Path,
    *,
    subjects: Sequence[str],
    captions: Sequence[Path] = (),
    instances: Sequence[Path] = (),
) -> ImageTable:
    """What is known about the images that the experiment shows to any of the subjects.

    captions, instances: COCO's files. NSD shows a square cut out of the COCO image, so a category
    counts as present only where that square leaves enough of one of its objects
    (:func:`mine.datasets.coco.find_present`).
    Raises InputError for a subject that nsd_stim_info_merged.csv lacks.
    """
    root = Path(root)
    table = nsd_files.read_information(root)
    columns = []
    for subject in subjects:
        column = f"subject{nsd_files.subject_number(subject)}"
        if column not in table:
            raise InputError(
                f"{root / nsd_files.INFORMATION}: expected a column {column}, found none"
            )
        columns.append(table[column].to_numpy() != 0)
    seen = np.array(columns, dtype=bool).reshape(len(columns), -1).T
    shown = seen.any(axis=1)
    table, seen = table[shown], seen[shown]
    coco_ids = table["cocoId"].to_numpy(dtype=np.int64)
    texts = coco.read_captions(captions, coco_ids=coco_ids)
    categories = present = annotated = None
    if instances:
        categories, objects = coco.read_instances(instances, coco_ids=coco_ids)
        present, annotated = coco.find_present(
            coco_ids, table["cropBox"], categories=categories, instances=objects
        )
    shared = table["shared1000"].to_numpy(dtype=bool)
    return ImageTable(
        identity=table["nsdId"].to_numpy(dtype=np.int64),
        source=str(root),
        subjects=list(subjects),
        seen=seen,
        shared=shared,
        held_out=shared,
        captions=[texts.get(int(image), []) for image in coco_ids],
        coco_id=coco_ids,
        categories=categories,
        present=present,
        annotated=annotated,
    )


def read_subject(
    root: Path,
    subject: str,
    *,
    space: str = SPACE,
    betas: str = BETAS,
    voxels: str | Sequence[str] = "nsdgeneral",
    sessions: int | None = None,
) -> Recording:
    """Open one subject: which image each trial showed, which voxels, and how to read the betas.

    space: "func1pt8mm" or "func1mm". betas: folder of the betas' version. voxels: references of
    ROIs (see mine.datasets.nsd_rois), united. sessions: how many to use, from the first; all that
    are there by default.

    Betas are read from HDF5 where both formats are there. Raises InputError for whatever is
    missing, damaged, of another shape or affine, or in disagreement with the design.
    """
    root = Path(root)
    files = nsd_sessions.open_sessions(root, subject, space=space, betas=betas, sessions=sessions)
    images = nsd_sessions.assign_images(root, subject, files)
    affine = nsd_sessions.find_affine(root, subject, files, space=space, betas=betas)
    first = files[0]
    grid = {"shape": first.shape, "affine": affine, "of": first.path}
    mask = nsd_rois.read_mask(root, subject, voxels, space=space, **grid)
    ijk = np.argwhere(mask)
    hemisphere = nsd_rois.read_hemisphere(root, subject, ijk, space=space, shape=first.shape)
    path = nsd_files.betas_folder(root, subject, space, betas) / "ncsnr.nii.gz"
    ncsnr = None
    if path.is_file():
        volume = nsd_files.match_volume(nsd_files.read_volume(path), **grid)
        ncsnr = volume[mask].astype(np.float32)
    behaviour = nsd_files.read_behaviour(root, subject)
    planned = len(files) if behaviour is None else int(behaviour["SESSION"].max())
    return Recording(
        subject=subject,
        images=images,
        shared=np.sort(nsd_files.read_design(root).shared),
        voxels=VolumeVoxels(
            ijk=ijk, shape=first.shape, affine=affine, hemisphere=hemisphere, space=space
        ),
        read_session=lambda number: nsd_sessions.read_session(files[number], ijk),
        ncsnr=ncsnr,
        attributes={
            "dataset": "Natural Scenes Dataset",
            "subject": subject,
            "betas": betas,
            "betas_format": ", ".join(sorted({file.format for file in files})),
            "sessions": len(files),
            "sessions_recorded": planned,
            "voxel_set": voxels if isinstance(voxels, str) else list(voxels),
        },
    )
