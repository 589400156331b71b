"""The demo's CLIP: how it is built, what it is given, and how it is written.

A folder of :func:`write_model` is an open_clip ``local-dir:`` folder:
``open_clip_config.json``, ``open_clip_model.safetensors`` and a word-level tokenizer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mine.demo import words

SIDE = 64
PATCH = 8
PROMPTS = ("{}", "a {}", "a picture of a {}", "a picture of the {}")
MODEL = {
    "embed_dim": 128,
    "vision_cfg": {
        "image_size": SIDE,
        "patch_size": PATCH,
        "width": 128,
        "head_width": 32,
        "layers": 3,
        "mlp_ratio": 4.0,
        "pool_type": "avg",
    },
    "text_cfg": {
        "context_length": 28,
        "vocab_size": 0,  # set from the tokenizer
        "hf_tokenizer_name": "tokenizer of this folder",
        "width": 128,
        "heads": 4,
        "layers": 2,
    },
}
MEAN, DEVIATION = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
FUNCTION_WORDS = ("a", "the", "of", "in", "and", "picture")
PADDING, UNKNOWN = "[pad]", "[unknown]"
START, END = "[start]", "[end]"


def token_ids() -> dict[str, int]:
    """Return the tokenizer's words and ids; the end mark has the highest id, where CLIP's text
    tower pools.
    """
    entries = [PADDING, UNKNOWN, START, *FUNCTION_WORDS, *words.vocabulary(), END]
    return {entry: index for index, entry in enumerate(entries)}


def write_tokenizer(folder: Path) -> None:
    """Write a word-level tokenizer that transformers' ``AutoTokenizer`` loads."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    ids = token_ids()
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, ids[START]), (END, ids[END])]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PADDING,
        unk_token=UNKNOWN,
        bos_token=START,
        eos_token=END,
    ).save_pretrained(folder)


def encode(texts: list[str], ids: dict[str, int]) -> torch.Tensor:
    """Return ids of shape (text, position), padded to the longest text of the batch."""
    rows = [[ids[START], *(ids[word] for word in text.split()), ids[END]] for text in texts]
    table = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, entries in zip(table, rows, strict=True):
        row[: len(entries)] = torch.tensor(entries)
    return table


def build_model(*, pool_type: str = MODEL["vision_cfg"]["pool_type"]) -> torch.nn.Module:
    """Build the CLIP from open_clip's own classes. pool_type: ``avg``, the average of the tokens,
    or ``tok``, the class token.
    """
    import open_clip

    model = open_clip.CLIP(**_configure(pool_type))
    # Synonyms begin as one word, as they would in a text tower that has read much text before.
    ids, table = token_ids(), model.token_embedding.weight.data
    for synonyms in words.CONCEPTS.values():
        for synonym in synonyms[1:]:
            table[ids[synonym]] = table[ids[synonyms[0]]]
    # Patch filters begin nearly blind to a patch's mean colour, which would drown its pattern.
    filters = model.visual.conv1.weight.data
    filters -= 0.9 * filters.mean(dim=(2, 3), keepdim=True)
    filters *= 4
    return model


def _configure(pool_type: str) -> dict[str, Any]:
    """Return open_clip's configuration of the model."""
    return {
        **MODEL,
        "vision_cfg": MODEL["vision_cfg"] | {"pool_type": pool_type},
        "text_cfg": MODEL["text_cfg"] | {"vocab_size": len(token_ids())},
    }


def encode_images(
    model: torch.nn.Module, images: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return patch tokens as they come, and the pooled embedding, in the joint space and not
    normalised: (image, token, feature) and (image, feature).
    """
    visual = model.visual
    hidden = visual.transformer(visual._embeds(images))
    tokens = visual.ln_post(hidden[:, 1:]) @ visual.proj
    return tokens, visual._pool(hidden)[0] @ visual.proj


def encode_texts(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """Return unit text embeddings (text, feature); like ``encode_text``, for texts shorter than the
    context.
    """
    length = ids.shape[1]
    hidden = model.token_embedding(ids) + model.positional_embedding[:length]
    hidden = model.transformer(hidden, attn_mask=model.attn_mask[:length, :length])
    hidden = model.ln_final(hidden)[torch.arange(len(ids)), ids.argmax(dim=-1)]
    return functional.normalize(hidden @ model.text_projection, dim=-1)


def to_input(images: np.ndarray) -> torch.Tensor:
    """Return the model's input (image, 3, row, column) of images with values from 0 to 1."""
    array = (images - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
    return torch.from_numpy(np.ascontiguousarray(array.transpose(0, 3, 1, 2), dtype=np.float32))


def write_model(model: torch.nn.Module, folder: Path) -> None:
    """Write an open_clip ``local-dir:`` folder: configuration, half-precision safetensors,
    tokenizer.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    configuration = _configure(model.visual.pool_type)
    preprocessing = {
        "mean": MEAN,
        "std": DEVIATION,
        "size": [SIDE, SIDE],
        "interpolation": "bicubic",
    }
    text = json.dumps({"model_cfg": configuration, "preprocess_cfg": preprocessing}, indent=2)
    (folder / "open_clip_config.json").write_text(text + "\n")
    weights = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    write_tokenizer(folder)
