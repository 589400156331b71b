"""Write data in the Natural Scenes Dataset's own on-disk layout.

One small function per kind of file. Everything is written the way NSD has it (Allen et al. 2022,
Nature Neuroscience 25; the NSD data manual): indices in the design start at 1, betas are int16
percent signal change × 300, HDF5 betas are chunked by voxel, ROI volumes hold -1, 0 and labels.
Output is free of timestamps, so that the same arrays always give the same bytes in NIfTI and text.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
import scipy.io

BETA_SCALE = 300
BETAS = "betas_fithrf_GLMdenoise_RR"
SPACE = "func1pt8mm"
SUBJECTS = 8
RUNS = 12
"""In a session."""


def subject_name(number: int) -> str:
    """NSD's name of a subject: 1 -> "subj01"."""
    return f"subj{number:02d}"


def write_stimuli(root: Path, images: np.ndarray, *, chunk: int = 1) -> Path:
    """Write nsd_stimuli.hdf5 with its dataset ``imgBrick``.

    images: uint8 (image, row, column, 3). chunk: images per HDF5 chunk.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            f"images must be uint8 (image, row, column, 3); found {images.dtype} {images.shape}"
        )
    path = _prepare(root, "nsddata_stimuli/stimuli/nsd/nsd_stimuli.hdf5")
    with h5py.File(path, "w", track_order=False) as file:
        file.create_dataset(
            "imgBrick", data=images, chunks=(min(chunk, len(images)), *images.shape[1:])
        )
    return path


def write_design(
    root: Path, *, master_ordering: np.ndarray, subject_images: np.ndarray, shared: np.ndarray
) -> Path:
    """Write nsd_expdesign.mat.

    master_ordering: (trial,) from 1, into a subject's images; the same for all subjects.
    subject_images: (subject, image) from 1, into all images, the shared ones first.
    shared: (image,) from 1, into all images.
    """
    subject_images = np.asarray(subject_images)
    if min(np.min(master_ordering), subject_images.min(), np.min(shared)) < 1:
        raise ValueError("indices of the design start at 1")
    path = _prepare(root, "nsddata/experiments/nsd/nsd_expdesign.mat")
    scipy.io.savemat(
        path,
        {
            "masterordering": np.asarray(master_ordering, dtype=np.float64).reshape(1, -1),
            "subjectim": subject_images.astype(np.float64),
            "sharedix": np.asarray(shared, dtype=np.float64).reshape(1, -1),
        },
        do_compression=True,
    )
    # scipy writes the time into the text that a MAT-file begins with.
    with open(path, "r+b") as file:
        file.write(b"MATLAB 5.0 MAT-file".ljust(116))
    return path


def write_stimulus_information(
    root: Path,
    *,
    coco_ids: np.ndarray,
    shared: np.ndarray,
    trials: Mapping[int, np.ndarray],
    crop_box: Sequence[tuple[float, float, float, float]] | None = None,
) -> Path:
    """Write nsd_stim_info_merged.csv: one row per image, in the order of nsdId.

    coco_ids: (image,) COCO identity of each image. shared: bool (image,).
    trials: subject number from 1 -> (trial,) nsdId from 0 of every trial of that subject; what it
    saw is what was planned for it. crop_box: per image, fractions cut away (top, bottom, left,
    right).
    """
    coco_ids = np.asarray(coco_ids)
    count = len(coco_ids)
    boxes = [(0, 0, 0, 0)] * count if crop_box is None else crop_box
    columns: dict[str, object] = {
        "cocoId": coco_ids,
        "cocoSplit": "train2017",
        "cropBox": [str(tuple(box)) for box in boxes],
        "loss": np.zeros(count),
        "nsdId": np.arange(count),
        "flagged": np.zeros(count, dtype=bool),
        "BOLD5000": np.zeros(count, dtype=bool),
        "shared1000": np.asarray(shared, dtype=bool),
    }
    numbers = range(1, max([SUBJECTS, *trials]) + 1)
    for number in numbers:
        saw = np.isin(np.arange(count), trials.get(number, ()))
        columns[f"subject{number}"] = saw.astype(int)
    for number in numbers:
        shown = _find_repeats(np.asarray(trials.get(number, ()), dtype=np.int64), count)
        for repeat in range(3):
            columns[f"subject{number}_rep{repeat}"] = shown[:, repeat]
    path = _prepare(root, "nsddata/experiments/nsd/nsd_stim_info_merged.csv")
    pd.DataFrame(columns).to_csv(path)
    return path


def write_behaviour(
    root: Path,
    subject: int,
    *,
    trials: np.ndarray,
    subject_images: np.ndarray,
    trials_per_session: int,
) -> Path:
    """Write responses.tsv of a subject who was shown images but whose answers are not known.

    trials: (trial,) nsdId from 0. subject_images: (image,) nsdId from 0, in the design's order.
    Columns that describe an answer are NaN and MISSINGDATA is 1.
    """
    trials = np.asarray(trials, dtype=np.int64)
    index = np.arange(len(trials))
    in_session = index % trials_per_session
    run = in_session * RUNS // trials_per_session
    run_start = -(-run * trials_per_session // RUNS)
    place = {int(image): rank for rank, image in reversed(list(enumerate(subject_images, 1)))}
    is_old = np.ones(len(trials), dtype=int)
    is_old[np.unique(trials, return_index=True)[1]] = 0
    session = index // trials_per_session
    table = pd.DataFrame(
        {
            "SUBJECT": subject,
            "SESSION": session + 1,
            "RUN": run + 1,
            "TRIAL": in_session - run_start + 1,
            "73KID": trials + 1,
            "10KID": [place[int(image)] for image in trials],
            # MATLAB day numbers, a session a day, a trial every four seconds
            "TIME": (session + 1 + in_session * 4 / 86400).round(8),
            "ISOLD": is_old,
        }
    )
    for column in ("ISCORRECT", "RT", "CHANGEMIND", "MEMORYRECENT", "MEMORYFIRST"):
        table[column] = np.nan
    for column in ("ISOLDCURRENT", "ISCORRECTCURRENT", "TOTAL1", "TOTAL2", "BUTTON"):
        table[column] = np.nan
    table["MISSINGDATA"] = 1
    path = _prepare(root, f"nsddata/ppdata/{subject_name(subject)}/behav/responses.tsv")
    table.to_csv(path, sep="\t", index=False, na_rep="NaN")
    return path


def write_session(
    root: Path,
    subject: int,
    session: int,
    betas: np.ndarray,
    *,
    ijk: np.ndarray,
    shape: tuple[int, int, int],
    affine: np.ndarray,
    format: str = "nii.gz",
    space: str = SPACE,
    version: str = BETAS,
) -> Path:
    """Write one session of single-trial betas, int16 percent signal change × 300.

    betas: (trial, voxel), percent signal change; zero everywhere else in the volume.
    ijk: (voxel, 3) place of each voxel; shape: of the volume; affine: (4, 4) voxel to millimetre.
    format: "nii.gz" gives (X, Y, Z, trial), "hdf5" the dataset ``betas``, which h5py sees as
    (trial, Z, Y, X), chunked by voxel as NSD's is.
    Raises ValueError if a beta does not fit into int16.
    """
    betas = np.asarray(betas)
    ijk = np.asarray(ijk)
    if betas.ndim != 2 or ijk.shape != (betas.shape[1], 3):
        raise ValueError(
            f"betas must be (trial, voxel) and ijk (voxel, 3); found {betas.shape}, {ijk.shape}"
        )
    scaled = np.rint(betas * np.float32(BETA_SCALE))
    if not np.abs(scaled).max(initial=0) <= np.iinfo(np.int16).max:
        raise ValueError("betas must be finite and within int16 / 300, i.e. 109 percent")
    # both formats lay the volume out with X fastest and the trial slowest
    volume = np.zeros((len(betas), int(np.prod(shape))), dtype="<i2")
    volume[:, np.ravel_multi_index(tuple(ijk.T), shape, order="F")] = scaled
    folder = f"nsddata_betas/ppdata/{subject_name(subject)}/{space}/{version}"
    path = _prepare(root, f"{folder}/betas_session{session:02d}.{format}")
    if format == "nii.gz":
        header = _make_header((*shape, len(betas)), affine, np.int16)
        _write_gzip(path, header, volume)
    elif format == "hdf5":
        with h5py.File(path, "w", track_order=False) as file:
            file.create_dataset(
                "betas",
                data=volume.reshape(len(betas), *shape[::-1]),
                chunks=(len(betas), 1, 1, 1),
            )
    else:
        raise ValueError(f'format must be "nii.gz" or "hdf5"; found {format!r}')
    return path


def write_noise_ceiling_snr(
    root: Path,
    subject: int,
    volume: np.ndarray,
    *,
    affine: np.ndarray,
    split: int | None = None,
    space: str = SPACE,
    version: str = BETAS,
) -> Path:
    """Write ncsnr.nii.gz, or that of half of the trials with ``split`` 1 or 2.

    volume: (X, Y, Z) noise-ceiling signal-to-noise ratio.
    """
    suffix = "" if split is None else f"_split{split}"
    folder = f"nsddata_betas/ppdata/{subject_name(subject)}/{space}/{version}"
    return _write_volume(root, f"{folder}/ncsnr{suffix}.nii.gz", volume, affine, np.float32)


def write_roi(
    root: Path,
    subject: int,
    name: str,
    volume: np.ndarray,
    labels: Mapping[int, str],
    *,
    affine: np.ndarray,
    space: str = SPACE,
    combined: bool = True,
) -> list[Path]:
    """Write an ROI volume, its two hemispheres and the names of its labels (.ctab).

    volume: int (X, Y, Z), -1 outside cortex, 0 unlabelled cortex, above 0 a label.
    labels: label -> name. A voxel is in the left hemisphere if its x in millimetres is below 0;
    a hemisphere's file holds -1 in the other. combined: whether to write the file of both.
    """
    volume = np.asarray(volume)
    grid = np.indices(volume.shape).reshape(3, -1)
    x = (np.asarray(affine)[0, :3] @ grid + affine[0][3]).reshape(volume.shape)
    folder = f"nsddata/ppdata/{subject_name(subject)}/{space}/roi"
    files = {"lh.": np.where(x < 0, volume, -1), "rh.": np.where(x < 0, -1, volume)}
    if combined:
        files[""] = volume
    paths = [
        _write_volume(root, f"{folder}/{prefix}{name}.nii.gz", values, affine, np.int16)
        for prefix, values in files.items()
    ]
    table = _prepare(root, f"nsddata/freesurfer/{subject_name(subject)}/label/{name}.mgz.ctab")
    entries = {0: "Unknown", **labels}
    table.write_text("".join(f"{key} {label}\t\n" for key, label in entries.items()))
    return [*paths, table]


def write_localiser(
    root: Path,
    subject: int,
    contrast: str,
    volume: np.ndarray,
    *,
    affine: np.ndarray,
    space: str = SPACE,
) -> Path:
    """Write floc_<contrast>tval.nii.gz. volume: (X, Y, Z) t-values of the localiser's contrast."""
    name = f"nsddata/ppdata/{subject_name(subject)}/{space}/floc_{contrast}tval.nii.gz"
    return _write_volume(root, name, volume, affine, np.float32)


def write_brain_mask(
    root: Path, subject: int, mask: np.ndarray, *, affine: np.ndarray, space: str = SPACE
) -> Path:
    """Write brainmask.nii.gz. mask: bool (X, Y, Z)."""
    name = f"nsddata/ppdata/{subject_name(subject)}/{space}/brainmask.nii.gz"
    return _write_volume(root, name, mask, affine, np.int16)


def write_mean(
    root: Path, subject: int, volume: np.ndarray, *, affine: np.ndarray, space: str = SPACE
) -> Path:
    """Write mean.nii.gz. volume: (X, Y, Z) mean image, in scanner units."""
    name = f"nsddata/ppdata/{subject_name(subject)}/{space}/mean.nii.gz"
    return _write_volume(root, name, volume, affine, np.float32)


def write_valid_session(
    root: Path,
    subject: int,
    session: int,
    mask: np.ndarray,
    *,
    affine: np.ndarray,
    space: str = SPACE,
) -> Path:
    """Write valid_sessionNN.nii.gz: where the session has data. mask: bool (X, Y, Z)."""
    name = f"nsddata/ppdata/{subject_name(subject)}/{space}/valid_session{session:02d}.nii.gz"
    return _write_volume(root, name, mask, affine, np.int16)


def write_coco_captions(path: Path, captions: Mapping[int, Sequence[str]]) -> Path:
    """Write captions as COCO has them. captions: cocoId -> sentences."""
    pairs = [(image, text) for image, texts in captions.items() for text in texts]
    return _write_json(
        path,
        {
            "images": [{"id": int(image)} for image in captions],
            "annotations": [
                {"id": number, "image_id": int(image), "caption": text}
                for number, (image, text) in enumerate(pairs, 1)
            ],
        },
    )


def write_coco_instances(
    path: Path,
    instances: Mapping[int, Sequence[tuple[str, Sequence[float]]]],
    *,
    categories: Mapping[str, str],
    side: int,
    masks: Mapping[int, Sequence[np.ndarray]] | None = None,
) -> Path:
    """Write objects as COCO has them.

    instances: cocoId -> (category, (x, y, width, height) in pixels) of each object in the image.
    categories: all names in order, name -> supercategory. side: rows and columns of an image, in
    pixels. masks: cocoId -> bool (row, column) of each object, in the same order, if they are to be
    written.
    """
    numbers = {name: number for number, name in enumerate(categories, 1)}
    pairs = [(image, *entry) for image, entries in instances.items() for entry in entries]
    shapes = [{} for _ in pairs]
    if masks is not None:
        drawn = [mask for image in instances for mask in masks[image]]
        shapes = [{"segmentation": _encode_runs(mask)} for mask in drawn]
    return _write_json(
        path,
        {
            "images": [{"id": int(i), "width": int(side), "height": int(side)} for i in instances],
            "categories": [
                {"supercategory": categories[name], "id": number, "name": name}
                for name, number in numbers.items()
            ],
            "annotations": [
                {
                    "id": number,
                    "image_id": int(image),
                    "category_id": numbers[name],
                    "bbox": [float(edge) for edge in box],
                    "area": float(box[2] * box[3]),
                    "iscrowd": 0,
                    **shape,
                }
                for number, ((image, name, box), shape) in enumerate(
                    zip(pairs, shapes, strict=True), 1
                )
            ],
        },
    )


def _encode_runs(mask: np.ndarray) -> dict[str, list[int]]:
    """Encode a mask as COCO's run lengths: down its columns, of 0 and of 1 by turns."""
    flat = np.asarray(mask, dtype=bool).T.ravel()
    ends = np.flatnonzero(np.diff(flat, prepend=False, append=not flat[-1]))
    return {"counts": np.diff(ends, prepend=0).tolist(), "size": list(mask.shape)}


def _find_repeats(trials: np.ndarray, images: int) -> np.ndarray:
    """First three trials (from 1, 0 = none) that show each image: int (image, 3)."""
    shown = np.zeros((images, 3), dtype=np.int64)
    seen = np.zeros(images, dtype=np.int64)
    for number, image in enumerate(trials, 1):
        if seen[image] < 3:
            shown[image, seen[image]] = number
        seen[image] += 1
    return shown


def _prepare(root: Path, name: str) -> Path:
    path = Path(root) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _write_json(path: Path, content: object) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def _make_header(shape: tuple[int, ...], affine: np.ndarray, dtype: type) -> nib.Nifti1Header:
    header = nib.Nifti1Header()
    header.set_data_dtype(np.dtype(dtype).newbyteorder("<"))
    header.set_data_shape(shape)
    zooms = np.sqrt(np.square(np.asarray(affine)[:3, :3]).sum(axis=0))
    header.set_zooms((*zooms, *(1.0 for _ in shape[3:])))
    header.set_sform(affine, code=1)
    header.set_qform(affine, code=1)
    header.set_slope_inter(1, 0)
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    return header


def _write_gzip(path: Path, header: nib.Nifti1Header, values: np.ndarray) -> None:
    """values: little-endian and laid out as on disk, X fastest."""
    # noise has no repeated strings to find, only runs of zeros: twice as fast as plain level 1.
    # 31 asks zlib for a gzip container, whose time stamp it leaves at zero.
    compressor = zlib.compressobj(1, zlib.DEFLATED, 31, strategy=zlib.Z_RLE)
    with open(path, "wb") as file:
        file.write(compressor.compress(header.binaryblock + bytes(4)))
        file.write(compressor.compress(memoryview(np.ascontiguousarray(values)).cast("B")))
        file.write(compressor.flush())


def _write_volume(
    root: Path, name: str, volume: np.ndarray, affine: np.ndarray, dtype: type
) -> Path:
    path = _prepare(root, name)
    volume = np.asarray(volume)
    if volume.ndim != 3:
        raise ValueError(f"{name}: a volume has three axes; found shape {volume.shape}")
    values = volume.astype(np.dtype(dtype).newbyteorder("<"))
    _write_gzip(path, _make_header(volume.shape, affine, dtype), values.ravel(order="F"))
    return path
