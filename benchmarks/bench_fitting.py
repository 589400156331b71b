"""A slice of an epoch of the encoder, as it is configured, against a cross-attention decoder.

The rival, as one would write it, has a query and a readout for each voxel, PyTorch's multi-head
attention from the voxels' queries to an image's tokens, autograd and AdamW, at the same batch of
images, heads and width, and as many voxels at once as are given. Both do some steps on the same
tokens. The axes of the tokens, which a fit finds once, are timed by themselves and not counted. The
time of an epoch at the size of a subject of NSD is extrapolated from them by images and voxels, and
says so. Ridge on pooled embeddings (himalaya) stands beside for context: it has no tokens.
"""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import torch
from common import peak_memory, read_options, time_call, write_records
from torch import nn

from mine.core.encoder import position_basis
from mine.core.fitting import FittingData, find_axes, fit_subjects
from mine.encoders.voxel_query import OUTSIDE
from mine.sections import Encoder

KEYS = Encoder()
"""What users fit, who change nothing."""

NSD = {"voxels": 15_000, "images": 10_000}


class CrossAttentionDecoder(nn.Module):
    """Each voxel's query attends to the tokens; what it attends to is read out linearly."""

    def __init__(self, voxels: int, features: int, width: int, heads: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(voxels, width) * 0.02)
        self.attention = nn.MultiheadAttention(
            width, heads, kdim=features, vdim=features, batch_first=True
        )
        self.readout = nn.Parameter(torch.randn(voxels, width) * 0.01)
        self.bias = nn.Parameter(torch.zeros(voxels))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        queries = self.queries.expand(len(tokens), -1, -1)
        attended, _ = self.attention(queries, tokens, tokens, need_weights=False)
        return (attended * self.readout).sum(dim=-1) + self.bias


def fit_decoder(tokens: np.ndarray, responses: np.ndarray, options) -> None:
    """One pass over the images in batches."""
    width = options.heads * options.width
    model = CrossAttentionDecoder(responses.shape[1], tokens.shape[2], width, options.heads)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    for start in range(0, len(tokens), options.batch):
        block = torch.as_tensor(tokens[start : start + options.batch], dtype=torch.float32)
        target = torch.as_tensor(responses[start : start + options.batch])
        optimiser.zero_grad()
        (model(block) - target).square().sum(dim=1).mean().backward()
        optimiser.step()


def fit_ridge(options, random: np.random.Generator) -> float:
    """Seconds of a cross-validated ridge of all voxels on pooled embeddings."""
    from himalaya.ridge import RidgeCV

    pooled = random.standard_normal((options.ridge_images, options.features), dtype=np.float32)
    shape = options.ridge_images, options.ridge_voxels
    responses = random.standard_normal(shape, dtype=np.float32)
    model = RidgeCV(alphas=np.logspace(0, 5, 6), cv=3)
    return time_call(lambda: model.fit(pooled, responses))[0]


def main() -> None:
    options = read_options(
        __doc__.splitlines()[0],
        voxels=512,
        images=64,
        batch=KEYS.image_batch,
        tokens=256,
        features=768,
        heads=KEYS.heads,
        width=KEYS.head_width,
        position_orders=KEYS.position_orders,
        ridge_images=4000,
        ridge_voxels=4000,
    )
    torch.set_num_threads(options.threads)
    random = np.random.default_rng(0)
    # Two images more, on which the fit is validated.
    shape = options.images + 2, options.tokens, options.features
    tokens = random.standard_normal(shape, dtype=np.float32).astype(np.float16)
    responses = random.standard_normal((len(tokens), options.voxels), dtype=np.float32)
    training, validation = np.split(np.arange(len(tokens)), [options.images])
    data = [FittingData(tokens, responses, training, validation)]
    side = round(options.tokens**0.5)
    keys = {name: value for name, value in asdict(KEYS).items() if name not in OUTSIDE}
    del keys["together"]
    keys |= {"heads": options.heads, "head_width": options.width, "image_batch": options.batch}
    keys |= {"epochs": 1, "seed": 0, "device": "cpu"}
    phi = position_basis(side, side, options.position_orders)

    def fit() -> None:
        fit_subjects(data, phi=phi, **keys)

    fit()
    whole, _ = time_call(fit, repeats=3)
    axes, _ = time_call(lambda: find_axes(data, image_batch=options.batch, device="cpu"), repeats=3)
    seconds = whole - axes
    peak = peak_memory()
    rival, _ = time_call(
        lambda: fit_decoder(tokens[: options.images], responses[: options.images], options),
        repeats=2,
    )
    scale = NSD["images"] / options.images * NSD["voxels"] / options.voxels
    sizes = {name: getattr(options, name) for name in _SIZES}
    fitting = {
        "name": "fitting",
        "seconds": round(seconds, 2),
        "rival": "cross-attention decoder with autograd",
        "rival_seconds": round(rival, 2),
        "ratio": round(rival / seconds, 1),
        "peak_mb": peak,
        "rival_peak_mb": peak_memory(),
        "axes_seconds": round(axes, 2),
        "epoch_hours_extrapolated": round(seconds * scale / 3600, 2),
        "rival_epoch_hours_extrapolated": round(rival * scale / 3600, 2),
        "sizes": sizes,
    }
    ridge = {
        "name": "ridge_context",
        "seconds": round(fit_ridge(options, random), 2),
        "sizes": {
            "voxels": options.ridge_voxels,
            "images": options.ridge_images,
            "features": options.features,
        },
    }
    write_records(
        "fitting",
        [fitting | {"threads": options.threads}, ridge | {"threads": options.threads}],
        libraries=("torch", "numpy", "himalaya"),
        directory=options.results,
    )


_SIZES = ("voxels", "images", "batch", "tokens", "features", "heads", "width", "position_orders")


if __name__ == "__main__":
    main()
