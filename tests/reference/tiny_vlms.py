"""Tiny random vision-language models of transformers, one of each family, as folders on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as hub
from tokenizers import Tokenizer, models, pre_tokenizers, processors

SIDE, PATCH = 32, 8
WORDS = ("dog", "cat", "sea", "the", "a", "and", "USER", ":")
# Whitespace is where a word begins; the last two are pieces of "seafood", which has no token.
PIECES = (*(f"▁{word}" for word in WORDS), "▁s", "ea", "food", "▁zzyx")
SPECIAL = ("[pad]", "[unk]", "[bos]", "[eos]")
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "tie_word_embeddings": False,
}
VISION = {
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": SIDE,
    "patch_size": PATCH,
}


def build_tokenizer(*marks: str, begins: bool = True, **named: str) -> Any:
    """Build a tokenizer of PIECES with marks besides, some of them by a name of the processor's.

    begins: whether a mark is set where a text begins; those of Qwen know none.
    """
    entries = [*SPECIAL, *PIECES, *marks]
    ids = {entry: index for index, entry in enumerate(entries)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[unk]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    if begins:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[bos] $A", special_tokens=[("[bos]", ids["[bos]"])]
        )
    return hub.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[pad]",
        unk_token="[unk]",
        bos_token="[bos]" if begins else None,
        eos_token="[eos]",
        additional_special_tokens=[mark for mark in marks if mark not in named.values()],
        extra_special_tokens=named,
    )


def _vocabulary(tokenizer: Any) -> dict[str, int]:
    # A little larger than the tokenizer's, as those of real models are.
    return {"vocab_size": len(tokenizer) + 3}


def build_llava() -> tuple[Any, Any]:
    tokenizer = build_tokenizer("<image>", image_token="<image>")
    config = hub.LlavaConfig(
        vision_config=hub.CLIPVisionConfig(**VISION),
        text_config=hub.LlamaConfig(**TEXT, **_vocabulary(tokenizer)),
        image_token_id=tokenizer.image_token_id,
    )
    pictures = hub.CLIPImageProcessor(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    )
    processor = hub.LlavaProcessor(
        pictures,
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template="[bos]{% for m in messages %}USER : {% for c in m['content'] %}<image>"
        "{% endfor %} a {% endfor %}",
    )
    return hub.LlavaForConditionalGeneration(config), processor


def build_llava_next() -> tuple[Any, Any]:
    tokenizer = build_tokenizer("<image>", image_token="<image>")
    grid = [[SIDE, 2 * SIDE], [2 * SIDE, SIDE], [2 * SIDE, 2 * SIDE]]
    config = hub.LlavaNextConfig(
        vision_config=hub.CLIPVisionConfig(**VISION),
        text_config=hub.LlamaConfig(**TEXT, **_vocabulary(tokenizer)),
        image_token_id=tokenizer.image_token_id,
        image_grid_pinpoints=grid,
    )
    pictures = hub.LlavaNextImageProcessor(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_grid_pinpoints=grid,
    )
    processor = hub.LlavaNextProcessor(
        pictures,
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
    )
    return hub.LlavaNextForConditionalGeneration(config), processor


def build_llava_onevision() -> tuple[Any, Any]:
    named = {"image_token": "<image>", "video_token": "<video>"}
    tokenizer = build_tokenizer(*named.values(), begins=False, **named)
    grid = [[SIDE, SIDE], [2 * SIDE, 2 * SIDE]]
    config = hub.LlavaOnevisionConfig(
        vision_config=hub.SiglipVisionConfig(**VISION, vision_use_head=False),
        text_config=hub.Qwen2Config(**TEXT, **_vocabulary(tokenizer)),
        image_token_id=tokenizer.image_token_id,
        video_token_id=tokenizer.video_token_id,
        image_grid_pinpoints=grid,
    )
    pictures = hub.LlavaOnevisionImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_grid_pinpoints=grid
    )
    processor = hub.LlavaOnevisionProcessor(
        pictures,
        tokenizer,
        hub.LlavaOnevisionVideoProcessor(size={"height": SIDE, "width": SIDE}),
        num_image_tokens=(SIDE // PATCH) ** 2,
        vision_feature_select_strategy="full",
    )
    return hub.LlavaOnevisionForConditionalGeneration(config), processor


QWEN_MARKS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
QWEN_TEMPLATE = (
    "{% for m in messages %}USER : {% for c in m['content'] %}<|vision_start|><|image_pad|>"
    "<|vision_end|>{% endfor %}{% endfor %}"
)


def _qwen(version: str) -> tuple[Any, Any]:
    start, end, image, video = QWEN_MARKS
    tokenizer = build_tokenizer(*QWEN_MARKS, begins=False, image_token=image, video_token=video)
    number = tokenizer.convert_tokens_to_ids
    vision = {"depth": 2, "num_heads": 2, "patch_size": PATCH, "spatial_merge_size": 2}
    if version == "2":
        vision |= {"embed_dim": 16, "hidden_size": TEXT["hidden_size"], "mlp_ratio": 2}
    else:
        vision |= {
            "hidden_size": 16,
            "intermediate_size": 32,
            "out_hidden_size": TEXT["hidden_size"],
            "fullatt_block_indexes": [1],
            "window_size": 2 * 2 * PATCH,
        }
    text = {name: value for name, value in TEXT.items() if name != "head_dim"}
    rope = {"rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0}
    family = "Qwen2VL" if version == "2" else "Qwen2_5_VL"
    config = getattr(hub, f"{family}Config")(
        vision_config=vision,
        text_config={**text, **_vocabulary(tokenizer), "rope_parameters": rope},
        image_token_id=number(image),
        video_token_id=number(video),
        vision_start_token_id=number(start),
        vision_end_token_id=number(end),
        tie_word_embeddings=False,
    )
    options = {"patch_size": PATCH, "merge_size": 2}
    limits = {"size": {"shortest_edge": 16 * 16, "longest_edge": 64 * 64}}
    processor = getattr(hub, f"{family}Processor")(
        hub.Qwen2VLImageProcessor(**options, **limits),
        tokenizer,
        hub.Qwen2VLVideoProcessor(**options),
        chat_template=QWEN_TEMPLATE,
    )
    return getattr(hub, f"{family}ForConditionalGeneration")(config), processor


def build_qwen2_vl() -> tuple[Any, Any]:
    return _qwen("2")


def build_qwen2_5_vl() -> tuple[Any, Any]:
    return _qwen("2.5")


def build_paligemma() -> tuple[Any, Any]:
    tokenizer = build_tokenizer("<image>", image_token="<image>")
    tokens = (SIDE // PATCH) ** 2
    pictures = hub.SiglipImageProcessor(size={"height": SIDE, "width": SIDE})
    pictures.image_seq_length = tokens
    processor = hub.PaliGemmaProcessor(pictures, tokenizer)
    config = hub.PaliGemmaConfig(
        vision_config=hub.SiglipVisionConfig(**VISION, vision_use_head=False),
        text_config=hub.GemmaConfig(**TEXT, **_vocabulary(tokenizer)),
        image_token_id=tokenizer.image_token_id,
        projection_dim=TEXT["hidden_size"],
    )
    return hub.PaliGemmaForConditionalGeneration(config), processor


def build_gemma3() -> tuple[Any, Any]:
    named = {"boi_token": "<boi>", "eoi_token": "<eoi>", "image_token": "<soft>"}
    tokenizer = build_tokenizer(*named.values(), **named)
    tokens = 4
    pictures = hub.Gemma3ImageProcessor(
        size={"height": SIDE, "width": SIDE}, image_seq_length=tokens
    )
    processor = hub.Gemma3Processor(
        pictures,
        tokenizer,
        image_seq_length=tokens,
        chat_template="[bos]{% for m in messages %}USER : {% for c in m['content'] %}<boi>"
        "{% endfor %}{% endfor %}",
    )
    config = hub.Gemma3Config(
        vision_config=hub.SiglipVisionConfig(**VISION, vision_use_head=False),
        text_config=hub.Gemma3TextConfig(
            **TEXT, **_vocabulary(tokenizer), sliding_window=8, query_pre_attn_scalar=8
        ),
        mm_tokens_per_image=tokens,
        image_token_id=tokenizer.image_token_id,
        boi_token_id=tokenizer.boi_token_id,
        eoi_token_id=tokenizer.eoi_token_id,
    )
    return hub.Gemma3ForConditionalGeneration(config), processor


FAMILIES: dict[str, Callable[[], tuple[Any, Any]]] = {
    "llava": build_llava,
    "llava_next": build_llava_next,
    "llava_onevision": build_llava_onevision,
    "qwen2_vl": build_qwen2_vl,
    "qwen2_5_vl": build_qwen2_5_vl,
    "paligemma": build_paligemma,
    "gemma3": build_gemma3,
}
"""Families by name: each builds a model and its processor."""


def save_model(family: str, folder: Path) -> Path:
    """Write a family's model of random weights, far from their initial values, and its
    processor."""
    torch.manual_seed(0)
    model, processor = FAMILIES[family]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
