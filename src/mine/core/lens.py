"""The logit lens: which words a token's raw embedding is closest to.

    p(word | token) = softmax_word( cos(x − x̄, w − w̄) / temperature )

of a model that has images and texts in one space. x̄ is the mean raw token over reference images
and w̄ the mean text embedding over the vocabulary: without them the gap between the two modalities
(arXiv 2203.02053) makes the same words win for every token. Of a model that predicts words it is
the model's own,

    p(word | token) = softmax_word( ⟨x, w⟩ / temperature )
                    = softmax_word( ⟨x, w − w̄⟩ / temperature )

so that both are one: a product of the token, brought to unit length or not, with the direction of
w − w̄ times a length that is 1 or its own. A word may also be many vectors, its contexts c in
running text (:mod:`mine.core.neighbours`), of which the nearest counts:

    p(word | token) = softmax_word( max_c cos(x, c) / temperature )
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mine.errors import InputError

if TYPE_CHECKING:  # needed where the lens is applied, not where it is read
    import torch
    import xarray as xr

END, BEGINNING = r"(.+)</w>", r"[Ġ▁](.+)"
"""How a tokenizer's entries mark that they end a word, or begin one."""

NO_FILES = {"lens.vocabulary": "tokenizer", "lens.corpus": "captions"}
"""What a key may have that is no file, where it names a text file otherwise."""


def read_word_list(path: Path, key: str = "lens.vocabulary") -> list[str]:
    """Read a word list, one a line. key: of the configuration, that names it. Raises InputError if
    it is absent or not UTF-8, has fewer than two words, or repeats one."""
    words = _read_lines(path, key, "word")
    twice = sorted(word for word, count in Counter(words).items() if count > 1)
    if twice:
        raise InputError(
            f"{path}: expected each word once, found {', '.join(twice[:5])} more than once"
        )
    if len(words) < 2:
        raise InputError(f"{path}: expected two words or more, one a line, found {len(words)}")
    return words


class WordList(NamedTuple):
    """A named list of words beside the vocabulary: colours, say."""

    path: Path
    words: list[str]


def read_lists(paths: Mapping[str, str]) -> dict[str, WordList]:
    """Read named word lists. paths: by name. Raises InputError as :func:`read_word_list` does."""
    return {
        name: WordList(Path(path), read_word_list(Path(path), f"lens.lists.{name}"))
        for name, path in paths.items()
    }


def unite_words(vocabulary: Sequence[str], lists: Mapping[str, WordList]) -> list[str]:
    """Return the words of a vocabulary and then those that named lists add to it, none twice."""
    return list(dict.fromkeys(chain(vocabulary, *(each.words for each in lists.values()))))


def find_members(known: Sequence[str], lists: Mapping[str, WordList], *, wanted: str) -> np.ndarray:
    """Tell which words are of which list: bool (list, word).

    known: words that the model can be read in, as a list's have to be to count. wanted: what
    messages say of these. Raises InputError if nothing is left of a list.
    """
    members = np.zeros((len(lists), len(known)), dtype=bool)
    for own, (name, (path, words)) in zip(members, lists.items(), strict=True):
        own[:] = np.isin(known, words)
        if not own.any():
            raise InputError(
                f"lens.lists.{name}: expected in {path} at least one word that is {wanted}, found "
                f"none of {len(words)}"
            )
    return members


def read_sentences(path: Path) -> list[str]:
    """Read sentences, one a line. Raises InputError if the file is absent, no text or empty."""
    sentences = _read_lines(path, "lens.corpus", "sentence")
    if not sentences:
        raise InputError(f"{path}: expected sentences, one a line, found none")
    return sentences


def _read_lines(path: Path, key: str, what: str) -> list[str]:
    """Read the lines of a file, each a word or a sentence, without those that are blank."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        other = f"`{NO_FILES[key]}` or " if key in NO_FILES else ""
        raise InputError(
            f"{key}: expected {other}a text file with a {what} a line, found no such file {path}"
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected text in UTF-8, found another encoding") from None
    return [line.strip() for line in lines if line.strip()]


def tokenizer_words(tokenizer: Any) -> list[str]:
    """Return a tokenizer's own whole words: entries of three letters or more that stand for a word.

    Of a tokenizer that marks where words begin, an entry may be the first piece of longer ones: it
    counts if in CLIP's, which marks where words end, it ends one. What does both is a word.
    """
    inner = getattr(tokenizer, "tokenizer", tokenizer)
    vocabulary = inner.get_vocab() if hasattr(inner, "get_vocab") else inner.encoder
    words = {word for word in token_words(vocabulary) if re.fullmatch(r"[a-z]{3,}", word)}
    if any(re.fullmatch(BEGINNING, entry) for entry in vocabulary):
        from open_clip.tokenizer import SimpleTokenizer

        words &= token_words(SimpleTokenizer().encoder).keys()
    return sorted(words)


def token_words(vocabulary: Mapping[str, int]) -> dict[str, int]:
    """Return the entries of a tokenizer that can stand for a whole word, without their marks, each
    with its number.

    Byte-pair tokenizers of CLIP mark the end of a word by ``</w>``, others the start by ``Ġ`` or
    ``▁``; a tokenizer without marks has whole words only.
    """
    for mark in (END, BEGINNING):
        matches = ((re.fullmatch(mark, entry), number) for entry, number in vocabulary.items())
        marked = {match.group(1): number for match, number in matches if match}
        if marked:
            return marked
    return dict(vocabulary)


def embed_vocabulary(
    vectors: np.ndarray, *, mean: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Centre the vectors of words, (word, feature), by their mean, or by that of a vocabulary.

    Returns, float32, each word's direction from the mean, (word, feature) of unit length; its
    length, (word,); and the mean, (feature,).
    """
    mean = vectors.mean(axis=0) if mean is None else mean
    centred = vectors - mean
    length = np.linalg.norm(centred, axis=1)
    unit = normalise_rows(centred)
    return unit.astype(np.float32), length.astype(np.float32), mean.astype(np.float32)


def embed_category(vectors: np.ndarray, *, text_mean: np.ndarray) -> np.ndarray:
    """Return one text embedding for what several words name, float32 (feature,), unit length.

    vectors: of the words, (word, feature). Each is centred by the mean of the vocabulary and
    brought to unit length (:func:`embed_vocabulary`), and they are averaged: the embedding of one
    word of the vocabulary is that word's own.
    """
    return normalise_rows(normalise_rows(vectors - text_mean).mean(axis=0)).astype(np.float32)


def average_prompts(
    words: list[str], prompts: list[str], encode_texts: Callable[[list[str]], np.ndarray]
) -> np.ndarray:
    """Return the mean over prompts of each word's text embedding, (word, feature) of unit length.

    Each prompt's embedding has unit length before the mean.
    """
    return normalise_rows(
        sum(encode_texts([prompt.format(word) for word in words]) for prompt in prompts)
    )


def read_lens(vocabulary: xr.Dataset) -> dict[str, Any]:
    """Return what :func:`apply_lens` has to know of a vocabulary, by name.

    vocabulary: ``text``, ``token_mean`` and the temperature, as
    :func:`mine.stages.embeddings.build_vocabulary` makes them; ``length`` where tokens are read by
    logits, ``context`` and ``context_word`` where by neighbours.
    """
    logits = "length" in vocabulary
    text = vocabulary["text"].values
    lens = {
        "token_mean": vocabulary["token_mean"].values,
        "text": text * vocabulary["length"].values[:, None] if logits else text,
        "temperature": float(vocabulary.attrs["temperature"]),
        "unit": not logits,
    }
    if "context" in vocabulary:
        lens["contexts"] = vocabulary["context"].values, vocabulary["context_word"].values
    return lens


def keep_words(lens: Mapping[str, Any], kept: np.ndarray) -> dict[str, Any]:
    """Return the lens of some words alone. lens: of :func:`read_lens`. kept: the places of these
    words, ascending."""
    part = {**lens, "text": lens["text"][kept]}
    if "contexts" in lens:
        vectors, owner = lens["contexts"]
        own = np.isin(owner, kept)
        part["contexts"] = vectors[own], np.searchsorted(kept, owner[own])
    return part


def apply_lens(
    tokens: np.ndarray,
    *,
    token_mean: np.ndarray,
    text: np.ndarray,
    temperature: float,
    words_per_token: int,
    unit: bool = True,
    contexts: tuple[np.ndarray, np.ndarray] | None = None,
    device: torch.device | str = "cpu",
    memory_bytes: int = 2**28,
) -> tuple[np.ndarray, np.ndarray]:
    """Read tokens out in words.

    tokens: raw (image, token, feature). token_mean: (feature,), taken away before. text: (word,
    feature), centred. unit: whether tokens are then brought to unit length. contexts: in the place
    of text, see :func:`score_nearest`. Returns ``word`` int32 and ``score`` float16, both (image,
    token, rank): the indices and softmax probabilities of the best ``words_per_token`` words, best
    first. Tokens are read in blocks so that no more than ``memory_bytes`` of (token, word) scores
    exist at once. device: where the scores are computed, that of the model that made the tokens.
    """
    images, count, _ = tokens.shape
    kept = min(words_per_token, len(text))
    flat = tokens.reshape(images * count, -1)
    words = np.empty((len(flat), kept), dtype=np.int32)
    scores = np.empty((len(flat), kept), dtype=np.float16)
    for part, logits in score_tokens(
        flat,
        token_mean=token_mean,
        text=text,
        temperature=temperature,
        unit=unit,
        contexts=contexts,
        device=device,
        memory_bytes=memory_bytes,
    ):
        value, best = logits.topk(kept, dim=1)
        highest = value[:, :1].clone()
        total = logits.sub_(highest).exp_().sum(dim=1, keepdim=True)
        words[part] = best.cpu().numpy()
        scores[part] = (value.sub_(highest).exp_() / total).cpu().numpy()
    return words.reshape(images, count, kept), scores.reshape(images, count, kept)


def score_tokens(
    tokens: np.ndarray,
    *,
    token_mean: np.ndarray,
    text: np.ndarray,
    temperature: float,
    unit: bool = True,
    contexts: tuple[np.ndarray, np.ndarray] | None = None,
    device: torch.device | str = "cpu",
    memory_bytes: int = 2**28,
) -> Iterator[tuple[slice, torch.Tensor]]:
    """Score every word in tokens: what the softmax over words is of, the cosine or logit over the
    temperature.

    tokens: raw (token, feature). The others: see :func:`apply_lens`. Yields blocks of tokens, which
    of them and float32 (token, word), that may be written to.
    """
    import torch

    block = max(1, memory_bytes // (8 * len(text)))
    columns = torch.as_tensor(text, dtype=torch.float32, device=device).T
    for start in range(0, len(tokens), block):
        part = slice(start, start + block)
        rows = tokens[part] - token_mean
        rows = ((normalise_rows(rows) if unit else rows) / temperature).astype(np.float32)
        rows = torch.as_tensor(rows, device=device)
        if contexts is None:
            yield part, rows @ columns
        else:
            options = {"words": len(text), "memory_bytes": memory_bytes}
            yield part, score_nearest(rows, *contexts, **options)


def score_nearest(
    tokens: torch.Tensor,
    vectors: np.ndarray,
    owner: np.ndarray,
    *,
    words: int,
    memory_bytes: int = 2**28,
) -> torch.Tensor:
    """Return the largest product of each token with any vector of each word: (token, word).

    tokens: (token, feature). vectors: (context, feature). owner: the word of each, int (context,);
    one that has none gets -infinity. Contexts are taken in blocks, of which vectors and scores take
    at most ``memory_bytes``.
    """
    import torch

    best = tokens.new_full((words, len(tokens)), -torch.inf)
    block = max(1, memory_bytes // (4 * sum(tokens.shape)))
    for start in range(0, len(vectors), block):
        part = slice(start, start + block)
        here = torch.as_tensor(vectors[part], device=tokens.device).to(tokens.dtype)
        place = torch.as_tensor(owner[part], dtype=torch.int64, device=tokens.device)
        scores = here @ tokens.T
        best.scatter_reduce_(0, place[:, None].expand_as(scores), scores, "amax")
    return best.T


def average_said(
    tokens: np.ndarray,
    vectors: np.ndarray,
    *,
    temperature: float,
    words_per_token: int,
    device: torch.device | str = "cpu",
) -> np.ndarray:
    """Return the mean vector of the words that tokens say by their logits, each word weighted by
    its probability: (feature,).

    The rows of an unembedding, (word, feature) ``vectors``, share what tells words that are said of
    images at all from those that never are, and nearly all words that are said point the same way.
    Taken from every row their mean changes no probability, since a softmax ignores what all logits
    have in common, and leaves what tells these words from each other. tokens: raw (image, token,
    feature).
    """
    word, score = apply_lens(
        tokens,
        token_mean=np.zeros(vectors.shape[1]),
        text=vectors,
        temperature=temperature,
        words_per_token=words_per_token,
        unit=False,
        device=device,
    )
    weight = np.bincount(word.ravel(), score.ravel().astype(np.float64), minlength=len(vectors))
    return weight / weight.sum() @ vectors


def word_mass(word: np.ndarray, score: np.ndarray, *, words: int) -> np.ndarray:
    """Spread the lens's best words over the vocabulary: (…, token, rank) → float32 (…, token,
    word).
    """
    mass = np.zeros((*word.shape[:-1], words), dtype=np.float32)
    np.put_along_axis(mass, word.astype(np.int64), score.astype(np.float32), axis=-1)
    return mass


def normalise_rows(rows: np.ndarray) -> np.ndarray:
    """Rows (…, feature) at unit length; zeros stay zeros."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
