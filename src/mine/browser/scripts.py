"""Data as classic scripts: a page that was opened from disk may load these and nothing else."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path
from typing import Any

import numpy as np


def write_script(path: Path, key: str, content: object) -> None:
    """Write a script that hands the content to the page under a key.

    Non-ASCII characters are escaped, so that neither the encoding in which the page is served nor
    line separators within texts matter. Numbers that are none, and infinite ones, become null.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_plain(content), allow_nan=False, separators=(",", ":"))
    path.write_text(f"mineData({json.dumps(key)},{text});\n", encoding="ascii")


def round_number(value: float, digits: int = 5) -> float | None:
    """Round to so many significant digits, more than are shown: rounded twice, numbers come out
    other than in figures and tables. None for what is no number."""
    value = float(value)
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def round_numbers(values: np.ndarray, digits: int = 5) -> list[Any]:
    """Round every number of an array, as nested lists."""
    if values.ndim > 1:
        return [round_numbers(row, digits) for row in values]
    return [round_number(value, digits) for value in values]


def pack_bytes(values: np.ndarray) -> str:
    """Write an array in base64, little-endian, in C order."""
    little = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
    return base64.b64encode(little.tobytes()).decode("ascii")


def scale_to_bytes(values: np.ndarray) -> np.ndarray:
    """Scale non-negative values so that the largest is 255: uint8 of the same shape. What is no
    number counts as 0.
    """
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    peak = values.max(initial=0.0)
    return np.rint(values * (255 / peak if peak > 0 else 0)).astype(np.uint8)


def _plain(content: object) -> object:
    """Replace what JSON has no word for: arrays, numbers of numpy, and what is no number."""
    if isinstance(content, dict):
        return {str(key): _plain(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_plain(value) for value in content]
    if isinstance(content, np.ndarray | np.generic):
        return _plain(content.tolist())
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
