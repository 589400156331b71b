"""The demo's generator: a latent diffusion model in the format of Stable Diffusion.

A folder of :func:`write_pipeline` is what diffusers' ``from_pretrained`` loads for text-to-image,
image-to-image and inpainting: an AutoencoderKL (64 × 64 pixels to 16 × 16 × 4 latents), a
UNet2DConditionModel, and the text tower of the demo's CLIP as a CLIPTextModel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mine.demo.clip_model import END, MODEL, PADDING, START, UNKNOWN, token_ids, write_tokenizer

LATENT_SIDE = 16
LATENT_CHANNELS = 4
GUIDANCE = 5.0
INPAINTING_GUIDANCE = 8.0
STEPS = 8
DTYPE = "float32"


def build_autoencoder() -> torch.nn.Module:
    """Build the autoencoder; without attention, so that it can be trained on crops."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(32, 64, 64),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        mid_block_add_attention=False,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        sample_size=64,
    )


def build_unet() -> torch.nn.Module:
    """Build the denoiser: no attention at 16 × 16, text and self-attention at 8 × 8."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=LATENT_SIDE,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=(64, 128),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=MODEL["text_cfg"]["width"],
        attention_head_dim=8,  # diffusers' name for the number of heads
        norm_num_groups=16,
    )


def build_text_encoder(clip: torch.nn.Module) -> torch.nn.Module:
    """Return the text tower of an open_clip model as transformers' CLIPTextModel."""
    from transformers import CLIPTextConfig, CLIPTextModel

    shape, ids = MODEL["text_cfg"], token_ids()
    encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(ids),
            hidden_size=shape["width"],
            intermediate_size=4 * shape["width"],
            num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"],
            max_position_embeddings=shape["context_length"],
            projection_dim=MODEL["embed_dim"],
            hidden_act="gelu",
            bos_token_id=ids[START],
            eos_token_id=ids[END],
            pad_token_id=ids[PADDING],
        )
    )
    source = clip.state_dict()
    renamed = {
        "embeddings.token_embedding.weight": source["token_embedding.weight"],
        "embeddings.position_embedding.weight": source["positional_embedding"],
        "final_layer_norm.weight": source["ln_final.weight"],
        "final_layer_norm.bias": source["ln_final.bias"],
    }
    parts = {
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
        "self_attn.out_proj": "attn.out_proj",
    }
    for layer in range(shape["layers"]):
        ours, theirs = f"encoder.layers.{layer}", f"transformer.resblocks.{layer}"
        for kind in ("weight", "bias"):
            for name, original in parts.items():
                renamed[f"{ours}.{name}.{kind}"] = source[f"{theirs}.{original}.{kind}"]
            projections = source[f"{theirs}.attn.in_proj_{kind}"].chunk(3)
            for name, projection in zip(("q", "k", "v"), projections, strict=True):
                renamed[f"{ours}.self_attn.{name}_proj.{kind}"] = projection
    prefix = "text_model." if any(k.startswith("text_model.") for k in encoder.state_dict()) else ""
    encoder.load_state_dict({prefix + name: value for name, value in renamed.items()})
    return encoder


def build_scheduler() -> Any:
    """Build the noise schedule, velocity prediction with cosine betas and no signal at the last
    step, and its solver, UniPC, which needs two thirds of the steps that DDIM does."""
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        steps_offset=1,  # has no effect with trailing steps; diffusers warns of others
    )


def encode_prompts(prompts: list[str]) -> torch.Tensor:
    """Return ids (prompt, position), padded as the pipeline's tokenizer pads them."""
    ids, length = token_ids(), MODEL["text_cfg"]["context_length"]
    table = torch.full((len(prompts), length), ids[PADDING], dtype=torch.long)
    for row, prompt in zip(table, prompts, strict=True):
        words = prompt.replace(",", " , ").split()
        entries = [ids[START], *(ids.get(word, ids[UNKNOWN]) for word in words)][: length - 1]
        row[: len(entries) + 1] = torch.tensor([*entries, ids[END]])
    return table


def write_pipeline(
    folder: Path,
    *,
    autoencoder: torch.nn.Module,
    unet: torch.nn.Module,
    text_encoder: torch.nn.Module,
) -> None:
    """Write the model's folder, in half precision, as diffusers' ``from_pretrained`` loads it."""
    from diffusers import StableDiffusionPipeline
    from transformers import AutoTokenizer

    write_tokenizer(folder / "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(
        folder / "tokenizer", model_max_length=MODEL["text_cfg"]["context_length"]
    )
    pipeline = StableDiffusionPipeline(
        vae=autoencoder,
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.to(dtype=torch.float16).save_pretrained(folder, safe_serialization=True)
