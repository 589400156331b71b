"""What the demo's CLIP is trained on: what is true of a scene, and four losses that ask for it.

None of the losses could be computed by any stage of the pipeline for a subject's images:

* the image–caption contrastive loss (softmax over the batch) on average-pooled tokens;
* a token-level loss from captions: for image i and phrase p,
  ``logit = scale · LSE_t(cos(token_t, text_p)) + offset`` with a sigmoid against "p is true of
  i", in the spirit of FILIP (arXiv 2111.07783) with a log-sum-exp in place of the maximum;
* the same sigmoid loss on average-pooled tokens (as SigLIP's, arXiv 2303.15343, on short phrases):
  captions alone leave the colour of a small object to be drowned by its background;
* a region–phrase loss, as open-vocabulary detectors are trained (RegionCLIP, arXiv 2112.09106):
  a patch of which at least half shows one object is matched with that object's category, colour,
  size and expression among all of the kind, and an empty patch with its background. The scenes'
  masks give the regions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from mine.demo import words
from mine.demo.clip_model import PATCH, PROMPTS, SIDE
from mine.demo.scenes import Scene, token_shares

MIXED, EMPTY = -2, -1  # owners of a patch that shows several things, or only background
KINDS = {
    "category": words.CATEGORIES,
    "colour": words.COLOURS,
    "expression": words.EXPRESSIONS,
    "size": words.SIZES,
    "background": words.BACKGROUNDS,
}
# What is hard to learn has the larger weight.
KIND_WEIGHTS = {"category": 4.0, "colour": 1.0, "expression": 1.0, "size": 0.5, "background": 0.5}


@dataclass(frozen=True)
class Truths:
    """What is true of each scene, as 0/1 arrays: concepts (image, concept), colour–category pairs,
    expressions."""

    names: tuple[str, ...]
    concepts: np.ndarray
    pairs: np.ndarray  # (image, colour, category)

    @classmethod
    def of(cls, scenes: list[Scene]) -> Truths:
        names = tuple(words.CONCEPTS)
        index = {name: position for position, name in enumerate(names)}
        colours, categories = list(words.COLOURS), list(words.CATEGORIES)
        concepts = np.zeros((len(scenes), len(names)), dtype=bool)
        pairs = np.zeros((len(scenes), len(colours), len(categories)), dtype=bool)
        for row, scene in enumerate(scenes):
            concepts[row, index[scene.background]] = True
            for item in scene.objects:
                for concept in (item.category, item.colour, item.size, item.expression):
                    if concept is not None:
                        concepts[row, index[concept]] = True
                pairs[row, colours.index(item.colour), categories.index(item.category)] = True
        return cls(names, concepts, pairs)


def sample_phrases(
    truths: Truths, rows: np.ndarray, random: np.random.Generator
) -> tuple[list[str], torch.Tensor]:
    """Draw phrases and whether each is true of each of the batch's scenes: (phrase,), (image,
    phrase).
    """
    concepts, pairs = truths.concepts[rows], truths.pairs[rows]
    phrases, columns = [], []

    def add(phrase: str, column: np.ndarray) -> None:
        phrases.append(str(random.choice(PROMPTS)).format(phrase))
        columns.append(column)

    for position, name in enumerate(truths.names):
        add(random.choice(words.CONCEPTS[name]), concepts[:, position])
    for hypernym, members in words.HYPERNYMS.items():
        add(hypernym, concepts[:, [truths.names.index(member) for member in members]].any(axis=1))
    for word in random.choice(words.DISTRACTORS, size=24, replace=False):
        add(word, np.zeros(len(rows), dtype=bool))
    for position, colour in enumerate(words.COLOURS):
        for place, category in enumerate(words.CATEGORIES):
            if random.random() < 0.6:
                pair = " ".join(
                    random.choice(kind)
                    for kind in (words.COLOURS[colour], words.CATEGORIES[category])
                )
                add(pair, pairs[:, position, place])
    return phrases, torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def own_patches(masks: np.ndarray) -> np.ndarray:
    """Return whose each patch is, int8 (row, column): an object's index, EMPTY, or MIXED."""
    count = SIDE // PATCH
    shares = token_shares(masks, rows=count, columns=count)
    owner = np.full(shares.shape[1], MIXED, dtype=np.int8)
    owner[shares.sum(axis=0) <= 0.1] = EMPTY
    for index, share in enumerate(shares):
        owner[share >= 0.5] = index
    return owner.reshape(count, count)


def label_regions(
    scenes: list[Scene], owners: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return, for each kind of concept, the patches that have one, and which.

    owners: int8 (image, row, column) of :func:`own_patches`. Both arrays of a kind are (patch,):
    flat indices into (image × token), and indices into the kind's concepts.
    """
    flat = owners.reshape(len(owners), -1)
    found: dict[str, list[tuple[np.ndarray, int]]] = {kind: [] for kind in KINDS}
    names = {kind: list(concepts) for kind, concepts in KINDS.items()}
    for image, scene in enumerate(scenes):
        for index, item in enumerate([*scene.objects, scene]):
            owner = index if item is not scene else EMPTY
            places = np.flatnonzero(flat[image] == owner) + image * flat.shape[1]
            for kind in KINDS:
                concept = getattr(item, kind, None)
                if concept is not None:
                    found[kind].append((places, names[kind].index(concept)))
    # A few scenes may hold no face, and so no expression.
    nothing = np.empty(0, dtype=np.int64)
    return {
        kind: (
            np.concatenate([nothing, *(places for places, _ in entries)]),
            np.concatenate([nothing, *(np.full(len(places), label) for places, label in entries)]),
        )
        for kind, entries in found.items()
    }


def region_loss(
    tokens: torch.Tensor,
    texts: torch.Tensor,
    regions: dict[str, tuple[np.ndarray, np.ndarray]],
    scale: torch.Tensor,
) -> torch.Tensor:
    """Weighted sum over kinds of the cross-entropy of patches against the concepts of the kind.

    tokens: (image, token, feature); texts: (concept, feature) in the order of ``words.CONCEPTS``;
    both of unit length.
    """
    flat, order = tokens.flatten(0, 1), {name: i for i, name in enumerate(words.CONCEPTS)}
    total = torch.zeros(())
    for kind, (places, labels) in regions.items():
        logits = scale * flat[torch.from_numpy(places)] @ texts[[order[n] for n in KINDS[kind]]].T
        loss = functional.cross_entropy(logits, torch.from_numpy(labels))
        total = total + KIND_WEIGHTS[kind] * loss
    return total


def caption_loss(pooled: torch.Tensor, captions: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Contrastive cross-entropy in both directions; pooled, captions: unit (image, feature)."""
    logits, target = scale * pooled @ captions.T, torch.arange(len(pooled))
    return 0.5 * (
        functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)
    )


def token_evidence(
    tokens: torch.Tensor, phrases: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Log of the mean over tokens of exp(scale · cos): (image, phrase), near its largest value.

    tokens: unit (image, token, feature); phrases: unit (phrase, feature).
    """
    return torch.logsumexp(scale * tokens @ phrases.T, dim=1) - math.log(tokens.shape[1])


def phrase_loss(evidence: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Sigmoid loss on whether phrases are true of whole images; both (image, phrase)."""
    losses = functional.binary_cross_entropy_with_logits(
        evidence, labels, weight=1 + 3 * labels, reduction="none"
    )
    return losses.sum(dim=1).mean() / 20


def pooled_losses(
    pooled: torch.Tensor,
    captions: torch.Tensor,
    phrases: torch.Tensor,
    labels: torch.Tensor,
    *,
    contrast: torch.Tensor,
    scale: torch.Tensor,
    offset: torch.Tensor,
) -> dict[str, torch.Tensor]:
    """Return the losses of pooled embeddings alone: of captions, and of phrases that are true.

    pooled, captions: unit (image, feature); phrases: unit (phrase, feature); labels: (image,
    phrase). contrast: scale of the captions' cosines; scale, offset: of the phrases'.
    """
    return {
        "caption": caption_loss(pooled, captions, contrast),
        "pooled": phrase_loss(scale * pooled @ phrases.T + offset, labels),
    }
