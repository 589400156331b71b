"""Scenes of the miniature world: what is in one, and what people would say of it.

A :class:`Scene` is a description from which everything else follows: its captions, and by
painting.py its pixels and the visible mask of each object. Because rendering is a function of the
description, an exact counterfactual of a scene (the same picture without its dog, say) is the
rendering of an edited description.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mine.demo.words import BACKGROUNDS, CATEGORIES, COLOURS, CONCEPTS, EXPRESSIONS, SIZES

# Which objects a background favours: by how much more often than the others they stand on it.
AFFINITY = {
    "beach": ("person", "food"),
    "forest": ("bird", "house"),
    "city": ("car", "word"),
    "snow": ("dog", "house"),
    "field": ("flower", "bird"),
    "room": ("chair", "face"),
    "desert": ("car", "person"),
    "night": ("house", "word"),
}
AFFINITY_WEIGHT = 1.5
OBJECT_COUNTS = {1: 0.25, 2: 0.4, 3: 0.35}
# Width of an object as a fraction of the image's side.
SIZE_RANGE = {"small": (0.3, 0.36), "large": (0.43, 0.55)}
SMALLEST_VISIBLE = 0.6  # an object keeps at least this share of itself when others stand before it
CAPTIONS_PER_SCENE = 4


@dataclass(frozen=True)
class SceneObject:
    """One object: its category and attributes, and its place as fractions of the image's side."""

    category: str
    colour: str
    size: str
    width: float
    row: float
    column: float
    mirrored: bool
    expression: str | None = None
    letters: str | None = None
    shade: float = 1.0


@dataclass(frozen=True)
class Scene:
    """A background and the objects before it, farthest first. ``texture`` seeds the background's
    detail."""

    background: str
    objects: tuple[SceneObject, ...]
    texture: int

    def without(self, category: str) -> Scene:
        """Return this scene without its objects of one category."""
        kept = tuple(item for item in self.objects if item.category != category)
        return dataclasses.replace(self, objects=kept)


def parse_scene(content: dict) -> Scene:
    """Rebuild a scene from ``dataclasses.asdict`` of one, as JSON keeps it."""
    objects = tuple(SceneObject(**item) for item in content["objects"])
    return Scene(content["background"], objects, content["texture"])


def sample_scene(random: np.random.Generator) -> Scene:
    """Draw a scene: a background, one to three objects of different categories, places that stay
    visible.
    """
    background = str(random.choice(list(BACKGROUNDS)))
    count = int(random.choice(list(OBJECT_COUNTS), p=list(OBJECT_COUNTS.values())))
    names = list(CATEGORIES)
    weights = np.array([AFFINITY_WEIGHT if n in AFFINITY[background] else 1.0 for n in names])
    chosen = random.choice(names, size=count, replace=False, p=weights / weights.sum())
    texture = int(random.integers(2**31))
    while True:
        objects = tuple(_sample_object(str(name), count, random) for name in chosen)
        if _all_visible(objects):
            return Scene(background, objects, texture)


def _sample_object(category: str, count: int, random: np.random.Generator) -> SceneObject:
    size = str(random.choice(list(SIZES), p=[0.5, 0.5] if count < 3 else [0.7, 0.3]))
    width = float(random.uniform(*SIZE_RANGE[size]))
    margin = 0.5 * width
    return SceneObject(
        category=category,
        colour=str(random.choice(list(COLOURS))),
        size=size,
        width=width,
        row=float(random.uniform(margin, 1 - margin)),
        column=float(random.uniform(margin, 1 - margin)),
        mirrored=bool(random.integers(2)),
        expression=str(random.choice(list(EXPRESSIONS))) if category == "face" else None,
        letters="".join(random.choice(list("ABCDEFGHKLMNPRSTUVXYZ"), size=3))
        if category == "word"
        else None,
        shade=float(random.uniform(0.88, 1.08)),
    )


def _all_visible(objects: tuple[SceneObject, ...]) -> bool:
    """Whether every object's box keeps SMALLEST_VISIBLE of its area uncovered by those before
    it.
    """
    grid = (np.arange(48) + 0.5) / 48
    boxes = [
        (np.abs(grid[:, None] - o.row) < 0.5 * o.width)
        & (np.abs(grid[None, :] - o.column) < 0.5 * o.width)
        for o in objects
    ]
    for index, box in enumerate(boxes):
        covered = np.zeros_like(box)
        for other in boxes[index + 1 :]:
            covered |= other
        if (box & ~covered).sum() < SMALLEST_VISIBLE * box.sum():
            return False
    return True


def token_shares(masks: np.ndarray, *, rows: int, columns: int) -> np.ndarray:
    """Return the share of each patch that each mask covers: (object, row, column) → (object,
    token).
    """
    count, height, width = masks.shape
    blocks = masks.reshape(count, rows, height // rows, columns, width // columns)
    return blocks.mean(axis=(2, 4)).reshape(count, rows * columns)


def describe_scene(scene: Scene, random: np.random.Generator) -> list[str]:
    """Return captions: the first names everything with its attributes, the others a subset of it.

    In the others an object is mentioned with probability 0.7 and its colour, size and expression
    with probability 0.5 each; at least one thing is always mentioned.
    """
    captions = [_caption(scene, random, mention=1.0, attribute=1.0)]
    while len(captions) < CAPTIONS_PER_SCENE:
        captions.append(_caption(scene, random, mention=0.7, attribute=0.5))
    return captions


def draw_captions(scenes: Sequence[Scene], random: np.random.Generator) -> list[str]:
    """Draw a caption for each scene: the one that names everything, or another."""
    return [describe_scene(scene, random)[random.integers(2)] for scene in scenes]


def _caption(scene: Scene, random: np.random.Generator, *, mention: float, attribute: float) -> str:
    phrases = []
    for item in scene.objects:
        if random.random() > mention:
            continue
        words = [
            _say(concept, random)
            for concept in (item.size, item.expression, item.colour)
            if concept is not None and random.random() <= attribute
        ]
        phrases.append(" ".join(["a", *words, _say(item.category, random)]))
    random.shuffle(phrases)
    place = _say(scene.background, random)
    if not phrases:
        return f"a picture of the {place}"
    text = " and ".join(phrases)
    return f"{text} in the {place}" if random.random() <= max(mention, 0.5) else text


def _say(concept: str, random: np.random.Generator) -> str:
    return str(random.choice(sorted(CONCEPTS[concept])))
