"""The smaller demo with a vision-language model for a backbone, from images to the recovery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mine.stores import open_store
from tests.workflow.running import make_smaller, run


@pytest.mark.slow
def test_the_workflow_runs_on_a_language_model(tmp_path: Path, repository: Path) -> None:
    chosen = yaml.safe_load((repository / "configs/demo-vlm.yaml").read_text())["backbone"]
    folder = make_smaller(tmp_path / "run", repository, backbone=chosen)
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
    assert whole["alignment"].tolist() == ["layer 1", "layer 2", "layer 3"]
    assert whole["value"].max() > 0.9
