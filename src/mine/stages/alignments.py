"""How well each way of reading tokens names what they show, where objects are known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.backbone import Backbone
from mine.core.choosing import draw_some
from mine.core.lens import embed_vocabulary, score_nearest
from mine.core.neighbours import Contexts
from mine.core.showing import Reader
from mine.errors import InputError
from mine.statistics.bootstrap import bootstrap_over_images, bootstrap_weights

if TYPE_CHECKING:
    import torch

MEASURES = ("token_accuracy", "mean_iou", "pointing")
POINTS = 8
"""Points along a side of a token at which masks are looked at."""
LEAST_SHARE = 0.5
"""Share of a token that has to lie inside an object for the token to show it."""

Objects = Sequence[Sequence[tuple[str, np.ndarray]]]
"""For each image the objects in it: category, and bool (row, column) over the shown part."""

log = logging.getLogger(__name__)


def choose_images(stimuli: xr.Dataset, *, count: int, generator: np.random.Generator) -> xr.Dataset:
    """Draw images that nothing forbids to learn from and whose objects are known, at most count.

    stimuli: of mine.stages.stimuli.build_stimuli. Raises InputError where there is none
    (:func:`list_placed`).
    """
    usable = list_placed(stimuli)
    if not len(usable):
        raise InputError(
            "dataset.instances: expected objects in training images that show a known part of "
            "COCO's, found none"
        )
    return stimuli.isel(image=draw_some(usable, count, generator)).load()


def list_placed(stimuli: xr.Dataset) -> np.ndarray:
    """Rows of the images that are not held out, whose objects are annotated and of which it is
    known which part of COCO's image they show: int (image,)."""
    if "annotated" not in stimuli or "crop" not in stimuli:
        return np.empty(0, dtype=np.int64)
    known = stimuli["crop"].notnull().all("edge").values
    return np.flatnonzero(stimuli["annotated"].values & ~stimuli["held_out"].values & known)


def compare_alignments(
    backbone: Backbone,
    images: np.ndarray,
    objects: Objects,
    read_images: Reader,
    *,
    categories: Sequence[str],
    prompts: list[str],
    text_mean: np.ndarray | None,
    contexts: Contexts | None,
    batch_size: int,
    resamples: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Measure how well each of a backbone's variants names the objects that its tokens show.

    images: (image,) identities. objects: of each, masks with POINTS × POINTS points a token,
    whatever the grid. categories: all that objects may have; one that the model cannot be read in
    is left out. prompts, text_mean: of the lens, and of its vocabulary, (feature,); None takes that
    of the categories. contexts: of their words in running text, if each variant is to be read by
    its nearest neighbours besides.

    A token shows a category if at least LEAST_SHARE of it lies inside objects of it; one that shows
    several counts for none. The tokens' mean is that of these images. Returns rows of
    ``alignment``, ``measure``, ``category`` (empty for all), ``value``, ``low``, ``high`` (95%,
    images resampled) and ``n``:

    * ``token_accuracy``: of tokens that show a category, the share whose best category it is; n
      counts them;
    * ``mean_iou``: of the same tokens, intersection over union of those that show a category with
      those whose best category it is; for all, the mean over categories;
    * ``pointing``: of categories shown by an image, the share for which the image's best token for
      the category touches an object of it (the pointing game of Zhang et al. 2018, with the token
      as its tolerance); n counts pairs of image and category.

    Raises InputError if the model cannot be read in two of the categories or more.
    """
    known = backbone.choose_words(list(categories))
    if contexts is not None:
        known = contexts.choose_words(known)
    if len(known) < 2:
        raise InputError(
            "dataset.instances: expected at least two categories whose names are tokens of the "
            f"model{'' if contexts is None else ' and in lens.corpus'}, found {len(known)} of "
            f"{len(categories)}"
        )
    left = sorted(set(categories) - set(known))
    if left:
        log.info("left out, since the model cannot be read in them: %s", ", ".join(left))
    unit = not backbone.reads_logits
    text, lengths, _ = embed_vocabulary(backbone.embed_words(known, prompts), mean=text_mean)
    text = text if unit else text * lengths[:, None]
    shares = share_tokens(objects, known, rows=backbone.rows, columns=backbone.columns)
    weights = bootstrap_weights(len(images), resamples=resamples, generator=generator)
    means: dict[str, np.ndarray] = {}
    if unit:
        means = _average_variants(backbone, images, read_images, batch_size=batch_size)
    nearest = None if contexts is None else contexts.select(known)

    def score(variant: str, tokens: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        yield variant, _score_directions(tokens, text, means.get(variant, 0.0), unit=unit)
        if nearest is not None:
            found = _score_neighbours(tokens, nearest, device=backbone.device)
            yield f"{variant}, neighbours", found

    counted = _count(backbone, score, images, shares, read_images, batch_size=batch_size)
    tables = [
        _summarise(*counts[measure], known, weights, measure=measure).assign(
            alignment=way, measure=measure
        )
        for way, counts in counted.items()
        for measure in MEASURES
    ]
    columns = ["alignment", "measure", "category", "value", "low", "high", "n"]
    return pd.concat(tables, ignore_index=True)[columns]


def share_tokens(
    objects: Objects, categories: Sequence[str], *, rows: int, columns: int
) -> np.ndarray:
    """Measure how much of each token lies inside objects of each category: float32 (image, token,
    category).

    objects: see :func:`compare_alignments`; others than of these categories do not count.
    """
    place = {name: number for number, name in enumerate(categories)}
    shares = np.zeros((len(objects), rows * columns, len(categories)), dtype=np.float32)
    for image, entries in enumerate(objects):
        together: dict[int, np.ndarray] = {}
        for name, mask in entries:
            if name in place:
                together[place[name]] = together.get(place[name], False) | mask
        for category, mask in together.items():
            cells = mask.reshape(rows, mask.shape[0] // rows, columns, mask.shape[1] // columns)
            shares[image, :, category] = cells.mean(axis=(1, 3)).ravel()
    return shares


def _average_variants(
    backbone: Backbone, images: np.ndarray, read_images: Reader, *, batch_size: int
) -> dict[str, np.ndarray]:
    """Return the mean raw token of each of a model's variants over images, float32 (feature,)."""
    totals: dict[str, np.ndarray | float] = {}
    for start in range(0, len(images), batch_size):
        shown = read_images(images[start : start + batch_size])
        for variant, tokens in backbone.encode_variants(shown):
            total = tokens.sum(axis=(0, 1), dtype=np.float64)
            totals[variant] = totals.get(variant, 0.0) + total
    count = len(images) * backbone.rows * backbone.columns
    return {variant: np.float32(total / count) for variant, total in totals.items()}


def _score_directions(
    tokens: np.ndarray, text: np.ndarray, token_mean: np.ndarray | float, *, unit: bool
) -> np.ndarray:
    """Return the products of tokens with categories, or their cosines: (image, token, category).

    text: (category, feature), of the length by which a category counts. unit: whether tokens are
    brought to unit length.
    """
    tokens = tokens - token_mean
    score = tokens @ text.T
    return score / np.linalg.norm(tokens, axis=-1, keepdims=True) if unit else score


def _score_neighbours(
    tokens: np.ndarray, contexts: Contexts, *, device: torch.device | str
) -> np.ndarray:
    """Return tokens' cosines with each category's nearest context: (image, token, category)."""
    import torch

    rows = torch.as_tensor(tokens, device=device).flatten(0, 1)
    rows = torch.nn.functional.normalize(rows, dim=-1)
    score = score_nearest(rows, contexts.vectors, contexts.owner, words=len(contexts.words))
    return score.cpu().numpy().reshape(*tokens.shape[:2], -1)


def _count(
    backbone: Backbone,
    score: Callable[[str, np.ndarray], Iterable[tuple[str, np.ndarray]]],
    images: np.ndarray,
    shares: np.ndarray,
    read_images: Reader,
    *,
    batch_size: int,
) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return, for each way to read tokens and each measure, how many were right and how many there
    were: (image, category).

    score: of a variant and its tokens, (image, token, feature), the ways and in each how well every
    category fits, (image, token, category).
    """
    parts: dict[str, list[tuple[np.ndarray, ...]]] = {}
    for start in range(0, len(images), batch_size):
        here = slice(start, start + batch_size)
        shown = shares[here] >= LEAST_SHARE
        alone = shown & (shown.sum(axis=-1, keepdims=True) == 1)
        there = shown.any(axis=1)
        for variant, tokens in backbone.encode_variants(read_images(images[here])):
            for way, fit in score(variant, tokens):
                said = np.eye(shares.shape[-1], dtype=bool)[fit.argmax(axis=-1)]
                best = said & alone.any(-1)[..., None]
                strongest = fit.argmax(axis=1)[:, None]
                touched = np.take_along_axis(shares[here], strongest, axis=1)[:, 0] > 0
                counted = (alone & best).sum(1), alone.sum(1), (alone | best).sum(1)
                parts.setdefault(way, []).append((*counted, touched & there, there))
    counts = {}
    for way, found in parts.items():
        right, total, union, hit, there = map(np.concatenate, zip(*found, strict=True))
        pairs = (right, total), (right, union), (hit, there)
        counts[way] = dict(zip(MEASURES, pairs, strict=True))
    return counts


def _summarise(
    right: np.ndarray,
    total: np.ndarray,
    categories: Sequence[str],
    weights: np.ndarray,
    *,
    measure: str,
) -> pd.DataFrame:
    """Return a measure over all categories and for each, with intervals. right, total: (image,
    category)."""

    def relate(right: np.ndarray, total: np.ndarray) -> np.ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            each = right / total
            together = right.sum(axis=-1) / total.sum(axis=-1)
        if measure == "mean_iou":
            known = np.isfinite(each)
            together = np.where(known, each, 0).sum(axis=-1) / known.sum(axis=-1)
        return np.concatenate([together[..., None], each], axis=-1)

    seen = total.sum(axis=0) > 0
    right, total = right[:, seen].astype(float), total[:, seen].astype(float)
    draws = bootstrap_over_images([right, total], relate, weights)
    # A resample may lack a rare category.
    low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
    counts = total.sum(axis=0)
    return pd.DataFrame(
        {
            "category": ["", *np.asarray(categories)[seen]],
            "value": relate(right.mean(axis=0), total.mean(axis=0)),
            "low": low,
            "high": high,
            "n": np.concatenate([[counts.sum()], counts]).astype(int),
        }
    )
