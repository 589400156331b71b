"""The demo's CLIP, as it is committed, reaches what its scores say."""

from __future__ import annotations

import json

import numpy as np
import open_clip
import pytest
import torch

from mine.demo.class_token_training import begin_model
from mine.demo.clip_model import SIDE, encode_images, to_input
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


# What the class token has learned; its patch tokens were trained for none of the others.
POOLED_SCORES = SCORES[4:]


@pytest.fixture
def images():
    return to_input(np.random.default_rng(0).random((2, SIDE, SIDE, 3)))


@pytest.mark.parametrize("name", ["clip", "clip-class-token"])
def test_pooled_embedding_is_that_of_open_clip(name, images, repository):
    model = read_model(repository / "resources/demo" / name)
    with torch.no_grad():
        pooled = encode_images(model, images)[1]
        np.testing.assert_allclose(pooled, model.encode_image(images), rtol=1e-5, atol=1e-6)


def test_first_blocks_are_those_of_the_demo_clip_and_no_others(images, repository):
    folder = repository / "resources/demo/clip"
    begun, given = begin_model(folder, blocks=2), read_model(folder)
    with torch.no_grad():
        hidden = [model.visual._embeds(images) for model in (begun, given)]
        for place in range(3):
            assert torch.allclose(*hidden, rtol=1e-3, atol=1e-5)
            blocks = (model.visual.transformer.resblocks[place] for model in (begun, given))
            hidden = [block(each) for block, each in zip(blocks, hidden, strict=True)]
        assert not torch.allclose(*hidden, rtol=0.1, atol=0.1)
    assert begun.visual.pool_type == "tok"
    assert not torch.equal(begun.visual.proj, given.visual.proj)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "held"), [("clip", SCORES), ("clip-class-token", POOLED_SCORES)])
def test_committed_model_reaches_what_was_asked(name, held, repository):
    folder = repository / "resources/demo" / name
    scores = json.loads((folder / "scores.json").read_text())
    fresh = score_model(read_model(folder), seed=77, scenes=400)
    assert set(fresh) == set(scores)
    for score in held:
        assert fresh[score] > scores[score] - 0.04, score


def read_model(folder):
    name = f"local-dir:{folder}"
    return open_clip.create_model_and_transforms(name, weights_only=True)[0].eval()
