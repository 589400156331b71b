"""Responses of a miniature, with what a test leaves unsaid."""

from __future__ import annotations

from typing import Any

import xarray as xr

from mine.datasets.recording import Recording
from mine.sections import Dataset
from mine.stages import responses

KEYS = Dataset(root="")
OPTIONS = {
    # Not the configuration's: few images of a miniature were shown three times.
    "test": "shared",
    "standardise_on": KEYS.zscore,
    "least_ncsnr": KEYS.least_ncsnr,
    "least_noise_ceiling": KEYS.least_noise_ceiling,
}


def build_responses(recording: Recording, **options: Any) -> xr.Dataset:
    """mine.stages.responses.build_responses."""
    return responses.build_responses(recording, **OPTIONS | options)
