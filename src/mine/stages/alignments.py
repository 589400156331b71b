"""How well each way of reading tokens names what they show, where objects are known."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.backbone import Backbone, average_tokens
from mine.core.lens import embed_vocabulary
from mine.core.showing import Reader
from mine.errors import InputError
from mine.statistics import bootstrap_over_images, bootstrap_weights

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

    stimuli: of mine.stages.stimuli.build_stimuli. Raises InputError where none are known, or not
    where in them the shown part lies.
    """
    if "annotated" not in stimuli or "crop" not in stimuli:
        raise InputError(
            "dataset.instances: expected objects of images whose place in COCO's is known, found "
            "none; only NSD's images have both"
        )
    usable = np.flatnonzero(stimuli["annotated"].values & ~stimuli["held_out"].values)
    if not len(usable):
        raise InputError("dataset.instances: expected objects in training images, found none")
    drawn = generator.choice(usable, size=min(count, len(usable)), replace=False)
    return stimuli.isel(image=np.sort(drawn)).load()


def compare_alignments(
    backbone: Backbone,
    images: np.ndarray,
    objects: Objects,
    read_images: Reader,
    *,
    categories: Sequence[str],
    prompts: list[str],
    text_mean: np.ndarray,
    batch_size: int,
    resamples: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Measure how well each of a backbone's variants names the objects that its tokens show.

    images: (image,) identities. objects: of each, masks with POINTS × POINTS points a token,
    whatever the grid. categories: all that objects may have; one that the model cannot be read in
    is left out. prompts, text_mean: of the lens, and of its vocabulary, (feature,).

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
    if len(known) < 2:
        raise InputError(
            "dataset.instances: expected at least two categories whose names are tokens of the "
            f"model, found {len(known)} of {len(categories)}"
        )
    left = sorted(set(categories) - set(known))
    if left:
        log.info("left out, since no token of the model: %s", ", ".join(left))
    vectors = backbone.embed_words(known, prompts)
    shares = share_tokens(objects, known, rows=backbone.rows, columns=backbone.columns)
    weights = bootstrap_weights(len(images), resamples=resamples, generator=generator)
    tables = []
    for name, variant in backbone.variants().items():
        counts = _count(
            variant, vectors, images, shares, read_images, text_mean, batch_size=batch_size
        )
        for measure in MEASURES:
            table = _summarise(*counts[measure], known, weights, measure=measure)
            tables.append(table.assign(alignment=name, measure=measure))
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


def _count(
    backbone: Backbone,
    vectors: np.ndarray,
    images: np.ndarray,
    shares: np.ndarray,
    read_images: Reader,
    text_mean: np.ndarray,
    *,
    batch_size: int,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return, for each measure, how many were right and how many there were: (image, category).

    vectors: of the categories, (category, feature), not centred.
    """
    directions, lengths, _ = embed_vocabulary(vectors, mean=text_mean)
    token_mean: np.ndarray | float = 0.0
    if not backbone.reads_logits:
        lengths = np.ones_like(lengths)
        token_mean = average_tokens(backbone, images, read_images, batch_size=batch_size)
    text = directions * lengths[:, None]
    parts = []
    for start in range(0, len(images), batch_size):
        here = slice(start, start + batch_size)
        tokens = backbone.encode_images(read_images(images[here]))[0] - token_mean
        score = tokens @ text.T
        if not backbone.reads_logits:
            score /= np.linalg.norm(tokens, axis=-1, keepdims=True)
        shown = shares[here] >= LEAST_SHARE
        alone = shown & (shown.sum(axis=-1, keepdims=True) == 1)
        best = np.eye(len(text), dtype=bool)[score.argmax(axis=-1)] & alone.any(-1)[..., None]
        touched = np.take_along_axis(shares[here], score.argmax(axis=1)[:, None], axis=1)[:, 0] > 0
        there = shown.any(axis=1)
        counted = (alone & best).sum(1), alone.sum(1), (alone | best).sum(1), touched & there
        parts.append((*counted, there))
    right, total, union, hit, there = map(np.concatenate, zip(*parts, strict=True))
    return dict(zip(MEASURES, ((right, total), (right, union), (hit, there)), strict=True))


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
