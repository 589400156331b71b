"""The logit lens: which words a token's raw embedding is closest to.

    p(word | token) = softmax_word( cos(x − x̄, w − w̄) / temperature )

x̄ is the mean raw token over reference images and w̄ the mean text embedding over the vocabulary:
without them the gap between the two modalities (arXiv 2203.02053) makes the same words win for
every token.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mine.errors import InputError

if TYPE_CHECKING:  # needed where the lens is applied, not where it is read
    import torch


def read_vocabulary(path: Path) -> list[str]:
    """Read a word list, one a line. Raises InputError if it is absent, empty or repeats a word."""
    if not path.is_file():
        raise InputError(f"lens.vocabulary: expected a word list at {path}, found no such file")
    words = [line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    seen: set[str] = set()
    for word in words:
        if word in seen:
            raise InputError(f"{path}: expected each word once, found {word!r} twice")
        seen.add(word)
    if len(words) < 2:
        raise InputError(f"{path}: expected at least two words, found {len(words)}")
    return words


def tokenizer_words(tokenizer: Any) -> list[str]:
    """Return a tokenizer's own whole words: entries of three letters or more that stand for a word.

    Byte-pair tokenizers of CLIP mark the end of a word by ``</w>``, others the start by ``Ġ`` or
    ``▁``; a tokenizer without marks has whole words only.
    """
    inner = getattr(tokenizer, "tokenizer", None)
    entries = list(tokenizer.encoder if inner is None else inner.get_vocab())
    for mark in (r"(.+)</w>", r"[Ġ▁](.+)"):
        marked = [match.group(1) for entry in entries if (match := re.fullmatch(mark, entry))]
        if marked:
            entries = marked
            break
    return sorted({entry for entry in entries if re.fullmatch(r"[a-z]{3,}", entry)})


def embed_vocabulary(
    words: list[str], prompts: list[str], encode_texts: Callable[[list[str]], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return each word's text embedding, float32 (word, feature): the mean over prompts, centred,
    unit length; and the mean over words that it was centred by, (feature,).

    Each prompt's embedding has unit length before the mean; the vocabulary's mean is removed after
    it.
    """
    embedded = _embed_words(words, prompts, encode_texts)
    mean = embedded.mean(axis=0)
    return _unit(embedded - mean).astype(np.float32), mean.astype(np.float32)


def embed_category(
    words: list[str],
    prompts: list[str],
    encode_texts: Callable[[list[str]], np.ndarray],
    *,
    text_mean: np.ndarray,
) -> np.ndarray:
    """Return one text embedding for what several words name, float32 (feature,), unit length.

    Each word is embedded and centred as the vocabulary is (:func:`embed_vocabulary`), by its mean,
    and the words are averaged: the embedding of one word of the vocabulary is that word's own.
    """
    centred = _unit(_embed_words(words, prompts, encode_texts) - text_mean)
    return _unit(centred.mean(axis=0)).astype(np.float32)


def _embed_words(
    words: list[str], prompts: list[str], encode_texts: Callable[[list[str]], np.ndarray]
) -> np.ndarray:
    """Mean of a word's prompts, unit length, not centred: (word, feature)."""
    return _unit(sum(encode_texts([prompt.format(word) for word in words]) for prompt in prompts))


def apply_lens(
    tokens: np.ndarray,
    *,
    token_mean: np.ndarray,
    text: np.ndarray,
    temperature: float,
    words_per_token: int,
    device: torch.device | str = "cpu",
    memory_bytes: int = 2**28,
) -> tuple[np.ndarray, np.ndarray]:
    """Read tokens out in words.

    tokens: raw (image, token, feature). token_mean: (feature,). text: (word, feature) of
    :func:`embed_vocabulary`. Returns ``word`` int32 and ``score`` float16, both (image, token,
    rank): the indices and softmax probabilities of the best ``words_per_token`` words, best first.
    Tokens are read in blocks so that no more than ``memory_bytes`` of (token, word) scores exist at
    once. device: where the scores are computed, that of the model that made the tokens.
    """
    import torch

    images, count, _ = tokens.shape
    kept = min(words_per_token, len(text))
    flat = tokens.reshape(images * count, -1)
    words = np.empty((len(flat), kept), dtype=np.int32)
    scores = np.empty((len(flat), kept), dtype=np.float16)
    block = max(1, memory_bytes // (8 * len(text)))
    columns = torch.as_tensor(text, dtype=torch.float32, device=device).T
    for start in range(0, len(flat), block):
        part = slice(start, start + block)
        rows = (_unit(flat[part] - token_mean) / temperature).astype(np.float32)
        logits = torch.as_tensor(rows, device=device) @ columns
        value, best = logits.topk(kept, dim=1)
        highest = value[:, :1].clone()
        total = logits.sub_(highest).exp_().sum(dim=1, keepdim=True)
        words[part] = best.cpu().numpy()
        scores[part] = (value.sub_(highest).exp_() / total).cpu().numpy()
    return words.reshape(images, count, kept), scores.reshape(images, count, kept)


def word_mass(word: np.ndarray, score: np.ndarray, *, words: int) -> np.ndarray:
    """Spread the lens's best words over the vocabulary: (…, token, rank) → float32 (…, token,
    word).
    """
    mass = np.zeros((*word.shape[:-1], words), dtype=np.float32)
    np.put_along_axis(mass, word.astype(np.int64), score.astype(np.float32), axis=-1)
    return mass


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
