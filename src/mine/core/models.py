"""Models that others have trained: how one is had, identified, and refused."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mine.errors import InputError, describe_error
from mine.provenance import digest_files
from mine.sections import MODEL_FILES, MODEL_PATTERNS, MODEL_SCORES


def load_open_clip(*, model: str, pretrained: str | None, key: str) -> tuple[Any, Any, str]:
    """Load any model of open_clip's: the network, its preprocessing, its digest.

    key: of the configuration, for messages. Raises InputError if the model cannot be had, or if a
    folder holds weights in a form that runs code when read.
    """
    import open_clip

    digest = digest_folder(model, kind="open_clip", key=key)
    with explain_refusal("open_clip", model, pretrained, key=key):
        network, _, preprocess = open_clip.create_model_and_transforms(
            model, pretrained=pretrained, weights_only=True
        )
    return network, preprocess, digest or digest_network(network, preprocess)


def find_repository(model: str, *, fetch: bool) -> str:
    """Return the folder in the hub's cache of a model of transformers: its weights as safetensors,
    and what describes it.

    model: ``hf-hub:`` and a repository, with ``@`` and a revision of it or without. fetch: whether
    to fetch it first. Raises what the hub's library does if it cannot be had.
    """
    from huggingface_hub import snapshot_download

    name, _, revision = model.removeprefix("hf-hub:").partition("@")
    return snapshot_download(
        name,
        revision=revision or None,
        allow_patterns=list(MODEL_PATTERNS),
        local_files_only=not fetch,
    )


@contextmanager
def explain_refusal(
    library: str, model: str, pretrained: str | None, *, key: str
) -> Iterator[None]:
    """Turn what a library raises over a model into one sentence, an InputError."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError, KeyError, OSError) as error:
        # Every key of the weights that does not fit is on a line of its own.
        reason = describe_error(error)
        raise InputError(
            f"{key}: expected a model that {library} can load, found {model!r} with pretrained "
            f"{pretrained!r}: {reason}"
        ) from error


def digest_folder(model: str, *, kind: str, key: str) -> str | None:
    """Identify a model in a local folder by its files; None for one that is elsewhere.

    kind: one of mine.sections.MODEL_FILES. key: of the configuration, for messages. Raises
    InputError if the folder lacks one of these files.
    """
    if not model.startswith("local-dir:"):
        return None
    folder = Path(model.removeprefix("local-dir:"))
    for name in MODEL_FILES[kind]:
        if not any(folder.glob(name)):
            raise InputError(f"{key}: expected {folder} to hold {name}, found no such file")
    # What only a whole clone of a model has is no part of it.
    return digest_files(folder, patterns=MODEL_PATTERNS, without=MODEL_SCORES)


def digest_network(network: Any, preprocess: Any) -> str:
    """Identify a loaded model by its weights and by what prepares images for it.

    A name and a tag do not: what they stand for may be another thing tomorrow.
    """
    # Of a function the description gives the place in memory, which is another in each process.
    said = re.sub(r" at 0x[0-9a-f]+", "", repr(preprocess))
    digest = hashlib.sha256(said.encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name}\0{value.dtype}\0{tuple(value.shape)}\n".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def check_digest(found: str, expected: str | None, *, key: str) -> None:
    """Raise InputError if a model is another than the one that the configuration asks for."""
    if expected not in (None, found):
        raise InputError(
            f"{key}: expected the model of this digest, {expected}, found one of digest {found}"
        )


def check_finite(numbers: np.ndarray, dtype: torch.dtype, *, key: str) -> None:
    """Raise InputError if numbers that a model computed overflow.

    key: of the configuration, which names the model's precision, dtype.
    """
    if not np.isfinite(numbers).all():
        raise InputError(
            f"{key}: expected one in which the model's numbers stay finite, found "
            f"{str(dtype).removeprefix('torch.')}, in which they overflow"
        )
