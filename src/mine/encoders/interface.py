"""What every form of encoder is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from mine.core.fitting import mean_r2

if TYPE_CHECKING:
    from sklearn.model_selection import KFold


@dataclass(frozen=True)
class Stimuli:
    """What an encoder may see of images; a form takes what it needs."""

    tokens: np.ndarray
    """(image, token, feature), standardised, row-major over rows × columns"""
    pooled: np.ndarray
    """(image, feature), the pooled embedding"""
    low_level: np.ndarray
    """(image, feature), local contrast and Gabor amplitude"""
    captions: np.ndarray
    """(image, feature), the mean embedding of the captions"""
    rows: int
    columns: int

    def select(self, images: np.ndarray) -> Stimuli:
        """The stimuli at some places, a mask or positions (image,)."""
        arrays = [field.name for field in fields(self) if field.name not in ("rows", "columns")]
        return replace(self, **{name: getattr(self, name)[images] for name in arrays})


@dataclass(frozen=True)
class Terms:
    """What all forms of a comparison are fitted with alike."""

    validation: np.ndarray
    """bool (image,): images that decide, not train, in forms that are fitted by descent; closed
    forms choose by cross-validation in all images instead, and need none of their own"""
    regions: np.ndarray
    """(voxel,), from 0: the region and hemisphere that each voxel is in"""
    alphas: np.ndarray
    """ridge penalties to choose from"""
    folds: KFold
    """of the cross-validation that chooses"""
    mixtures: int
    """weights of two bands to choose from"""
    encoder: Mapping[str, Any]
    """settings of MINE's encoder; other forms share those of descent"""
    learning_rates: Sequence[float]
    """of descent, to choose from"""
    weight_decays: Sequence[float]
    """of descent, to choose from"""
    members: int
    """fits that the form of a mean over seeds takes"""
    seed: int
    """of the analysis"""
    device: str


class Fitted(Protocol):
    """A fitted encoder."""

    @property
    def parameters(self) -> int:
        """How many numbers were fitted; chosen penalties and places do not count."""

    @property
    def choices(self) -> Mapping[str, float]:
        """What was chosen once for all voxels, by name, and by what validation score."""

    def predict(self, stimuli: Stimuli) -> np.ndarray:
        """Predicted responses, float32 (image, voxel)."""


def score_validation(
    predicted: np.ndarray, responses: np.ndarray, *, training: np.ndarray, validation: np.ndarray
) -> float:
    """Mean over voxels of R² on the validation images, against the mean of the training images.

    predicted: (validation image, voxel). responses: (image, voxel). training, validation: positions
    of these images.
    """
    centre = responses[training].mean(axis=0, dtype=np.float64).astype(np.float32)
    return mean_r2(responses[validation], predicted, centre)
