"""Tiny random models of each family of pipelines, and how tests run them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from mine.core.generation import Generator, load_generator
from mine.errors import InputError
from mine.sections import Generator as Keys

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


KEYS = {key: value for key, value in asdict(Keys()).items() if key != "prompt"}


def load(model: Path | str, **options) -> Generator:
    """Open a model, with the configuration's defaults for what neither test nor size changes."""
    settings = {"inpainting": None, "dtype": "float32", "device": "cpu"}
    settings |= {"steps": 4, "guidance": 3.0, "size": SIDE, "batch_size": 2}
    return load_generator(**KEYS | settings | options | {"model": str(model)})


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


def save_models(root: Path) -> dict[str, Path]:
    """Write a tiny random model of each family into a folder of its own, as `save_pretrained`
    does."""
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


def load_models(models: dict[str, Path]) -> dict[str, Generator]:
    """A generator of each family; the one called edit is instructed."""
    made = {family: load(models[family]) for family in FAMILIES}
    edit = load(models["stable-diffusion"], editing=str(models["edit"]))
    return made | {"edit": edit}


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
