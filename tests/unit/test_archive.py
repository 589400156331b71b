"""An archive is whole, alike each time, and stays in its folder."""

from __future__ import annotations

import json
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mine.archive import contain, extract_archive, read_index, write_archive
from mine.datasets.reader import open_dataset
from mine.errors import InputError
from mine.stores import write_store

FILES = {"b/two.json": b"{}", "one.txt": b"one"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_archive(tmp_path / "bundle", FILES, {"name": "demo"})
    return tmp_path / "bundle"


def test_zip_and_folder_hold_the_same(folder: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "a.zip", FILES, {"name": "demo"})
    (tmp_path / "unpacked").mkdir()
    extract_archive(tmp_path / "a.zip", tmp_path / "unpacked")
    for root in (folder, tmp_path / "unpacked"):
        assert read_index(root)["name"] == "demo"
        assert {name: (root / name).read_bytes() for name in FILES} == FILES
    write_archive(tmp_path / "b.zip", dict(reversed(FILES.items())), {"name": "demo"})
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_nothing_is_overwritten_and_nothing_half_written_is_left(folder: Path) -> None:
    with pytest.raises(InputError, match="expected nothing there yet"):
        write_archive(folder, FILES, {})
    for name in ("other", "other.zip"):
        with pytest.raises(FileNotFoundError):
            write_archive(folder.with_name(name), {**FILES, "z": folder / "absent"}, {})
    assert [path.name for path in folder.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize(
    "name", ["a.tar.gz", "a.tgz", "a.tar", "a.TAR.XZ", "a.tar.zst", "a.7z", "a.rar", "a.ZIP"]
)
def test_no_folder_is_made_by_the_name_of_an_archive_of_another_form(
    tmp_path: Path, name: str
) -> None:
    with pytest.raises(InputError) as raised:
        write_archive(tmp_path / name, FILES, {})
    assert str(raised.value) == (
        f"{tmp_path / name}: expected a name that ends in .zip, the only form of archive that is "
        f"written, or the name of a folder, found .{name.rpartition('.')[2]}"
    )
    assert list(tmp_path.iterdir()) == []
    # A point in the name of a folder is none of an ending.
    write_archive(tmp_path / "mine-0.1", FILES, {})
    assert (tmp_path / "mine-0.1").is_dir()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda root: (root / "one.txt").write_text("two"), "expected sha256"),
        (lambda root: (root / "one.txt").unlink(), "expected this file of the archive, found none"),
        (lambda root: (root / "archive.json").unlink(), "expected an archive with its list"),
        (lambda root: (root / "link").symlink_to("/etc"), "expected files alone, found a link"),
        (lambda root: (root / ".zarray").write_text("{}"), "third version of Zarr"),
        (lambda root: (root / "zarr.json").write_text("[" * 100_000), "description of a Zarr"),
        (lambda root: (root / "archive.json").write_text("[" * 100_000), "expected an archive"),
        (lambda root: (root / "b/more.tsv").write_text("a"), "archive.json lists alone"),
    ],
)
def test_an_archive_that_was_changed_is_refused(folder: Path, change, said: str) -> None:
    change(folder)
    with pytest.raises(InputError, match=said):
        read_index(folder)


def test_the_software_of_an_archive_may_be_installed_and_run_where_it_is(folder: Path) -> None:
    (folder / "software/.venv/bin").mkdir(parents=True)
    (folder / "software/.venv/bin/python").symlink_to("/usr/bin/python3")
    (folder / "software/figures").mkdir()
    (folder / "software/figures/described.png").write_bytes(b"drawn")
    assert read_index(folder)["name"] == "demo"


def test_stores_with_other_codecs_than_ours_are_refused(folder: Path) -> None:
    dataset = xr.Dataset(
        {"response": (("image", "voxel"), np.ones((3, 2))), "word": ("image", ["a", "b", "c"])}
    )
    write_store(dataset, folder / "a.zarr", provenance={})

    def bundle(name: str) -> Path:
        files = [path for path in folder.rglob("*") if path.is_file()]
        place = folder.with_name(name)
        write_archive(place, {path.relative_to(folder).as_posix(): path for path in files}, {})
        return place

    (folder / "archive.json").unlink()
    read_index(bundle("ours"))
    described = folder / "a.zarr/response/zarr.json"
    described.write_text(described.read_text().replace('"blosc"', '"numcodecs.pickle"'))
    folder = bundle("other")
    with pytest.raises(InputError, match="expected codecs among .*, found numcodecs.pickle"):
        read_index(folder)


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "a\\..\\out.txt"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(name, "x")
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="expected names inside the archive"):
        extract_archive(tmp_path / "a.zip", tmp_path / "in")
    with pytest.raises(InputError, match="expected names inside the archive"):
        write_archive(tmp_path / "b.zip", {name: b""}, {})
    assert not list((tmp_path / "in").iterdir()) and not (tmp_path / "out.txt").exists()


def test_no_link_is_unpacked_or_followed(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr(link, "/etc")
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="expected files alone, found a link"):
        extract_archive(tmp_path / "a.zip", tmp_path / "in")
    (tmp_path / "in/link").symlink_to("/etc")
    with pytest.raises(InputError, match="expected names inside the archive"):
        contain(tmp_path / "in", "link/passwd")
    with pytest.raises(InputError, match="expected names inside the archive"):
        contain(tmp_path / "in", "../a.zip")


def test_a_list_that_names_files_outside_is_refused(folder: Path) -> None:
    index = json.loads((folder / "archive.json").read_text())
    index["files"]["../a"] = {"sha256": "", "size": 0}
    (folder / "archive.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="expected names inside the archive"):
        read_index(folder)


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("no zip")
    for path in (tmp_path / "a.zip", tmp_path / "absent.zip"):
        with pytest.raises(InputError, match="expected an archive as a folder or a ZIP file"):
            extract_archive(path, tmp_path)


@pytest.mark.parametrize(("field", "value"), [(8, 97), (6, 1)])
def test_a_zip_file_that_cannot_be_unpacked_is_refused(
    tmp_path: Path, field: int, value: int
) -> None:
    # Its compression is one that nobody knows, or it says that it is encrypted.
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a.txt", "one")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    # The same field of the file's own header and of its entry in the list.
    for start in (0, content.find(b"PK\x01\x02") + 2):
        struct.pack_into("<H", content, start + field, value)
    (tmp_path / "a.zip").write_bytes(content)
    (tmp_path / "in").mkdir()
    with pytest.raises(InputError, match="a.zip: expected a whole ZIP file, found: "):
        extract_archive(tmp_path / "a.zip", tmp_path / "in")


def test_stores_that_an_archive_lists_in_its_software_are_looked_at_too(tmp_path: Path) -> None:
    codecs = json.dumps({"codecs": [{"name": "numcodecs.pickle"}]}).encode()
    write_archive(tmp_path / "bundle", {"software/a.zarr/zarr.json": codecs}, {})
    with pytest.raises(InputError, match="expected codecs among .*, found numcodecs.pickle"):
        read_index(tmp_path / "bundle")


def test_what_lies_where_a_half_written_archive_would_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "bundle.partial").mkdir()
    (tmp_path / "bundle.partial/thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"bundle.partial: expected nothing there yet"):
        write_archive(tmp_path / "bundle", FILES, {})
    assert (tmp_path / "bundle.partial/thesis.tex").read_text() == "mine"


def test_images_that_an_archive_lacks_are_said_to_be_absent(tmp_path: Path) -> None:
    from PIL import Image

    shown = np.full((20, 20, 3), 7, np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(shown).save(tmp_path / "images/3.png")
    reader = open_dataset({"kind": "archive", "root": str(tmp_path)})
    pictures = reader.open_stimuli().read(np.array([5, 3]))
    assert pictures.shape == (2, 20, 20, 3) and (pictures[1] == shown).all()
    # Black letters on white.
    assert pictures[0].max() == 255 and pictures[0].min() < 150
    (tmp_path / "images/3.png").unlink()
    assert reader.open_stimuli().read(np.array([3])).std() > 20
    assert reader.read_background("subj01", None) is None
