"""The demo's vision-language model: a small LLaVA on the image tower of the demo's CLIP.

A folder of :func:`write_model` is one that transformers loads: ``config.json``,
``model.safetensors``, a word-level tokenizer and a processor. The tower is frozen; what learns is
the projector between it and a language model that has read nothing but captions of scenes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mine.demo.clip_model import (
    DEVIATION,
    END,
    MEAN,
    MODEL,
    PADDING,
    PATCH,
    SIDE,
    START,
    UNKNOWN,
    token_ids,
)

IMAGE = "<image>"
TOKENS = (SIDE // PATCH) ** 2
LANGUAGE = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}


def language_ids() -> dict[str, int]:
    """Return the words and ids of the demo's CLIP, and last the mark that an image takes the place
    of."""
    return {**token_ids(), IMAGE: len(token_ids())}


def build_model(clip: torch.nn.Module) -> torch.nn.Module:
    """Build the model around the image tower of a demo's CLIP, an open_clip model."""
    from transformers import (
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
    )

    ids, vision = language_ids(), MODEL["vision_cfg"]
    tower = CLIPVisionConfig(
        hidden_size=vision["width"],
        intermediate_size=int(vision["mlp_ratio"] * vision["width"]),
        num_hidden_layers=vision["layers"],
        num_attention_heads=vision["width"] // vision["head_width"],
        image_size=SIDE,
        patch_size=PATCH,
        hidden_act="gelu",
    )
    language = LlamaConfig(
        **LANGUAGE,
        vocab_size=len(ids),
        pad_token_id=ids[PADDING],
        bos_token_id=ids[START],
        eos_token_id=ids[END],
    )
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=tower,
            text_config=language,
            image_token_id=ids[IMAGE],
            image_seq_length=TOKENS,
            vision_feature_layer=-1,
        )
    )
    model.model.vision_tower.load_state_dict(convert_tower(clip.visual))
    model.model.vision_tower.requires_grad_(False)
    return model


def convert_tower(visual: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return the weights of an open_clip ViT by the names that transformers' CLIP tower has for
    them; its projection into the joint space is left behind."""
    state = visual.state_dict()
    names = {
        "embeddings.class_embedding": "class_embedding",
        "embeddings.patch_embedding.weight": "conv1.weight",
        "embeddings.position_embedding.weight": "positional_embedding",
    }
    named = {target: state[source] for target, source in names.items()}
    parts = {"pre_layrnorm": "ln_pre", "post_layernorm": "ln_post"}
    for layer in range(len(visual.transformer.resblocks)):
        target, source = f"encoder.layers.{layer}", f"transformer.resblocks.{layer}"
        parts |= {
            f"{target}.layer_norm1": f"{source}.ln_1",
            f"{target}.layer_norm2": f"{source}.ln_2",
            f"{target}.self_attn.out_proj": f"{source}.attn.out_proj",
            f"{target}.mlp.fc1": f"{source}.mlp.c_fc",
            f"{target}.mlp.fc2": f"{source}.mlp.c_proj",
        }
        for kind in ("weight", "bias"):
            thirds = state[f"{source}.attn.in_proj_{kind}"].chunk(3)
            for name, third in zip("qkv", thirds, strict=True):
                named[f"{target}.self_attn.{name}_proj.{kind}"] = third
    for target, source in parts.items():
        for kind in ("weight", "bias"):
            named[f"{target}.{kind}"] = state[f"{source}.{kind}"]
    return named


def build_processor() -> Any:
    """Build what turns images and texts into the model's inputs."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import CLIPImageProcessor, LlavaProcessor, PreTrainedTokenizerFast

    ids = language_ids()
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A", special_tokens=[(START, ids[START])]
    )
    named = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PADDING,
        unk_token=UNKNOWN,
        bos_token=START,
        eos_token=END,
        extra_special_tokens={"image_token": IMAGE},
    )
    pictures = CLIPImageProcessor(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=list(MEAN),
        image_std=list(DEVIATION),
    )
    return LlavaProcessor(
        pictures,
        named,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )


def write_model(model: torch.nn.Module, folder: Path) -> None:
    """Write a folder that transformers loads: half-precision safetensors, tokenizer, processor."""
    folder.mkdir(parents=True, exist_ok=True)
    build_processor().save_pretrained(folder)
    state = {name: value.half() for name, value in model.state_dict().items()}
    model.save_pretrained(folder, state_dict=state)
