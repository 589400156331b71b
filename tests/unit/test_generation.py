"""Images from tiny random models of each family of pipelines: the same laws for all."""

from __future__ import annotations

import inspect
import json
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import mine.config
from mine.core.generation import DTYPES, Generator, cover_cells, load_generator, resize_images
from mine.errors import InputError

# Schedulers of diffusers make arrays of tensors in a way that NumPy is to give up; Python hides the
# warning from users.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
)

FAMILIES = ("stable-diffusion", "stable-diffusion-xl", "stable-diffusion-3", "flux")
TASKS = ("generate", "vary", "inpaint")
EVERYTHING = [*((family, task) for family in FAMILIES for task in TASKS), ("edit", "instruct")]
SIDE, CELL, WIDTH = 32, 2, 16
WORDS = ("[pad]", "[unknown]", "[start]", "a", "red", "dog", "cat", "on", "snow", "[end]")
PROMPTS = ["a red dog", "a cat on snow", "snow"]
SEEDS = [3, 1, 2]
CONTEXT = 12


# --- tiny models ---


def build_tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = {word: index for index, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[unknown]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[start] $A [end]",
        special_tokens=[("[start]", ids["[start]"]), ("[end]", ids["[end]"])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[pad]",
        unk_token="[unknown]",
        bos_token="[start]",
        eos_token="[end]",
        model_max_length=CONTEXT,
    )


def build_clip(kind: str = "CLIPTextModel"):
    import transformers

    configuration = transformers.CLIPTextConfig(
        vocab_size=len(WORDS),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        bos_token_id=WORDS.index("[start]"),
        eos_token_id=WORDS.index("[end]"),
        pad_token_id=WORDS.index("[pad]"),
    )
    return getattr(transformers, kind)(configuration)


def build_t5():
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(
            vocab_size=len(WORDS),
            d_model=2 * WIDTH,
            d_kv=8,
            d_ff=WIDTH,
            num_layers=1,
            num_heads=2,
        )
    )


def build_vae(latent_channels: int = 4, **options):
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 16),
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        sample_size=SIDE,
        **options,
    )


def build_unet(in_channels: int = 4, **options):
    from diffusers import UNet2DConditionModel

    settings = {
        "sample_size": SIDE // CELL,
        "in_channels": in_channels,
        "out_channels": 4,
        "block_out_channels": (8, 16),
        "layers_per_block": 1,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
        "cross_attention_dim": WIDTH,
        "attention_head_dim": 2,
        "norm_num_groups": 4,
    }
    return UNet2DConditionModel(**settings | options)


def build_stable_diffusion(
    kind: str = "StableDiffusionPipeline", in_channels: int = 4, scheduler: str = "DDIMScheduler"
):
    import diffusers

    options = {"clip_sample": False} if scheduler == "DDIMScheduler" else {"skip_prk_steps": True}

    return getattr(diffusers, kind)(
        vae=build_vae(),
        text_encoder=build_clip(),
        tokenizer=build_tokenizer(),
        unet=build_unet(in_channels),
        scheduler=getattr(diffusers, scheduler)(steps_offset=1, **options),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def build_stable_diffusion_xl():
    from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionXLPipeline

    return StableDiffusionXLPipeline(
        vae=build_vae(),
        text_encoder=build_clip("CLIPTextModel"),
        text_encoder_2=build_clip("CLIPTextModelWithProjection"),
        tokenizer=build_tokenizer(),
        tokenizer_2=build_tokenizer(),
        unet=build_unet(
            cross_attention_dim=2 * WIDTH,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=6 * 8 + WIDTH,
        ),
        # As SDXL-Turbo has it: noise is drawn in every step.
        scheduler=EulerAncestralDiscreteScheduler(timestep_spacing="trailing"),
        add_watermarker=False,
    )


def build_stable_diffusion_3():
    import diffusers

    return diffusers.StableDiffusion3Pipeline(
        transformer=diffusers.SD3Transformer2DModel(
            sample_size=SIDE // CELL,
            patch_size=2,
            in_channels=16,
            out_channels=16,
            num_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=2 * WIDTH,
            caption_projection_dim=16,
            pooled_projection_dim=2 * WIDTH,
            pos_embed_max_size=SIDE // CELL,
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=build_vae(latent_channels=16, shift_factor=0.1),
        text_encoder=build_clip("CLIPTextModelWithProjection"),
        tokenizer=build_tokenizer(),
        text_encoder_2=build_clip("CLIPTextModelWithProjection"),
        tokenizer_2=build_tokenizer(),
        text_encoder_3=build_t5(),
        tokenizer_3=build_tokenizer(),
    )


def build_flux():
    import diffusers

    return diffusers.FluxPipeline(
        transformer=diffusers.FluxTransformer2DModel(
            patch_size=1,
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=2 * WIDTH,
            pooled_projection_dim=WIDTH,
            axes_dims_rope=(2, 2, 4),
        ),
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(),
        vae=build_vae(shift_factor=0.1),
        text_encoder=build_clip(),
        tokenizer=build_tokenizer(),
        text_encoder_2=build_t5(),
        tokenizer_2=build_tokenizer(),
    )


BUILDERS = {
    "stable-diffusion": build_stable_diffusion,
    "stable-diffusion-xl": build_stable_diffusion_xl,
    "stable-diffusion-3": build_stable_diffusion_3,
    "flux": build_flux,
    "inpainting": lambda: build_stable_diffusion(
        "StableDiffusionInpaintPipeline", 9, "PNDMScheduler"
    ),
    "edit": lambda: build_stable_diffusion("StableDiffusionInstructPix2PixPipeline", 8),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """A folder with a tiny random model of each family, as `save_pretrained` writes it."""
    root = tmp_path_factory.mktemp("models")
    for name, build in BUILDERS.items():
        torch.manual_seed(0)
        pipeline = build()
        with torch.no_grad():
            for part in pipeline.components.values():
                # Far from the initial values, or prompts would hardly matter.
                for parameter in part.parameters() if isinstance(part, torch.nn.Module) else ():
                    parameter.add_(0.1 * torch.randn_like(parameter))
        pipeline.save_pretrained(root / name)
    return {name: root / name for name in BUILDERS}


def load(model: Path | str, **options) -> Generator:
    settings = {"steps": 4, "guidance": 3.0, "size": SIDE, "device": "cpu", "batch_size": 2}
    return load_generator(model=str(model), **settings | options)


@pytest.fixture(scope="module")
def generators(folders) -> dict[str, Generator]:
    """A generator of each family; the one called edit is instructed."""
    made = {family: load(folders[family]) for family in FAMILIES}
    edit = load(folders["stable-diffusion"], editing=str(folders["edit"]))
    return made | {"edit": edit}


def random_images(count: int, rows: int = SIDE, columns: int = SIDE) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (count, rows, columns, 3), dtype=np.uint8)


IMAGES = random_images(3)
MASKS = np.zeros((3, SIDE, SIDE), bool)
MASKS[0, 8:20, 4:15] = MASKS[1, :, 16:] = MASKS[2, 3:30, 5:25] = True


def make(
    generator: Generator,
    task: str,
    *,
    which=(0, 1, 2),
    prompts=PROMPTS,
    seeds=SEEDS,
    images=IMAGES,
    masks=MASKS,
    negative=None,
    **options,
) -> np.ndarray:
    """Run a task on some of three prompts, seeds, images and masks."""
    chosen = list(which)
    prompts, seeds = [prompts[i] for i in chosen], [seeds[i] for i in chosen]
    if negative is not None:
        options["negative"] = [negative[i] for i in chosen]
    if task == "generate":
        return generator.generate(prompts, seeds=seeds, **options)
    if task == "vary":
        options = {"strength": 0.75} | options
        return generator.vary(images[chosen], prompts, seeds=seeds, **options)
    if task == "inpaint":
        return generator.inpaint(images[chosen], masks[chosen], prompts, seeds=seeds, **options)
    return generator.instruct(images[chosen], prompts, seeds=seeds, **options)


def differs(first: np.ndarray, second: np.ndarray) -> bool:
    return np.abs(first.astype(int) - second.astype(int)).mean() > 0.5


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
def test_tasks_leave_no_trace_in_the_parts_that_they_share(generators, folders, family):
    used = generators[family]
    before = make(used, "generate")
    make(used, "vary", strength=0.4)
    make(used, "inpaint")
    np.testing.assert_array_equal(make(used, "generate"), before)
    np.testing.assert_array_equal(make(used, "vary"), make(load(folders[family]), "vary"))
    pipelines = [used.pipelines[task] for task in TASKS]
    assert len({type(pipeline) for pipeline in pipelines}) == 3
    assert len({id(pipeline.vae) for pipeline in pipelines}) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_distilled_model_runs_without_guidance(folders, family):
    generator = load(folders[family], guidance=0.0, steps=1)
    images = make(generator, "generate")
    assert differs(images[0], images[1])
    # Without guidance there is nothing that a negative prompt could be kept away from.
    np.testing.assert_array_equal(make(generator, "generate", negative=PROMPTS), images)


@pytest.mark.parametrize("task", TASKS)
def test_guidance_and_negative_prompts_matter(generators, folders, task):
    guided = make(generators["stable-diffusion"], task)
    assert differs(guided, make(load(folders["stable-diffusion"], guidance=1.0), task))
    other = make(generators["stable-diffusion"], task, negative=["", "red snow", ""])
    assert differs(other[1], guided[1])
    assert np.abs(other[[0, 2]].astype(int) - guided[[0, 2]]).max() <= 1
    # Flux takes negative prompts, and heeds them only under a guidance of another name.
    np.testing.assert_array_equal(
        make(generators["flux"], task, negative=PROMPTS), make(generators["flux"], task)
    )


@pytest.mark.parametrize("task", ["vary", "inpaint", "instruct"])
def test_images_keep_their_size(generators, task):
    images, masks = random_images(3, 20, 50), np.zeros((3, 20, 50), bool)
    masks[:, 5:15, 10:31] = True
    made = make(generators["edit"], task, images=images, masks=masks)
    assert made.shape == images.shape and made.dtype == np.uint8
    if task == "inpaint":
        np.testing.assert_array_equal(made[~masks], images[~masks])
        assert differs(made[masks], images[masks])


def test_equals_the_pipeline_called_by_hand(generators, folders):
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(folders["stable-diffusion"])
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


def test_strength_of_the_generator_is_taken_unless_another_is_given(folders, generators):
    generator = load(folders["stable-diffusion"], strength=0.5)
    found = generator.vary(IMAGES, PROMPTS, seeds=SEEDS)
    expected = make(generators["stable-diffusion"], "vary", strength=0.5)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("strength", [0.0, 0.2, 1.5])
def test_strength_that_leaves_no_step_is_refused(generators, strength):
    with pytest.raises(InputError, match=r"generator\.strength: expected from 0\.25 to 1.*found"):
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


def test_a_model_of_its_own_inpaints_without_seeing_what_was_there(folders):
    generator = load(folders["stable-diffusion"], inpainting=str(folders["inpainting"]))
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


def test_the_size_of_a_model_is_its_own_unless_another_is_asked_for(folders):
    own = load(folders["stable-diffusion"], size=None)
    assert make(own, "generate").shape == (3, SIDE, SIDE, 3)
    larger = load(folders["stable-diffusion"], size=2 * SIDE)
    assert make(larger, "generate").shape == (3, 2 * SIDE, 2 * SIDE, 3)
    assert make(larger, "vary").shape == (3, SIDE, SIDE, 3)


def test_slices_change_nothing_and_tiles_little(folders, generators):
    whole = make(generators["stable-diffusion"], "generate").astype(int)
    sliced = load(folders["stable-diffusion"], vae_slicing=True)
    assert np.abs(make(sliced, "generate") - whole).max() <= 1
    tiled = load(folders["stable-diffusion"], vae_tiling=True, size=2 * SIDE)
    pixels = make(tiled, "generate").astype(int)
    plain = load(folders["stable-diffusion"], size=2 * SIDE)
    difference = np.abs(pixels - make(plain, "generate"))
    assert 0 < difference.mean() < 40


def test_bfloat16_computes_nearly_the_same(folders, generators):
    images = make(load(folders["stable-diffusion"], dtype="bfloat16"), "generate").astype(int)
    # Noise is drawn in the precision of the model, so only its statistics can be compared.
    exact = make(generators["stable-diffusion"], "generate")
    assert images.shape == exact.shape
    assert abs(images.mean() - exact.mean()) < 15


def test_offloading_does_nothing_on_a_cpu(folders, generators):
    generator = load(folders["stable-diffusion"], cpu_offload=True)
    np.testing.assert_array_equal(
        make(generator, "generate"), make(generators["stable-diffusion"], "generate")
    )


def test_nothing_is_printed(folders, capfd):
    generator = load(folders["stable-diffusion"], editing=str(folders["edit"]))
    for task in (*TASKS, "instruct"):
        make(generator, task)
    assert capfd.readouterr() == ("", "")


def test_safety_checker_is_not_loaded(folders, tmp_path, generators):
    folder = tmp_path / "model"
    shutil.copytree(folders["stable-diffusion"], folder)
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


def test_digest_changes_with_the_files_and_with_nothing_else(folders, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(folders["stable-diffusion"], folder)
    first = load(folder).digest
    assert load(folder, steps=9, size=64).digest == first
    assert load(folders["stable-diffusion"]).digest == first
    edit_index(folder, note=1)
    changed = load(folder).digest
    assert changed != first
    both = load(folders["stable-diffusion"], inpainting=str(folder))
    assert both.digest == f"{first} + {changed}"
    assert load(folder, inpainting=str(folder)).digest == changed


def test_model_of_the_hub_is_known_by_name_and_variant(monkeypatch):
    asked = offer_on_the_hub(monkeypatch)
    assert load("some/model", variant="fp16").digest == "some/model:fp16"
    assert load("some/model", allow_download=True).digest == "some/model:None"
    assert asked == [True, False], "the network is left alone unless it is allowed"


# --- refusals ---


def edit_index(folder: Path, **entries) -> None:
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | entries))


def offer_on_the_hub(monkeypatch) -> list[bool]:
    """Let any model be found; return a list that fills with whether only the cache was asked."""
    from diffusers import DiffusionPipeline

    asked = []

    def find(name, local_files_only):
        asked.append(local_files_only)
        return {"_class_name": "StableDiffusionPipeline"}

    monkeypatch.setattr(DiffusionPipeline, "load_config", find)
    return asked


def check_sentence(error: InputError) -> str:
    sentence = str(error)
    assert "expected" in sentence and "found" in sentence and "\n" not in sentence
    return sentence


def refuse(model: Path | str, **options) -> str:
    with pytest.raises(InputError) as caught:
        load(model, **options)
    return check_sentence(caught.value)


def refuse_to_make(generator: Generator, task: str = "generate", **options) -> str:
    with pytest.raises(InputError) as caught:
        make(generator, task, **options)
    return check_sentence(caught.value)


@pytest.mark.parametrize("key", ["model", "inpainting", "editing"])
def test_absent_folder_is_refused(folders, tmp_path, key):
    models = {"model": folders["stable-diffusion"], key: str(tmp_path / "nowhere")}
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


def test_weights_that_run_code_are_refused(folders, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(folders["stable-diffusion"], folder)
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    sentence = refuse(folder)
    assert sentence.startswith("generator.model: expected weights as safetensors in ")
    assert "diffusion_pytorch_model.bin" in sentence


@pytest.mark.parametrize("key", ["model", "editing"])
def test_code_of_a_model_is_not_run(folders, tmp_path, key):
    folder, trace = tmp_path / "model", tmp_path / "trace"
    shutil.copytree(folders["edit"], folder)
    code = f"open({str(trace)!r}, 'w')\nclass Own: pass\n"
    (folder / "pipeline.py").write_text(code)
    (folder / "unet/own.py").write_text(code)
    models = {"model": str(folders["stable-diffusion"]), key: str(folder)}
    task = "instruct" if key == "editing" else "generate"
    for entries in ({"_class_name": ["pipeline", "Own"]}, {"unet": ["own", "Own"]}):
        edit_index(folder, **entries)
        assert refuse_to_make(load(**models), task).startswith(f"generator.{key}: ")
    assert not trace.exists()


def test_missing_and_broken_weights_are_refused(folders, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(folders["stable-diffusion"], folder)
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    assert refuse_to_make(load(folder)).startswith("generator.model: ")
    weights.unlink()
    assert refuse_to_make(load(folder)).startswith("generator.model: ")
    assert "generator.variant fp16" in refuse_to_make(load(folder, variant="fp16"))


def test_model_that_cannot_inpaint_is_refused(folders, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(folders["stable-diffusion"], folder)
    edit_index(folder, _class_name="PixArtAlphaPipeline")
    generator = load(folders["stable-diffusion"], inpainting=str(folder))
    sentence = refuse_to_make(generator, "inpaint")
    assert sentence.startswith("generator.inpainting: expected a model that can inpaint, found ")
    assert "PixArtAlpha" in sentence


def test_denoiser_of_other_channels_is_refused(folders):
    # One that was trained to inpaint makes no images from text alone, and takes no edits.
    generator = load(folders["inpainting"])
    for task in ("generate", "vary"):
        sentence = refuse_to_make(generator, task)
        assert sentence.startswith("generator.model: expected") and "9 channels" in sentence
    make(generator, "inpaint")
    wrong = load(folders["stable-diffusion"], inpainting=str(folders["edit"]))
    assert refuse_to_make(wrong, "inpaint").startswith("generator.inpainting: ")


def test_instructions_need_a_model_for_them(folders, generators):
    sentence = refuse_to_make(generators["stable-diffusion"], "instruct")
    assert sentence.startswith("generator.editing: ")
    wrong = load(folders["stable-diffusion"], editing=str(folders["inpainting"]))
    assert refuse_to_make(wrong, "instruct").startswith("generator.editing: ")
    sentence = refuse(folders["stable-diffusion"], editing=str(folders["edit"]), guidance=1.0)
    assert sentence.startswith("generator.guidance: ")


@pytest.mark.parametrize(("family", "unit"), [("stable-diffusion", 2), ("flux", 4)])
def test_size_that_the_model_cannot_divide_is_refused(folders, family, unit):
    sentence = refuse_to_make(load(folders[family], size=33))
    assert sentence.startswith(f"generator.size: expected a multiple of {unit},")


def test_unknown_or_unfit_dtype_is_refused(folders):
    for dtype in ("int8", "float16"):
        sentence = refuse(folders["stable-diffusion"], dtype=dtype)
        assert sentence.startswith("generator.dtype: ") and dtype in sentence


def test_overflow_is_refused(folders):
    generator = load(folders["stable-diffusion"])
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
