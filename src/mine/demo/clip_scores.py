"""What the demo's CLIP reaches on scenes that it was not trained on."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from mine.demo import words
from mine.demo.clip_losses import KINDS
from mine.demo.clip_model import (
    PATCH,
    PROMPTS,
    SIDE,
    encode,
    encode_images,
    encode_texts,
    to_input,
    token_ids,
)
from mine.demo.painting import render_scene
from mine.demo.scenes import Scene, describe_scene, sample_scene, token_shares


@torch.no_grad()
def embed_words(model: torch.nn.Module, names: list[str]) -> torch.Tensor:
    """Return the unit mean over prompts of each word's text embedding: (word, feature)."""
    ids = token_ids()
    total = sum(
        encode_texts(model, encode([prompt.format(name) for name in names], ids))
        for prompt in PROMPTS
    )
    return functional.normalize(total, dim=-1)


@torch.no_grad()
def score_model(model: torch.nn.Module, *, seed: int, scenes: int) -> dict[str, float]:
    """Score on unseen scenes.

    Dense accuracies: over tokens of which at least half lies inside one object's mask (for the
    background, at least 0.9 outside all), the share whose best word among all concepts of the kind
    is the right one, after centring tokens and words. Retrieval: full captions among 256 scenes.
    Zero-shot: single-object scenes.
    """
    model.eval()
    random = np.random.default_rng([seed, 2])
    drawn = [sample_scene(random) for _ in range(scenes)]
    rendered = [render_scene(scene, side=SIDE) for scene in drawn]
    images = np.stack([image for image, _ in rendered])
    encoded = [
        encode_images(model, to_input(images[i : i + 250] / np.float32(255)))
        for i in range(0, scenes, 250)
    ]
    tokens, pooled = (torch.cat(parts) for parts in zip(*encoded, strict=True))
    pooled = functional.normalize(pooled, dim=-1)
    vocabulary = words.vocabulary()
    text = embed_words(model, vocabulary)
    row_of = {word: index for index, word in enumerate(vocabulary)}
    centred = functional.normalize(tokens - tokens.mean(dim=(0, 1)), dim=-1)
    text = functional.normalize(text - text.mean(dim=0), dim=-1)

    def best(points: torch.Tensor, kind: dict) -> np.ndarray:
        table = torch.stack(
            [text[[row_of[word] for word in kind[name]]].mean(dim=0) for name in kind]
        )
        return (points @ functional.normalize(table, dim=-1).T).argmax(dim=-1).numpy()

    guesses = {name: best(centred, kind) for name, kind in KINDS.items()}
    top = (centred @ text.T).argmax(dim=-1).numpy()
    scores = score_tokens(drawn, [masks for _, masks in rendered], guesses, top)

    ids = token_ids()
    captions = [describe_scene(scene, random)[0] for scene in drawn[:256]]
    similarity = pooled[:256] @ encode_texts(model, encode(captions, ids)).T
    scores["retrieval_caption_of_image"] = float(
        (similarity.argmax(dim=1) == torch.arange(256)).float().mean()
    )
    scores["retrieval_image_of_caption"] = float(
        (similarity.argmax(dim=0) == torch.arange(256)).float().mean()
    )
    single = [row for row, scene in enumerate(drawn) if len(scene.objects) == 1]
    centred_pool = pooled - pooled.mean(dim=0)
    for name in ("category", "colour"):
        guess = best(centred_pool[single], KINDS[name])
        truth = [getattr(drawn[row].objects[0], name) for row in single]
        scores[f"zero_shot_{name}"] = float(
            np.mean([list(KINDS[name])[g] == t for g, t in zip(guess, truth, strict=True)])
        )
    guess = best(centred_pool, words.BACKGROUNDS)
    scores["zero_shot_background"] = float(
        np.mean(
            [
                list(words.BACKGROUNDS)[g] == scene.background
                for g, scene in zip(guess, drawn, strict=True)
            ]
        )
    )
    model.train()
    return {name: round(value, 4) for name, value in scores.items()}


def score_tokens(
    scenes: list[Scene], masks: list[np.ndarray], guesses: dict[str, np.ndarray], top: np.ndarray
) -> dict[str, float]:
    """Compare what is read in tokens with what they show: the dense accuracies of
    :func:`score_model`.

    masks: of each scene, as it is rendered. guesses: for each kind of concepts, the one read in
    each token, by its place in the kind: (scene, token). top: the best word of the vocabulary,
    (scene, token).
    """
    vocabulary = words.vocabulary()
    hits: dict[str, list[bool]] = {name: [] for name in (*KINDS, "top_word_true")}
    per_category: dict[str, list[bool]] = {name: [] for name in words.CATEGORIES}
    for row, (scene, own) in enumerate(zip(scenes, masks, strict=True)):
        shares = token_shares(own, rows=SIDE // PATCH, columns=SIDE // PATCH)
        for item, share in zip(scene.objects, shares, strict=True):
            for token in np.flatnonzero(share >= 0.5):
                for name in ("category", "colour", "expression", "size"):
                    truth = getattr(item, name)
                    if truth is not None:
                        hits[name].append(list(KINDS[name])[guesses[name][row, token]] == truth)
                per_category[item.category].append(hits["category"][-1])
                said = words.concept_of(vocabulary[top[row, token]])
                hits["top_word_true"].append(
                    said in (item.category, item.colour, item.size, item.expression)
                )
        for token in np.flatnonzero(shares.sum(axis=0) <= 0.1):
            hits["background"].append(
                list(words.BACKGROUNDS)[guesses["background"][row, token]] == scene.background
            )
    scores = {f"dense_{name}": float(np.mean(values)) for name, values in hits.items()}
    return scores | {
        f"dense_category_{name}": float(np.mean(values)) for name, values in per_category.items()
    }
