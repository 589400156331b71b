"""That no path which is written in a file is followed: not in one of HDF5, of GIFTI or of text."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from mine.datasets import listing, nsd_files
from mine.datasets.image_files import measure_image, read_image
from mine.datasets.nibabel_files import load_image
from mine.datasets.nsd import Stimuli
from mine.datasets.series import ArraySeries, Grid
from mine.errors import InputError
from mine.sections import Dataset, Folder

SHAPE = (3, 4)


def keep_apart(file: h5py.File) -> None:
    file.create_dataset("betas", SHAPE, "float32", external=[("numbers.bin", 0, 48)])


def put_together(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(SHAPE, "float32")
    layout[:] = h5py.VirtualSource("other.h5", "betas", SHAPE)
    file.create_virtual_dataset("betas", layout)


def link(file: h5py.File) -> None:
    file["betas"] = h5py.ExternalLink("other.h5", "betas")


def link_twice(file: h5py.File) -> None:
    file["folder"] = h5py.ExternalLink("other.h5", "/")
    file["betas"] = h5py.SoftLink("/folder/betas")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (keep_apart, "expected the numbers of betas in the file itself, found the names of others"),
        (put_together, "expected the numbers of betas in the file itself, found the names of"),
        (link, "expected the dataset betas itself, found a link"),
        (link_twice, "expected the dataset betas itself, found a link"),
    ],
)
def test_numbers_of_another_file_are_no_responses(
    tmp_path: Path, write: Callable[[h5py.File], None], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.ones(SHAPE, "float32").tofile("numbers.bin")
    for name, fill in (("other.h5", None), ("file.h5", write)):
        with h5py.File(name, "w") as file:
            file.__setitem__("betas", np.ones(SHAPE, "float32")) if fill is None else fill(file)
    path = Path("file.h5")
    series = ArraySeries(
        path=path, trials=3, grid=Grid("list", (4,), path), layout="rows", name="betas"
    )
    for read in (
        lambda: nsd_files.open_hdf5(path, "betas"),
        lambda: series.read(np.arange(3), np.arange(4)),
    ):
        with pytest.raises(InputError, match=f"file.h5: {said}"):
            read()


def test_images_of_another_file_are_no_stimuli(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with h5py.File("file.h5", "w") as file:
        file["imgBrick"] = h5py.ExternalLink("other.h5", "imgBrick")
    with pytest.raises(InputError, match="expected the dataset imgBrick itself, found a link"):
        Stimuli(Path("file.h5"), (1, 4, 4, 3)).read([0])


def test_gifti_with_its_numbers_elsewhere_is_refused(tmp_path: Path) -> None:
    values = np.arange(5, dtype="float32")
    values.tofile(tmp_path / "numbers.bin")
    path = tmp_path / "map.gii"
    nib.save(nib.GiftiImage(darrays=[nib.gifti.GiftiDataArray(values)]), path)
    packed = tmp_path / "packed.gii.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for one in (path, packed):
        found = load_image(one, nib.GiftiImage, "a GIFTI file").darrays[0].data
        np.testing.assert_array_equal(found, values)
    text = re.sub('Encoding="[^"]*"', 'Encoding="ExternalFileBinary"', path.read_text())
    path.write_text(re.sub('FileName="[^"]*"', 'FileName="numbers.bin"', text))
    assert nib.load(path).darrays[0].data.tolist() == values.tolist()
    for read in (
        lambda: load_image(path, nib.GiftiImage, "a GIFTI file"),
        lambda: nsd_files.read_surface((path, path)),
    ):
        with pytest.raises(InputError, match="map.gii: expected a GIFTI file, found one that is"):
            read()


def test_names_that_leave_the_folder_of_their_table_are_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("data/a.png", "secret.png"):
        (tmp_path / name).write_bytes(b"x")
    names = ["a.png", "../secret.png", str(tmp_path / "secret.png")]
    (tmp_path / "data/images.tsv").write_text("\n".join(["image", *names]) + "\n")
    folder = Folder(images="images.tsv", trials="t.tsv", responses="r.nii.gz")
    dataset = Dataset(kind="folder", root=str(tmp_path / "data"), folder=folder)
    assert listing.list_read(dataset, "images") == [str(tmp_path / "data/a.png")]


def test_a_picture_is_tried_as_the_formats_that_are_read_and_no_other(tmp_path: Path) -> None:
    pixels = Image.new("RGB", (4, 4), (1, 2, 3))
    for form in ("PNG", "BMP", "GIF", "TIFF"):
        pixels.save(tmp_path / "a.png", format=form)
        assert read_image(tmp_path / "a.png").shape == (4, 4, 3)
    for form in ("EPS", "PPM", "ICO"):
        pixels.save(tmp_path / "a.png", format=form)
        for read in (read_image, measure_image):
            with pytest.raises(InputError, match="expected an image as PNG, JPEG, BMP"):
                read(tmp_path / "a.png")
