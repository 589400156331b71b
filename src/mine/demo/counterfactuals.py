"""Exact counterfactuals: the edit that a generator was asked for, rendered from the scene itself.

An edit names words and a mask. Where the words name an object of the miniature world, the same edit
can be made in the description of the scene and rendered: the object is put into the mask, or taken
out of the scene. The response to it is known twice over: the planted response to the new scene, and
the prediction of the evaluator for its picture. Edits of backgrounds, of attributes alone, without
words, or with the mask moved off the feature have no such counterpart.

"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import xarray as xr

from mine.demo.painting import render_scene
from mine.demo.planting import Plan
from mine.demo.responding import respond_to_scenes, standardise_responses
from mine.demo.scene_tables import tabulate_scenes
from mine.demo.scenes import SIZE_RANGE, Scene, SceneObject, parse_scene
from mine.demo.words import CATEGORIES, COLOURS, EXPRESSIONS, concept_of

COLUMNS = ["voxel", "main", "direction", "condition", "image", "change", "exact", "planted"]
COMPARED = ("description", "profile", "other", "random", "lowest")


def read_scenes(images: xr.Dataset, identities: np.ndarray) -> list[Scene]:
    """Read scenes out of the truth about the images, in the order asked for."""
    texts = images["scene"].sel(image=identities).values
    return [parse_scene(json.loads(text)) for text in texts]


def plan_of(truth: xr.Dataset) -> Plan:
    """Rebuild what is planted in a subject's voxels from its truth store."""
    names = [item.name for item in dataclasses.fields(Plan)]
    stored = {"noise_ceiling": "planted_noise_ceiling"}
    return Plan(**{name: truth[stored.get(name, name)].values for name in names})


def insert_object(
    scene: Scene, words: list[str], mask: np.ndarray, random: np.random.Generator
) -> Scene | None:
    """Put the objects that words name into a mask (row, column); None where they name none.

    A colour and an expression among the words are those of all of them; what is not named is drawn.
    Objects share the mask's width, side by side, before all others of the scene.
    """
    concepts = [concept_of(word) for word in words]
    categories = [concept for concept in dict.fromkeys(concepts) if concept in CATEGORIES]
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not categories or len(rows) == 0:
        return None
    middle = (rows[0] + rows[-1] + 1) / (2 * len(mask))
    left, across = columns[0] / mask.shape[1], len(columns) / mask.shape[1] / len(categories)
    width = min(across, len(rows) / len(mask), SIZE_RANGE["large"][1])
    colour = next((name for name in concepts if name in COLOURS), None)
    expression = next((name for name in concepts if name in EXPRESSIONS), None)
    added = tuple(
        SceneObject(
            category=category,
            colour=colour or str(random.choice(list(COLOURS))),
            size="large" if width >= SIZE_RANGE["large"][0] else "small",
            width=width,
            row=middle,
            column=left + (place + 0.5) * across,
            mirrored=False,
            expression=(expression or str(random.choice(list(EXPRESSIONS))))
            if category == "face"
            else None,
            letters="ABC" if category == "word" else None,
        )
        for place, category in enumerate(categories)
    )
    return dataclasses.replace(scene, objects=scene.objects + added)


def remove_objects(scene: Scene, words: list[str]) -> Scene | None:
    """Take the objects that words name out of a scene; None where they name none."""
    categories = {concept_of(word) for word in words} & set(CATEGORIES)
    if not categories:
        return None
    for category in sorted(categories):
        scene = scene.without(category)
    return scene


def label_scene(masks: np.ndarray, scene: Scene) -> np.ndarray:
    """What each pixel shows: uint8 (row, column), 0 for background, else 1 + category."""
    labels = np.zeros(masks.shape[1:], dtype=np.uint8)
    for item, mask in zip(scene.objects, masks, strict=True):
        labels[mask >= 0.5] = 1 + list(CATEGORIES).index(item.category)
    return labels


def render_edits(
    edits: xr.Dataset, images: xr.Dataset, vocabulary: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, list[Scene], np.ndarray, np.ndarray]:
    """Render the exact counterpart of every edit that has one.

    edits: a store of edits. images: truth about the images. Returns which edits (exact,), their
    scenes, labels (exact, row, column) and pictures uint8 (exact, row, column, 3).
    """
    index = edits["index"].sel(condition=list(COMPARED))
    directions = {
        int(edit): str(direction)
        for direction in index["direction"].values
        for edit in np.unique(index.sel(direction=direction).values)
        if edit >= 0
    }
    found, scenes = [], []
    for edit, direction in sorted(directions.items()):
        words = [str(vocabulary[word]) for word in edits["word"].values[edit] if word >= 0]
        before = read_scenes(images, edits["image"].values[[edit]])[0]
        if direction == "insertion":
            after = insert_object(before, words, edits["mask"].values[edit], random)
        else:
            after = remove_objects(before, words)
        if after is not None:
            found.append(edit)
            scenes.append(after)
    side = images.sizes["row"]
    rendered = [render_scene(scene, side=side) for scene in scenes]
    pictures = np.array([picture for picture, _ in rendered], np.uint8).reshape(-1, side, side, 3)
    labels = [label_scene(masks, scene) for (_, masks), scene in zip(rendered, scenes, strict=True)]
    return np.array(found, int), scenes, np.array(labels).reshape(-1, side, side), pictures


def compare_edits(
    edits: xr.Dataset,
    *,
    truth: xr.Dataset,
    images: xr.Dataset,
    vocabulary: np.ndarray,
    predict: Callable[[np.ndarray], np.ndarray],
    random: np.random.Generator,
) -> pd.DataFrame:
    """Compare one region's edits with their exact counterparts, a row a voxel and edit.

    truth: of the subject, in the order of its responses' voxels. images: truth about all images.
    predict: the evaluator, pictures to responses (picture, voxel of the subject). Columns: voxel,
    main, direction, condition, image; change: the evaluator's for the generator's edit; exact: the
    evaluator's for the rendered one; planted: of the planted response, in its standard deviations.
    """
    found, scenes, labels, pictures = render_edits(edits, images, vocabulary, random)
    if len(found) == 0:
        return pd.DataFrame(columns=COLUMNS)
    before = images.sel(image=edits["image"].values[found])
    seen = images.sel(image=truth["image"].values)
    reference = tabulate_scenes(read_scenes(images, seen["image"].values), seen["label"].values)
    plan = plan_of(truth)
    normal = respond_to_scenes(plan, reference, reference=reference)

    def respond(scenes: list[Scene], labels: np.ndarray) -> np.ndarray:
        responses = respond_to_scenes(plan, tabulate_scenes(scenes, labels), reference=reference)
        return standardise_responses(responses, reference=normal)

    planted = respond(scenes, labels) - respond(
        read_scenes(images, before["image"].values), before["label"].values
    )
    scenes = read_scenes(images, before["image"].values)
    original = np.stack([render_scene(scene, side=images.sizes["row"])[0] for scene in scenes])
    exact = predict(pictures) - predict(original)
    row_of = {edit: row for row, edit in enumerate(found.tolist())}
    change, rows = edits["change"].sel(model="evaluator").values, []
    index = edits["index"].sel(condition=list(COMPARED))
    for place in np.argwhere(index.values >= 0):
        edit = int(index.values[tuple(place)])
        if edit in row_of:
            direction, condition, voxel, _ = place
            name = int(edits["voxel"].values[voxel])
            rows.append(
                (
                    name,
                    str(plan.main[name]),
                    str(index["direction"].values[direction]),
                    COMPARED[condition],
                    int(edits["image"].values[edit]),
                    change[edit, voxel],
                    exact[row_of[edit], name],
                    planted[row_of[edit], name],
                )
            )
    return pd.DataFrame(rows, columns=COLUMNS)
