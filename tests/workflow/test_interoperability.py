"""What the workflow writes is read by the field's tools, without this package."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mine.stores import open_store

pytestmark = pytest.mark.slow

READ = """
import json, sys, warnings
from pathlib import Path

import nibabel, nilearn.image, nilearn.maskers, numpy, pandas, xarray, zarr

# Snakemake leaves a time stamp in the folder of every store.
warnings.filterwarnings("ignore", message=r".*snakemake_timestamp.*")
root = Path(sys.argv[1])
stores, maps, tables = {}, {}, {}
for path in sorted(root.glob("**/*.zarr")):
    if not path.with_suffix(".json").is_file():
        continue
    dataset, group = xarray.open_zarr(path, consolidated=False), zarr.open(path, mode="r")
    stores[str(path.relative_to(root))] = {
        name: [list(variable.dims), list(variable.shape), list(group[name].shape)]
        for name, variable in dataset.variables.items()
    }
    for name in dataset.variables:
        first = (0,) * dataset[name].ndim
        if dataset[name].size:
            one, other = dataset[name].values[first], group[name][first]
            assert one == other or one != one, (path, name)
for path in sorted(root.glob("**/clusters.nii.gz")):
    image = nilearn.image.load_img(path)
    labels = numpy.asarray(nibabel.load(path).dataobj)
    assert (nilearn.image.get_data(image) == labels).all() and labels.dtype.kind == "i"
    means = {}
    if labels.any():
        # Each cluster's mean of a volume that holds the clusters' own numbers is its number.
        masker = nilearn.maskers.NiftiLabelsMasker(image, resampling_target=None)
        volume = nilearn.image.new_img_like(image, labels.astype("float32"))
        means = numpy.atleast_1d(masker.fit_transform(volume)).ravel().tolist()
    maps[str(path.relative_to(root))] = {
        "affine": image.affine.tolist(),
        "places": numpy.argwhere(labels).tolist(),
        "labels": labels[labels > 0].tolist(),
        "means": means or [],
    }
for path in sorted([*root.glob("*.tsv"), *root.glob("subj*/*.tsv")]):
    tables[str(path.relative_to(root))] = pandas.read_csv(path, sep="\\t").columns.tolist()
assert not any(name.split(".")[0] == "mine" for name in sys.modules)
print(json.dumps({"stores": stores, "maps": maps, "tables": tables}))
"""
"""Reads all of a folder's results with nothing but what a reader of them has."""


@pytest.fixture(scope="module")
def root(finished: Path) -> Path:
    return finished / "results/small"


@pytest.fixture(scope="module")
def read(root: Path, tmp_path_factory) -> dict[str, dict]:
    command = [sys.executable, "-c", READ, str(root)]
    folder = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_stores_open_in_xarray_and_zarr_as_their_manifests_say(read: dict, root: Path) -> None:
    assert len(read["stores"]) > 20
    for name, variables in read["stores"].items():
        manifest = json.loads((root / name).with_suffix(".json").read_text())["variables"]
        assert variables.keys() == manifest.keys(), name
        for variable, (dimensions, shape, own) in variables.items():
            assert dimensions == manifest[variable]["dimensions"], f"{name}: {variable}"
            assert shape == own == manifest[variable]["shape"], f"{name}: {variable}"


def test_maps_have_the_affine_and_the_labels_of_their_stores(read: dict, root: Path) -> None:
    assert read["maps"]
    for name, found in read["maps"].items():
        subject = name.split("/")[0]
        responses = open_store(root / subject / "responses.zarr")
        np.testing.assert_allclose(found["affine"], responses.attrs["affine"])
        structure = open_store((root / name).with_name("structure.zarr"))
        places = responses["ijk"].isel(voxel=structure["voxel"].values).values.tolist()
        expected = dict(zip(map(tuple, places), structure["cluster"].values + 1, strict=True))
        assert dict(zip(map(tuple, found["places"]), found["labels"], strict=True)) == expected
        assert found["means"] == pytest.approx(sorted(set(expected.values())))


def test_tables_have_the_columns_that_are_documented(
    read: dict, root: Path, repository: Path
) -> None:
    text = (repository / "docs/stores.md").read_text().split("\n## Tables", 1)[-1]
    found = {Path(name).name: columns for name, columns in read["tables"].items()}
    for name in ("recovery.tsv", "regions.tsv", "preference.tsv", "clusters.tsv"):
        said = re.search(rf"`{re.escape(name)}`:(.*?)(?:;|\.\s)", text, flags=re.DOTALL)
        assert said, name
        # In brackets stand the values that a column may have.
        columns = re.sub(r"\(.*?\)", "", said[1], flags=re.DOTALL)
        assert found[name] == re.findall(r"`(\w+)`", columns), name
