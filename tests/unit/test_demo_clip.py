"""The demo's CLIP, as it is committed, reaches what its scores say."""

from __future__ import annotations

import json

import open_clip
import pytest

from mine.demo.clip_scores import score_model

SCORES = (
    "dense_category",
    "dense_colour",
    "dense_background",
    "dense_top_word_true",
    "retrieval_caption_of_image",
    "retrieval_image_of_caption",
    "zero_shot_category",
    "zero_shot_background",
)


@pytest.mark.slow
def test_committed_model_reaches_what_was_asked(repository):
    folder = repository / "resources/demo/clip"
    scores = json.loads((folder / "scores.json").read_text())
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}", weights_only=True)
    fresh = score_model(model, seed=77, scenes=400)
    assert set(fresh) == set(scores)
    for name in SCORES:
        assert fresh[name] > scores[name] - 0.04, name
