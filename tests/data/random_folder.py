"""A random miniature of somebody's own experiment, in any of the formats that responses come in.

What real experiments differ in is drawn: how many sessions, runs and trials there are, uneven
repeats, trials without an image, an order of the responses that is not that of the table, an ROI
that one subject lacks, masks and ROIs stored in other directions than the responses, what splits
the images, sizes of images, captions and categories.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pandas as pd
from nibabel import gifti
from PIL import Image

from tests.reference import folder_readers

SUBJECTS = ("sub-01", "sub-02")

FORMATS = {
    "nifti": ("volume", "_betas.nii.gz", folder_readers.read_nifti),
    "volumes": ("volume", "_betasmd.npy", folder_readers.read_volumes),
    "masked": ("volume", "_masked.npy", folder_readers.read_rows),
    "hdf5": ("volume", "_TYPED_FITHRF_GLMDENOISE_RR.hdf5", folder_readers.read_python_hdf5),
    "matlab": ("volume", "_TYPED_FITHRF_GLMDENOISE_RR.mat", folder_readers.read_matlab),
    "gifti": ("surface", "_hemi-{hemisphere}.func.gii", folder_readers.read_gifti),
    "vertices": ("surface", ".{hemisphere}.npy", folder_readers.read_vertices),
    "cifti": ("cifti", "_betas.dscalar.nii", folder_readers.read_cifti),
    "columns": ("list", "_columns.npy", folder_readers.read_rows),
}
SUFFIX = {
    "nifti": "_betas",
    "volumes": "_betasmd",
    "masked": "_masked",
    "hdf5": "_TYPED_FITHRF_GLMDENOISE_RR",
    "matlab": "_TYPED_FITHRF_GLMDENOISE_RR",
    "gifti": "",
    "vertices": "",
    "cifti": "_betas",
    "columns": "_columns",
}


class RandomFolder:
    """The dataset that a seed gives, written under a folder. regular: nothing is drawn away.

    key: the section `dataset` of its configuration.
    """

    def __init__(self, root: Path, *, format: str, seed: int, regular: bool = False) -> None:
        self.root, self.format = Path(root), format
        self.geometry, ending, self.read = FORMATS[format]
        self.random = random = np.random.default_rng([seed, *map(ord, format)])
        self.regular = regular
        self.by_run = not regular and random.random() < 0.4
        self.numbered = not regular and random.random() < 0.5
        self.split = "images" if regular else random.choice(["images", "trials", "drawn"])
        self.sessions = 2 if regular else int(random.integers(1, 4))
        stem = "{subject}/ses-{session}/{subject}_ses-{session}"
        if self.by_run:
            stem += "_task-*_run-{run}"
        self.folder: dict = {
            "responses": stem + ending,
            "trials": "{subject}/ses-{session}/trials.tsv" if regular else "{subject}/trials.tsv",
            "rois": self._suffix("{subject}/rois/{roi}"),
            "space": "T1w",
        }
        if self.geometry == "volume":
            self.folder["mask"] = "{subject}/mask.nii.gz"
        if self.geometry == "list":
            self.folder["names"] = "{subject}/columns.tsv"
        self._write_images()
        for subject in SUBJECTS:
            self._write_subject(subject)
        self.key = {
            "kind": "folder",
            "root": str(self.root),
            "voxels": ["all"],
            "test_fraction": 0.4,
            "test_seed": 5,
            "folder": self.folder,
        }

    def _suffix(self, stem: str) -> str:
        """Path of a map, as it goes with the responses."""
        return {
            "volume": f"{stem}.nii.gz",
            "surface": f"{stem}.{{hemisphere}}.gii"
            if self.format == "gifti"
            else f"{stem}.{{hemisphere}}.npy",
            "cifti": f"{stem}.dscalar.nii",
            "list": f"{stem}.npy",
        }[self.geometry]

    def _write_images(self) -> None:
        random = self.random
        count = 16 if self.regular else int(random.integers(12, 20))
        self.names = [f"images/picture_{number:02d}.png" for number in range(count)]
        self.folder["image_side"] = None if self.regular else 24
        (self.root / "images").mkdir(parents=True)
        for name in self.names:
            size = (32, 32) if self.regular else tuple(random.integers(20, 40, 2))
            pixels = random.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(self.root / name)
        table = {"image": self.names}
        if self.split == "images":
            table["split"] = ["test" if n % 3 == 0 else "train" for n in range(count)]
        table["captions"] = [f"A picture of {n} | number {n}" for n in range(count)]
        table["categories"] = [["dog | cat", "cat", "", "n/a"][n % 4] for n in range(count)]
        write_table(self.root / "images.tsv", table)

    def _write_subject(self, subject: str) -> None:
        random, folder = self.random, self.root / subject
        (folder / "rois").mkdir(parents=True)
        self._choose_grid(subject)
        rows = []
        for session in range(1, self.sessions + 1):
            images = np.r_[np.arange(len(self.names)), np.arange(len(self.names))]
            if not self.regular:
                images = np.r_[images, random.integers(0, len(self.names), 5), [-1, -1]]
            random.shuffle(images)
            # for the test of repeats: some images are seen once in this session
            images = images[: len(images) - (0 if self.regular else int(random.integers(0, 9)))]
            runs = np.sort(random.integers(1, 3, len(images))) if self.by_run else None
            for place, image in enumerate(images):
                name = "n/a" if image < 0 else self.names[image]
                row = {"session": f"{session:02d}", "image": name}
                if self.by_run:
                    row["run"] = str(runs[place])
                if self.split == "trials":
                    row["split"] = "n/a" if image < 0 else ["test", "train"][image % 2]
                rows.append(row)
        table = pd.DataFrame(rows)
        keys = ["session", "run"] if self.by_run else ["session"]
        if self.numbered:
            table["trial"] = "n/a"
        for values, part in table.groupby(keys):
            order = np.arange(len(part))
            if self.numbered:
                order = random.permutation(len(part))
                table.loc[part.index, "trial"] = [str(place + 1) for place in order]
            images = np.array([-1 if n == "n/a" else self.names.index(n) for n in part["image"]])
            signal = np.random.default_rng(5).normal(size=(99, self.places))[images]
            betas = np.empty((len(part), self.places), dtype=np.float32)
            betas[order] = signal + random.normal(size=signal.shape)
            stem = self.stem(subject, *values)
            Path(stem).parent.mkdir(parents=True, exist_ok=True)
            self._write_responses(stem + SUFFIX[self.format], 3 * betas + 100)
        if self.regular:
            for session, part in table.groupby("session"):
                path = folder / f"ses-{session}/trials.tsv"
                write_table(path, part.drop(columns="session").to_dict("list"))
        else:
            write_table(folder / "trials.tsv", table.to_dict("list"))
        for roi in ("FFA", "PPA"):
            if roi == "PPA" and subject == "sub-02" and not self.regular:
                continue
            self.write_map(str(folder / "rois" / roi), self.draw_region())

    def stem(self, subject: str, session: str, run: str | None = None) -> str:
        stem = f"{self.root}/{subject}/ses-{session}/{subject}_ses-{session}"
        return stem if run is None else f"{stem}_task-images_run-{run}"

    def draw_region(self) -> np.ndarray:
        """A third of the places, in labels 1 and 2."""
        inside = self.random.random(self.total) < 0.4
        return (inside * self.random.integers(1, 3, self.total)).astype(np.float32)

    def _choose_grid(self, subject: str) -> None:
        """places: columns of the responses as they are read; total: places that a map covers."""
        random = self.random
        if self.geometry == "volume":
            self.shape = tuple(int(side) for side in random.integers(3, 6, 3))
            self.affine = np.diag([random.choice([-2.0, 2.0]), 2.0, 2.5, 1])
            self.affine[:3, 3] = random.normal(size=3).round(2)
            self.total = int(np.prod(self.shape))
            self.mask = random.random(self.total) < 0.6
            self.places = int(self.mask.sum())
            # what is looked up by position has to be in the responses' own order
            save_volume(f"{self.root}/{subject}/mask.nii.gz", self.mask, self.shape, self.affine)
        elif self.geometry == "list":
            self.total = self.places = int(random.integers(9, 20))
            names = {"name": [f"voxel_{n}" for n in range(self.total)]}
            names["hemisphere"] = [["lh", "rh", "n/a"][n % 3] for n in range(self.total)]
            names |= {axis: [f"{n}.5" for n in range(self.total)] for axis in "xyz"}
            write_table(self.root / subject / "columns.tsv", names)
        else:
            self.vertices = tuple(int(count) for count in random.integers(8, 15, 2))
            self.total = self.places = sum(self.vertices)
        if self.geometry == "cifti":
            left, right = self.vertices
            own = [np.sort(random.permutation(n)[: n - 2]) for n in self.vertices]
            models = nib.cifti2.BrainModelAxis.from_surface(own[0], left, "CortexLeft")
            thalamus = np.zeros((3, 3, 3), dtype=bool)
            thalamus[1, 1, :2] = True
            models += nib.cifti2.BrainModelAxis.from_mask(thalamus, "ThalamusLeft", np.eye(4))
            models += nib.cifti2.BrainModelAxis.from_surface(own[1], right, "CortexRight")
            self.axis, self.cortex = models, np.r_[own[0], own[1] + left]
            self.places = len(self.cortex)

    def _write_responses(self, stem: str, betas: np.ndarray) -> None:
        format = self.format
        if format in ("masked", "columns"):
            np.save(f"{stem}.npy", betas)
        elif self.geometry == "volume":
            volume = np.zeros((*self.shape, len(betas)), dtype=np.float32)
            volume[self.mask.reshape(self.shape)] = betas.T
            if format == "nifti":
                nib.save(nib.Nifti1Image(volume, self.affine), f"{stem}.nii.gz")
            elif format == "volumes":
                np.save(f"{stem}.npy", volume)
            elif format == "hdf5":
                with h5py.File(f"{stem}.hdf5", "w") as file:
                    file.create_dataset("betasmd", data=volume, chunks=(2, 2, 2, 3))
            else:
                with h5py.File(f"{stem}.mat", "w") as file:
                    data = file.create_dataset("modelmd", data=volume.transpose(3, 2, 1, 0))
                    data.attrs["MATLAB_class"] = np.bytes_("single")
        elif format == "gifti":
            for side, part in zip("LR", np.split(betas, [self.vertices[0]], axis=1), strict=True):
                save_gifti(f"{stem}_hemi-{side}.func.gii", part)
        elif format == "vertices":
            for side, part in zip(
                ("lh", "rh"), np.split(betas, [self.vertices[0]], axis=1), strict=True
            ):
                np.save(f"{stem}.{side}.npy", part)
        else:
            self.save_cifti(f"{stem}.dscalar.nii", betas)

    def save_cifti(self, path: str, cortex: np.ndarray) -> None:
        """Write values (row, place) of the cortex, and others of the thalamus."""
        values = np.full((len(cortex), len(self.axis)), 9.0, dtype=np.float32)
        values[:, self.axis.surface_mask] = cortex
        scalars = nib.cifti2.ScalarAxis([f"row {n}" for n in range(len(cortex))])
        nib.save(nib.Cifti2Image(values, (scalars, self.axis)), path)

    def write_map(self, stem: str, values: np.ndarray) -> None:
        """Write a map (place,) as it goes with the responses; volumes in any direction."""
        if self.geometry == "volume":
            volume, affine = values.reshape(self.shape), self.affine
            if not self.regular and self.random.random() < 0.5:
                # the same places, stored from right to left
                flip = np.diag([-1.0, 1, 1, 1])
                flip[0, 3] = self.shape[0] - 1
                volume, affine = volume[::-1], affine @ flip
            nib.save(nib.Nifti1Image(volume, affine), f"{stem}.nii.gz")
        elif self.geometry == "list":
            np.save(f"{stem}.npy", values)
        elif self.geometry == "cifti":
            self.save_cifti(f"{stem}.dscalar.nii", values[self.cortex][None])
        else:
            parts = np.split(values, [self.vertices[0]])
            for side, part in zip(("lh", "rh"), parts, strict=True):
                if self.format == "gifti":
                    save_gifti(f"{stem}.{side}.gii", part[None])
                else:
                    np.save(f"{stem}.{side}.npy", part)


def save_volume(path: str, values: np.ndarray, shape: tuple, affine: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(values.reshape(shape).astype(np.uint8), affine), path)


def save_gifti(path: str, rows: np.ndarray) -> None:
    arrays = [
        gifti.GiftiDataArray(row.astype(np.float32), intent="NIFTI_INTENT_NONE") for row in rows
    ]
    Path(path).write_bytes(gifti.GiftiImage(darrays=arrays).to_bytes())


def write_table(path: Path, columns: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = zip(*columns.values(), strict=True)
    lines = ["\t".join(columns), *("\t".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
