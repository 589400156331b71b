"""Laws of NSD-synthetic: its session is read as the others are, and nothing is learned from it."""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
import scipy.io

from mine.core.backbone import standardise
from mine.core.encoder import position_basis, predict, random_encoder
from mine.datasets import nsd_synthetic
from mine.datasets.reader import open_dataset
from mine.errors import InputError
from mine.sections import Dataset
from mine.stages.responses import build_unseen
from mine.stages.synthetic import predict_images
from mine.statistics.ceiling import noise_ceiling
from tests.data import surface_writer
from tests.data.random_nsd import BETAS, FORMATS, RandomNsd
from tests.reference.nsd_readers import measure_ncsnr
from tests.reference.responses import build_responses

SHARED, OWN, TRIALS = 7, 3, 30


class Synthetic:
    """A miniature of NSD with NSD-synthetic of its first subject."""

    def __init__(self, root: Path, *, format: str, seed: int = 0) -> None:
        self.root = root
        self.world = world = RandomNsd(root, format=format, seed=seed, regular=True)
        random = np.random.default_rng(seed)
        self.order = random.permutation(np.arange(TRIALS) % (SHARED + OWN))
        self.images = random.integers(0, 256, (SHARED + OWN, 6, 10, 3), dtype=np.uint8)
        self.betas = np.rint(random.normal(0.5, 2, (TRIALS, world.places)) * 300) / 300
        self.betas[:, 0] = np.nan if format == "fsaverage" else 0
        self.write_order(self.order + 1)
        self.write_images(nsd_synthetic.STIMULI, self.images[:SHARED])
        self.write_images(nsd_synthetic.COLOURED.format(subject="subj01"), self.images[SHARED:])
        self.folder = root / f"nsddata_betas/ppdata/subj01/{world.space}" / f"nsdsynthetic{BETAS}"
        self.folder.mkdir(parents=True)
        self.write_betas(self.betas)

    def write_order(self, order: np.ndarray) -> None:
        path = self.root / nsd_synthetic.DESIGN
        path.parent.mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(path, {"masterordering": order[None].astype(float)})

    def write_images(self, name: str, images: np.ndarray) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file["imgBrick"] = images

    def write_betas(self, betas: np.ndarray) -> None:
        world, name = self.world, str(self.folder / "betas_nsdsynthetic")
        if world.surface:
            for side, part in zip(
                ("lh", "rh"), np.split(betas, [world.vertices[0]], axis=1), strict=True
            ):
                path = str(self.folder / f"{side}.betas_nsdsynthetic")
                if world.space == "fsaverage":
                    surface_writer.write_mgh(Path(f"{path}.mgh"), part.T)
                    continue
                with h5py.File(f"{path}.hdf5", "w") as file:
                    file["betas"] = np.rint(part * 300).astype(np.int16)
            return
        values = np.rint(betas * 300).astype(np.int16).reshape(len(betas), *world.shape)
        if world.format.startswith("hdf5"):
            with h5py.File(f"{name}.hdf5", "w") as file:
                file["betas"] = values.transpose(0, 3, 2, 1)
        else:
            image = nib.Nifti1Image(values.transpose(1, 2, 3, 0), world.affine)
            nib.save(image, f"{name}.nii.gz")

    def open(self):
        settings = {"root": str(self.root), "space": self.world.space, "synthetic": True}
        return open_dataset(Dataset(**settings))

    def check(self) -> list[str]:
        return self.open().check(subjects=["subj01"], rois={"FFA-1": "FFA-1"})

    def read(self):
        voxels = self.open().read_subject("subj01").voxels
        return self.open().read_unseen("subj01", voxels)


@pytest.mark.parametrize("format", FORMATS)
def test_responses_equal_a_literal_average(tmp_path: Path, format: str) -> None:
    synthetic = Synthetic(tmp_path, format=format)
    assert synthetic.check() == []
    recording, stimuli = synthetic.read()
    found = build_unseen(recording)
    index = recording.voxels.index
    betas = synthetic.betas[:, index].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        z = (betas - betas.mean(axis=0)) / betas.std(axis=0)
    repeats = [z[synthetic.order == image] for image in range(SHARED + OWN)]
    expected = np.array([one.mean(axis=0) for one in repeats])
    expected[:, index == 0] = np.nan
    np.testing.assert_allclose(found["response"], expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found["repeats"], [len(one) for one in repeats])
    assert found.attrs["voxels_invalid"] == 1 and found["noise_ceiling"].isnull().sum() == 1
    ncsnr = measure_ncsnr(repeats)
    ncsnr[index == 0] = np.nan
    np.testing.assert_allclose(found["ncsnr"], ncsnr, rtol=1e-3, atol=1e-4)
    ceiling = noise_ceiling(found["ncsnr"].values, repeats=found["repeats"].values)
    np.testing.assert_allclose(found["noise_ceiling"], ceiling, rtol=1e-3, atol=1e-6)
    assert (found["repeats"] > 1).all() and (found["noise_ceiling"] > 0.01).any()
    assert len(stimuli) == SHARED + OWN


def test_images_are_the_square_in_the_middle_and_the_root_of_what_is_stored(tmp_path: Path) -> None:
    synthetic = Synthetic(tmp_path, format="hdf5")
    _, stimuli = synthetic.read()
    order = np.array([9, 0, 7, 3])
    found = stimuli.read(order)
    expected = np.sqrt(synthetic.images[order][:, :, 2:8] / 255) * 255
    assert found.shape == (4, 6, 6, 3) and np.abs(found - expected).max() <= 0.5
    with pytest.raises(InputError, match="expected image 10, found 10 images"):
        stimuli.read([10])


def test_what_is_fitted_does_not_change_with_it(tmp_path: Path) -> None:
    synthetic = Synthetic(tmp_path, format="nifti")
    reader = synthetic.open()
    without = open_dataset({"root": str(tmp_path)})
    assert build_responses(reader.read_subject("subj01")).identical(
        build_responses(without.read_subject("subj01"))
    )


class CountingBackbone:
    """Tokens that follow from the pixels, and how many images came at a time."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def encode_images(self, images: np.ndarray) -> tuple[np.ndarray, None]:
        self.batches.append(len(images))
        return images[:, :2, :2].reshape(len(images), 4, 3).astype(np.float32), None


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_predictions_are_those_of_the_encoder_in_any_batches(batch_size: int) -> None:
    phi = position_basis(2, 2, 2)
    weights = random_encoder(
        voxels=5, features=3, heads=2, head_width=4, basis=phi.shape[1], seed=0
    )
    pixels = np.random.default_rng(0).integers(0, 256, (9, 4, 4, 3), dtype=np.uint8)
    order = np.array([8, 0, 3, 4, 5, 1, 7])
    backbone = CountingBackbone()
    found = predict_images(
        backbone, weights, phi, order, lambda images: pixels[images], batch_size=batch_size
    )
    tokens = standardise(CountingBackbone().encode_images(pixels[order])[0]).astype(np.float16)
    np.testing.assert_allclose(found, predict(weights, tokens, phi), rtol=1e-5, atol=1e-6)
    assert max(backbone.batches) <= batch_size


def damage(name: str):
    """Faults, by name: what is done, and what the sentence has to say."""
    return {
        "design": (
            lambda one: (one.root / nsd_synthetic.DESIGN).unlink(),
            "nsdsynthetic_expdesign.mat: expected the design of NSD-synthetic, found no file",
        ),
        "order": (
            lambda one: one.write_order(one.order),
            "expected whole numbers from 1 as masterordering, found others",
        ),
        "short": (
            lambda one: one.write_order(one.order[:-1] + 1),
            f"expected {TRIALS - 1} trials, found {TRIALS}",
        ),
        "images": (
            lambda one: (one.root / nsd_synthetic.STIMULI).unlink(),
            "nsdsynthetic_stimuli.hdf5: expected an HDF5 file, found none",
        ),
        "coloured": (
            lambda one: one.write_images(
                nsd_synthetic.COLOURED.format(subject="subj01"), one.images[:1]
            ),
            "expected image 9 of the design, found 8 images with those of all subjects",
        ),
        "size": (
            lambda one: one.write_images(
                nsd_synthetic.COLOURED.format(subject="subj01"), one.images[:3, :4]
            ),
            "expected images of shape (6, 10, 3) as in nsdsynthetic_stimuli.hdf5, found (4, 10, 3)",
        ),
        "betas": (
            lambda one: [path.unlink() for path in one.folder.iterdir()],
            "betas_nsdsynthetic: expected betas as .hdf5 or .",
        ),
    }[name]


@pytest.mark.parametrize("format", ["nifti", "fsaverage"])
@pytest.mark.parametrize(
    "name", ["design", "order", "short", "images", "coloured", "size", "betas"]
)
def test_each_fault_gives_its_own_sentence(tmp_path: Path, format: str, name: str) -> None:
    synthetic = Synthetic(tmp_path, format=format)
    spoil, sentence = damage(name)
    spoil(synthetic)
    problems = synthetic.check()
    assert len(problems) == 1 and sentence in problems[0], problems
    with pytest.raises(InputError):
        recording, stimuli = synthetic.read()
        stimuli.read(np.unique(recording.images[0]))
