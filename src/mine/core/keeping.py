"""How many of an image's tokens are kept."""

from __future__ import annotations


def count_kept(tokens: int, token_fraction: float) -> int:
    """Return how many of an image's tokens are kept of each sign, at least one.

    tokens: of an image. token_fraction: the share of them that the configuration asks for.
    """
    return max(1, round(token_fraction * tokens))
