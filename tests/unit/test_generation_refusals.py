"""What cannot be generated is refused in one sentence, early."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from mine.core.generation import resize_images
from mine.errors import InputError
from tests.reference.tiny_pipelines import (
    IMAGES,
    MASKS,
    PROMPTS,
    SEEDS,
    TASKS,
    edit_index,
    load,
    make,
    random_images,
    refuse,
    refuse_to_make,
)

# Schedulers of diffusers make arrays of tensors in a way that NumPy is to give up; Python hides the
# warning from users.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)


@pytest.mark.parametrize("key", ["model", "inpainting", "editing"])
def test_absent_folder_is_refused(pipelines, tmp_path, key):
    models = {"model": pipelines["stable-diffusion"], key: str(tmp_path / "nowhere")}
    sentence = refuse(**models)
    assert sentence.startswith(f"generator.{key}: ") and "nowhere/model_index.json" in sentence


def test_folder_without_index_is_refused(tmp_path):
    assert f"{tmp_path}/model_index.json" in refuse(tmp_path)
    (tmp_path / "model_index.json").write_text("[]")
    assert "name a pipeline's class" in refuse(tmp_path)
    (tmp_path / "model_index.json").write_text("{")
    assert "name a pipeline's class" in refuse(tmp_path)


def test_model_that_is_not_in_the_cache_is_refused_with_the_remedy(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    sentence = refuse("some-organisation/absent-model")
    assert "`hf download some-organisation/absent-model`" in sentence
    assert "generator.allow_download: true" in sentence


def test_weights_that_run_code_are_refused(pipelines, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(pipelines["stable-diffusion"], folder)
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    sentence = refuse(folder)
    assert sentence.startswith("generator.model: expected weights as safetensors in ")
    assert "diffusion_pytorch_model.bin" in sentence


@pytest.mark.parametrize("key", ["model", "editing"])
def test_code_of_a_model_is_not_run(pipelines, tmp_path, key):
    folder, trace = tmp_path / "model", tmp_path / "trace"
    shutil.copytree(pipelines["edit"], folder)
    code = f"open({str(trace)!r}, 'w')\nclass Own: pass\n"
    (folder / "pipeline.py").write_text(code)
    (folder / "unet/own.py").write_text(code)
    models = {"model": str(pipelines["stable-diffusion"]), key: str(folder)}
    task = "instruct" if key == "editing" else "generate"
    for entries in ({"_class_name": ["pipeline", "Own"]}, {"unet": ["own", "Own"]}):
        edit_index(folder, **entries)
        assert refuse_to_make(load(**models), task).startswith(f"generator.{key}: ")
    assert not trace.exists()


def test_missing_and_broken_weights_are_refused(pipelines, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(pipelines["stable-diffusion"], folder)
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert refuse_to_make(load(folder)).startswith("generator.model: ")
    weights.unlink()
    assert refuse_to_make(load(folder)).startswith("generator.model: ")
    assert "generator.variant fp16" in refuse_to_make(load(folder, variant="fp16"))


def test_model_that_cannot_inpaint_is_refused(pipelines, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(pipelines["stable-diffusion"], folder)
    edit_index(folder, _class_name="PixArtAlphaPipeline")
    generator = load(pipelines["stable-diffusion"], inpainting=str(folder))
    sentence = refuse_to_make(generator, "inpaint")
    assert sentence.startswith("generator.inpainting: expected a model that can inpaint, found ")
    assert "PixArtAlpha" in sentence


def test_denoiser_of_other_channels_is_refused(pipelines):
    # One that was trained to inpaint makes no images from text alone, and takes no edits.
    generator = load(pipelines["inpainting"])
    for task in ("generate", "vary"):
        sentence = refuse_to_make(generator, task)
        assert sentence.startswith("generator.model: expected") and "9 channels" in sentence
    make(generator, "inpaint")
    wrong = load(pipelines["stable-diffusion"], inpainting=str(pipelines["edit"]))
    assert refuse_to_make(wrong, "inpaint").startswith("generator.inpainting: ")


def test_instructions_need_a_model_for_them(pipelines, generators):
    sentence = refuse_to_make(generators["stable-diffusion"], "instruct")
    assert sentence.startswith("generator.editing: ")
    wrong = load(pipelines["stable-diffusion"], editing=str(pipelines["inpainting"]))
    assert refuse_to_make(wrong, "instruct").startswith("generator.editing: ")
    sentence = refuse(pipelines["stable-diffusion"], editing=str(pipelines["edit"]), guidance=1.0)
    assert sentence.startswith("generator.guidance: ")


@pytest.mark.parametrize(("family", "unit"), [("stable-diffusion", 2), ("flux", 4)])
def test_size_that_the_model_cannot_divide_is_refused(pipelines, family, unit):
    sentence = refuse_to_make(load(pipelines[family], size=33))
    assert sentence.startswith(f"generator.size: expected a multiple of {unit},")


def test_unknown_or_unfit_dtype_is_refused(pipelines):
    for dtype in ("int8", "float16"):
        sentence = refuse(pipelines["stable-diffusion"], dtype=dtype)
        assert sentence.startswith("generator.dtype: ") and dtype in sentence


def test_overflow_is_refused(pipelines):
    generator = load(pipelines["stable-diffusion"])
    make(generator, "generate")
    generator.pipelines["generate"].vae.decoder.conv_out.bias.data.fill_(float("nan"))
    assert refuse_to_make(generator).startswith("generator.dtype: ")


@pytest.mark.parametrize("task", TASKS)
def test_a_seed_is_wanted_for_each_prompt(generators, task):
    generator = generators["stable-diffusion"]
    with pytest.raises(InputError, match="seeds: expected one for each of 2 prompts, found 3"):
        if task == "generate":
            generator.generate(PROMPTS[:2], seeds=SEEDS)
        elif task == "vary":
            generator.vary(IMAGES[:2], PROMPTS[:2], seeds=SEEDS, strength=0.5)
        else:
            generator.inpaint(IMAGES[:2], MASKS[:2], PROMPTS[:2], seeds=SEEDS)


def test_a_negative_prompt_is_wanted_for_each_prompt(generators):
    with pytest.raises(InputError, match="negative: expected one for each of 3 prompts, found 1"):
        generators["stable-diffusion"].generate(PROMPTS, seeds=SEEDS, negative=["dog"])


def test_arrays_of_wrong_shape_or_type_are_refused(generators):
    generator = generators["stable-diffusion"]
    for masks in (MASKS[:, :-1], MASKS[:2], MASKS.astype(np.uint8)):
        with pytest.raises(InputError, match=r"masks: expected bool \(3, 32, 32\).*found"):
            generator.inpaint(IMAGES, masks, PROMPTS, seeds=SEEDS)
    with pytest.raises(InputError, match="images: expected uint8.*found float64"):
        generator.vary(IMAGES / 255, PROMPTS, seeds=SEEDS, strength=0.5)
    with pytest.raises(InputError, match="prompts: expected one for each of 2 images, found 3"):
        generator.vary(IMAGES[:2], PROMPTS, seeds=SEEDS, strength=0.5)


def test_images_are_resized_as_pillow_does():
    # Squeezed into the model's square and back, whatever their proportions.
    images = random_images(2, 20, 50)
    expected = Image.fromarray(images[1]).resize((32, 32), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(resize_images(images, 32, 32)[1], np.asarray(expected))
    assert resize_images(images, 20, 50) is images
