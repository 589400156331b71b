"""NSD-synthetic: one more session of the same subjects, with images unlike those of the others.

284 images, in 744 trials: noise, manipulated scenes, words, gratings, and 64 coloured patterns that
each subject has of its own (Gifford et al. 2025, "A 7T fMRI dataset of synthetic images for
out-of-distribution modeling of vision"). Nothing is fitted on them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io

from mine.datasets import nsd_files, nsd_sessions, nsd_surfaces
from mine.datasets.nibabel_files import UNREADABLE
from mine.datasets.recording import Recording
from mine.datasets.voxels import VolumeVoxels, VoxelSet
from mine.errors import InputError

DESIGN = "nsddata/experiments/nsdsynthetic/nsdsynthetic_expdesign.mat"
STIMULI = "nsddata_stimuli/stimuli/nsdsynthetic/nsdsynthetic_stimuli.hdf5"
COLOURED = "nsddata_stimuli/stimuli/nsdsynthetic/nsdsynthetic_colorstimuli_{subject}.hdf5"


@dataclass(frozen=True)
class SyntheticStimuli:
    """The images of one subject: those that all have, then its coloured ones."""

    paths: tuple[Path, Path]
    counts: tuple[int, int]
    side: int

    def __len__(self) -> int:
        return sum(self.counts)

    def read(self, indices: Sequence[int] | np.ndarray) -> np.ndarray:
        """Images by number, from 0: uint8 (image, row, column, 3), the square in the middle.

        Of each value, as a share of 255, the square root is taken, as in the authors' own analyses:
        stored values stand for luminance, which a photograph's do not. NSD's own images filled the
        height of the screen, so the square is what they covered.
        """
        images = np.empty((len(indices), self.side, self.side, 3), dtype=np.uint8)
        for row, index in enumerate(np.asarray(indices, dtype=np.int64)):
            if not 0 <= index < len(self):
                raise InputError(
                    f"{self.paths[0]}: expected image {index}, found {len(self)} images (from 0)"
                )
            own = int(index >= self.counts[0])
            with nsd_files.open_hdf5(self.paths[own], "imgBrick") as file:
                image = file["imgBrick"][index - own * self.counts[0]]
            top, left = ((length - self.side) // 2 for length in image.shape[:2])
            image = image[top : top + self.side, left : left + self.side]
            images[row] = np.rint(np.sqrt(image / 255) * 255)
        return images


def open_synthetic_stimuli(root: Path, subject: str) -> SyntheticStimuli:
    """Open the images that a subject saw."""
    paths = (Path(root) / STIMULI, Path(root) / COLOURED.format(subject=subject))
    shapes = [nsd_files.read_image_shape(path) for path in paths]
    if shapes[0][1:] != shapes[1][1:]:
        raise InputError(
            f"{paths[1]}: expected images of shape {shapes[0][1:]} as in {paths[0].name}, found "
            f"{shapes[1][1:]}"
        )
    return SyntheticStimuli(paths, (shapes[0][0], shapes[1][0]), min(shapes[0][1:3]))


def read_synthetic(
    root: Path, subject: str, voxels: VoxelSet, *, space: str, betas: str
) -> Recording:
    """Open a subject's session of NSD-synthetic in the voxels that were fitted.

    All of its images are test images; identities count from 0 within NSD-synthetic. Trials of both
    tasks are taken alike, and so are those in which an image stands a second time in a row.
    """
    root = Path(root)
    file = _open_session(root, subject, space=space, betas=betas)
    shape = voxels.shape if isinstance(voxels, VolumeVoxels) else voxels.vertices
    if file.shape != tuple(shape):
        raise InputError(f"{file.path}: expected the shape {tuple(shape)}, found {file.shape}")
    affine = voxels.affine if isinstance(voxels, VolumeVoxels) else None
    if file.affine is not None and not np.allclose(file.affine, affine, rtol=0, atol=0.01):
        raise InputError(f"{file.path}: expected the affine of the other sessions, found another")
    images = read_order(root)
    if len(images) != file.trials:
        raise InputError(f"{file.path}: expected {len(images)} trials, found {file.trials}")

    def read_session(number: int) -> np.ndarray:
        if isinstance(voxels, VolumeVoxels):
            return nsd_sessions.read_session(file, voxels.ijk)
        return nsd_surfaces.read_session(file, voxels.index)

    return Recording(
        subject=subject,
        images=(images,),
        shared=np.unique(images),
        voxels=voxels,
        read_session=read_session,
        test=np.unique(images),
        attributes={"dataset": "NSD-synthetic", "subject": subject, "betas": betas},
    )


def read_order(root: Path) -> np.ndarray:
    """Number of the image that each trial shows, from 0, alike in all subjects: int64 (trial,)."""
    path = Path(root) / DESIGN
    if not path.is_file():
        raise InputError(f"{path}: expected the design of NSD-synthetic, found no file")
    try:
        content = scipy.io.loadmat(path, variable_names=["masterordering"])
    except (*UNREADABLE, scipy.io.matlab.MatReadError, NotImplementedError) as error:
        raise InputError(
            f"{path}: expected a MATLAB file, found one that is not: {error}"
        ) from None
    order = np.asarray(content.get("masterordering", ()))
    whole = order.dtype.kind in "iuf" and order.size and (order == np.rint(order)).all()
    if not whole or order.min() < 1:
        raise InputError(f"{path}: expected whole numbers from 1 as masterordering, found others")
    return order.astype(np.int64).ravel() - 1


def check_synthetic(root: Path, subject: str, *, space: str, betas: str) -> list[str]:
    """List what is wrong with a subject's files of NSD-synthetic, a sentence each."""
    problems, found = [], {}
    for name, read in (
        ("order", lambda: read_order(root)),
        ("stimuli", lambda: open_synthetic_stimuli(root, subject)),
        ("session", lambda: _open_session(root, subject, space=space, betas=betas)),
    ):
        try:
            found[name] = read()
        except InputError as error:
            problems.append(str(error))
    if "session" in found:
        try:
            nsd_sessions.check_length(found["session"])
        except InputError as error:
            problems.append(str(error))
    if "order" in found and "stimuli" in found and found["order"].max() >= len(found["stimuli"]):
        problems.append(
            f"{found['stimuli'].paths[1]}: expected image {found['order'].max()} of the design, "
            f"found {len(found['stimuli'])} images with those of all subjects"
        )
    if "order" in found and "session" in found and len(found["order"]) != found["session"].trials:
        problems.append(
            f"{found['session'].path}: expected {len(found['order'])} trials, found "
            f"{found['session'].trials}"
        )
    return problems


def _open_session(root: Path, subject: str, *, space: str, betas: str) -> nsd_sessions.Session:
    folder = nsd_files.betas_folder(root, subject, space, f"nsdsynthetic{betas}")
    side = "lh." if space in nsd_files.SURFACES else ""
    formats = nsd_sessions.list_formats(space)
    for suffix in formats:
        path = folder / f"{side}betas_nsdsynthetic.{suffix}"
        if path.is_file():
            return nsd_sessions.open_session(path, 1)
    names = " or ".join(f".{suffix}" for suffix in formats)
    raise InputError(
        f"{folder / f'{side}betas_nsdsynthetic'}: expected betas as {names}, found neither"
    )
