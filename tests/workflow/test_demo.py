"""The real workflow, from the rendered dataset to the recovery table, on a smaller demo."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mine.core.choosing import find_judged
from mine.core.encoder import position_basis, predict, select_voxels, weights_from_dataset
from mine.core.integrated_gradients import stream_attributions
from mine.core.splits import split_halves
from mine.core.tuning import measure_tuning, read_words
from mine.history import history_path, list_entries, read_history
from mine.shards import list_shards, open_images
from mine.stages.attributions import mean_tokens
from mine.stages.baselines import fit_baselines
from mine.stages.faithfulness import FaithfulnessCurves
from mine.stages.profiles import qualify_voxels
from mine.stores import open_store
from tests.workflow.running import make_smaller, manifests, run


def test_second_run_has_nothing_to_do(finished: Path) -> None:
    assert "Nothing to be done" in run(finished)


def test_recovery_is_written_with_its_columns(finished: Path) -> None:
    table = pd.read_csv(finished / "results/small/recovery.tsv", sep="\t")
    assert table.columns.tolist() == ["measure", "subject", "roi", "value", "low", "high", "n"]
    assert set(table["subject"]) == {"subj01", "subj02", "all"}
    assert {"FFA-1", "PPA", "all", "noise"} <= set(table["roi"])
    assert not table.duplicated(["measure", "subject", "roi"]).any()
    expected = {"described", "top_word_all", "described_random_encoder"}
    expected |= {"roi_preference_profile", "roi_preference_response"}
    expected |= {
        f"r2_normalised_{model}"
        for model in ("mine", "ridge", "caption", "planted_ridge", "noiseless")
    }
    expected |= {f"r2_normalised_{model}_tolerant" for model in ("mine", "planted_ridge")}
    assert expected <= set(table["measure"])
    # No category that is planted here is shown by ten of the forty test images.
    assert "preferred_auc" not in set(table["measure"])
    bounded = table["low"] <= table["high"]
    # Of two regions identification has no interval.
    assert table.loc[~bounded, "measure"].str.startswith("identification").all()
    assert (table["n"] > 0).all()


def test_every_stage_left_a_store_that_is_whole(finished: Path) -> None:
    results = finished / "results/small"
    names = ["stimuli", "embeddings/clip/vocabulary", "embeddings/clip/base_rates"]
    names += ["embeddings/clip/categories"]
    for subject in ("subj01", "subj02"):
        names += [f"{subject}/{part}" for part in ("responses", "rois", "baselines", "scores")]
        names += [f"{subject}/encoder/{fit}" for fit in ("all", "first_half", "all_random")]
        for roi in ("FFA-1", "PPA", "control"):
            parts = ["faithfulness", "descriptions", "profiles", "attributions/all", "features"]
            parts += ["preference", "structure"]
            parts += ["generated", "sufficiency", "edits", "counterfactuals"]
            names += [f"{subject}/{roi}/{part}" for part in parts]
    for name in names:
        assert open_store(results / f"{name}.zarr").sizes, name
    responses = open_store(results / "subj02/responses.zarr")
    assert responses.sizes["image"] == 240
    assert (responses["split"] == "test").sum() == 40
    assert not list(results.rglob("*.partial"))


def test_every_figure_is_drawn_twice(finished: Path) -> None:
    figures = finished / "results/small/figures"
    names = {str(path.relative_to(figures).with_suffix("")) for path in figures.rglob("*.png")}
    assert {"recovery", "subj01/encoder", "subj02/FFA-1/profiles"} <= names
    assert {"preference", "clusters", "subj01/maps"} <= names
    for name in names:
        for suffix in (".png", ".pdf"):
            assert (figures / name).with_suffix(suffix).stat().st_size > 1000


def test_halves_are_read_on_disjoint_images_and_never_on_test_images(finished: Path) -> None:
    results = finished / "results/small/subj01"
    responses = open_store(results / "responses.zarr")
    test = set(responses["image"].values[responses["split"].values == "test"])
    for kind in ("", "_shuffled", "_random"):
        first, second = (
            set(open_store(results / f"FFA-1/attributions/{half}_half{kind}.zarr")["image"].values)
            for half in ("first", "second")
        )
        assert first and second and not first & second and not (first | second) & test


def test_noise_ceilings_are_those_that_were_planted(finished: Path) -> None:
    results = finished / "results/small"
    responses = open_store(results / "subj01/responses.zarr")
    truth = open_store(results / "truth/subj01.zarr")
    planted = {
        tuple(place): ceiling
        for place, ceiling in zip(
            truth["ijk"].values.tolist(), truth["planted_noise_ceiling"].values, strict=True
        )
    }
    expected = [planted[tuple(place)] for place in responses["ijk"].values.tolist()]
    measured = responses["noise_ceiling"].values
    correlation = pd.Series(expected).corr(pd.Series(measured))
    assert correlation > 0.9 and abs((measured - expected).mean()) < 0.05


def test_the_judge_has_seen_nothing_that_the_explained_encoder_has(finished: Path) -> None:
    results = finished / "results/small"
    shards = list_shards(results / "embeddings/convolutional/images/shards.json")
    for subject in ("subj01", "subj02"):
        responses = open_store(results / f"{subject}/responses.zarr")
        test = responses["image"].values[responses["split"].values == "test"]
        evaluator = open_store(results / f"{subject}/evaluator.zarr")
        explained = open_store(results / f"{subject}/encoder/first_half.zarr")["image"].values
        own = evaluator["image"].values
        assert len(own) and not np.isin(own, [*explained, *test]).any()
        # And these are the images that its weights are of.
        features = open_images(shards, own)["feature_value"].values.mean(axis=0)
        np.testing.assert_allclose(evaluator["mean"], features, rtol=1e-4, atol=1e-5)


def test_what_is_tested_comes_from_the_first_half_alone(finished: Path) -> None:
    fits = {"features": {"encoder", "attributions"}, "edits": {"encoder"}}
    for path in finished.glob("results/small/subj*/*/features.zarr"):
        for name, kinds in fits.items():
            read = list_entries(read_history(path.with_name(f"{name}.zarr"))["inputs"])
            paths = [Path(entry["path"]) for _, entry in read]
            of_fits = [one for one in paths if one.parent.name in ("encoder", "attributions")]
            assert {one.stem for one in of_fits} == {"first_half"}, path
            assert {one.parent.name for one in of_fits} == kinds, path


def test_words_are_counted_over_images_that_no_subject_is_tested_on(finished: Path) -> None:
    results = finished / "results/small"
    held_out = open_store(results / "stimuli.zarr")["held_out"].values
    base_rates = open_store(results / "embeddings/clip/base_rates.zarr")
    assert held_out.any() and base_rates.attrs["images"] == (~held_out).sum()


class Region:
    """The stores of one region, and what the tests below read of its subject."""

    def __init__(self, finished: Path, subject: str, roi: str) -> None:
        self.results = finished / "results/small"
        self.subject, self.roi = self.results / subject, self.results / subject / roi
        self.config = json.loads((self.results / "config.json").read_text())
        self.responses = open_store(self.subject / "responses.zarr").load()
        is_test = self.responses["split"].values == "test"
        self.test, self.training = (
            self.responses["image"].values[chosen] for chosen in (is_test, ~is_test)
        )
        member = open_store(self.subject / "rois.zarr")["member"]
        self.voxels = np.flatnonzero(member.sel(roi=roi).values)

    def open(self, name: str) -> xr.Dataset:
        return open_store(self.roi / f"{name}.zarr").load()

    def fit(self, name: str) -> xr.Dataset:
        return open_store(self.subject / f"encoder/{name}.zarr").load()

    def embedded(self, kind: str, images: np.ndarray) -> xr.Dataset:
        shards = list_shards(self.results / f"embeddings/clip/{kind}/shards.json")
        return open_images(shards, images)

    def basis(self, embedded: xr.Dataset) -> np.ndarray:
        orders = self.config["encoder"]["position_orders"]
        return position_basis(embedded.attrs["rows"], embedded.attrs["columns"], orders)

    def measured(self, images: np.ndarray, voxels: np.ndarray) -> np.ndarray:
        """Responses (image, voxel), found by what the images are called."""
        return self.responses["response"].sel(image=images).values[:, voxels]


@pytest.fixture(params=["FFA-1", "PPA"])
def region(finished: Path, request: pytest.FixtureRequest) -> Region:
    return Region(finished, "subj01", request.param)


def test_voxels_of_a_profile_qualify_by_their_own_scores(region: Region) -> None:
    profiles = region.open("profiles")
    assert (profiles["voxel"].values == region.voxels).all()
    whole = qualify_voxels(
        tuple(region.fit(half)["held_out_z"].values for half in ("first_half", "second_half")),
        open_store(region.subject / "baselines.zarr")["semantic_p"].values,
        false_discovery_rate=profiles.attrs["false_discovery_rate"],
    )
    for name, expected in zip(("predicted", "semantic"), whole, strict=True):
        assert (profiles[name].values == expected[region.voxels]).all(), name


def test_preferences_are_of_the_regions_responses_to_the_test_images(region: Region) -> None:
    preference = region.open("preference")
    assert (preference["image"].values == region.test).all()
    t = open_store(region.subject / "rois.zarr")["t"]
    for name, category in region.config["categories"].items():
        if category["localiser"] in t["contrast"].values:
            expected = t.sel(contrast=category["localiser"]).values[region.voxels]
            np.testing.assert_array_equal(preference["t"].sel(category=name), expected)
    assert np.isfinite(preference["t"]).any()
    predicted = region.open("attributions/all")["prediction"].sel(image=region.test).values
    for name, response in (
        ("measured", region.measured(region.test, region.voxels)),
        ("predicted", predicted.T),
    ):
        found = preference["roi_response"].sel(response=name)
        np.testing.assert_allclose(found, response.mean(axis=1), rtol=1e-4, atol=1e-5)


def test_attributions_are_from_the_mean_training_token(region: Region) -> None:
    attributions = region.open("attributions/all")
    assert (attributions["voxel"].values == region.voxels).all()
    tokens = region.embedded("images", region.training)["tokens"].values
    mean = tokens.mean(axis=0, dtype=np.float64)
    for fit in ("all", "first_half"):
        baseline = region.open(f"attributions/{fit}")["baseline"]
        np.testing.assert_allclose(baseline, mean, rtol=1e-4, atol=1e-5)
    # The prediction is of the image that it stands by.
    images = attributions["image"].values[::7]
    embedded = region.embedded("images", images)
    weights = select_voxels(weights_from_dataset(region.fit("all")), region.voxels)
    expected = predict(weights, embedded["tokens"].values, region.basis(embedded))
    found = attributions["prediction"].sel(image=images).values.T
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_faithfulness_is_to_the_voxels_own_responses_on_test_images(region: Region) -> None:
    found, voxel = region.open("faithfulness").isel(voxel=[-1]), region.voxels[-1:]
    assert (found["voxel"].values == voxel).all() and found.attrs["images"] == len(region.test)
    embedded = region.embedded("images", region.test)
    curves = FaithfulnessCurves(
        voxels=1,
        norm=embedded["norm"].values,
        measured=region.measured(region.test, voxel),
        fractions=region.config["faithfulness"]["fractions"],
        rankings=["integrated_gradients"],
        resamples=2,
        generator=np.random.default_rng(0),
    )
    options = region.config["attribution"]
    for batch in stream_attributions(
        select_voxels(weights_from_dataset(region.fit("all")), voxel),
        embedded["tokens"].values,
        mean_tokens(
            lambda block: region.embedded("images", block)["tokens"].values, region.training
        ),
        region.basis(embedded),
        **{
            name: value
            for name, value in options.items()
            if name not in ("images", "token_fraction")
        },
    ):
        curves.add(batch)
    expected = curves.dataset()["r2"]
    assert expected["target"].values.tolist() == ["prediction", "measured"]
    own = found["r2"].sel(ranking=["integrated_gradients"])
    np.testing.assert_allclose(own, expected, rtol=1e-2, atol=1e-3)


def test_tuning_pairs_each_voxels_responses_with_the_images_it_saw(region: Region) -> None:
    structure, described = region.open("structure"), region.open("profiles")["described"].values
    if structure.sizes["voxel"] == 0:
        assert described.sum() < region.config["structure"]["least_voxels"]
        return
    assert (structure["voxel"].values == region.voxels[described]).all()
    group = open_store(region.results / "embeddings/clip/base_rates.zarr")["group"].values
    readings = read_words(
        region.embedded("lens", region.training),
        group,
        shared=structure.attrs["shared_group"],
        most=region.config["structure"]["words"],
    )
    response = region.measured(region.training, structure["voxel"].values)
    half = np.searchsorted(
        region.training, split_halves(region.training, seed=region.config["seed"])[0]
    )
    for fit, images in (("all", np.arange(len(region.training))), ("first_half", half)):
        expected = measure_tuning(response, readings, images)
        np.testing.assert_allclose(structure["tuning"].sel(fit=fit), expected, rtol=1e-3, atol=1e-3)


def test_voxels_whose_features_are_tested_are_the_most_faithful_that_have_a_judge(
    region: Region,
) -> None:
    features, profiles = region.open("features"), region.open("profiles")
    judged = find_judged(
        open_store(region.subject / "evaluator.zarr")["p"].values,
        region.voxels,
        level=profiles.attrs["false_discovery_rate"],
    )
    able = region.voxels[profiles["described"].values & judged]
    assert np.isin(features["voxel"], able).all()
    error = region.open("faithfulness")["error_auc"].sel(
        ranking="integrated_gradients", mode="keep"
    )
    quantile = 1 - region.config["features"]["faithfulness_quantile"]
    for own in error.sel(voxel=features["voxel"]).values:
        assert own <= np.quantile(error.sel(voxel=able), quantile) + 1e-6
    # What is said of them is of the first half's encoder, in test images.
    assert (features["image"].values == region.test).all()
    embedded = region.embedded("images", region.test)
    weights = weights_from_dataset(region.fit("first_half"))
    weights = select_voxels(weights, features["voxel"].values)
    expected = predict(weights, embedded["tokens"].values, region.basis(embedded))
    np.testing.assert_allclose(features["prediction"].T, expected, rtol=1e-3, atol=1e-4)


def test_a_voxel_counts_as_semantic_by_the_halves_that_the_encoders_have(
    finished: Path,
) -> None:
    region = Region(finished, "subj01", "PPA")
    voxel, images = region.voxels[:1], region.responses["image"].values
    halves = [
        np.flatnonzero(np.isin(images, region.fit(name)["image"]))
        for name in ("first_half", "second_half")
    ]
    captions = open_store(region.results / "embeddings/clip/captions.zarr")["caption"]
    low_level = open_images(list_shards(region.results / "low_level/shards.json"), images)
    expected = fit_baselines(
        region.embedded("images", images)["pooled"].values,
        low_level["feature_value"].values,
        region.measured(images, voxel),
        training=np.isin(images, region.training),
        halves=tuple(halves),
        captions=captions.sel(image=images).values,
        seed=region.config["seed"],
        **region.config["baselines"],
    )
    found = open_store(region.subject / "baselines.zarr").isel(voxel=voxel)
    np.testing.assert_allclose(found["semantic_z"], expected["semantic_z"], rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(found["prediction"], expected["prediction"], rtol=1e-2, atol=1e-2)


def mine(folder: Path, *arguments: str) -> str:
    """Run a command of `mine` where the workflow ran."""
    command = [sys.executable, "-c", "import mine.cli, sys; sys.exit(mine.cli.main())", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_output_has_a_record_that_holds(finished: Path) -> None:
    results = finished / "results/small"
    for path in [*results.rglob("*.zarr"), *results.rglob("*.png"), *results.glob("*.tsv")]:
        if path.is_relative_to(results / "dataset"):
            continue
        record = read_history(path)
        written = [entry["path"] for _, entry in list_entries(record["outputs"])]
        assert path.name in {Path(name).name for name in written}, path
        assert str(finished) not in history_path(path).read_text(), path
    said = mine(finished, "provenance", "results/small/figures/recovery.png")
    assert "made by rule render_demo, code" in said and " 0 problems" in said


@pytest.mark.slow
def test_every_figure_is_drawn_from_an_archive_alone(finished: Path, tmp_path: Path) -> None:
    mine(finished, "export", "config.yaml", "--to", str(tmp_path / "bundle"), "--images")
    said = mine(tmp_path, "figures", "bundle", "--to", "again", "--cores", "2")
    figures = finished / "results/small/figures"
    drawn = {path.relative_to(figures) for path in figures.rglob("*.*") if path.suffix != ".json"}
    assert f"{len(drawn)} files drawn in again, {len(drawn)} of them as in the archive" in said
    for name in drawn:
        assert (tmp_path / "again" / name).is_file()
        if name.suffix == ".tsv":
            assert (tmp_path / "again" / name).read_bytes() == (figures / name).read_bytes()


@pytest.mark.slow
def test_another_seed_gives_other_numbers(finished: Path, tmp_path: Path, repository: Path) -> None:
    other = make_smaller(tmp_path / "other", repository, seed=1)
    run(other, "results/small/subj01/responses.json")
    name = "results/small/subj01/responses.json"
    assert manifests(other)[name] != manifests(finished)[name]
