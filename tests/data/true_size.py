"""A subject of the size that NSD's first has: 81 × 104 × 83 voxels, 40 sessions of 750 trials.

Two sessions are written and linked under forty names. Run as a program it prepares the subject and
says as JSON how long that took, how long merely reading the files takes, and the largest memory.
"""

from __future__ import annotations

import gzip
import json
import os
import resource
import sys
import time
import zlib
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np

from mine.datasets import nsd
from mine.demo import nsd_writer
from mine.stages.responses import build_responses

SHAPE = (81, 104, 83)
TRIALS = 750
SESSIONS = 40
VOXELS = 15_724
IMAGES = 10_000
AFFINE = np.diag([1.8, 1.8, 1.8, 1.0])
FOLDER = "nsddata_betas/ppdata/subj01/func1pt8mm/betas_fithrf_GLMdenoise_RR"


def write_subject(root: Path, *, format: str, sessions: int = SESSIONS) -> None:
    """Write the design, nsdgeneral and the sessions of one subject."""
    random = np.random.default_rng(0)
    ordering = random.permutation(np.repeat(np.arange(IMAGES), 3)) + 1
    nsd_writer.write_design(
        root,
        master_ordering=ordering,
        subject_images=np.arange(1, IMAGES + 1)[None],
        shared=np.arange(1, 1001),
    )
    general = np.full(SHAPE, -1)
    # visual cortex lies behind
    behind = random.choice(81 * 45 * 83, VOXELS, replace=False)
    flat = np.zeros(81 * 45 * 83, dtype=int)
    flat[behind] = 1
    general[:, :45] = flat.reshape(81, 45, 83)
    nsd_writer.write_roi(root, 1, "nsdgeneral", general, {1: "nsdgeneral"}, affine=AFFINE)
    folder = root / FOLDER
    folder.mkdir(parents=True)
    written = [folder / f"betas_session{number:02d}.{format}" for number in (1, 2)]
    for number, path in enumerate(written):
        (_write_hdf5 if format == "hdf5" else _write_nifti)(path, seed=number)
    for number in range(3, sessions + 1):
        os.link(written[number % 2], folder / f"betas_session{number:02d}.{format}")


def _write_nifti(path: Path, *, seed: int) -> None:
    random = np.random.default_rng(seed)
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((*SHAPE, TRIALS))
    header.set_sform(AFFINE, code=1)
    header.set_slope_inter(1, 0)
    header["magic"], header["vox_offset"] = b"n+1", 352
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31)
    with open(path, "wb") as file:
        file.write(compressor.compress(header.binaryblock + bytes(4)))
        for _ in range(TRIALS):
            trial = random.normal(0, 600, int(np.prod(SHAPE))).astype("<i2")
            file.write(compressor.compress(trial.tobytes()))
        file.write(compressor.flush())


def _write_hdf5(path: Path, *, seed: int) -> None:
    """Chunked by voxel, as NSD's are."""
    random = np.random.default_rng(seed)
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset(
            "betas", (TRIALS, *SHAPE[::-1]), dtype="i2", chunks=(TRIALS, 1, 1, 1)
        )
        for plane in range(SHAPE[2]):
            values = random.normal(0, 600, (TRIALS, 1, *SHAPE[1::-1]))
            data[:, plane : plane + 1] = values.astype(np.int16)


def read_files(paths: list[Path]) -> None:
    """Read every byte of some files, and inflate those that are packed."""
    for path in paths:
        with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
            while file.read(2**24):
                pass


def read_chunks(paths: list[Path]) -> None:
    """Read the planes of HDF5 files in which there are voxels of nsdgeneral, whole."""
    for path in paths:
        with h5py.File(path) as file:
            data = file["betas"]
            for plane in range(data.shape[1]):
                data[:, plane, :45]


def measure(root: Path, format: str) -> dict[str, float]:
    """Seconds of processor time to read the files and to prepare the subject; gigabytes held."""
    paths = sorted((root / FOLDER).glob(f"betas_session*.{format}"))
    start = time.process_time()
    (read_chunks if format == "hdf5" else read_files)(paths)
    reading = time.process_time() - start
    start = time.process_time()
    responses = build_responses(
        nsd.read_subject(root, "subj01"),
        test="shared",
        standardise_on="training",
        least_ncsnr=None,
        least_noise_ceiling=None,
    )
    preparing = time.process_time() - start
    assert responses.sizes["voxel"] == VOXELS
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"reading": reading, "preparing": preparing, "peak": peak}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2])))
