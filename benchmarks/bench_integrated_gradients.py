"""Integrated gradients in closed form against captum's, on the same encoder, images and nodes.

captum is run in two ways. "captum" is how one would use it: the encoder of one voxel as a module,
one call per voxel, all images of the batch at once. Its time per voxel does not depend on how many
voxels there are, so it is measured on some of them and multiplied up. "captum_folded" is the best
that can be done for it by hand: the voxel's query and readout multiplied into the projections
beforehand, so that a forward pass has no more than one vector per head.

The closed form starts from tokens too: its time includes the projections and the scalars.
"""

from __future__ import annotations

import numpy as np
import torch
from captum.attr import IntegratedGradients
from common import peak_memory, read_options, time_call, write_records

from mine.core.encoder import EncoderWeights, position_basis, select_voxels, token_scalars
from mine.core.integrated_gradients import predict_from_scalars, stream_attributions


def make_encoder(options) -> tuple[EncoderWeights, np.ndarray, torch.Tensor, torch.Tensor]:
    """Random weights with logits of standard deviation about 1.5, images, baseline, places."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    side = round(options.tokens**0.5)
    if side**2 != options.tokens:
        raise SystemExit("--tokens must be a square")
    phi = position_basis(side, side, 2)
    heads, width, features = options.heads, options.width, options.features
    weights = EncoderWeights(
        query=1.5 * normal(options.voxels, heads, width),
        readout=normal(options.voxels, heads, width) / width**0.5,
        key=normal(heads, features, width) / features**0.5,
        value=normal(heads, features, width) / features**0.5,
        position=0.2 * normal(options.voxels, heads, phi.shape[1]),
        bias=normal(options.voxels),
    )
    tokens = normal(options.images, options.tokens, features)
    return weights, tokens.numpy(), 0.3 * normal(options.tokens, features), phi


def attribute_closed_form(weights, tokens, baseline, phi, options) -> torch.Tensor:
    """(image, voxel, token) by the library's stream, with nodes fixed."""
    found = torch.empty(len(tokens), options.voxels, options.tokens)
    for batch in stream_attributions(
        weights,
        tokens,
        baseline.numpy(),
        phi,
        nodes=options.nodes,
        tolerance=1.0,
        maximum_nodes=options.nodes,
        voxel_batch=min(options.voxels, 256),
        image_batch=8,
    ):
        found[batch.images, batch.voxels] = batch.attribution
    return found


def attribute_captum(forward, tokens, baseline, options) -> torch.Tensor:
    """(image, token) by captum for one scalar function of the tokens."""
    result = IntegratedGradients(forward).attribute(
        torch.as_tensor(tokens),
        baseline[None],
        n_steps=options.nodes,
        method="gausslegendre",
        # Few nodes at a time: all at once, captum's work arrays leave the cache and it is slower.
        internal_batch_size=options.captum_batch,
    )
    return result.sum(dim=-1).detach()


def encoder_of_one_voxel(weights, phi, voxel):
    """The voxel's encoder as a function of tokens (image, token, feature)."""
    part = select_voxels(weights, np.array([voxel]))

    def forward(tokens):
        s, u = token_scalars(part, tokens, phi)
        return predict_from_scalars(s, u, part.bias)[:, 0]

    return forward


def folded_encoder_of_one_voxel(weights, phi, voxel):
    """The same function with query and readout folded into one feature vector per head."""
    scale = weights.query.shape[-1] ** 0.5
    attend = torch.einsum("hfw,hw->fh", weights.key, weights.query[voxel] / scale)
    read = torch.einsum("hfw,hw->fh", weights.value, weights.readout[voxel])
    both = torch.cat([attend, read], dim=1)
    place = phi @ weights.position[voxel].T
    heads = attend.shape[1]

    def forward(tokens):
        scalars = tokens @ both
        attention = torch.softmax(scalars[..., :heads] + place, dim=1)
        return weights.bias[voxel] + (attention * scalars[..., heads:]).sum(dim=(1, 2))

    return forward


def compare(options) -> list[dict[str, object]]:
    """The records of one number of voxels and tokens."""
    weights, tokens, baseline, phi = make_encoder(options)
    # Once to warm up, so that libraries' first-call costs are nobody's.
    attribute_closed_form(weights, tokens[:1], baseline, phi, options)
    seconds, fast = time_call(
        lambda: attribute_closed_form(weights, tokens, baseline, phi, options), repeats=3
    )
    peak, records = peak_memory(), []
    for name, rival, make, measured in (
        ("integrated_gradients", "captum", encoder_of_one_voxel, options.captum_voxels),
        (
            "integrated_gradients_folded",
            "captum, projections folded by hand",
            folded_encoder_of_one_voxel,
            options.folded_voxels,
        ),
    ):
        duration, slow = time_call(
            lambda make=make, measured=measured: torch.stack(
                [
                    attribute_captum(make(weights, phi, voxel), tokens, baseline, options)
                    for voxel in range(measured)
                ],
                dim=1,
            )
        )
        estimated = duration * options.voxels / measured
        difference = (fast[:, :measured] - slow).abs().max() / slow.abs().max()
        records.append(
            {
                "name": name,
                "seconds": round(seconds, 3),
                "rival": rival,
                "rival_seconds": round(estimated, 1),
                "rival_voxels_measured": measured,
                "ratio": round(estimated / seconds, 1),
                "relative_difference": float(difference),
                "peak_mb": peak,
                "threads": options.threads,
                "sizes": {each: getattr(options, each) for each in _SIZES},
            }
        )
    return records


def main() -> None:
    options = read_options(
        __doc__.splitlines()[0],
        images=8,
        features=768,
        heads=4,
        width=128,
        nodes=32,
        captum_batch=16,
        captum_voxels=2,
        folded_voxels=8,
    )
    torch.set_num_threads(options.threads)
    records = []
    for options.voxels, options.tokens in SIZES:
        records += compare(options)
    write_records(
        "integrated_gradients",
        records,
        directory=options.results,
        libraries=("torch", "captum", "numpy"),
    )


SIZES = ((32, 256), (256, 64), (256, 256), (256, 1024), (2048, 256))
"""Numbers of voxels and of tokens that are compared."""

_SIZES = ("voxels", "images", "tokens", "features", "heads", "width", "nodes")


if __name__ == "__main__":
    main()
