"""A store is whole or it is not there, and the same content has the same digest."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tracemalloc
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mine.errors import InputError
from mine.provenance import describe_provenance
from mine.stores import (
    check_backbone,
    check_models,
    content_digest,
    load_store,
    manifest_path,
    open_store,
    read_manifest,
    read_table,
    write_store,
    write_table,
)

PROVENANCE = describe_provenance(seed=0)


@pytest.fixture
def dataset() -> xr.Dataset:
    """One variable of each type that the project stores, an empty one and a scalar."""
    generator = np.random.default_rng(0)
    return xr.Dataset(
        {
            "token": (
                ("image", "token", "feature"),
                generator.normal(size=(6, 4, 3)).astype("float16"),
                {"long_name": "standardised token", "units": "1"},
            ),
            "response": (("image", "voxel"), generator.normal(size=(6, 5)).astype("float32")),
            "rank": (("image",), np.arange(6, dtype="int32")),
            "member": (("voxel",), np.arange(5) % 2 == 0),
            "phrase": (("image",), np.array(["", "a dog", "café", "x" * 40, "b", "c"])),
            "name": (("image",), np.array(["a", "b", "c", "d", "e", "f"], dtype=object)),
            "pixel": (("row", "column"), np.zeros((2, 2), "uint8")),
            "nothing": (("none", "voxel"), np.zeros((0, 5), "float32")),
            "missing": (("voxel",), np.array([1, np.nan, 0, -0.0, np.inf])),
            "temperature": ((), 0.07),
        },
        coords={"word": ("word", np.array(["cat", "dog"])), "voxel": np.arange(5)},
        attrs={"affine": [1.0, 0.0], "subject": "subj01", "shape": np.array([2, 3])},
    )


def test_roundtrip_is_exact(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    opened = open_store(tmp_path / "a.zarr")
    expected = dataset.assign(name=dataset["name"].astype(str))
    expected.attrs["shape"] = [2, 3]
    xr.testing.assert_identical(opened.load(), expected)
    for name, variable in expected.variables.items():
        assert opened[name].dtype.kind == variable.dtype.kind
        if variable.dtype.kind != "U":
            assert opened[name].dtype == variable.dtype


def test_digest_is_that_of_the_content(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    opened = open_store(tmp_path / "a.zarr")
    digest = content_digest(dataset)
    assert read_manifest(tmp_path / "a.zarr")["content_digest"] == digest
    assert content_digest(opened) == digest
    backwards = dict(reversed(list(dataset.data_vars.items())))
    assert content_digest(xr.Dataset(backwards, dataset.coords, dataset.attrs)) == digest


@pytest.mark.parametrize("chunk, shard", [(2**4, 2**5), (2**4, 2**30), (2**20, 2**30)])
def test_digest_does_not_depend_on_chunks(
    dataset: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, shard: int
) -> None:
    monkeypatch.setattr("mine.stores.CHUNK_BYTES", chunk)
    monkeypatch.setattr("mine.stores.SHARD_BYTES", shard)
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    assert content_digest(open_store(tmp_path / "a.zarr")) == content_digest(dataset)


@pytest.mark.parametrize("block", [1, 100, 2**26])
def test_digest_does_not_depend_on_how_much_is_read_at_a_time(
    dataset: xr.Dataset, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    whole = content_digest(dataset)
    monkeypatch.setattr("mine.stores.DIGEST_BYTES", block)
    assert content_digest(dataset) == whole


@pytest.mark.parametrize("block", [1, 100, 2**26])
def test_digest_sees_every_part(
    dataset: xr.Dataset, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr("mine.stores.DIGEST_BYTES", block)
    first, middle = dataset.copy(deep=True), dataset.copy(deep=True)
    first["token"][0, 0, 0] += 1
    middle["response"][3, 1] += 1
    one = dataset.copy(deep=True)
    one["token"][5, 3, 2] += 1
    renamed_dimension = dataset.rename({"feature": "width"})
    attribute = dataset.copy(deep=True)
    attribute["token"].attrs["units"] = "2"
    changed = [
        dataset,
        one,
        first,
        middle,
        renamed_dimension,
        attribute,
        dataset.rename({"rank": "order"}),
        dataset.assign(rank=dataset["rank"].astype("int64")),
        dataset.assign_attrs(subject="subj02"),
        dataset.drop_vars("rank"),
        dataset.assign(phrase=("image", ["", "a do", "gcafé", "x" * 40, "b", "c"])),
        dataset.set_coords("rank"),
    ]
    assert len({content_digest(entry) for entry in changed}) == len(changed)


def test_store_made_by_another_model_or_library_is_refused(
    dataset: xr.Dataset, tmp_path: Path
) -> None:
    path, models = tmp_path / "a.zarr", {"backbone": "a" * 64, "evaluator": "b" * 64}
    provenance = describe_provenance(models=models, libraries=["torch"])
    write_store(dataset, path, provenance=provenance)
    check_models(path, {"backbone": "a" * 64}, libraries=["torch"])
    for found in ({"backbone": "c" * 64}, {"generator": "a" * 64}):
        with pytest.raises(InputError) as refused:
            check_models(path, found)
        (name,) = found
        assert str(refused.value).startswith(f"{name}.model: expected the model that made {path}")
        assert "\n" not in str(refused.value)
    older = provenance | {"libraries": {"torch": "1.13.1"}}
    write_store(dataset, path, provenance=older)
    check_models(path, models)
    with pytest.raises(InputError, match="expected torch 1, which made it, found"):
        check_models(path, models, libraries=["torch"])
    # A store that says nothing of a library was not made by it.
    check_models(path, models, libraries=["diffusers"])


@pytest.mark.parametrize(
    ("digest", "library", "refused"),
    [
        ("a", "torch", None),
        ("c", "torch", "backbone.model: expected the model that made"),
        ("a", "numpy", "expected numpy 0, which made it, found"),
    ],
)
def test_a_backbone_is_checked_with_the_library_that_runs_it(
    dataset: xr.Dataset, tmp_path: Path, digest: str, library: str, refused: str | None
) -> None:
    provenance = describe_provenance(models={"backbone": "a"}, libraries=["torch"])
    made = provenance | {"libraries": provenance["libraries"] | {"numpy": "0.9.1"}}
    write_store(dataset, tmp_path / "a.zarr", provenance=made)
    backbone = SimpleNamespace(digest=digest, library=library)
    with pytest.raises(InputError, match=refused) if refused else nullcontext():
        check_backbone(tmp_path / "a.zarr", backbone)


def test_large_array_is_a_few_files_and_opens_lazily(tmp_path: Path) -> None:
    response = np.random.default_rng(0).normal(size=(3000, 2000)).astype("float32")
    dataset = xr.Dataset({"response": (("image", "voxel"), response)})
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    files = [path for path in (tmp_path / "a.zarr").rglob("*") if path.is_file()]
    assert len(files) == 3
    opened = open_store(tmp_path / "a.zarr")
    assert not opened["response"].variable._in_memory
    np.testing.assert_array_equal(opened["response"][2990:].values, response[2990:])
    # What was once read whole is kept.
    assert np.shares_memory(opened["response"].values, opened["response"].values)


PICKS = [
    {"image": [3, 90, 1], "voxel": [5, 2]},
    {"image": np.arange(100) % 7 == 0, "voxel": slice(10, 2, -3)},
    {"image": [], "voxel": np.array([-1, 3])},
    {"voxel": -1},
    {"image": xr.DataArray([2, 99], dims="pair"), "voxel": xr.DataArray([7, 0], dims="pair")},
]


@pytest.mark.parametrize("pick", PICKS, ids=map(str, range(len(PICKS))))
def test_what_is_picked_of_a_store_is_what_is_picked_in_memory(
    tmp_path: Path, pick: dict[str, object]
) -> None:
    response = np.random.default_rng(0).normal(size=(2, 11, 100, 3))
    dataset = xr.Dataset({"response": (("sign", "voxel", "image", "rank"), response)})
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    opened = open_store(tmp_path / "a.zarr")
    xr.testing.assert_identical(opened.isel(pick).load(), dataset.isel(pick))


def test_picking_takes_no_more_memory_than_what_lies_between(tmp_path: Path) -> None:
    response = np.random.default_rng(0).normal(size=(20, 400, 50)).astype("float32")
    dataset = xr.Dataset({"response": (("voxel", "image", "rank"), response)})
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    odd = np.arange(1, 400, 2)
    open_store(tmp_path / "a.zarr").isel(image=odd[:1]).load()
    tracemalloc.start()
    try:
        picked = open_store(tmp_path / "a.zarr").isel(image=odd).load()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * (dataset.nbytes + picked.nbytes)


def test_a_few_far_apart_are_picked_without_what_lies_between(tmp_path: Path) -> None:
    response = np.random.default_rng(0).normal(size=(400, 20, 500)).astype("float32")
    dataset = xr.Dataset({"response": (("voxel", "image", "rank"), response)})
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    open_store(tmp_path / "a.zarr").isel(voxel=[3]).load()
    tracemalloc.start()
    try:
        picked = open_store(tmp_path / "a.zarr").isel(voxel=[7, 390]).load()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    xr.testing.assert_identical(picked, dataset.isel(voxel=[7, 390]))
    assert peak < dataset.nbytes / 2


def test_a_store_can_be_loaded_but_for_one_variable(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    loaded = load_store(tmp_path / "a.zarr", lazy="token")
    xr.testing.assert_identical(loaded.load(), open_store(tmp_path / "a.zarr").load())
    loaded = load_store(tmp_path / "a.zarr", lazy="token")
    assert isinstance(loaded["response"].variable._data, np.ndarray)
    assert not isinstance(loaded["token"].variable._data, np.ndarray)


def test_a_table_keeps_its_columns_and_six_digits(tmp_path: Path) -> None:
    table = pd.DataFrame({"roi": ["EBA", ""], "value": [1 / 3, np.nan], "n": [2, 3]})
    write_table(table, tmp_path / "a.tsv")
    assert (tmp_path / "a.tsv").read_text() == "roi\tvalue\tn\nEBA\t0.333333\t2\n\t\t3\n"


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "subject": ["01", "1e3", "True"],
            "roi": ["NA", "nan", ""],
            "word": ["null", "", 'a\t"b"'],
            "other_word": ["", "", ""],
            "value": [1 / 3, np.nan, -np.inf],
            "unknown": [np.nan, np.nan, np.nan],
            "n": [2, 3, 10**12],
            "described": [True, False, True],
        }
    )
    write_table(table, tmp_path / "a.tsv")
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.tsv"), table, rtol=1e-5)


def test_a_table_without_rows_keeps_its_columns(tmp_path: Path) -> None:
    write_table(pd.DataFrame(columns=["subject", "value"]), tmp_path / "a.tsv")
    found = read_table(tmp_path / "a.tsv")
    assert found.columns.tolist() == ["subject", "value"] and found.empty


def test_same_content_gives_the_same_manifest(dataset: xr.Dataset, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_store(dataset, tmp_path / folder / "a.zarr", provenance=PROVENANCE)
    first, second = (tmp_path / folder / "a.json" for folder in ("one", "two"))
    assert first.read_bytes() == second.read_bytes()
    # Nothing else is in it, such as the time, by which two runs could differ.
    own = {"schema_version", "store", "content_digest", "variables", "files"}
    assert set(read_manifest(tmp_path / "one/a.zarr")) == own | PROVENANCE.keys()


def test_an_opened_store_can_be_written_again(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    write_store(open_store(tmp_path / "a.zarr"), tmp_path / "b.zarr", provenance=PROVENANCE)
    digests = [read_manifest(tmp_path / name)["content_digest"] for name in ("a.zarr", "b.zarr")]
    assert digests[0] == digests[1]


def test_writing_replaces_store_and_leftovers(dataset: xr.Dataset, tmp_path: Path) -> None:
    (tmp_path / "a.zarr.partial").mkdir()
    (tmp_path / "a.zarr.partial/leftover").write_text("x")
    write_store(dataset[["rank", "member"]], tmp_path / "a.zarr", provenance=PROVENANCE)
    write_store(dataset[["rank"]], tmp_path / "a.zarr", provenance=PROVENANCE)
    assert list(open_store(tmp_path / "a.zarr").data_vars) == ["rank"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.zarr"]


WRITER = """
import sys
import numpy as np, xarray as xr
from mine import stores

dataset = xr.Dataset({"rank": ("image", np.arange(1000))})
stores.write_store(dataset, sys.argv[1], provenance={})
before = sys.argv[2]
rest = getattr(stores, before)


def wait(*arguments):
    print("waiting", flush=True)
    sys.stdin.read()


setattr(stores, before, wait)
stores.write_store(dataset + 1, sys.argv[1], provenance={})
"""


@pytest.mark.parametrize("step", ["content_digest", "dump_json"])
def test_killed_writer_leaves_nothing_that_looks_finished(tmp_path: Path, step: str) -> None:
    # Killed with the new store half written, and with it in place but without its manifest.
    store = tmp_path / "a.zarr"
    command = [sys.executable, "-c", WRITER, str(store), step]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"waiting\n"
        os.kill(writer.pid, signal.SIGKILL)
    assert not manifest_path(store).exists()
    with pytest.raises(InputError, match=r"a\.zarr: expected its manifest a\.json|found nothing"):
        open_store(store)
    dataset = xr.Dataset({"rank": ("image", np.arange(3))})
    write_store(dataset, store, provenance=PROVENANCE)
    xr.testing.assert_identical(open_store(store).load(), dataset)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.zarr"]


def test_snakemakes_time_stamp_is_passed_over(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    (tmp_path / "a.zarr/.snakemake_timestamp").touch()
    assert set(open_store(tmp_path / "a.zarr").data_vars) == set(dataset.data_vars)


def test_absent_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.zarr: expected a folder, found nothing"):
        open_store(tmp_path / "a.zarr")


def test_store_without_its_folder(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    shutil.rmtree(tmp_path / "a.zarr")
    said = r"a\.zarr: expected a folder, found nothing but its manifest; delete \S+a\.json and run"
    with pytest.raises(InputError, match=said):
        open_store(tmp_path / "a.json")


def test_store_is_opened_by_its_manifest(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    xr.testing.assert_identical(open_store(tmp_path / "a.json"), open_store(tmp_path / "a.zarr"))
    assert read_manifest(tmp_path / "a.json") == read_manifest(tmp_path / "a.zarr")


def test_store_without_manifest(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    (tmp_path / "a.json").unlink()
    with pytest.raises(InputError, match="expected its manifest a.json beside it, found none"):
        open_store(tmp_path / "a.zarr")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_damaged_manifest(dataset: xr.Dataset, tmp_path: Path, text: str) -> None:
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(InputError, match=r"a\.json: expected a store's manifest, found something"):
        open_store(tmp_path / "a.zarr")


def test_store_of_another_version(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    manifest = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps({**manifest, "schema_version": 99}))
    with pytest.raises(
        InputError, match="expected schema version 4, found 99; run the workflow again"
    ):
        open_store(tmp_path / "a.zarr")


@pytest.mark.parametrize("found", ["3", None, [3], 3.5])
def test_a_version_is_shown_as_it_stands(dataset: xr.Dataset, tmp_path: Path, found) -> None:
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    manifest = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "a.json").write_text(json.dumps({**manifest, "schema_version": found}))
    said = re.escape(f"expected schema version 4, found {found!r}; run")
    with pytest.raises(InputError, match=said):
        open_store(tmp_path / "a.zarr")


@pytest.mark.parametrize("key", ["files", "variables"])
@pytest.mark.parametrize("value", ["absent", None, [], "text", {}])
def test_a_manifest_without_the_sizes_of_files_is_refused(
    dataset: xr.Dataset, tmp_path: Path, key: str, value: object
) -> None:
    if (key, value) == ("variables", {}):
        return
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    manifest = json.loads((tmp_path / "a.json").read_text())
    del manifest[key]
    changed = manifest if value == "absent" else manifest | {key: value}
    (tmp_path / "a.json").write_text(json.dumps(changed))
    said = r"manifest \S+a\.json: expected .* sizes of its files, found none; delete the store"
    with pytest.raises(InputError, match=said):
        open_store(tmp_path / "a.zarr")


def test_a_changed_byte_is_read_or_told_in_one_sentence(tmp_path: Path) -> None:
    # Not every byte can be told by: a number of an array that is not compressed is a number.
    numbers = np.arange(24.0).reshape(6, 4)
    dataset = xr.Dataset(
        {"response": (("image", "voxel"), numbers), "word": ("image", list("abcdef"))}
    )
    store = tmp_path / "a.zarr"
    write_store(dataset, store, provenance=PROVENANCE)
    random, told = np.random.default_rng(0), set()
    for file in sorted(path for path in store.rglob("*") if path.is_file()):
        content = file.read_bytes()
        for place in random.choice(len(content), 12, replace=False):
            changed = bytearray(content)
            changed[place] ^= random.integers(1, 256)
            file.write_bytes(changed)
            try:
                open_store(store).load()
            except InputError as error:
                assert re.fullmatch(
                    r"store \S+a\.zarr: expected what was written to it, found a file that cannot "
                    r"be decoded; delete the store and its manifest and run `snakemake \S+`, which "
                    "makes them anew",
                    str(error),
                )
                told.add(file.name == "zarr.json")
        file.write_bytes(content)
    assert told == {True, False}
    xr.testing.assert_identical(open_store(store).load(), dataset)


def test_store_that_lost_a_variable(dataset: xr.Dataset, tmp_path: Path) -> None:
    write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    shutil.rmtree(tmp_path / "a.zarr/rank")
    with pytest.raises(InputError, match=r"expected its file rank/\S+ of \d+ bytes, found none"):
        open_store(tmp_path / "a.zarr")


@pytest.mark.parametrize("damage", ["missing", "truncated", "empty"])
def test_a_damaged_file_is_never_read(tmp_path: Path, damage: str) -> None:
    # Every file in turn, of a store whose arrays have several shards: without a look at the files
    # a missing one is read as zeros.
    numbers = np.random.default_rng(0).normal(size=(6, 4))
    dataset = xr.Dataset({"response": (("image", "voxel"), numbers), "rank": ("image", range(6))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mine.stores.CHUNK_BYTES", 32)
        patch.setattr("mine.stores.SHARD_BYTES", 64)
        write_store(dataset, tmp_path / "whole.zarr", provenance=PROVENANCE)
    store = tmp_path / "whole.zarr"
    files = sorted(path for path in store.rglob("*") if path.is_file())
    assert len(files) > 5
    for file in files:
        content = file.read_bytes()
        if damage == "missing":
            file.unlink()
        else:
            file.write_bytes(content[: len(content) // 2 if damage == "truncated" else 0])
        name = re.escape(str(file.relative_to(store)))
        message = rf"whole\.zarr: expected its file {name} of \d+ bytes, found .*; delete the store"
        with pytest.raises(InputError, match=message):
            open_store(store)
        file.write_bytes(content)
    xr.testing.assert_identical(open_store(store).load(), dataset)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    dataset = xr.Dataset({"rank": ("image", range(6))})
    store = tmp_path / "a.zarr"

    def fill(*arguments: object, **options: object) -> None:
        (tmp_path / "a.zarr.partial/rank").mkdir(parents=True)
        raise OSError(code, "full")

    write_store(dataset, store, provenance=PROVENANCE)
    with monkeypatch.context() as patch:
        patch.setattr(xr.Dataset, "to_zarr", fill)
        with pytest.raises(InputError, match=r"a\.zarr: expected room on the disk .*; make room"):
            write_store(dataset, store, provenance=PROVENANCE)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zarr"]
    with pytest.raises(InputError, match="expected its manifest a.json beside it, found none"):
        open_store(store)
    write_store(dataset, store, provenance=PROVENANCE)
    xr.testing.assert_identical(open_store(store).load(), dataset)


def test_name_of_a_store_is_checked(dataset: xr.Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.nc: expected a name that ends in \.zarr"):
        write_store(dataset, tmp_path / "a.nc", provenance=PROVENANCE)


def test_attribute_that_is_no_data_is_refused(tmp_path: Path) -> None:
    dataset = xr.Dataset(attrs={"when": object()})
    with pytest.raises(TypeError):
        write_store(dataset, tmp_path / "a.zarr", provenance=PROVENANCE)
    assert not (tmp_path / "a.json").exists()


def test_numbers_of_a_table_have_six_digits_whatever_its_columns_are(tmp_path: Path) -> None:
    empty = pd.DataFrame([], columns=["roi", "value"])
    joined = pd.concat([pd.DataFrame({"roi": ["EBA"], "value": [1 / 3]}), empty.astype(object)])
    write_table(joined.astype(object), tmp_path / "a.tsv")
    assert (tmp_path / "a.tsv").read_text() == "roi\tvalue\nEBA\t0.333333\n"
