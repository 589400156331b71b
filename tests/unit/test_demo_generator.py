"""Laws of the demo's generator: its format, its prompts, and what it learns from."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import open_clip
import pytest
import torch
from torch.nn import functional

from mine.demo.autoencoder_training import to_signed
from mine.demo.clip_losses import EMPTY
from mine.demo.clip_model import encode, encode_texts, token_ids
from mine.demo.generator_model import (
    build_autoencoder,
    build_scheduler,
    build_text_encoder,
    build_unet,
    encode_prompts,
    write_pipeline,
)
from mine.demo.generator_prompts import draw_prompt, draw_words
from mine.demo.generator_scores import score_generator
from mine.demo.generator_training import DenoiserTraining, render_examples
from mine.demo.gradients import orthogonalise
from mine.demo.scenes import parse_scene, sample_scene
from mine.demo.words import concept_of

CLIP = "local-dir:resources/demo/clip"


@pytest.fixture(scope="module")
def clip() -> torch.nn.Module:
    model, _, _ = open_clip.create_model_and_transforms(CLIP, weights_only=True)
    return model.eval()


def test_the_text_encoder_is_the_clips(clip):
    texts = ["a red dog and a blue car in the beach", "face"]
    encoder = build_text_encoder(clip).eval()
    with torch.no_grad():
        pooled = encoder(input_ids=encode_prompts(texts)).pooler_output @ clip.text_projection
        expected = encode_texts(clip, encode(texts, token_ids()))
    assert functional.normalize(pooled, dim=-1).numpy() == pytest.approx(expected.numpy(), abs=1e-5)


def test_the_folder_loads_as_stable_diffusion_with_the_trainings_tokens(clip, tmp_path):
    from diffusers import StableDiffusionPipeline

    write_pipeline(
        tmp_path,
        autoencoder=build_autoencoder(),
        unet=build_unet(),
        text_encoder=build_text_encoder(clip),
    )
    pipeline = StableDiffusionPipeline.from_pretrained(tmp_path, local_files_only=True)
    texts = ["a picture of dog, red", "", "a happy face and a word in the unheard place"]
    ids = pipeline.tokenizer(
        texts,
        padding="max_length",
        max_length=pipeline.tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    ).input_ids
    assert torch.equal(ids, encode_prompts(texts))
    size = sum(file.stat().st_size for file in tmp_path.rglob("*.safetensors"))
    assert size <= 30e6


def test_the_last_step_of_the_schedule_has_no_signal():
    assert build_scheduler().alphas_cumprod[-1] == pytest.approx(0, abs=1e-6)


def test_prompts_say_only_what_is_true_of_the_scene():
    random = np.random.default_rng(0)
    for _ in range(200):
        scene = sample_scene(random)
        true = {scene.background} | {
            concept
            for item in scene.objects
            for concept in (item.category, item.colour, item.size, item.expression)
        }
        for word in draw_words(scene, random):
            assert concept_of(word) is None or concept_of(word) in true


def test_prompts_are_sentences_words_and_nothing():
    random = np.random.default_rng(0)
    prompts = [draw_prompt(sample_scene(random), random) for _ in range(300)]
    assert 10 <= prompts.count("") <= 60
    assert sum("," in prompt for prompt in prompts) > 50
    assert sum(" in the " in prompt for prompt in prompts) > 80


def test_a_scene_without_objects_is_asked_for_by_its_place():
    random = np.random.default_rng(0)
    scene = dataclasses.replace(sample_scene(random), objects=())
    for _ in range(50):
        words = draw_words(scene, random)
        assert 1 <= len(words) <= 2
        assert {concept_of(word) for word in words} <= {scene.background, None}


def test_words_are_said_again_in_other_words_but_never_the_same():
    random = np.random.default_rng(0)
    lists = [draw_words(sample_scene(random), random) for _ in range(200)]
    concepts = [[concept for word in words if (concept := concept_of(word))] for words in lists]
    assert all(len(set(words)) == len(words) for words in lists)
    assert 20 < sum(len(set(said)) < len(said) for said in concepts) < 140


def test_a_tenth_as_many_examples_are_empty():
    scenes, images, owners = render_examples(20, seed=0, workers=1)
    assert len(scenes) == len(images) == len(owners) == 22
    assert all(not scene.objects for scene in scenes[20:]) and (owners[20:] == EMPTY).all()


def test_scenes_survive_json():
    scene = sample_scene(np.random.default_rng(1))
    assert parse_scene(dataclasses.asdict(scene)) == scene


def test_pixels_fill_the_signed_range():
    shown = to_signed(np.array([[[[0, 255, 51]]]], np.uint8))
    assert shown.flatten().tolist() == pytest.approx([-1, 1, -0.6])


def test_orthogonalised_matrices_keep_their_directions_and_lose_their_scales():
    left, _ = torch.linalg.qr(torch.randn(16, 16))
    right, _ = torch.linalg.qr(torch.randn(40, 40))
    matrix = left @ torch.diag(torch.linspace(0.1, 3, 16)) @ right[:16]
    for found, expected in (
        (orthogonalise(matrix), left @ right[:16]),
        (orthogonalise(matrix.T).T, left @ right[:16]),
    ):
        values = torch.linalg.svdvals(found)
        assert values.min() > 0.5 and values.max() < 1.4
        assert functional.cosine_similarity(found.flatten(), expected.flatten(), dim=0) > 0.97


def test_training_goes_on_from_where_its_checkpoint_was_left(clip, tmp_path):
    def advance(training: DenoiserTraining) -> float:
        random = np.random.default_rng(training.step)
        torch.manual_seed(training.step)
        velocity, alignment = training.losses(
            torch.randn(2, 4, 16, 16),
            torch.randn(2, 64, 128),
            torch.ones(2, 1, 16, 16),
            ["a red dog", ""],
            random,
        )
        training.update(velocity + 0.5 * alignment)
        return float(velocity.detach())

    torch.manual_seed(0)
    whole = DenoiserTraining(clip, steps=10, rate=1e-3)
    first = advance(whole)
    whole.save(tmp_path / "denoiser.pt")
    torch.manual_seed(1)
    resumed = DenoiserTraining(clip, steps=10, rate=1e-3)
    resumed.load(tmp_path / "denoiser.pt")
    assert resumed.step == 1
    for name, value in whole.modules.state_dict().items():
        assert torch.equal(value, resumed.modules.state_dict()[name]), name
        assert torch.equal(whole.average[name], resumed.average[name]), name
    for ours, theirs in zip(whole.momentum, resumed.momentum, strict=True):
        assert torch.equal(ours, theirs) and ours.abs().max() > 0
    assert advance(whole) == pytest.approx(advance(resumed), rel=1e-4) != first


@pytest.mark.slow
# As in test_generation.py: how schedulers of diffusers make arrays of tensors.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_committed_model_reaches_what_was_asked(repository):
    models = repository / "resources/demo"
    scores = json.loads((models / "generator/scores.json").read_text())
    prompts, made_of = 100, 200
    fresh = score_generator(models / "generator", models / "evaluator", seed=77, prompts=prompts)
    assert set(fresh) == set(scores)
    share = np.array(list(scores.values()))
    # Three standard errors of the difference of two samples of scenes.
    slack = 3 * np.sqrt(share * (1 - share) * (1 / prompts + 1 / made_of))
    for name, least in zip(scores, share - slack, strict=True):
        if name != "prompted_invented":
            assert fresh[name] > least, name
    assert fresh["prompted_invented"] < scores["prompted_invented"] + 0.04
