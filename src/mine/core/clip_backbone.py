"""CLIPs whose patch tokens share a space with texts: any open_clip ViT.

A token is wanted in the joint image–text space. The pooled embedding lives there by training; a
patch token only if the pooling is an average. Otherwise it has to be brought there:

    output        the token as it comes: proj(ln_post(x_t))
    value         the last block's attention replaced by its value path: x + W_O W_V ln_1(x), then
                  the block's feed-forward (MaskCLIP, arXiv 2112.01071)
    self          the last block's output replaced by query–query attention alone, without residual
                  and without feed-forward: W_O softmax(q qᵀ/√w) v (ClearCLIP, arXiv 2407.12442)
    contribution  what the token adds to the pooled embedding by the attention of the class token,
                  over all blocks and heads (Gandelsman et al., arXiv 2310.05916)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from mine.core.backbone_keys import ALIGNMENTS, DTYPE, KEY
from mine.core.devices import choose_device
from mine.core.lens import average_prompts
from mine.core.models import check_finite, explain_refusal, load_open_clip
from mine.errors import InputError


@dataclass(frozen=True)
class ClipBackbone:
    """A loaded model and how its tokens are read. Use :func:`mine.core.backbone.load_backbone`."""

    model: Any
    preprocess: Any
    tokenizer: Any
    alignment: str
    device: torch.device
    digest: str
    rows: int
    columns: int
    library: str = "open_clip_torch"
    reads_logits: bool = False

    @torch.inference_mode()
    def encode_images(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Encode images: see :class:`mine.core.backbone.Backbone`.

        The pooled embedding is that of open_clip's ``encode_image``. It is the mean of the tokens
        with ``output`` and an average-pooled model, unless it normalises after pooling (CLIPA), and
        with ``contribution``.
        """
        from PIL import Image

        batch = torch.stack([self.preprocess(Image.fromarray(image)) for image in images])
        visual = self.model.visual
        first = visual._embeds(batch.to(self.device, visual.proj.dtype))
        *blocks, last = visual.transformer.resblocks
        before = first
        for block in blocks:
            before = block(before)
        reads_all = self.alignment == "output" or visual.pool_type != "tok"
        after = last(before) if reads_all else pass_class_token(last, before)
        pooled = visual._pool(after)[0] @ visual.proj
        if self.alignment == "contribution":
            tokens = attribute_pooled(visual, first)
            tokens = tokens * tokens.shape[1]
        else:
            tokens = align_tokens(before, after, last, self.alignment)
            tokens = visual.ln_post(tokens[:, 1:]) @ visual.proj
        found = tokens.float().cpu().numpy(), pooled.float().cpu().numpy()
        for numbers in found:
            check_finite(numbers, visual.proj.dtype, key=DTYPE)
        return found

    @torch.inference_mode()
    def encode_texts(self, texts: list[str], *, batch_size: int = 256) -> np.ndarray:
        """Encode texts: unit embeddings, float32 (text, feature)."""
        parts = [
            self.model.encode_text(
                self.tokenizer(texts[start : start + batch_size]).to(self.device)
            )
            for start in range(0, len(texts), batch_size)
        ]
        found = functional.normalize(torch.cat(parts).float(), dim=-1).cpu().numpy()
        check_finite(found, parts[0].dtype, key=DTYPE)
        return found

    def choose_words(self, words: list[str]) -> list[str]:
        """Return all words: any text has an embedding."""
        return words

    def embed_words(self, words: list[str], prompts: list[str]) -> np.ndarray:
        """Return the mean over prompts of each word's text embedding, unit length."""
        return average_prompts(words, prompts, self.encode_texts)

    def encode_variants(self, images: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Give images' tokens by every alignment that the pooling allows, with the alignment."""
        allowed = ALIGNMENTS if self.model.visual.pool_type == "tok" else ALIGNMENTS[:-1]
        for alignment in allowed:
            yield alignment, replace(self, alignment=alignment).encode_images(images)[0]

    @property
    def temperature(self) -> float:
        """The model's own softmax temperature, the inverse of its learned scale."""
        return float(torch.exp(-self.model.logit_scale.detach().float()))


def align_tokens(
    before: torch.Tensor, after: torch.Tensor, block: torch.nn.Module, alignment: str
) -> torch.Tensor:
    """Return the last block's output under one of the first three alignments (see the module's
    docstring).

    before, after: (image, position, width), the block's input and its own output, of which only
    ``output`` makes use.
    """
    if alignment == "output":
        return after
    attention = block.attn
    query, _, value = _project(block, before)
    if alignment == "value":
        hidden = before + block.ls_1(attention.out_proj(value))
        return hidden + block.ls_2(block.mlp(block.ln_2(hidden)))
    query, value = _split_heads(query, attention), _split_heads(value, attention)
    mixed = functional.scaled_dot_product_attention(query, query, value)
    return block.ls_1(attention.out_proj(mixed.transpose(1, 2).flatten(-2)))


def pass_class_token(block: torch.nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    """Return a block's output at the class token alone: (image, 1, width). Of its last block a
    model that is pooled by this token reads nothing else.
    """
    normed = block.ln_1(hidden)
    token = hidden[:, :1] + block.ls_1(block.attention(normed[:, :1], normed, normed))
    return token + block.ls_2(block.mlp(block.ln_2(token)))


def attribute_pooled(visual: torch.nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    """Share the pooled embedding out among the patch tokens: (image, token, feature).

    visual: a ViT pooled by its class token. hidden: its first block's input, (image, position,
    width), the class token first. In block l the class token c gets from patch t, through head h,

        a_lht W_O^lh v_lht        a_lh = softmax over positions of ⟨q_lhc, k_lh⟩ / √w

    summed over blocks and heads. All else that it is made of (its start, its attention to itself,
    biases and feed-forwards) is shared out evenly. The last LayerNorm is linear once its mean and
    variance are those of the whole, so that the shares' sum is the pooled embedding.
    """
    rest = hidden[:, 0]
    shares = torch.zeros_like(hidden[:, 1:])
    for block in visual.transformer.resblocks:
        attention = block.attn
        query, key, value = (_split_heads(part, attention) for part in _project(block, hidden))
        weights = (query[:, :, :1] @ key.mT / query.shape[-1] ** 0.5).softmax(dim=-1)
        # (image, head, position, head width) → (image, position, width), heads beside each other
        passed = (weights.mT * value).transpose(1, 2).flatten(-2)
        given = block.ls_1(passed @ attention.out_proj.weight.T)
        middle = hidden + block.ls_1(block.attention(block.ln_1(hidden)))
        fed = block.ls_2(block.mlp(block.ln_2(middle)))
        shares = shares + given[:, 1:]
        rest = rest + given[:, 0] + block.ls_1(attention.out_proj.bias) + fed[:, 0]
        hidden = middle + fed
    whole, norm = hidden[:, :1], visual.ln_post
    shares = shares + (rest / shares.shape[1]).unsqueeze(1)
    centred = shares - shares.mean(dim=-1, keepdim=True)
    deviation = (whole.var(dim=-1, correction=0, keepdim=True) + norm.eps).sqrt()
    return (centred / deviation * norm.weight + norm.bias / shares.shape[1]) @ visual.proj


def _project(block: torch.nn.Module, hidden: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return a block's queries, keys and values of its input, each (image, position, width)."""
    attention = block.attn
    projected = functional.linear(
        block.ln_1(hidden), attention.in_proj_weight, attention.in_proj_bias
    )
    return projected.split(hidden.shape[-1], dim=-1)


def _split_heads(x: torch.Tensor, attention: torch.nn.Module) -> torch.Tensor:
    """(image, position, width) → (image, head, position, head width)"""
    return x.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)


def load_clip_backbone(
    *, model: str, pretrained: str | None, alignment: str, dtype: str, device: str
) -> ClipBackbone:
    """Load an open_clip ViT.

    model: a name of open_clip's, ``local-dir:`` and a folder, or ``hf-hub:`` and a repository;
    pretrained: the tag of the weights for a name. Raises InputError if the model cannot be had, if
    it is not a plain ViT whose patch tokens can be mapped, or if the folder holds weights in a form
    that runs code when read.
    """
    import open_clip

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
    if alignment == "contribution" and visual.pool_type != "tok":
        raise InputError(
            f"backbone.alignment: expected one of {ALIGNMENTS[:-1]}, since {model!r} is pooled by "
            f"an average, found {alignment!r}"
        )
    chosen = choose_device(device, key="backbone.device")
    rows, columns = visual.grid_size
    network = network.to(chosen, getattr(torch, dtype)).eval().requires_grad_(False)
    return ClipBackbone(network, preprocess, tokenizer, alignment, chosen, digest, rows, columns)
