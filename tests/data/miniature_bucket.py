"""A miniature of the Natural Scenes Dataset as its bucket holds it, with more than is asked for."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mine.datasets.nsd_required import Selection
from mine.demo import nsd_writer

SHAPE = (7, 9, 11)
AFFINE = np.array([[1.8, 0, 0, -6.3], [0, 1.8, 0, -8], [0, 0, 1.8, -10], [0, 0, 0, 1.0]])
SESSIONS = {1: 2, 2: 1}
TRIALS = 60
OWN, SHARED = 40, 8
IMAGES = 2 * OWN - SHARED
SIDE = 170
VISUAL = {1: "V1v", 2: "V1d"}
FACES = {1: "OFA", 2: "FFA-1"}
FOLDER = "nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR"
STIMULI = "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5"


def select(**changes: object) -> Selection:
    """What the tests ask for, with changes."""
    chosen = {
        "subjects": ["subj01", "subj02"],
        "space": "func1pt8mm",
        "betas": "betas_fithrf_GLMdenoise_RR",
        "format": "hdf5",
        "sessions": None,
        "voxels": ["nsdgeneral"],
        "references": ["FFA-1", "prf-visualrois:V1v"],
        "contrasts": ["faces"],
    }
    return Selection(**{**chosen, **changes})


def write_bucket(root: Path) -> None:
    """Write what the bucket holds; the stimuli are large enough to be uploaded in parts."""
    random = np.random.default_rng(8)
    identities = random.permutation(IMAGES)
    shared = identities[:SHARED]
    own = [np.concatenate([shared, part]) for part in np.split(identities[SHARED:], 2)]
    ordering = random.permutation(np.repeat(np.arange(OWN), 3))
    images = random.integers(0, 256, (IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
    nsd_writer.write_stimuli(root, images)
    nsd_writer.write_design(
        root,
        master_ordering=ordering + 1,
        subject_images=np.stack(own) + 1,
        shared=np.sort(shared) + 1,
    )
    brain = random.random(SHAPE) < 0.7
    trials = {}
    for subject, sessions in SESSIONS.items():
        trials[subject] = own[subject - 1][ordering][: sessions * TRIALS]
        write_subject(root, subject, brain, trials[subject], own[subject - 1], random)
    nsd_writer.write_stimulus_information(
        root,
        coco_ids=1000 + np.arange(IMAGES),
        shared=np.isin(np.arange(IMAGES), shared),
        trials=trials,
    )


def write_subject(
    root: Path,
    subject: int,
    brain: np.ndarray,
    trials: np.ndarray,
    images: np.ndarray,
    random: np.random.Generator,
) -> None:
    ijk = np.argwhere(brain)
    grid = {"affine": AFFINE}
    nsd_writer.write_behaviour(
        root, subject, trials=trials, subject_images=images, trials_per_session=TRIALS
    )
    nsd_writer.write_brain_mask(root, subject, brain, **grid)
    nsd_writer.write_mean(root, subject, brain * 100.0, **grid)
    for name, labels in {
        "nsdgeneral": {1: "nsdgeneral"},
        "prf-visualrois": VISUAL,
        # Only the first subject has FFA-1, and a third atlas calls a region V1v too.
        "floc-faces": FACES if subject == 1 else {1: "OFA"},
        "Kastner2015": {1: "V1v", 2: "IPS0"},
    }.items():
        volume = np.where(brain, random.integers(0, len(labels) + 1, SHAPE), -1)
        nsd_writer.write_roi(root, subject, name, volume, labels, **grid)
    ncsnr = np.abs(random.normal(0.5, 0.3, SHAPE))
    nsd_writer.write_noise_ceiling_snr(root, subject, ncsnr, **grid)
    nsd_writer.write_noise_ceiling_snr(root, subject, ncsnr, split=1, **grid)
    for contrast in ("faces", "bodies"):
        nsd_writer.write_localiser(root, subject, contrast, random.normal(1, 2, SHAPE), **grid)
    for session in range(1, SESSIONS[subject] + 1):
        betas = random.normal(0.5, 2, (TRIALS, len(ijk)))
        nsd_writer.write_valid_session(root, subject, session, brain, **grid)
        for format in ("hdf5", "nii.gz"):
            nsd_writer.write_session(
                root, subject, session, betas, ijk=ijk, shape=SHAPE, format=format, **grid
            )
        nsd_writer.write_session(
            root,
            subject,
            session,
            betas,
            ijk=ijk,
            shape=SHAPE,
            format="nii.gz",
            version="betas_assumehrf",
            **grid,
        )
