"""A random miniature of the Natural Scenes Dataset, in any of its formats.

What real subjects differ in is drawn: sessions that are missing, uneven repeats, voxels without
data in one session, an ROI that one subject lacks, the shape and the direction of the volume, the
chunks of HDF5, whether ncsnr is published.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel as nib
import numpy as np

from mine.demo import nsd_writer
from tests.data import surface_writer
from tests.reference import nsd_readers

FORMATS = {
    "nifti": ("func1pt8mm", nsd_readers.read_nifti),
    "hdf5": ("func1pt8mm", nsd_readers.read_hdf5),
    "nifti_1mm": ("func1mm", nsd_readers.read_nifti),
    "hdf5_1mm": ("func1mm", nsd_readers.read_hdf5),
    "nativesurface": ("nativesurface", nsd_readers.read_surface_hdf5),
    "fsaverage": ("fsaverage", nsd_readers.read_mgh),
}
SUBJECTS = ("subj01", "subj02")
BETAS = "betas_fithrf_GLMdenoise_RR"
TRIALS = 24
SESSIONS = 4
OWN, SHARED = 24, 6
FACES = {1: "OFA", 2: "FFA-1"}


class RandomNsd:
    """The dataset that a seed gives, written under a folder. regular: nothing is missing."""

    def __init__(self, root: Path, *, format: str, seed: int, regular: bool = False) -> None:
        self.root, self.format = Path(root), format
        self.space, self.read = FORMATS[format]
        self.random = random = np.random.default_rng([seed, *map(ord, format)])
        self.surface = not self.space.startswith("func")
        if self.surface:
            self.vertices = tuple(int(count) for count in random.integers(20, 50, 2))
            self.places = sum(self.vertices)
        else:
            self.shape = tuple(int(side) for side in random.integers(3, 7, 3))
            self.affine = np.diag([random.choice([-1.8, 1.8]), 1.8, 1.8, 1])
            # the middle lies near x = 0, so that both hemispheres have voxels
            self.affine[:3, 3] = -self.affine[:3, :3] @ (np.array(self.shape) / 2)
            self.places = int(np.prod(self.shape))
        images = OWN * 2 - SHARED
        identities = random.permutation(images)
        self.shared = np.sort(identities[:SHARED])
        self.subject_images = np.stack(
            [identities[:OWN], np.r_[identities[:SHARED], identities[OWN:]]]
        )
        repeats = 1 + random.multinomial(TRIALS * SESSIONS - OWN, np.full(OWN, 1 / OWN))
        self.ordering = random.permutation(np.repeat(np.arange(OWN), repeats))
        self.sessions = {}
        for subject in SUBJECTS:
            count = SESSIONS if regular else random.integers(1, SESSIONS + 1)
            chosen = np.arange(SESSIONS) if regular else random.permutation(SESSIONS)[:count]
            self.sessions[subject] = sorted(int(number) + 1 for number in chosen)
        self.published = bool(regular or random.random() < 0.5)
        self._write(regular)

    def _write(self, regular: bool) -> None:
        root, random = self.root, self.random
        count = OWN * 2 - SHARED
        pixels = random.integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
        nsd_writer.write_stimuli(root, pixels)
        nsd_writer.write_design(
            root,
            master_ordering=self.ordering + 1,
            subject_images=self.subject_images + 1,
            shared=self.shared + 1,
        )
        trials = {n + 1: self.subject_images[n][self.ordering] for n in range(2)}
        nsd_writer.write_stimulus_information(
            root,
            coco_ids=1000 + np.arange(count),
            shared=np.isin(np.arange(count), self.shared),
            trials=trials,
        )
        # cortex that both subjects share, as they share fsaverage
        general = np.where(random.random(self.places) < 0.6, 1, 0)
        general[:3] = general[-3:] = 1
        general = np.where(random.random(self.places) < 0.1, -1, general)
        for number, subject in enumerate(SUBJECTS):
            nsd_writer.write_behaviour(
                root,
                number + 1,
                trials=trials[number + 1][: TRIALS * max(self.sessions[subject])],
                subject_images=self.subject_images[number],
                trials_per_session=TRIALS,
            )
            faces = np.where(general >= 0, random.integers(0, 3, self.places), -1)
            faces[0] = faces[-1] = 2
            if subject == "subj02" and self.space != "fsaverage":
                faces[faces == 1] = 0
            ncsnr = np.abs(random.normal(0.6, 0.3, self.places))
            if not regular:
                ncsnr[random.random(self.places) < 0.05] = np.nan
            self._write_maps(number + 1, general, faces, ncsnr)
            for session in self.sessions[subject]:
                betas = random.normal(0.5, 2, (TRIALS, self.places))
                if not regular:
                    empty = random.random(self.places) < 0.04
                    betas[:, empty] = np.nan if self.space == "fsaverage" else 0
                self._write_session(number + 1, session, betas)

    def _write_maps(self, number: int, general, faces, ncsnr) -> None:
        root, subject = self.root, f"subj{number:02d}"
        t = self.random.normal(1, 2, self.places)
        if self.surface:
            owner = "fsaverage" if self.space == "fsaverage" else subject
            vertices = {"vertices": self.vertices}
            surface_writer.write_roi(
                root, owner, "nsdgeneral", general, {1: "nsdgeneral"}, **vertices
            )
            surface_writer.write_roi(root, owner, "floc-faces", faces, FACES, **vertices)
            surface_writer.write_localiser(root, owner, "faces", t, **vertices)
            places = self.random.normal(0, 30, (self.places, 3))
            surface_writer.write_places(root, owner, places, **vertices)
            if self.published:
                surface_writer.write_ncsnr(root, subject, ncsnr, space=self.space, **vertices)
            return
        at = {"affine": self.affine, "space": self.space}
        general, faces, ncsnr, t = (one.reshape(self.shape) for one in (general, faces, ncsnr, t))
        nsd_writer.write_roi(root, number, "nsdgeneral", general, {1: "nsdgeneral"}, **at)
        nsd_writer.write_roi(root, number, "floc-faces", faces, FACES, **at)
        nsd_writer.write_localiser(root, number, "faces", t, **at)
        nsd_writer.write_mean(root, number, np.full(self.shape, 100.0), **at)
        if self.published:
            nsd_writer.write_noise_ceiling_snr(root, number, ncsnr, **at)

    def _write_session(self, number: int, session: int, betas: np.ndarray) -> None:
        random, subject = self.random, f"subj{number:02d}"
        if self.surface:
            chunks = [None, (TRIALS, 1), (5, 7), (TRIALS, 20)][random.integers(4)]
            surface_writer.write_session(
                self.root,
                subject,
                session,
                betas,
                vertices=self.vertices,
                space=self.space,
                chunks=chunks,
            )
            return
        folder = self.root / "nsddata_betas/ppdata" / subject / self.space / BETAS
        folder.mkdir(parents=True, exist_ok=True)
        values = np.rint(betas * 300).astype(np.int16).reshape(TRIALS, *self.shape)
        path = folder / f"betas_session{session:02d}"
        if self.format.startswith("hdf5"):
            chunks = [None, (TRIALS, 1, 1, 1), (5, 2, 3, 2), (TRIALS, 2, 3, 1)][random.integers(4)]
            with h5py.File(f"{path}.hdf5", "w") as file:
                file.create_dataset("betas", data=values.transpose(0, 3, 2, 1), chunks=chunks)
            return
        nib.save(nib.Nifti1Image(values.transpose(1, 2, 3, 0), self.affine), f"{path}.nii.gz")

    @property
    def key(self) -> dict[str, str]:
        """What says where the betas are."""
        return {"space": self.space, "betas": BETAS}
