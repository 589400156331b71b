"""Patching curves in closed form against re-running the encoder on patched tokens.

The rival is how one would do it: for each voxel, image and ranking, the image's tokens with the
first k kept or removed, for every k, and the encoder of that voxel on all of them. Its time does
not depend on how many voxels there are, so it is measured on some and multiplied up. Both start
from the scalars' inputs, the tokens, and from the same rankings.
"""

from __future__ import annotations

import numpy as np
import torch
from bench_integrated_gradients import make_encoder
from common import peak_memory, read_options, time_call, write_record

from mine.core.encoder import select_voxels, token_scalars
from mine.core.integrated_gradients import predict_from_scalars, stream_attributions
from mine.core.rankings import RANKINGS, place_tokens
from mine.stages.faithfulness import predict_patched

FRACTIONS = np.linspace(0, 1, 21)


def open_batch(weights, tokens, baseline, phi, options):
    """The stream's one batch: scalars, attributions, predictions of all voxels and images."""
    stream = stream_attributions(
        weights,
        tokens,
        baseline.numpy(),
        phi,
        nodes=options.nodes,
        tolerance=1.0,
        maximum_nodes=options.nodes,
        voxel_batch=options.voxels,
        image_batch=options.images,
    )
    return next(iter(stream))


def patch_by_hand(weights, tokens, baseline, phi, places, counts, voxels) -> torch.Tensor:
    """(mode, ranking, image, voxel, k): the encoder run on patched tokens."""
    kept = torch.as_tensor(counts)[:, None]
    result = torch.empty(2, len(places), len(tokens), voxels, len(counts))
    for voxel in range(voxels):
        part = select_voxels(weights, np.array([voxel]))
        for ranking, place in enumerate(places):
            for image in range(len(tokens)):
                rank = place[image, voxel if place.shape[1] > 1 else 0]
                for mode, inside in enumerate((rank < kept, rank >= kept)):
                    patched = torch.where(
                        inside[..., None], torch.as_tensor(tokens[image]), baseline
                    )
                    s, u = token_scalars(part, patched, phi)
                    result[mode, ranking, image, voxel] = predict_from_scalars(s, u, part.bias)[
                        :, 0
                    ]
    return result


def main() -> None:
    options = read_options(
        __doc__.splitlines()[0],
        voxels=256,
        images=4,
        tokens=256,
        features=768,
        heads=4,
        width=128,
        nodes=8,
        measured_voxels=2,
    )
    torch.set_num_threads(options.threads)
    weights, tokens, baseline, phi = make_encoder(options)
    counts = np.rint(FRACTIONS * options.tokens).astype(int).tolist()
    batch = open_batch(weights, tokens, baseline, phi, options)
    norm = torch.as_tensor(np.linalg.norm(tokens, axis=-1))
    random = torch.rand(norm.shape, generator=torch.Generator().manual_seed(0))
    places = list(place_tokens(batch, norm=norm, random=random).values())

    def patch_closed_form():
        token_scalars(weights, torch.as_tensor(tokens), phi)
        return torch.stack(predict_patched(batch, places, counts))

    seconds, fast = time_call(patch_closed_form, repeats=3)
    peak = peak_memory()
    duration, slow = time_call(
        lambda: patch_by_hand(
            weights, tokens, baseline, phi, places, counts, options.measured_voxels
        )
    )
    estimated = duration * options.voxels / options.measured_voxels
    difference = (fast[:, :, :, : options.measured_voxels] - slow).abs().max() / slow.abs().max()
    write_record(
        "patching",
        directory=options.results,
        libraries=("torch", "numpy"),
        seconds=round(seconds, 3),
        rival="the encoder on patched tokens, voxel by voxel",
        rival_seconds=round(estimated, 1),
        ratio=round(estimated / seconds, 1),
        relative_difference=float(difference),
        peak_mb=peak,
        sizes={name: getattr(options, name) for name in _SIZES}
        | {"rankings": len(RANKINGS), "fractions": len(FRACTIONS)},
        threads=options.threads,
    )


_SIZES = ("voxels", "images", "tokens", "features", "heads", "width")


if __name__ == "__main__":
    main()
