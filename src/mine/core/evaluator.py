"""The evaluator: a second encoder, against which images made or edited for the first are judged.

It shares nothing with the explained encoder: the features are those of another model, of any shape
and training; the form is a ridge regression on them (ridge.py); and it is fitted on images that
the other has not seen. What both predict of a new image is not the fault of one.

Features of an image are the model's own pooled ones and, with a grid g above 1, the means of its
last map over g × g cells, row by row, so that a voxel's preference for a place can be told:

    features = pooled ⊕ cell(0, 0) ⊕ cell(0, 1) ⊕ … ⊕ cell(g − 1, g − 1)

In the regression each counts by its share of the image, 1 or 1/g². As equals, the many cells would
crowd out the pooled features, on which most voxels depend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch.nn import functional

from mine.core.devices import choose_device
from mine.core.models import (
    check_digest,
    digest_folder,
    digest_network,
    explain_refusal,
    load_open_clip,
)
from mine.core.ridge import Ridge
from mine.errors import InputError

KEY = "evaluator.model"

LOADED = ("kind", "model", "pretrained", "digest", "grid", "device")
"""Keys of the configuration's section that say which model is loaded and how it is read."""


@dataclass(frozen=True)
class FeatureModel:
    """A loaded model and how its features are read. Use :func:`load_features`."""

    read: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
    """prepared images (image, 3, row, column) → pooled (image, feature), cells (image, cell,
    feature)"""
    preprocess: Callable[[Any], torch.Tensor]
    """a PIL image → (3, row, column)"""
    device: torch.device
    digest: str

    @torch.inference_mode()
    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """Encode images, uint8 (image, row, column, 3): float32 (image, feature)."""
        pooled, cells = self._read(images)
        return torch.cat([pooled, cells.flatten(1)], dim=1).float().cpu().numpy()

    @torch.inference_mode()
    def measure_shares(self) -> np.ndarray:
        """Return the share of the image that each feature is taken over: float32 (feature,)."""
        pooled, cells = self._read(np.zeros((1, 64, 64, 3), dtype=np.uint8))
        ones = np.ones(pooled.shape[1], dtype=np.float32)
        return np.append(ones, np.full(cells[0].numel(), 1 / max(cells.shape[1], 1), np.float32))

    def _read(self, images: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        from PIL import Image

        batch = torch.stack([self.preprocess(Image.fromarray(image)) for image in images])
        return self.read(batch.to(self.device))


def open_features(section: Mapping[str, Any], **changes: Any) -> FeatureModel:
    """Load the model that the configuration's section ``evaluator`` names, with changes to it."""
    return load_features(**{key: section[key] for key in LOADED} | changes)


def load_features(
    *,
    kind: str,
    model: str,
    pretrained: str | None,
    grid: int = 1,
    digest: str | None = None,
    device: str = "auto",
) -> FeatureModel:
    """Load a model for its features.

    kind: ``timm`` for any model of timm's with pooled features, ``open_clip`` for the image
    tower's embedding of any of open_clip's. model: a name of theirs, ``local-dir:`` and a folder,
    or ``hf-hub:`` and a repository; pretrained: the tag of the weights for a name. grid: cells
    along each axis, see the module's docstring; open_clip's embeddings have no place, so 1 there.
    digest: that the model has to have, if any.

    Raises InputError if the model cannot be had, is another than that, or has no map that such a
    grid could be read from.
    """
    if kind == "open_clip":
        if grid > 1:
            raise InputError(
                "evaluator.grid: expected 1 with open_clip, whose embeddings have no place, found "
                f"{grid}"
            )
        network, preprocess, found = load_open_clip(model=model, pretrained=pretrained, key=KEY)
        read = _read_open_clip
    else:
        network, preprocess, found = _load_timm(model=model, pretrained=pretrained, grid=grid)
        read = partial(_read_timm, grid=grid)
    check_digest(found, digest, key="evaluator.digest")
    chosen = choose_device(device, key="evaluator.device")
    network = network.to(chosen).eval().requires_grad_(False)
    return FeatureModel(partial(read, network), preprocess, chosen, found)


def _read_open_clip(network: Any, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the image tower's embedding, and no cells."""
    pooled = network.encode_image(images)
    return pooled, pooled.new_empty(len(images), 0, pooled.shape[1])


def _read_timm(
    network: Any, images: torch.Tensor, *, grid: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the head of a timm model would be given, and the cells: none with grid 1."""
    last = network.forward_features(images)
    pooled = network.forward_head(last, pre_logits=True).flatten(1)
    if grid == 1:
        return pooled, pooled.new_empty(len(images), 0, pooled.shape[1])
    cells = functional.adaptive_avg_pool2d(find_map(network, last), grid)
    return pooled, cells.flatten(2).transpose(1, 2)


def find_map(network: Any, last: torch.Tensor) -> torch.Tensor:
    """Return a timm model's last layer as a map (image, feature, row, column).

    last: of its ``forward_features``: maps with features first or last, or tokens, of which those
    that stand for no place come first. Raises ValueError if it is none of these.
    """
    if last.ndim == 4:
        features_last = getattr(network, "output_fmt", "NCHW") == "NHWC"
        return last.permute(0, 3, 1, 2) if features_last else last
    patches = getattr(network, "patch_embed", None)
    if last.ndim == 3 and patches is not None:
        tokens = last[:, getattr(network, "num_prefix_tokens", 0) :]
        rows, columns = patches.grid_size
        if tokens.shape[1] == rows * columns:
            return tokens.transpose(1, 2).unflatten(2, (rows, columns))
    raise ValueError(f"no map in a last layer of shape {tuple(last.shape[1:])}")


def predict_responses(
    evaluator: Ridge, features: FeatureModel, images: np.ndarray, *, batch_size: int = 64
) -> np.ndarray:
    """Predict the responses to images, uint8 (image, row, column, 3): float32 (image, voxel)."""
    return np.concatenate(
        [
            evaluator.predict(features.encode_images(images[start : start + batch_size]))
            for start in range(0, len(images), batch_size)
        ]
    )


def weights_to_dataset(weights: Ridge) -> xr.Dataset:
    """Return an evaluator's weights as a dataset, float32. See the equation of ridge.py."""
    response = "z-scored response"
    variables = {
        "weight": (("feature", "voxel"), "weight per scale of the feature", response),
        "intercept": (("voxel",), "prediction for the mean features", response),
        "mean": (("feature",), "mean of the feature over the images of the fit", "1"),
        "scale": (("feature",), "its standard deviation over them, over its share", "1"),
        "alpha": (("voxel",), "ridge penalty", "1"),
    }
    return xr.Dataset(
        {
            name: (
                dimensions,
                getattr(weights, name).astype(np.float32),
                {"long_name": long_name, "units": units},
            )
            for name, (dimensions, long_name, units) in variables.items()
        }
    )


def weights_from_dataset(dataset: xr.Dataset) -> Ridge:
    """Return the weights of a dataset of :func:`weights_to_dataset`."""
    return Ridge(
        **{name: dataset[name].values for name in ("mean", "scale", "weight", "intercept", "alpha")}
    )


def _load_timm(*, model: str, pretrained: str | None, grid: int) -> tuple[Any, Any, str]:
    """Load a timm model: the network, its preprocessing of the whole image, its digest."""
    import timm

    digest = digest_folder(model, kind="timm", key=KEY)
    name = model if pretrained is None else f"{model}.{pretrained}"
    with explain_refusal("timm", model, pretrained, key=KEY):
        network = timm.create_model(name, pretrained=True).eval()
        options = timm.data.resolve_model_data_config(network)
        # Cropped to its centre, as a classifier likes it, an image would lose what voxels see.
        whole = options | {"crop_pct": 1.0, "crop_mode": "squash"}
        preprocess = timm.data.create_transform(**whole, is_training=False)
    if grid > 1:
        _check_map(network, options["input_size"], model=model, grid=grid)
    return network, preprocess, digest or digest_network(network, preprocess)


@torch.inference_mode()
def _check_map(network: Any, input_size: tuple[int, int, int], *, model: str, grid: int) -> None:
    """Try the model once; raises InputError if its last layer has no map for the grid."""
    last = network.forward_features(torch.zeros(1, *input_size))
    try:
        rows, columns = find_map(network, last).shape[2:]
    except ValueError as error:
        raise InputError(
            f"{KEY}: expected a model whose last layer is a map, or evaluator.grid 1, found "
            f"{model!r} with {error}"
        ) from None
    if grid > min(rows, columns):
        raise InputError(
            f"evaluator.grid: expected at most {min(rows, columns)}, the side of the last map of "
            f"{model!r}, found {grid}"
        )
