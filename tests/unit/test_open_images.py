"""Images read out of shards: in the order asked for, or a sentence that says which are missing."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from mine.errors import InputError
from mine.shards import list_shards, open_images, shard_of
from mine.stores import content_digest, write_store

IMAGES = np.array([0, 1, 2, 4, 7, 8, 9, 10, 13, 21])
SIZE = 5


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Stores of shards 0 to 4; shard 3 holds no image."""
    found = []
    for shard in range(5):
        images = shard_of(IMAGES, shard, size=SIZE)
        dataset = xr.Dataset(
            {
                "tokens": (("image", "token"), images[:, None] * 10.0 + np.arange(3)),
                "mean": (("image",), images * 10.0 + 1),
                "row": (("token",), np.arange(3)),
            },
            coords={"image": images},
            attrs={"rows": 1, "columns": 3},
        )
        found.append(tmp_path / f"{shard}.zarr")
        write_store(dataset, found[-1], provenance={})
    return found


def test_shards_partition_the_images():
    parts = [shard_of(IMAGES, shard, size=SIZE) for shard in range(5)]
    np.testing.assert_array_equal(np.concatenate(parts), IMAGES)
    assert [len(part) for part in parts] == [4, 3, 2, 0, 1]


def test_a_shard_does_not_change_when_images_are_added():
    more = np.union1d(IMAGES, np.arange(20, 40))
    for shard in range(4):
        np.testing.assert_array_equal(
            shard_of(IMAGES, shard, size=SIZE), shard_of(more, shard, size=SIZE)
        )


@pytest.mark.parametrize(
    "images", [[7], [21, 0, 8], [13, 10, 9, 2, 1], IMAGES.tolist(), [4, 21, 4], []]
)
def test_images_come_in_the_order_asked_for(paths, images):
    dataset = open_images(paths, np.array(images, dtype=int))
    assert dataset["image"].values.tolist() == images
    np.testing.assert_array_equal(dataset["tokens"][:, 0], 10.0 * np.array(images))


def test_the_order_of_the_shards_changes_nothing(paths):
    images = np.array([21, 4, 9])
    xr.testing.assert_identical(open_images(paths, images), open_images(paths[::-1], images))


def test_what_is_not_asked_for_is_not_read(paths):
    chosen = np.array([21, 4])
    whole, some = (open_images(paths, chosen, only=only) for only in (None, ["row", "mean"]))
    xr.testing.assert_identical(some, whole.drop_vars("tokens"))
    for chunk in paths[0].parent.glob("*.zarr/tokens/c/*/*"):
        chunk.write_bytes(bytes(chunk.stat().st_size))
    with pytest.raises(InputError, match="cannot be decoded"):
        open_images(paths, chosen)
    xr.testing.assert_identical(open_images(paths, chosen, only=["row", "mean"]), some)


def test_what_has_no_image_stays_as_it_is(paths):
    dataset = open_images(paths, np.array([0, 21]))
    assert dataset["row"].dims == ("token",) and dataset.attrs == {"rows": 1, "columns": 3}


def test_missing_images_are_named_in_one_sentence(paths):
    with pytest.raises(InputError) as caught:
        open_images(paths, np.array([4, 5, 6]))
    sentence = str(caught.value)
    assert "2 images" in sentence and "5" in sentence and "\n" not in sentence


def test_unfinished_shard_is_refused(paths):
    paths[0].with_suffix(".json").unlink()
    with pytest.raises(InputError, match="never finished"):
        open_images(paths, np.array([21]))


def test_the_size_of_shards_changes_nothing_that_is_read(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).normal(size=(len(IMAGES), 3)).astype("float16")
    whole = xr.Dataset({"tokens": (("image", "token"), tokens)}, coords={"image": IMAGES})
    read = set()
    for size in (1, 5, 8, 100):
        stores = []
        for shard in np.unique(IMAGES // size):
            stores.append(tmp_path / str(size) / f"{shard}.zarr")
            part = whole.sel(image=shard_of(IMAGES, shard, size=size))
            write_store(part, stores[-1], provenance={})
        read.add(content_digest(open_images(stores, IMAGES[::-1])))
    assert len(read) == 1


def test_a_list_of_shards_names_the_stores_beside_it(tmp_path: Path) -> None:
    (tmp_path / "shards.json").write_text('{"shards": {"0.zarr": "a", "10.zarr": "b"}}')
    assert list_shards(tmp_path / "shards.json") == [tmp_path / "0.zarr", tmp_path / "10.zarr"]
    with pytest.raises(InputError, match=r"none/shards\.json: expected a file, found none"):
        list_shards(tmp_path / "none/shards.json")


def test_reading_takes_less_than_twice_the_memory_of_what_is_read(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).normal(size=(800, 16, 256)).astype("float16")
    whole = xr.Dataset(
        {"tokens": (("image", "token", "feature"), tokens)}, coords={"image": np.arange(800)}
    )
    stores = [tmp_path / f"{shard}.zarr" for shard in range(8)]
    for shard, store in enumerate(stores):
        write_store(whole.isel(image=slice(100 * shard, 100 * shard + 100)), store, provenance={})
    images = np.random.default_rng(1).permutation(800)
    open_images(stores, images[:1])
    tracemalloc.start()
    try:
        found = open_images(stores, images)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * found.nbytes
    np.testing.assert_array_equal(found["tokens"], tokens[images])
