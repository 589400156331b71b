"""Models that others have trained: how one is had, identified, and refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mine.errors import InputError
from mine.provenance import digest_files
from mine.sections import MODEL_FILES


def load_open_clip(*, model: str, pretrained: str | None, key: str) -> tuple[Any, Any, str]:
    """Load any model of open_clip's: the network, its preprocessing, its digest.

    key: of the configuration, for messages. Raises InputError if the model cannot be had, or if a
    folder holds weights in a form that runs code when read.
    """
    import open_clip

    digest = model_digest(model, pretrained, kind="open_clip", key=key)
    with explain_refusal("open_clip", model, pretrained, key=key):
        network, _, preprocess = open_clip.create_model_and_transforms(
            model, pretrained=pretrained, weights_only=True
        )
    return network, preprocess, digest


@contextmanager
def explain_refusal(
    library: str, model: str, pretrained: str | None, *, key: str
) -> Iterator[None]:
    """Turn what a library raises over a model into one sentence, an InputError."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError, KeyError, OSError) as error:
        # Every key of the weights that does not fit is on a line of its own.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{key}: expected a model that {library} can load, found {model!r} with pretrained "
            f"{pretrained!r}: {reason}"
        ) from error


def model_digest(model: str, pretrained: str | None, *, kind: str, key: str) -> str:
    """Identify a model: the digest of a local folder's files, else of its name and tag.

    kind: one of config.MODEL_FILES. key: of the configuration, for messages. Raises InputError if
    the folder lacks one of these files.
    """
    if not model.startswith("local-dir:"):
        return f"{model}:{pretrained}"
    folder = Path(model.removeprefix("local-dir:"))
    for name in MODEL_FILES[kind]:
        if not any(folder.glob(name)):
            raise InputError(f"{key}: expected {folder} to hold {name}, found no such file")
    return digest_files(folder)
