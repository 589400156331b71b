"""Trying one thing after another and keeping what went wrong, as checks do."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from mine.errors import InputError

Result = TypeVar("Result")


def attempt(
    problems: list[str], function: Callable[..., Result], *arguments: object, **options: object
) -> Result | None:
    """Call a function; where it raises InputError, note its sentence and return None."""
    try:
        return function(*arguments, **options)
    except InputError as error:
        problems.append(str(error))
        return None
