"""Fits of encoders, with the configuration's own defaults for what a test leaves unsaid.

The functions have none: every key is declared once, in the configuration.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from mine.core import fitting
from mine.core.encoder import EncoderWeights
from mine.core.fitting import FitHistory, FittingData
from mine.encoders.voxel_query import OUTSIDE
from mine.sections import Encoder
from mine.stages import encoder
from mine.stages.encoder import TrainingData

SUBJECT = {key: value for key, value in asdict(Encoder()).items() if key != "together"}
SUBJECT["device"] = "cpu"
DESCENT = {key: value for key, value in SUBJECT.items() if key not in OUTSIDE} | {"device": "cpu"}


def record(tokens: np.ndarray, responses: np.ndarray, validation: np.ndarray) -> FittingData:
    """What a fit is given of a subject, by which of its images are held out: bool (image,)."""
    held = np.asarray(validation, dtype=bool)
    return FittingData(tokens, responses, np.flatnonzero(~held), np.flatnonzero(held))


def fit_encoder(
    tokens: np.ndarray, responses: np.ndarray, *, validation: np.ndarray, **options: Any
) -> tuple[EncoderWeights, FitHistory]:
    """Fit all voxels of one subject: fit_recordings of one, with its options.

    validation: bool (image,), the images that are held out of the gradient.
    """
    (weights,), history = fit_recordings([record(tokens, responses, validation)], **options)
    return weights, history


def fit_recordings(
    recordings: list[FittingData], **options: Any
) -> tuple[list[EncoderWeights], FitHistory]:
    """mine.core.fitting.fit_subjects."""
    return fitting.fit_subjects(recordings, **DESCENT | options)


def fit_ensemble(
    recordings: list[FittingData], **options: Any
) -> tuple[list[EncoderWeights], list[FitHistory]]:
    """mine.core.fitting.fit_ensemble."""
    return fitting.fit_ensemble(recordings, **DESCENT | options)


def fit_subject(
    tokens: np.ndarray, responses: np.ndarray, images: np.ndarray, **options: Any
) -> xr.Dataset:
    """mine.stages.encoder.fit_subject."""
    return encoder.fit_subject(tokens, responses, images, **SUBJECT | options)


def fit_subjects(subjects: list[TrainingData], **options: Any) -> list[xr.Dataset]:
    """mine.stages.encoder.fit_subjects."""
    return encoder.fit_subjects(subjects, **SUBJECT | options)
