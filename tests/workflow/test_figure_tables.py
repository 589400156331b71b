"""Every figure of a finished demo has its table, and the table says what the stores hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from mine.core.conditions import REFERENCES
from mine.core.synonyms import name_as_listed
from mine.figures.catalogue import FIGURES
from mine.sections import ALL
from mine.stages.causality import DIFFERENCE
from mine.stores import TEXT_COLUMNS, open_store

pytestmark = pytest.mark.slow

Pairs = Iterator[tuple[object, object]]
"""What a table says and what the stores do."""


@pytest.fixture(scope="module")
def results(finished: Path) -> Path:
    return finished / "results/small"


def test_every_figure_has_its_table_and_every_table_its_figure(results: Path) -> None:
    drawn = {path.with_suffix("") for path in (results / "figures").rglob("*.png")}
    assert drawn == {path.with_suffix("") for path in (results / "figures").rglob("*.tsv")}
    assert drawn == {path.with_suffix("") for path in (results / "figures").rglob("*.pdf")}
    found = set()
    for figure in FIGURES:
        pattern = figure.files.replace("{subject}", "subj0?").replace("{roi}", "*")
        paths = set((results / "figures").glob(f"{pattern}.png"))
        assert paths, figure.files
        found |= {path.with_suffix("") for path in paths}
    assert found == drawn


MIXED = ("images", "label")
"""Columns that hold numbers in one table and text in another: how many images, or all; a label, or
what was planted."""


def list_texts(results: Path) -> set[str]:
    """Columns of tables that the workflow has written in which something is neither a number nor
    a boolean."""
    found = set()
    for path in results.rglob("*.tsv"):
        if not {"benchmarks", "dataset"} & set(path.relative_to(results).parts):
            table = pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""])
            kinds = table.apply(lambda column: pd.api.types.infer_dtype(column, skipna=True))
            found |= set(kinds.index[kinds.isin(["string", "mixed"])])
    return found


def test_text_is_known_as_text_by_the_name_of_its_column(results: Path) -> None:
    found = list_texts(results)
    # Whether clusters have words depends on what a run finds.
    assert {"subject", "roi", "measure"} <= found
    assert found <= {*TEXT_COLUMNS, *MIXED}


@pytest.mark.parametrize("figure", FIGURES, ids=lambda figure: Path(figure.files).name)
def test_the_table_says_what_the_stores_hold(figure, results: Path) -> None:
    compared = 0
    check = CHECKS[figure.files]
    pattern = figure.files.replace("{subject}", "subj0?").replace("{roi}", "*")
    for path in sorted((results / "figures").glob(f"{pattern}.tsv")):
        table = pd.read_csv(path, sep="\t", keep_default_na=False, na_values=[""])
        folder = results / path.relative_to(results / "figures").parent
        for said, held in check(table, folder):
            if isinstance(held, str):
                assert str(said) == held, path
            else:  # six digits are written
                np.testing.assert_allclose(said, held, rtol=1e-5, atol=1e-12, err_msg=str(path))
            compared += np.size(said)
    assert compared


def check_encoder(table: pd.DataFrame, folder: Path) -> Pairs:
    scores = open_store(folder / "scores.zarr").load()
    voxels = table[table["panel"] == "voxels"]
    own = scores.sel(model="mine").isel(voxel=voxels["voxel"].astype(int))
    assert len(voxels) == scores.sizes["voxel"]
    yield voxels["value"], own["r2"]
    yield voxels["noise_ceiling"], own["noise_ceiling"]
    yield voxels[["low", "high"]], own["r2_interval"]
    for row in table[table["panel"] == "rois"].itertuples():
        here = scores.sel(model=row.model, roi=row.roi)
        yield row.value, here["roi_r2_normalised"]
        yield (row.low, row.high), here["roi_r2_normalised_interval"]
        yield row.n, here["roi_voxels"]


def check_faithfulness(table: pd.DataFrame, folder: Path) -> Pairs:
    for roi, rows in table.groupby("roi"):
        store = open_store(folder / roi / "faithfulness.zarr").load()
        for row in rows[rows["measure"] == "retained"].itertuples():
            error = store["roi_error"].sel(
                ranking=row.ranking, mode=row.mode, fraction=row.fraction
            )
            low, high = 1 - error.sel(bound="high"), 1 - error.sel(bound="low")
            yield (row.value, row.low, row.high), (1 - error.sel(bound="value"), low, high)
        for row in rows[rows["measure"] == "advantage"].itertuples():
            area = store["error_auc_difference"].sel(ranking=row.ranking, mode=row.mode)
            sign = -1 if row.mode == "keep" else 1
            yield row.value, sign * area.sel(bound="value")
            bounds = sorted((sign * area.sel(bound=["low", "high"])).values)
            yield (row.low, row.high), bounds


def check_described(table: pd.DataFrame, folder: Path) -> Pairs:
    for row in table.itertuples():
        reason = open_store(folder / row.roi / "profiles.zarr")["reason"].values
        yield (row.voxels, row.n), ((reason == row.reason).sum(), len(reason))
        yield row.value, (reason == row.reason).mean()


def check_preference(table: pd.DataFrame, folder: Path) -> Pairs:
    for roi, rows in table[table["roi"] != "all"].groupby("roi"):
        store = open_store(folder / roi / "preference.zarr").load()
        for row in rows[rows["measure"].isin(["cosine_z", "t"])].itertuples():
            yield row.value, store[f"roi_{row.measure}"].sel(category=row.category)
        for row in rows[rows["measure"].str.match("share_")].itertuples():
            evidence = row.measure.removeprefix("share_")
            yield row.value, store["roi_share"].sel(evidence=evidence, category=row.category)
        for row in rows[rows["measure"].str.match("auc_")].itertuples():
            auc = store["roi_auc"].sel(
                response=row.measure.removeprefix("auc_"), category=row.category
            )
            yield (row.value, row.low, row.high), auc.sel(bound=["value", "low", "high"])
        shown = rows[rows["measure"].isin(["carries", "lacks"])]
        if len(shown):
            response = store["roi_response"].sel(
                response="measured", image=shown["image"].to_numpy(int)
            )
            yield shown["value"], response


def check_maps(table: pd.DataFrame, folder: Path) -> Pairs:
    structures = [open_store(path) for path in folder.glob("*/structure.zarr")]
    clusters = [own["cluster"].values for own in structures if own.attrs["clusters"] > 1]
    alike = [own.sizes["voxel"] for own in structures if own.attrs["clusters"] == 1]
    stores = [open_store(path).load() for path in folder.glob("*/preference.zarr")]
    of_map = {": words": "profile", ": predicted": "predicted", ": measured": "measured"}
    for row in table.itertuples():
        if row.map.startswith("Clusters"):
            own = [(labels == row.label - 1).sum() for labels in clusters]
            yield row.voxels, sum(alike if row.name == "no clusters" else own)
        for name, evidence in of_map.items():
            if name in row.map:
                preferred = [
                    store["voxel"].values[
                        (store["preferred"].sel(evidence=evidence) == row.name).values
                    ]
                    for store in stores
                ]
                yield row.voxels, len(np.unique(np.concatenate(preferred)))


def check_attributions(table: pd.DataFrame, folder: Path) -> Pairs:
    shown = {"voxel": table["voxel"].unique(), "image": table["image"].unique()}
    attributions = open_store(folder / "attributions/all.zarr").sel(shown).load()
    descriptions = open_store(folder / "descriptions.zarr").sel(shown).load()
    profiles, words = open_store(folder / "profiles.zarr"), vocabulary(folder)
    yield len(table) > 0, bool(profiles["described"].any())
    for row in table[table["item"] == "prediction"].itertuples():
        yield row.value, attributions["prediction"].sel(voxel=row.voxel, image=row.image)
    for row in table[table["item"] == "word"].itertuples():
        here = descriptions.sel(voxel=row.voxel, image=row.image, condition=row.condition)
        here = here.isel(rank=int(row.rank))
        yield row.word, str(words[int(here["word"])])
        yield row.value, here["weight"]
        yield row.row * profiles.sizes["column"] + row.column, here["patch"]
    for (voxel, image), rows in table[table["item"] == "share"].groupby(["voxel", "image"]):
        here = attributions.sel(voxel=voxel, image=image, sign="positive")
        kept = here["token"].values >= 0
        share = here["attribution"].values[kept] / float(here["total"])
        yield np.sort(rows["value"]), np.sort(share)


def check_profiles(table: pd.DataFrame, folder: Path) -> Pairs:
    profiles = open_store(folder / "profiles.zarr").load()
    scores = open_store(folder.parent / "scores.zarr").sel(model="mine").load()
    words = vocabulary(folder)
    for row in table.itertuples():
        card, score = profiles.sel(voxel=row.voxel), scores.isel(voxel=row.voxel)
        yield row.reason, str(card["reason"].values)
        if row.item == "r2":
            yield (row.value, row.low, row.high), [score["r2"], *score["r2_interval"]]
        elif row.item in ("noise_ceiling", "r2_normalised"):
            yield row.value, score[row.item]
        elif row.item == "reliability":
            yield (row.value, row.p), (card["reliability"], card["reliability_p"])
        elif row.item in ("positive", "negative"):
            own = card.sel(sign=row.item)
            own = own.isel(rank=np.flatnonzero(own["listed"].values)[int(row.rank)])
            yield row.word, str(words[int(own["word"])])
            yield (row.value, row.p), (own["added"], own["added_p"])
        elif row.item == "position":
            places = profiles.sizes["row"] * profiles.sizes["column"]
            share = card["position_map"].isel(row=int(row.row), column=int(row.column))
            yield row.value, share * places
        elif row.item == "exemplar":
            yield row.image, card["exemplar"][int(row.rank)]


def check_structure(table: pd.DataFrame, folder: Path) -> Pairs:
    store = open_store(folder / "structure.zarr").load()
    named = name_as_listed([open_store(folder / "profiles.zarr")], groups(folder))
    words = vocabulary(folder)[named]
    yield len(table) > 0, store.attrs["clusters"] > 0
    # `count` is a method of a row.
    for row in table.rename(columns={"count": "number"}).itertuples():
        if row.item == "identification":
            yield row.value, store["identification_mean"].sel(source=row.source)
        elif row.item == "null" and row.n:
            here = store.sel(source=row.source, null=row.null)
            yield row.value, here["identification_null"].mean()
            yield row.p, here["identification_p"]
        elif row.item == "explained":
            yield row.value, store["explained"].sel(count=row.number)
        elif row.item == "clusters":
            yield (row.value, row.p), (store.attrs["clusters"], store.attrs["clusters_p"])
        elif row.item == "added":
            here = store.isel(cluster_number=int(row.cluster) - 1)
            yield row.word, str(words[int(here["cluster_word"][int(row.rank)])])
            yield row.value, here["cluster_added"][int(row.rank)]
        elif row.item == "voxel":
            here = store.sel(voxel=row.voxel)
            yield row.cluster - 1, here["cluster"]
            yield row.value, here["stability"]


def check_generated(table: pd.DataFrame, folder: Path) -> Pairs:
    store = open_store(folder / "sufficiency.zarr").load()
    generated = open_store(folder / "generated.zarr").drop_vars("pixels").load()
    yield len(table) > 0, store.sizes["voxel"] > 0
    for row in table.itertuples():
        own = store.sel(voxel=row.voxel)
        if row.item == "mean_error":
            error = own["error"].sel(model="evaluator", condition=row.condition)
            yield row.value, error.mean()
            continue
        place = int(np.flatnonzero(own["image"].values == row.image)[0])
        if row.item == "measured":
            yield row.value, own["measured"][place]
        elif row.item == "original":
            yield row.value, own["original"].sel(model=row.model)[place]
        elif row.item == "response":
            here = generated.sel(voxel=row.voxel)
            picture = here["picture"].sel(condition=row.condition).isel(chosen=place, sample=0)
            yield row.value, here["response"].sel(model=row.model)[int(picture)]
            prompt = str(generated["prompt"].values[int(picture)])
            yield row.prompt if isinstance(row.prompt, str) else "", prompt


def check_edits(table: pd.DataFrame, folder: Path) -> Pairs:
    store = open_store(folder / "counterfactuals.zarr").load()
    yield len(table) > 0, bool((store["start"] >= 0).any()) if store["start"].size else False
    for row in table.itertuples():
        own = store.sel(
            voxel=row.voxel, direction=row.direction, condition=row.condition, model=row.model
        )
        if row.item == "mean_shift":
            yield row.value, own["shift_mean"]
        else:
            place = int(np.flatnonzero(own["start"].values == row.image)[0])
            yield row.value, own["shift"][place]


ERRORS = ("error", "to_measured_error")
CONTRASTS = {
    f"{prefix}{measure}": f"{prefix}roi_{part}"
    for prefix in REFERENCES
    for measure, part in (("advantage", "mean"), ("d", "cohens_dz"))
}


def check_causality(table: pd.DataFrame, folder: Path) -> Pairs:
    told = table[(table["panel"] == "sufficiency") & (table["measure"] == "error")]
    told = told[told["voxel"].notna()].drop_duplicates(["roi", "voxel"])
    for path in folder.glob("*/sufficiency.zarr"):
        yield (told["roi"] == path.parent.name).sum(), open_store(path).sizes["voxel"]
    for roi, rows in table[table["roi"] != ALL].groupby("roi"):
        sufficiency = open_store(folder / roi / "sufficiency.zarr").load()
        edited = open_store(folder / roi / "counterfactuals.zarr").load()
        for row in rows.itertuples():
            if row.model == DIFFERENCE:
                continue
            if row.panel == "sufficiency" and row.measure in ERRORS and not np.isnan(row.voxel):
                here = {"model": row.model, "condition": row.condition, "voxel": row.voxel}
                yield row.value, sufficiency[row.measure].sel(here).mean()
            elif row.panel == "sufficiency" and row.measure in CONTRASTS:
                held = sufficiency[CONTRASTS[row.measure]]
                held = held.sel(model=row.model, control=row.condition)
                yield (row.value, row.low, row.high), held.sel(bound=["value", "low", "high"])
            elif row.panel == "models" and row.measure == "shift":
                held = edited["shift_mean"].sel(
                    direction=row.direction, model=row.model, condition=row.guide, voxel=row.voxel
                )
                yield row.value, held
            elif row.panel == "edits" and row.measure in ("d", "effect"):
                name = {"d": "effect_roi_cohens_dz", "effect": "effect_roi_mean"}[row.measure]
                held = edited[name].sel(
                    direction=row.direction,
                    model=row.model,
                    guide=row.guide,
                    control=row.condition,
                )
                yield (row.value, row.low, row.high), held.sel(bound=["value", "low", "high"])


def check_copied(name: str) -> Callable[[pd.DataFrame, Path], Pairs]:
    """Every row of the table is one of a table of the results."""

    def check(table: pd.DataFrame, folder: Path) -> Pairs:
        held = pd.read_csv(folder / name, sep="\t", keep_default_na=False, na_values=[""])
        rows = set(map(tuple, held.astype(str).to_numpy()))
        assert table.columns.tolist() == held.columns.tolist()
        # A column with a gap is read as floats, and one without as integers.
        table = table.astype(held.dtypes.to_dict())
        yield len(table) > 0, True
        yield sum(row in rows for row in map(tuple, table.astype(str).to_numpy())), len(table)

    return check


def check_exact(table: pd.DataFrame, folder: Path) -> Pairs:
    paths = sorted(folder.glob("subj*/recovery_edits.tsv"))
    held = pd.concat([pd.read_csv(path, sep="\t") for path in paths]).astype(
        {"change": float, "exact": float}
    )
    drawn = table[(table["item"] == "edit") & (table["against"] == "exact")]
    yield len(drawn), len(held)
    yield np.sort(drawn["value"]), np.sort(held["change"])
    yield np.sort(drawn["x"]), np.sort(held["exact"])


def vocabulary(folder: Path) -> np.ndarray:
    """The words of the results that a region's folder belongs to."""
    store: xr.Dataset = open_store(folder.parents[1] / "embeddings/clip/vocabulary.zarr")
    return store["word"].values


def groups(folder: Path) -> np.ndarray:
    """The group of synonyms of each of these words."""
    store: xr.Dataset = open_store(folder.parents[1] / "embeddings/clip/base_rates.zarr")
    return store["group"].values


CHECKS = {
    "{subject}/encoder": check_encoder,
    "{subject}/faithfulness": check_faithfulness,
    "{subject}/{roi}/attributions": check_attributions,
    "{subject}/{roi}/profiles": check_profiles,
    "{subject}/described": check_described,
    "{subject}/preference": check_preference,
    "preference": check_copied("preference.tsv"),
    "{subject}/maps": check_maps,
    "{subject}/{roi}/structure": check_structure,
    "clusters": check_copied("clusters.tsv"),
    "{subject}/{roi}/generated": check_generated,
    "{subject}/{roi}/edits": check_edits,
    "{subject}/causality": check_causality,
    "recovery": check_copied("recovery.tsv"),
    "counterfactuals_exact": check_exact,
}
