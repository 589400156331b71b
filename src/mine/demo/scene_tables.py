"""What the images of the miniature world show, as arrays over (image, category) or (image,)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mine.demo.scenes import Scene
from mine.demo.words import BACKGROUNDS, CATEGORIES, COLOURS


@dataclass(frozen=True)
class SceneTable:
    """What is visible in each image, as arrays over (image, category) or (image,).

    ``area``: visible share of the image, 0 where the category is absent. ``row``, ``column``:
    centre of the visible part, as fractions. ``colour``: index into COLOURS, −1 where absent.
    ``happy``: of the face. ``background``: index into BACKGROUNDS; ``open``: the share of the image
    that no object covers.
    """

    area: np.ndarray
    row: np.ndarray
    column: np.ndarray
    colour: np.ndarray
    happy: np.ndarray
    background: np.ndarray
    open: np.ndarray

    def visible(self, concept: str) -> np.ndarray:
        """Whether an object category or a background is in each image: bool (image,)."""
        if concept in CATEGORIES:
            return self.area[:, list(CATEGORIES).index(concept)] > 0
        return self.background == list(BACKGROUNDS).index(concept)


def tabulate_scenes(scenes: list[Scene], labels: np.ndarray) -> SceneTable:
    """Measure what is visible. ``labels``: uint8 (image, row, column), 0 for background, else 1 +
    category.
    """
    names, colours, backgrounds = list(CATEGORIES), list(COLOURS), list(BACKGROUNDS)
    count, rows, columns = labels.shape
    place_row, place_column = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    area, row, column = (np.zeros((count, len(names))) for _ in range(3))
    for index in range(len(names)):
        mask = labels == index + 1
        area[:, index] = mask.mean(axis=(1, 2))
        total = np.maximum(mask.sum(axis=(1, 2)), 1)
        row[:, index] = mask.sum(axis=2) @ place_row / total
        column[:, index] = mask.sum(axis=1) @ place_column / total
    colour = np.full((count, len(names)), -1)
    happy = np.zeros(count, dtype=bool)
    for image, scene in enumerate(scenes):
        for item in scene.objects:
            colour[image, names.index(item.category)] = colours.index(item.colour)
            happy[image] |= item.expression == "happy"
    background = np.array([backgrounds.index(scene.background) for scene in scenes])
    return SceneTable(area, row, column, colour, happy, background, (labels == 0).mean(axis=(1, 2)))
