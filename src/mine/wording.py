"""How sentences say numbers of things."""

from __future__ import annotations


def format_count(count: int, noun: str, form: str = "") -> str:
    """Return a number of things: 1 voxel, 2 voxels.

    form: how the number is written, ``","`` with thousands apart.
    """
    return f"{count:{form}} {noun}" if count == 1 else f"{count:{form}} {noun}s"
