"""A CLIP pooled by its class token: what its patches say, and how far each alignment mends it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests.workflow.running import make_smaller, run


@pytest.mark.slow
def test_every_alignment_mends_tokens_that_no_loss_has_seen(
    tmp_path: Path, repository: Path
) -> None:
    chosen = yaml.safe_load((repository / "configs/demo-class-token.yaml").read_text())
    folder = make_smaller(tmp_path / "run", repository, backbone=chosen["backbone"])
    run(folder, "compare_alignments")
    table = pd.read_csv(folder / "results/small/alignments.tsv", sep="\t", keep_default_na=False)
    whole = table[(table["category"] == "") & (table["measure"] == "token_accuracy")]
    accuracy = whole.set_index("alignment")[["value", "low", "high"]]
    assert accuracy.index.tolist() == ["output", "value", "self", "contribution"]
    assert (accuracy["low"].drop("output") > accuracy.loc["output", "high"] + 0.1).all()
