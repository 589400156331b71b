"""The configuration of an analysis: typed, checked, and documented in one place."""

from __future__ import annotations

from mine.errors import InputError
from mine.randomness import generator

__all__ = ["InputError", "generator"]
