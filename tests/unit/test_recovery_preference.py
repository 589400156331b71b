"""Laws of the recovery of category preference, on a little miniature with its truth."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.metrics import roc_auc_score

from mine.config import load_config
from mine.demo import miniature
from mine.demo.planting import REGIONS
from mine.demo.recovery_preference import PLANTED, score_preference, summarise_preference
from mine.demo.scenes import parse_scene
from mine.demo.words import BACKGROUNDS, CATEGORIES
from mine.stages.preference import EVIDENCE
from mine.statistics.bootstrap import bootstrap_mean
from mine.statistics.proportions import share_interval

NAMES = ["faces", "bodies", "places", "words", "food"]


@pytest.fixture(scope="module")
def world() -> tuple[xr.Dataset, xr.Dataset]:
    """The truth about the images and about a subject."""
    stimuli = miniature.render_stimuli(shared=20, unique=60, subjects_count=1, side=64, seed=0)
    design = miniature.draw_design(shared=20, unique=60, subjects_count=1, sessions=1, seed=0)
    truth = miniature.describe_truth(stimuli, design, 0, "subj01", seed=0)
    return truth, miniature.describe_images(stimuli)


def find_shown(images: xr.Dataset, *features: str) -> np.ndarray:
    """Which images show one of some features, straight from pixels and scenes."""
    shown = np.zeros(images.sizes["image"], dtype=bool)
    for row, text in enumerate(images["scene"].values):
        scene = parse_scene(json.loads(text))
        labels = set(images["label"].values[row].ravel().tolist())
        for feature in features:
            if feature in BACKGROUNDS:
                shown[row] |= scene.background == feature
            else:
                shown[row] |= 1 + list(CATEGORIES).index(feature) in labels
    return shown


def make_preference(
    truth: xr.Dataset, images: xr.Dataset, region: str, preferred: str
) -> xr.Dataset:
    """A region that answers as planted and prefers what is said, all images labelled but two."""
    voxel = np.flatnonzero(truth["region"].values == region)
    response = truth["response"].values[:, voxel].mean(axis=1)
    label = np.zeros((5, len(response)), dtype=np.int8)
    label[0], label[2] = find_shown(images, "face"), find_shown(images, "house", "city", "forest")
    label[:, :2] = -1
    t = np.array([1.0, 1.0, 1.0, 1.0, np.nan])
    return xr.Dataset(
        {
            "label": (("category", "image"), label),
            "roi_response": (("response", "image"), np.stack([-response, response])),
            "roi_preferred": ("evidence", [preferred] * 4),
            "roi_t": ("category", t),
        },
        coords={
            "voxel": voxel,
            "image": truth["image"].values,
            "category": NAMES,
            "response": ["predicted", "measured"],
            "evidence": list(EVIDENCE),
        },
    )


def score(world: tuple[xr.Dataset, xr.Dataset], regions: dict[str, str]) -> pd.DataFrame:
    by_roi = {name: make_preference(*world, name, found) for name, found in regions.items()}
    table = score_preference(by_roi, *world, resamples=100, generator=np.random.default_rng(0))
    return table.set_index(["measure", "roi"])


def test_every_planted_region_has_a_category_of_the_configuration(repository):
    categories = load_config(repository / "config.yaml").categories
    assert set(PLANTED.values()) == set(categories) == set(NAMES)
    mains = {main for region in REGIONS for main in region.mains}
    assert mains - set(PLANTED) == {"contrast"}


def test_a_region_is_right_if_it_prefers_what_was_planted(world):
    found = score(world, {"FFA-1": "faces", "OPA": "faces", "food": "", "V1v": "faces"})["value"]
    for measure in ("profile", "response", "predicted"):
        shares = found.loc[f"roi_preference_{measure}"]
        assert shares.to_dict() == {"FFA-1": 1, "OPA": 0, "food": 0}
    assert found.loc["roi_preference_localiser"].to_dict() == {"FFA-1": 1, "OPA": 0}


def test_auc_is_of_the_images_that_are_labelled(world):
    truth, images = world
    found = score(world, {"FFA-1": "faces", "OPA": "places"})
    for roi, category in (("FFA-1", 0), ("OPA", 2)):
        own = make_preference(truth, images, roi, "")
        label, response = own["label"].values[category, 2:], own["roi_response"].values[1]
        expected = roc_auc_score(label, response[2:])
        for measure, value in (
            ("preferred_auc", expected),
            ("preferred_auc_bound", expected),
            ("preferred_auc_predicted", 1 - expected),
        ):
            row = found.loc[(measure, roi)]
            assert row["value"] == pytest.approx(value) and row["n"] == len(response) - 2
            assert row["low"] <= row["value"] <= row["high"]


def test_planted_features_are_those_of_the_region(world):
    truth, images = world
    found = score(world, {"OPA": "places", "PPA": "places"}).loc["planted_auc"]
    for roi, features in (("OPA", ("house",)), ("PPA", ("house", "city", "forest"))):
        response = make_preference(truth, images, roi, "")["roi_response"].values[1]
        expected = roc_auc_score(find_shown(images, *features), response)
        assert found.loc[roi, "value"] == pytest.approx(expected)
        assert found.loc[roi, "n"] == len(response), "labels or none"
    # Houses alone drive OPA, and a label that holds cities and forests too cannot show it.
    assert found.loc["OPA", "value"] == 1
    bound = score(world, {"OPA": "places"}).loc[("preferred_auc_bound", "OPA"), "value"]
    assert bound < 0.95


def test_summary_has_shares_and_means():
    rows = []
    for subject, right, auc in (("subj01", (1, 0), (0.9, 0.7)), ("subj02", (1, 1), (1.0, 0.8))):
        for roi, share, value in zip(("EBA", "PPA"), right, auc, strict=True):
            rows.append((subject, "roi_preference_profile", roi, share, np.nan, np.nan, 1))
            rows.append((subject, "preferred_auc", roi, value, value - 0.1, value + 0.1, 50))
    columns = ["subject", "measure", "roi", "value", "low", "high", "n"]
    regions = pd.DataFrame(rows, columns=columns)
    table = summarise_preference(regions, resamples=200, generator=np.random.default_rng(0))
    assert table.columns.tolist() == ["measure", "subject", "roi", "value", "low", "high", "n"]
    assert not table.duplicated(["measure", "subject", "roi"]).any()
    assert (table["low"] <= table["high"]).all() and (table["n"] > 0).all()
    found = table.set_index(["measure", "subject", "roi"])
    share = found.loc[("roi_preference_profile", "all", "all")]
    assert share.tolist() == pytest.approx([0.75, *share_interval(3, 4), 4])
    assert found.loc[("roi_preference_profile", "subj01", "all"), "value"] == 0.5
    own = found.loc[("preferred_auc", "subj01", "PPA")].tolist()
    assert own == pytest.approx([0.7, 0.6, 0.8, 50])
    assert found.loc[("preferred_auc", "all", "EBA"), "value"] == pytest.approx(0.95)
    whole = found.loc[("preferred_auc", "all", "all")]
    values = np.array([0.9, 0.7, 1.0, 0.8])
    _, low, high = bootstrap_mean(values, resamples=2000, generator=np.random.default_rng(1))
    assert whole["value"] == pytest.approx(0.85) and whole["n"] == 4
    assert whole[["low", "high"]].tolist() == pytest.approx([low, high], abs=0.03)
