"""The smaller demo with a vision-language model for a backbone, from images to the recovery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mine.stores import open_store
from tests.workflow.running import make_smaller, run


def read_changes(repository: Path) -> dict[str, dict]:
    """The model of the demo's configuration for a language model, and its lens."""
    chosen = yaml.safe_load((repository / "configs/demo-vlm.yaml").read_text())
    return {name: chosen[name] for name in ("backbone", "lens")}


@pytest.mark.slow
def test_the_workflow_runs_on_a_language_model(tmp_path: Path, repository: Path) -> None:
    folder = make_smaller(tmp_path / "run", repository, **read_changes(repository))
    run(folder)
    results = folder / "results/small"
    recovery = pd.read_csv(results / "recovery.tsv", sep="\t")
    assert {"top_word_all", "r2_normalised_mine"} <= set(recovery["measure"])
    vocabulary = open_store(results / "embeddings/llava/vocabulary.zarr")
    assert vocabulary["length"].min() > 0 and not vocabulary["token_mean"].any()
    # The lens says what the scenes hold, in the words of the model.
    said = vocabulary["word"].values[open_store(results / "embeddings/llava/lens/0.zarr")["word"]]
    words = np.array((repository / "resources/demo/vocabulary.txt").read_text().split())
    assert np.isin(said, words).all()
    run(folder, "compare_alignments")
    table = pd.read_csv(results / "alignments.tsv", sep="\t", keep_default_na=False)
    whole = table[(table["category"] == "") & (table["measure"] == "token_accuracy")]
    names = [f"layer {layer}{lens}" for layer in (1, 2, 3) for lens in ("", ", neighbours")]
    assert whole["alignment"].tolist() == names
    assert whole["value"].max() > 0.9


@pytest.mark.slow
def test_the_workflow_reads_by_neighbours(tmp_path: Path, repository: Path) -> None:
    changes = read_changes(repository)
    changes["lens"] |= {"kind": "neighbours", "contexts": 3, "layers": [2, 3]}
    folder = make_smaller(tmp_path / "run", repository, **changes)
    made = [f"embeddings/llava/{name}.zarr" for name in ("base_rates", "categories")]
    run(folder, *(f"results/small/{store}" for store in made), "results/small/alignments.tsv")
    embeddings = folder / "results/small/embeddings/llava"
    vocabulary = open_store(embeddings / "vocabulary.zarr")
    assert "length" not in vocabulary and not vocabulary["token_mean"].any()
    owner, words = vocabulary["context_word"].values, vocabulary.sizes["word"]
    np.testing.assert_array_equal(np.bincount(owner), np.full(words, 2 * 3))
    score = open_store(embeddings / "lens/0.zarr")["score"].values.astype(float)
    assert (np.diff(score, axis=-1) <= 0).all() and (score[..., 0] > 1 / words).all()
    # A category whose words the vocabulary has lies where their mean lies.
    config = yaml.safe_load((folder / "config.yaml").read_text())
    text = dict(zip(vocabulary["word"].values, vocabulary["text"].values, strict=True))
    categories = open_store(embeddings / "categories.zarr")
    for name, own in zip(categories["category"].values, categories["text"].values, strict=True):
        mean = np.mean([text[word] for word in config["categories"][name]["prompts"]], axis=0)
        np.testing.assert_allclose(own, mean / np.linalg.norm(mean), atol=1e-3)
