"""Laws of matched clusters: planted matches are found, others are not, and names are free."""

from __future__ import annotations

from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr

from mine.core.matching import contrast_tunings, draw_matchings, match_clusters
from mine.figures.strips import format_p
from mine.figures.structure_subjects import (
    MATCHES,
    NO_WORD,
    draw_structure_subjects,
    name_matches,
)
from mine.figures.style import SIZE, WIDTH, save_figure
from mine.stages.structure_subjects import compare_structures
from mine.stores import read_table, write_table

LATENT, GROUPS, VOXELS = 10, 60, 36
DRAWS = 99
WORDS = np.array([f"word{place}" for place in range(2 * GROUPS)])


def draw_tuning(
    random: np.random.Generator, centres: np.ndarray, mix: np.ndarray, *, noise: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Tuning (voxel, word) of voxels around centres (cluster, latent), and labels. Words are
    correlated, as real ones are."""
    labels = np.append(np.arange(len(centres)), random.integers(len(centres), size=VOXELS))
    values = (centres[labels] + noise * random.normal(size=(len(labels), LATENT))) @ mix
    return values + 0.5 * random.normal(size=values.shape), labels


def draw_pair(random: np.random.Generator, counts: tuple[int, int], *, matched: bool):
    mix = random.normal(size=(LATENT, GROUPS)) / np.sqrt(LATENT)
    first, second = (random.normal(size=(count, LATENT)) for count in counts)
    if matched:
        same = min(counts)
        second[:same] = first[:same][::-1]
    return [draw_tuning(random, centres, mix) for centres in (first, second)]


def find_p(pair, random: np.random.Generator, draws: int) -> float:
    value = match_clusters(*(contrast_tunings(*part) for part in pair)).correlation.mean()
    null = draw_matchings(*pair, draws=draws, generator=random)
    return (1 + (null >= value - 1e-9).sum(axis=1).max()) / (1 + draws)


def test_the_match_is_the_best_of_all_and_the_correlation_numpys():
    random = np.random.default_rng(0)
    (one, labels), (two, others) = draw_pair(random, (3, 4), matched=False)
    found = match_clusters(contrast_tunings(one, labels), contrast_tunings(two, others))
    means = [
        np.array([values[own == c].mean(axis=0) - values.mean(axis=0) for c in np.unique(own)])
        for values, own in ((one, labels), (two, others))
    ]
    literal = np.corrcoef(*means)[:3, 3:]
    best = max(permutations(range(4), 3), key=lambda order: literal[range(3), order].sum())
    assert found.first.tolist() == [0, 1, 2] and tuple(found.second) == best
    np.testing.assert_allclose(found.correlation, literal[range(3), best])


def test_names_of_clusters_and_what_all_voxels_share_say_nothing():
    random = np.random.default_rng(1)
    (one, labels), (two, others) = draw_pair(random, (3, 3), matched=True)
    found = match_clusters(contrast_tunings(one, labels), contrast_tunings(two, others))
    shared = 5 * random.normal(size=GROUPS)
    again = match_clusters(
        contrast_tunings(one + shared, np.array([2, 0, 1])[labels]),
        contrast_tunings(3 * two - shared, others),
    )
    np.testing.assert_allclose(np.sort(again.correlation), np.sort(found.correlation))


def test_one_that_differs_from_nothing_correlates_with_nothing():
    tuning = np.tile(np.arange(5.0), (6, 1))
    assert not contrast_tunings(tuning, np.arange(6) % 2).any()


@pytest.mark.parametrize("counts", [(2, 2), (3, 3), (3, 5)])
def test_matched_clusters_are_found(counts):
    random = np.random.default_rng(2)
    p = [find_p(draw_pair(random, counts, matched=True), random, 39) for _ in range(20)]
    assert np.mean(np.array(p) <= 0.05) > 0.8


def test_clusters_that_are_there_but_do_not_match_are_found_no_more_often_than_is_promised():
    """And would be, were the labels of both subjects dealt out: noise matches worse than they."""
    random, pairs = np.random.default_rng(3), 600
    found, of_both = np.empty((2, pairs))
    for number in range(pairs):
        pair = draw_pair(random, ((2, 2), (3, 3), (3, 4))[number % 3], matched=False)
        found[number] = find_p(pair, random, 19)
        value = match_clusters(*(contrast_tunings(*part) for part in pair)).correlation.mean()
        dealt = [
            [contrast_tunings(tuning, random.permutation(labels)) for tuning, labels in pair]
            for _ in range(19)
        ]
        null = np.array([match_clusters(*each).correlation.mean() for each in dealt])
        of_both[number] = (1 + (null >= value).sum()) / 20
    most = scipy.stats.binom.ppf(0.999, pairs, 0.05)
    assert np.sum(found <= 0.05) <= most < np.sum(of_both <= 0.05)
    # It is not empty either: small p happen.
    assert np.sum(found <= 0.3) > 0.1 * pairs


# --- the table ---


def make_structure(
    random: np.random.Generator, centres: np.ndarray, mix: np.ndarray, groups: np.ndarray
) -> xr.Dataset:
    """A store of mine.stages.structure as far as it is read. groups: those that are read."""
    values, labels = draw_tuning(random, centres, mix)
    tuning = np.stack([np.stack([values, values - 1])] * 3)[..., groups]
    listed = np.full((len(centres), 2), -1)
    listed[:, 0] = np.arange(len(centres))
    return xr.Dataset(
        {
            "tuning": (("fit", "reading", "voxel", "group"), tuning),
            "word": ("group", 2 * groups),
            "cluster": ("voxel", labels),
            "cluster_word": (("cluster_number", "rank"), listed),
        },
        coords={"fit": ["all", "first_half", "second_half"], "reading": ["anywhere", "together"]},
        attrs={"clusters": len(centres)},
    )


def make_subjects(subjects: int = 3) -> dict[str, dict[str, xr.Dataset]]:
    """FFA has the same clusters in all subjects, PPA others in each, OPA none in the last."""
    random = np.random.default_rng(4)
    mix = random.normal(size=(LATENT, GROUPS)) / np.sqrt(LATENT)
    same, found = random.normal(size=(3, LATENT)), {}
    for subject in range(subjects):
        groups = np.sort(random.permutation(GROUPS)[:50])
        centres = {"FFA": same, "PPA": random.normal(size=(3, LATENT))}
        centres["OPA"] = random.normal(size=(1 if subject == subjects - 1 else 2, LATENT))
        found[f"subj{subject + 1:02d}"] = {
            roi: make_structure(random, each, mix, groups) for roi, each in centres.items()
        }
    return found


def compare(structures) -> pd.DataFrame:
    return compare_structures(structures, words=WORDS, draws=DRAWS, seed=0)


def pick(table: pd.DataFrame, **values: object) -> pd.DataFrame:
    for column, value in values.items():
        table = table[table[column] == value]
    return table


def test_the_table_tells_planted_matches_from_others():
    table = compare(make_subjects())
    matched = pick(table, measure="matched")
    assert (pick(matched, roi="FFA")["p"].dropna() <= 0.05).all()
    assert (pick(matched, roi="PPA")["p"].dropna() > 0.05).all()
    assert len(pick(matched, roi="FFA")) == 4 and pick(matched, roi="FFA")["value"].min() > 0.6
    specific = pick(table, measure="specific", subject="all").set_index("roi")
    assert specific.loc["FFA", "low"] > 0.2 and specific.loc["FFA", "n"] == 3
    matches = pick(table, measure="match", roi="FFA")
    assert (matches["word"] == matches["other_word"]).all() and len(matches) == 3 * 3
    assert (matches["cluster"] == matches["other_cluster"]).all() and matches["cluster"].min() == 1


def test_a_region_without_clusters_in_a_subject_is_not_compared_there():
    table = compare(make_subjects())
    assert pick(table, measure="clusters", roi="OPA")["value"].tolist() == [2, 2, 1]
    own = pick(table, measure="matched", roi="OPA")
    assert own[["subject", "other"]].to_numpy().tolist() == [["subj01", "subj02"], ["all", "all"]]
    assert own["n"].tolist() == [2, 2] and np.isnan(own["low"].iloc[1])


def test_other_regions_and_subjects_change_no_null():
    structures = make_subjects()
    fewer = {subject: {"PPA": structures[subject]["PPA"]} for subject in ("subj01", "subj03")}
    for measure in ("match", "matched", "null"):
        whole, part = (
            pick(compare(each), measure=measure, subject="subj01", other="subj03", roi="PPA")
            for each in (structures, fewer)
        )
        assert len(part)
        pd.testing.assert_frame_equal(
            whole.reset_index(drop=True), part.reset_index(drop=True), check_dtype=False
        )


def test_means_are_over_regions_and_pairs():
    table = compare(make_subjects())
    values = pick(table, measure="matched", roi="FFA")
    assert pick(values, subject="all")["value"].item() == pytest.approx(
        values[values["subject"] != "all"]["value"].mean()
    )
    pair = pick(table, measure="matched", subject="subj01", other="subj02").set_index("roi")
    assert pair.loc["all", "value"] == pytest.approx(pair.drop("all")["value"].mean())
    assert pair.loc["all", "n"] == 3


def test_only_words_that_both_read_count():
    structures = make_subjects(2)
    first, second = structures["subj01"]["FFA"], structures["subj02"]["FFA"]
    common = np.intersect1d(first["word"], second["word"])
    kept = {
        subject: {"FFA": each["FFA"].isel(group=np.isin(each["FFA"]["word"], common))}
        for subject, each in structures.items()
    }
    found = pick(compare({s: {"FFA": e["FFA"]} for s, e in structures.items()}), measure="matched")
    assert found["value"].tolist() == pick(compare(kept), measure="matched")["value"].tolist()
    kept["subj02"]["FFA"]["word"] = kept["subj02"]["FFA"]["word"] + 1
    assert pick(compare(kept), measure="matched").empty


def test_without_any_clusters_the_table_says_how_many_and_no_more():
    structures = make_subjects(2)
    none = {subject: {"OPA": each["OPA"]} for subject, each in structures.items()}
    for each in none.values():
        each["OPA"].attrs["clusters"] = 1
    assert set(compare(none)["measure"]) == {"clusters"}


# --- the figure ---


def read_back(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """The table as the figure's script reads it."""
    write_table(table, folder / "clusters.tsv")
    return read_table(folder / "clusters.tsv")


@pytest.mark.parametrize("subjects", [2, 3])
def test_figure_writes_means_beside_chance_and_the_pairs_that_reach_it(subjects, tmp_path):
    table = read_back(compare(make_subjects(subjects)), tmp_path)
    figure = draw_structure_subjects(table)
    numbers = [part.get_text() for part in figure.findobj(lambda part: part.get_gid() == "number")]
    mean = pick(table, subject="all").set_index(["measure", "roi"])["value"]
    for roi in ("FFA", "PPA"):
        pairs = pick(table, measure="matched", roi=roi)["p"].dropna()
        text = f"{mean['matched', roi]:.2f} ({mean['null', roi]:.2f})"
        p = format_p(pairs.iloc[0], draws=DRAWS)
        said = f"p {p}" if subjects == 2 else f"{(pairs <= 0.05).sum()} of {len(pairs)}"
        assert f"{text}, {said}" in numbers
    assert figure.get_size_inches()[0] * 25.4 == pytest.approx(WIDTH)
    text = [part for part in figure.findobj(lambda part: hasattr(part, "get_fontsize"))]
    assert min(part.get_fontsize() for part in text if part.get_text()) >= SIZE
    figure.draw_without_rendering()
    assert min(part.get_window_extent().y0 for part in figure.texts) >= 0
    bounds = table.loc[table["measure"] == "matched", ["low", "high"]].dropna()
    assert len(bounds) == (3 if subjects == 3 else 0) and (bounds.abs() <= 1).all(axis=None)
    left, right = figure.axes[0].get_xlim()
    assert ((bounds >= left) & (bounds <= right)).all(axis=None)
    save_figure(figure, table, tmp_path / "a.png")


def test_matches_are_named_by_both_words_in_either_order():
    rows = [("red", "dog", 0.4), ("dog", "red", 0.6), ("car", "car", 0.9)]
    found = name_matches(make_matches(rows))
    assert found[["words", "n"]].to_numpy().tolist() == [["dog – red", 2], ["car", 1]]
    assert found["value"].tolist() == pytest.approx([0.5, 0.9])


def make_matches(rows: list[tuple[str, str, float]]) -> pd.DataFrame:
    """Matches in one region, of clusters of falling size."""
    table = pd.DataFrame(rows, columns=["word", "other_word", "value"])
    cluster = np.arange(1, len(table) + 1)
    return table.assign(measure="match", roi="FFA", cluster=cluster, other_cluster=cluster)


def test_matches_without_a_word_are_named_and_their_order_knows_no_agreement():
    rows = [("", "", 0.1), ("", "ant", 0.2), ("car", "car", 0.9), ("cat", "dog", 0.3)]
    found = name_matches(make_matches(rows))
    assert found["words"].tolist() == [NO_WORD, f"ant – {NO_WORD}", "car", "cat – dog"]
    # The same order whatever the correlations are.
    turned = name_matches(make_matches([(*words, 1 - value) for *words, value in rows]))
    assert turned["words"].tolist() == found["words"].tolist()
    assert len(name_matches(make_matches([]))) == 0


@pytest.mark.parametrize("count", [MATCHES, MATCHES + 2])
def test_the_figure_says_how_many_matches_it_leaves_out(count, tmp_path):
    table = read_back(compare(make_subjects(2)), tmp_path)
    words = [(f"word{number}", f"word{number}", number / 10) for number in range(count)]
    table = pd.concat([table[table["measure"] != "match"], make_matches(words)])
    figure = draw_structure_subjects(table)
    figure.draw_without_rendering()
    said = [text for text in figure.texts if text.get_text().startswith("word")]
    assert [text.get_text().split()[0] for text in said] == [row[0] for row in words[:MATCHES]]
    left_out = [text for text in figure.texts if text.get_text().endswith(" shown")]
    expected = [f"{MATCHES} of {count} shown"] if count > MATCHES else []
    assert [text.get_text() for text in left_out] == expected
    boxes = sorted((text.get_window_extent() for text in said + left_out), key=lambda box: box.y0)
    for below, above in pairwise(boxes):
        assert below.y1 <= above.y0 + 1
    # Nothing reaches into the next region, whose words would begin a row below.
    axes = figure.axes[0].get_window_extent()
    assert boxes[0].y0 >= axes.y1 - axes.height / 3


def test_two_matches_without_words_are_counted(tmp_path):
    table = read_back(compare(make_subjects(2)), tmp_path)
    table = pd.concat([table[table["measure"] != "match"], make_matches([("", "", 0.2)] * 2)])
    said = [text.get_text() for text in draw_structure_subjects(table).texts]
    assert f"{NO_WORD} 0.20, mean of 2" in said


def test_figure_says_where_there_is_nothing_to_match(tmp_path):
    structures = make_subjects(2)
    for each in structures["subj01"].values():
        each.attrs["clusters"] = 1
    figure = draw_structure_subjects(read_back(compare(structures), tmp_path))
    assert "No region has clusters in two subjects." in [text.get_text() for text in figure.texts]
