"""Images from tiny random models of each family of pipelines: the same laws for all."""

from __future__ import annotations

import inspect
import shutil
from dataclasses import fields
from itertools import product

import numpy as np
import pytest
import torch

import mine.config
from mine.core.generation import DTYPES, cover_cells, load_generator
from mine.errors import InputError
from tests.reference.tiny_pipelines import (
    CELL,
    EVERYTHING,
    FAMILIES,
    IMAGES,
    MASKS,
    PROMPTS,
    SIDE,
    TASKS,
    build_stable_diffusion,
    differs,
    edit_index,
    load,
    make,
    offer_on_the_hub,
    random_images,
    refuse_to_make,
)

# Schedulers of diffusers make arrays of tensors in a way that NumPy is to give up; Python hides the
# warning from users.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

# --- laws of all tasks and families ---


@pytest.mark.parametrize(("family", "task"), EVERYTHING)
def test_an_image_follows_from_its_prompt_and_seed(generators, family, task):
    generator = generators[family]
    first = make(generator, task)
    assert first.shape == (3, SIDE, SIDE, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, make(generator, task))
    other_seeds = make(generator, task, seeds=[3, 7, 8])
    np.testing.assert_array_equal(other_seeds[0], first[0])
    assert differs(other_seeds[1], first[1]) and differs(other_seeds[2], first[2])
    assert differs(make(generator, task, prompts=["dog", "red", "on"]), first)


@pytest.mark.parametrize(("family", "task"), EVERYTHING)
def test_an_image_does_not_depend_on_its_batch(generators, family, task):
    generator = generators[family]
    together = make(generator, task).astype(int)
    for index in range(3):
        alone = make(generator, task, which=[index]).astype(int)
        assert np.abs(alone[0] - together[index]).max() <= 1
    turned = make(generator, task, which=[2, 0, 1]).astype(int)
    assert np.abs(turned - together[[2, 0, 1]]).max() <= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_tasks_leave_no_trace_in_the_parts_that_they_share(generators, pipelines, family):
    used = generators[family]
    before = make(used, "generate")
    make(used, "vary", strength=0.4)
    make(used, "inpaint")
    np.testing.assert_array_equal(make(used, "generate"), before)
    np.testing.assert_array_equal(make(used, "vary"), make(load(pipelines[family]), "vary"))
    pipelines = [used.pipelines[task] for task in TASKS]
    assert len({type(pipeline) for pipeline in pipelines}) == 3
    assert len({id(pipeline.vae) for pipeline in pipelines}) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_distilled_model_runs_without_guidance(pipelines, family):
    generator = load(pipelines[family], guidance=0.0, steps=1)
    images = make(generator, "generate")
    assert differs(images[0], images[1])
    # Without guidance there is nothing that a negative prompt could be kept away from.
    np.testing.assert_array_equal(make(generator, "generate", negative=PROMPTS), images)


@pytest.mark.parametrize("task", TASKS)
def test_guidance_and_negative_prompts_matter(generators, pipelines, task):
    guided = make(generators["stable-diffusion"], task)
    assert differs(guided, make(load(pipelines["stable-diffusion"], guidance=1.0), task))
    other = make(generators["stable-diffusion"], task, negative=["", "red snow", ""])
    assert differs(other[1], guided[1])
    assert np.abs(other[[0, 2]].astype(int) - guided[[0, 2]]).max() <= 1
    # Flux takes negative prompts, and heeds them only under a guidance of another name.
    np.testing.assert_array_equal(
        make(generators["flux"], task, negative=PROMPTS), make(generators["flux"], task)
    )


def test_guidance_is_left_out_where_it_makes_no_difference(pipelines):
    """u + s (c - u) is c where the prompt is the negative one: the pipeline called by hand, which
    computes both, makes the same, and here the denoiser sees the others alone twice."""
    from diffusers import StableDiffusionPipeline

    generator = load(pipelines["stable-diffusion"])
    denoiser, seen = generator._open("generate").unet, []
    denoiser.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    made = generator.generate(["", "red", "red"], seeds=[1, 2, 3], negative=["", "", "red"])
    assert seen == [2] * 4 + [2] * 4
    pipeline = StableDiffusionPipeline.from_pretrained(pipelines["stable-diffusion"])
    for index, (prompt, negative) in enumerate([("", ""), ("red", ""), ("red", "red")]):
        by_hand = pipeline(
            prompt,
            negative_prompt=negative,
            num_inference_steps=4,
            guidance_scale=3.0,
            generator=torch.Generator().manual_seed(index + 1),
        ).images[0]
        assert np.abs(made[index].astype(int) - np.asarray(by_hand).astype(int)).max() <= 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("task", TASKS)
def test_an_empty_negative_prompt_is_none(generators, family, task):
    generator = generators[family]
    plain = make(generator, task)
    np.testing.assert_array_equal(make(generator, task, negative=["", "", ""]), plain)
    mixed = make(generator, task, negative=["", "red snow", ""])
    assert np.abs(mixed[[0, 2]].astype(int) - plain[[0, 2]]).max() <= 1
    assert differs(mixed[1], plain[1]) == (family != "flux")


def test_empty_negative_prompts_are_apart_only_where_they_are_guided_otherwise(pipelines):
    batches = {}
    for family, guidance in product(FAMILIES, (1.0, 3.0)):
        generator, seen = load(pipelines[family], guidance=guidance, batch_size=4), []
        pipeline = generator._open("generate")
        pipeline.vae.decoder.register_forward_pre_hook(
            lambda _, given, seen=seen: seen.append(len(given[0]))
        )
        make(generator, "generate", negative=["", "red snow", ""])
        batches[family, guidance] = seen
    assert batches.pop(("stable-diffusion-xl", 3.0)) == [1, 2]
    assert list(batches.values()) == [[3]] * 7


def test_repainting_has_a_guidance_of_its_own(pipelines):
    own = load(pipelines["stable-diffusion"], inpainting_guidance=9.0)
    high = load(pipelines["stable-diffusion"], guidance=9.0)
    low = load(pipelines["stable-diffusion"])
    np.testing.assert_array_equal(make(own, "inpaint"), make(high, "inpaint"))
    assert differs(make(own, "inpaint"), make(low, "inpaint"))
    np.testing.assert_array_equal(make(own, "generate"), make(low, "generate"))


@pytest.mark.parametrize("task", ["vary", "inpaint", "instruct"])
def test_images_keep_their_size(generators, task):
    images, masks = random_images(3, 20, 50), np.zeros((3, 20, 50), bool)
    masks[:, 5:15, 10:31] = True
    made = make(generators["edit"], task, images=images, masks=masks)
    assert made.shape == images.shape and made.dtype == np.uint8
    if task == "inpaint":
        np.testing.assert_array_equal(made[~masks], images[~masks])
        assert differs(made[masks], images[masks])


def test_equals_the_pipeline_called_by_hand(generators, pipelines):
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(pipelines["stable-diffusion"])
    image = pipeline(
        "a red dog",
        num_inference_steps=4,
        guidance_scale=3.0,
        generator=torch.Generator().manual_seed(3),
    ).images[0]
    found = make(generators["stable-diffusion"], "generate", which=[0])[0]
    assert np.abs(found.astype(int) - np.asarray(image).astype(int)).max() <= 1


def test_nothing_is_made_of_no_prompts(generators):
    for task in TASKS:
        assert make(generators["stable-diffusion"], task, which=[]).shape == (0, SIDE, SIDE, 3)


# --- image to image ---


@pytest.mark.parametrize("family", FAMILIES)
def test_variations_follow_image_and_strength(generators, family):
    generator = generators[family]
    some = make(generator, "vary", strength=0.5)
    assert differs(some, make(generator, "vary", strength=0.5, images=255 - IMAGES))
    assert differs(some, make(generator, "vary", strength=1.0))


@pytest.mark.parametrize("strength", [0.0, 0.2, 1.5])
def test_strength_that_leaves_no_step_is_refused(generators, strength):
    with pytest.raises(InputError, match=r"strength: expected from 0\.25 to 1.*found"):
        make(generators["stable-diffusion"], "vary", strength=strength)


# --- inpainting ---


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_mask_is_repainted(generators, family):
    painted = make(generators[family], "inpaint")
    np.testing.assert_array_equal(painted[~MASKS], IMAGES[~MASKS])
    for index in range(3):
        assert differs(painted[index][MASKS[index]], IMAGES[index][MASKS[index]])
    nothing = make(generators[family], "inpaint", masks=np.zeros_like(MASKS))
    np.testing.assert_array_equal(nothing, IMAGES)


def test_what_is_not_repainted_is_decoded_as_it_was_encoded(pipelines, monkeypatch):
    """Where nothing is repainted, the decoder is given what the encoder gave."""
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    draw, encoded, decoded = DiagonalGaussianDistribution.sample, [], []

    def record(self, generator=None):
        encoded.append(draw(self, generator))
        return encoded[-1]

    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", record)
    generator = load(pipelines["stable-diffusion-3"], batch_size=3)
    vae = generator._open("inpaint").vae
    assert vae.config.shift_factor
    decode = vae.decode
    monkeypatch.setattr(vae, "decode", lambda z, **rest: decoded.append(z) or decode(z, **rest))
    make(generator, "inpaint", masks=np.zeros_like(MASKS))
    torch.testing.assert_close(decoded[0], torch.cat(encoded[:3]), rtol=1e-4, atol=1e-5)


def test_a_model_of_its_own_inpaints_without_seeing_what_was_there(pipelines):
    generator = load(pipelines["stable-diffusion"], inpainting=str(pipelines["inpainting"]))
    masks = cover_cells(MASKS, side=SIDE, cell=CELL)
    inside = np.where(masks[..., None], 255 - IMAGES, IMAGES)
    outside = np.where(masks[..., None], IMAGES, 255 - IMAGES)
    painted, hidden, seen = (
        make(generator, "inpaint", masks=masks, images=images)
        for images in (IMAGES, inside, outside)
    )
    np.testing.assert_array_equal(painted, hidden)
    assert differs(painted[masks], seen[masks])
    assert "generate" not in generator.pipelines, "the other model is not needed"


def test_masks_grow_to_the_cells_that_they_touch():
    masks = np.random.default_rng(0).random((4, 45, 30)) < 0.01
    cells = cover_cells(masks, side=24, cell=4)
    assert cells.shape == (4, 24, 24)
    by_cell = cells.reshape(4, 6, 4, 6, 4)
    assert (by_cell.all(axis=(2, 4)) == by_cell.any(axis=(2, 4))).all()
    for image, row, column in zip(*masks.nonzero(), strict=True):
        # The middle of the pixel, in the coordinates of the model's image.
        assert cells[image, int((row + 0.5) * 24 / 45), int((column + 0.5) * 24 / 30)]
    assert cells.mean() < 0.6


def test_mask_of_whole_cells_stays():
    masks = np.random.default_rng(0).random((2, 6, 6)) < 0.5
    masks = masks.repeat(4, axis=1).repeat(4, axis=2)
    np.testing.assert_array_equal(cover_cells(masks, side=24, cell=4), masks)
    doubled = masks.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_array_equal(cover_cells(doubled, side=24, cell=4), masks)


# --- how it is run ---


def test_the_size_of_a_model_is_its_own_unless_another_is_asked_for(pipelines):
    own = load(pipelines["stable-diffusion"], size=None)
    assert make(own, "generate").shape == (3, SIDE, SIDE, 3)
    larger = load(pipelines["stable-diffusion"], size=2 * SIDE)
    assert make(larger, "generate").shape == (3, 2 * SIDE, 2 * SIDE, 3)
    assert make(larger, "vary").shape == (3, SIDE, SIDE, 3)


def test_slices_change_nothing_and_tiles_little(pipelines, generators):
    whole = make(generators["stable-diffusion"], "generate").astype(int)
    sliced = load(pipelines["stable-diffusion"], vae_slicing=True)
    assert np.abs(make(sliced, "generate") - whole).max() <= 1
    tiled = load(pipelines["stable-diffusion"], vae_tiling=True, size=2 * SIDE)
    pixels = make(tiled, "generate").astype(int)
    plain = load(pipelines["stable-diffusion"], size=2 * SIDE)
    difference = np.abs(pixels - make(plain, "generate"))
    assert 0 < difference.mean() < 40
    # An image of the autoencoder's own size is one tile.
    tiled = load(pipelines["stable-diffusion"], vae_tiling=True)
    np.testing.assert_array_equal(make(tiled, "generate"), whole)


def test_bfloat16_computes_nearly_the_same(pipelines, generators):
    images = make(load(pipelines["stable-diffusion"], dtype="bfloat16"), "generate").astype(int)
    # Noise is drawn in the precision of the model, so only its statistics can be compared.
    exact = make(generators["stable-diffusion"], "generate")
    assert images.shape == exact.shape
    assert abs(images.mean() - exact.mean()) < 15


def test_offloading_does_nothing_on_a_cpu(pipelines, generators):
    generator = load(pipelines["stable-diffusion"], cpu_offload=True)
    np.testing.assert_array_equal(
        make(generator, "generate"), make(generators["stable-diffusion"], "generate")
    )


def test_nothing_is_printed(pipelines, capfd):
    generator = load(pipelines["stable-diffusion"], editing=str(pipelines["edit"]))
    for task in (*TASKS, "instruct"):
        make(generator, task)
    assert capfd.readouterr() == ("", "")


def test_safety_checker_is_not_loaded(pipelines, tmp_path, generators):
    folder = tmp_path / "model"
    shutil.copytree(pipelines["stable-diffusion"], folder)
    edit_index(
        folder,
        safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"],
        feature_extractor=["transformers", "CLIPFeatureExtractor"],
        requires_safety_checker=True,
    )
    np.testing.assert_array_equal(
        make(load(folder), "generate"), make(generators["stable-diffusion"], "generate")
    )


def test_variant_of_the_weights_is_read(tmp_path):
    torch.manual_seed(0)
    build_stable_diffusion().save_pretrained(tmp_path / "model", variant="fp16")
    assert make(load(tmp_path / "model", variant="fp16"), "generate").any()
    assert "generator.model" in refuse_to_make(load(tmp_path / "model"))


def test_arguments_are_the_keys_of_the_configuration():
    keys = {item.name for item in fields(mine.config.Generator)}
    assert set(inspect.signature(load_generator).parameters) == keys - {"prompt"}
    assert set(DTYPES) == set(
        mine.config.Generator.__dataclass_fields__["dtype"].metadata["choices"]
    )


# --- identity ---


def test_digest_changes_with_the_files_and_with_nothing_else(pipelines, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(pipelines["stable-diffusion"], folder)
    first = load(folder).digest
    assert load(folder, steps=9, size=64).digest == first
    (folder / "scores.json").write_text("{}")
    assert load(folder).digest == first
    assert load(pipelines["stable-diffusion"]).digest == first
    edit_index(folder, note=1)
    changed = load(folder).digest
    assert changed != first
    both = load(pipelines["stable-diffusion"], inpainting=str(folder))
    assert both.digest == f"{first} + {changed}"
    assert load(folder, inpainting=str(folder)).digest == changed


def test_model_of_the_hub_is_known_by_name_and_variant(monkeypatch):
    asked = offer_on_the_hub(monkeypatch)
    assert load("some/model", variant="fp16").digest == "some/model:fp16"
    assert load("some/model", allow_download=True).digest == "some/model:None"
    assert asked == [True, False], "the network is left alone unless it is allowed"
