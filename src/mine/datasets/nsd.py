"""Read the Natural Scenes Dataset (Allen et al. 2022, Nature Neuroscience 25) as published.

``read_subject`` gives a Recording, from which a stage makes responses; ``read_rois`` gives the
ROIs of its voxels; ``read_images`` what is known about the images; ``Stimuli`` their pixels;
``check_nsd`` lists everything that is wrong, in seconds, before any of it is read whole. NsdReader
brings them together, as mine.datasets.reader wants them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import xarray as xr

from mine.datasets import coco, nsd_files, nsd_rois, nsd_sessions, nsd_surfaces, nsd_synthetic
from mine.datasets.images import ImageTable
from mine.datasets.images import Stimuli as StimulusReader
from mine.datasets.nsd_check import check_nsd
from mine.datasets.nsd_rois import read_rois
from mine.datasets.recording import Recording
from mine.datasets.voxels import SurfaceVoxels, VolumeVoxels, VoxelSet
from mine.errors import InputError
from mine.references import voxel_references
from mine.sections import Dataset

__all__ = ["NsdReader", "Stimuli", "check_nsd", "read_images", "read_rois", "read_subject"]

BETAS = "betas_fithrf_GLMdenoise_RR"
SPACE = "func1pt8mm"

log = logging.getLogger(__name__)


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
        with nsd_files.open_hdf5(self.path, "imgBrick") as file:
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
        problems = check_nsd(
            self.root,
            subjects=subjects,
            rois=rois,
            space=self.dataset.space,
            betas=self.dataset.betas,
            voxels=voxel_references(self.dataset),
            sessions=self.dataset.sessions,
            skip_missing=self.dataset.skip_missing_sessions,
            test=self.dataset.test_images,
            t_threshold=self.dataset.localiser_threshold or None,
            captions=self.captions,
            instances=self.instances,
        )
        if self.dataset.synthetic and self.root.is_dir():
            for subject in subjects:
                problems += nsd_synthetic.check_synthetic(
                    self.root, subject, space=self.dataset.space, betas=self.dataset.betas
                )
        return list(dict.fromkeys(problems))

    def list_categories(self) -> dict[str, str]:
        if coco.list_missing(self.instances):
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
                sizes.append(float(file.bytes))
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
            voxels=voxel_references(self.dataset),
            sessions=self.dataset.sessions,
            skip_missing=self.dataset.skip_missing_sessions,
            common=self.dataset.test_images == "shared_common",
        )

    def read_rois(self, subject: str, *, rois: Mapping[str, str], voxels: VoxelSet) -> xr.Dataset:
        threshold = self.dataset.localiser_threshold
        return read_rois(self.root, subject, rois=rois, voxels=voxels, t_threshold=threshold)

    def read_background(self, subject: str, voxels: VoxelSet) -> np.ndarray | None:
        """The mean functional volume."""
        return read_mean(self.root, subject, voxels) if isinstance(voxels, VolumeVoxels) else None

    def read_unseen(self, subject: str, voxels: VoxelSet) -> tuple[Recording, StimulusReader]:
        space, betas = self.dataset.space, self.dataset.betas
        recording = nsd_synthetic.read_synthetic(
            self.root, subject, voxels, space=space, betas=betas
        )
        return recording, nsd_synthetic.open_synthetic_stimuli(self.root, subject)


def open_stimuli(root: Path) -> Stimuli:
    """Open the stimuli of the dataset; the side of an image is whatever the file has."""
    return Stimuli(*nsd_files.open_stimulus_file(root))


def read_mean(root: Path, subject: str, voxels: VolumeVoxels) -> np.ndarray | None:
    """Read a subject's mean functional volume, float32 (X, Y, Z); None where there is none, or
    where it shows nothing, being constant.

    Raises InputError for a volume on another grid than that of the voxels.
    """
    path = nsd_files.subject_folder(root, subject, voxels.space) / "mean.nii.gz"
    if not path.is_file():
        return None
    grid = nsd_rois.find_grid(root, subject, voxels)
    values = nsd_files.match_map(nsd_files.read_volume(path), **grid)
    values = np.asarray(values, dtype=np.float32)
    return values if np.ptp(values) > 0 else None


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
    columns = [nsd_files.find_shown(root, table, subject) for subject in subjects]
    seen = np.array(columns, dtype=bool).reshape(len(columns), -1).T
    shown = seen.any(axis=1)
    table, seen = table[shown], seen[shown]
    coco_ids = table["cocoId"].to_numpy(dtype=np.int64)
    crop = coco.read_crops(table["cropBox"])
    texts = coco.read_captions(captions, coco_ids=coco_ids)
    categories = present = annotated = None
    if instances:
        categories, objects, _ = coco.read_instances(instances, coco_ids=coco_ids)
        present, annotated = coco.find_present(
            coco_ids, crop, categories=categories, instances=objects
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
        crop=crop,
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
    skip_missing: bool = False,
    common: bool = False,
) -> Recording:
    """Open one subject: which image each trial showed, which voxels, and how to read the betas.

    space: "func1pt8mm", "func1mm", "nativesurface" or "fsaverage". betas: folder of the betas'
    version. voxels: references of ROIs (see mine.datasets.nsd_rois), united. sessions: how many to
    use, from the first; all that are there by default. skip_missing: whether to go on where one of
    them is missing. common: whether to find out which images every subject saw three times, for
    which how far each of them came has to be known.

    Betas are read from HDF5 where both formats are there. Raises InputError for whatever is
    missing, damaged, of another shape or affine, or in disagreement with the design.
    """
    root = Path(root)
    files = nsd_sessions.open_sessions(
        root, subject, space=space, betas=betas, sessions=sessions, skip_missing=skip_missing
    )
    images = nsd_sessions.assign_images(root, subject, files)
    voxel_set, grid = _find_voxels(root, subject, files, voxels, space=space, betas=betas)
    index = voxel_set.index
    ncsnr = nsd_sessions.read_ncsnr(root, subject, space=space, betas=betas, **grid)
    behaviour = nsd_files.read_behaviour(root, subject)
    planned = files[-1].session if behaviour is None else int(behaviour["SESSION"].max())

    def read_session(number: int) -> np.ndarray:
        if isinstance(voxel_set, VolumeVoxels):
            return nsd_sessions.read_session(files[number], voxel_set.ijk)
        return nsd_surfaces.read_session(files[number], index)

    return Recording(
        subject=subject,
        images=images,
        shared=np.sort(nsd_files.read_design(root).shared),
        voxels=voxel_set,
        read_session=read_session,
        ncsnr=None if ncsnr is None else ncsnr.reshape(-1)[index].astype(np.float32),
        common=nsd_sessions.find_common(root) if common else None,
        attributes={
            "dataset": "Natural Scenes Dataset",
            "subject": subject,
            "betas": betas,
            "betas_format": ", ".join(sorted({file.format for file in files})),
            "sessions": len(files),
            "sessions_recorded": planned,
            "voxel_set": voxels if isinstance(voxels, str) else list(voxels),
        },
        files=tuple(path for file in files for path in file.paths),
    )


def _find_voxels(
    root: Path,
    subject: str,
    files: Sequence[nsd_sessions.Session],
    voxels: str | Sequence[str],
    *,
    space: str,
    betas: str,
) -> tuple[VoxelSet, dict[str, object]]:
    """The voxel set, and the shape and affine that every map of the subject has to have."""
    surface = space in nsd_files.SURFACES
    affine = None
    if not surface:
        affine = nsd_sessions.find_affine(root, subject, files, space=space, betas=betas)
    grid = {"shape": files[0].shape, "affine": affine, "of": files[0].path}
    mask = nsd_rois.read_mask(root, subject, voxels, space=space, **grid)
    found = nsd_sessions.place_voxels(mask, space=space, shape=files[0].shape, affine=affine)
    if isinstance(found, SurfaceVoxels):
        places = nsd_surfaces.read_positions(root, subject, files[0], space=space)
        if places is None:
            log.info("%s: no surfaces are there, so that vertices have no places", subject)
            return found, grid
        return replace(found, millimetres=places[found.index]), grid
    hemisphere = nsd_rois.read_hemisphere(
        root, subject, found.ijk, space=space, shape=files[0].shape
    )
    return replace(found, hemisphere=hemisphere), grid
