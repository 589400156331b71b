"""Image backbones whose patch tokens share a space with language: any open_clip ViT.

A token is wanted in the joint image–text space. The pooled embedding lives there by training; a
patch token only if the pooling is an average. Otherwise the last block has to be changed so that it
does:

    output  the token as it comes: proj(ln_post(x_t))
    value   the last block's attention replaced by its value path: x + W_O W_V ln_1(x), then the
    block's
            feed-forward (MaskCLIP, arXiv 2112.01071)
    self    the last block's output replaced by query–query attention alone, without residual and
            without feed-forward: W_O softmax(q qᵀ/√w) v (ClearCLIP, arXiv 2407.12442)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mine.core.devices import choose_device
from mine.core.models import explain_refusal, load_open_clip
from mine.errors import InputError

ALIGNMENTS = ("output", "value", "self")
KEY = "backbone.model"


@dataclass(frozen=True)
class Backbone:
    """A loaded model and how its tokens are read. Use :func:`load_backbone`."""

    model: Any
    preprocess: Any
    tokenizer: Any
    alignment: str
    device: torch.device
    digest: str
    rows: int
    columns: int

    @torch.inference_mode()
    def encode_images(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encode images.

        images: uint8 (image, row, column, 3). Returns raw tokens (image, token, feature), row-major
        over the grid of ``rows`` × ``columns`` patches, and the pooled embedding (image, feature),
        both float32 and not normalised. The pooled embedding is that of open_clip's
        ``encode_image``. With ``output`` and an average-pooled model it is the mean of the tokens.
        """
        from PIL import Image

        batch = torch.stack([self.preprocess(Image.fromarray(image)) for image in images])
        visual = self.model.visual
        before = visual._embeds(batch.to(self.device))
        for block in visual.transformer.resblocks[:-1]:
            before = block(before)
        after = visual.transformer.resblocks[-1](before)
        pooled = visual._pool(after)[0] @ visual.proj
        tokens = align_tokens(before, after, visual.transformer.resblocks[-1], self.alignment)
        tokens = visual.ln_post(tokens[:, 1:]) @ visual.proj
        return tokens.float().cpu().numpy(), pooled.float().cpu().numpy()

    @torch.inference_mode()
    def encode_texts(self, texts: list[str], *, batch_size: int = 256) -> np.ndarray:
        """Encode texts: unit embeddings, float32 (text, feature)."""
        parts = [
            self.model.encode_text(
                self.tokenizer(texts[start : start + batch_size]).to(self.device)
            )
            for start in range(0, len(texts), batch_size)
        ]
        return functional.normalize(torch.cat(parts).float(), dim=-1).cpu().numpy()

    @property
    def temperature(self) -> float:
        """The model's own softmax temperature, the inverse of its learned scale."""
        return float(torch.exp(-self.model.logit_scale.detach().float()))


def align_tokens(
    before: torch.Tensor, after: torch.Tensor, block: torch.nn.Module, alignment: str
) -> torch.Tensor:
    """Return the last block's output under an alignment (see the module's docstring).

    before, after: (image, position, width), the block's input and its own output.
    """
    if alignment == "output":
        return after
    attention = block.attn
    width = before.shape[-1]
    query, key, value = functional.linear(
        block.ln_1(before), attention.in_proj_weight, attention.in_proj_bias
    ).split(width, dim=-1)
    if alignment == "value":
        hidden = before + block.ls_1(attention.out_proj(value))
        return hidden + block.ls_2(block.mlp(block.ln_2(hidden)))

    def split_heads(x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)

    query, value = split_heads(query), split_heads(value)
    mixed = functional.scaled_dot_product_attention(query, query, value)
    return block.ls_1(attention.out_proj(mixed.transpose(1, 2).flatten(-2)))


def standardise(tokens: np.ndarray) -> np.ndarray:
    """LayerNorm without affine over features: (x − mean) / √(variance + 1e-5), any leading
    shape.
    """
    centred = tokens - tokens.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + 1e-5)


def load_backbone(
    *, model: str, pretrained: str | None, alignment: str, device: str = "auto"
) -> Backbone:
    """Load an open_clip ViT.

    model: a name of open_clip's, ``local-dir:`` and a folder, or ``hf-hub:`` and a repository;
    pretrained: the tag of the weights for a name. Raises InputError if the model cannot be had, if
    it is not a plain ViT whose patch tokens can be mapped, or if the folder holds weights in a form
    that runs code when read.
    """
    import open_clip

    if alignment not in ALIGNMENTS:
        raise InputError(f"backbone.alignment: expected one of {ALIGNMENTS}, found {alignment!r}")
    network, preprocess, digest = load_open_clip(model=model, pretrained=pretrained, key=KEY)
    with explain_refusal("open_clip", model, pretrained, key=KEY):
        tokenizer = open_clip.get_tokenizer(model)
    visual = network.visual
    if (
        not isinstance(visual, open_clip.transformer.VisionTransformer)
        or visual.pool_type not in ("tok", "avg")
        or visual.attn_pool is not None
        # Other blocks hide their projections elsewhere, or change queries on the way.
        or type(visual.transformer.resblocks[-1])
        is not open_clip.transformer.ResidualAttentionBlock
    ):
        raise InputError(
            f"{KEY}: expected a plain ViT pooled by its class token or by an average, "
            f"found {model!r} with another {type(visual).__name__}"
        )
    chosen = choose_device(device)
    rows, columns = visual.grid_size
    network = network.to(chosen).eval().requires_grad_(False)
    return Backbone(network, preprocess, tokenizer, alignment, chosen, digest, rows, columns)
