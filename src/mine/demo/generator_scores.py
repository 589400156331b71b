"""What the demo's generator makes of prompts and masks that it was not trained on.

The judge is the evaluator's model, which had no part in its training: a prompted category counts as
recognised if the judge finds it, a colour if it is the most probable one of that category.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from mine import sections
from mine.core.generation import Generator, load_generator
from mine.core.masks import NEIGHBOURS, place_window, to_pixels
from mine.demo.evaluator_model import label_scenes, read_model, recognise
from mine.demo.evaluator_scores import THRESHOLD, render_images
from mine.demo.generator_model import DTYPE, GUIDANCE, INPAINTING_GUIDANCE, STEPS
from mine.demo.painting import render_scene
from mine.demo.scenes import Scene, describe_scene, sample_scene, token_shares
from mine.demo.words import BACKGROUNDS, CATEGORIES

GRID = 8


def score_generator(
    folder: Path, judge: Path, *, seed: int, prompts: int = 200
) -> dict[str, float]:
    """Score text-to-image and inpainting. judge: folder of the evaluator's model.

    prompted_category, …colour, …background: over ``prompts`` full captions of scenes that were
    never rendered, the share of the objects named that are recognised, of their colours, and of
    backgrounds; …everything: of prompts of which all is; …invented: of the categories not named,
    the share found. inserted, inserted_colour: over as many scenes, a
    category that they lack asked for in a window of half the side. removed: an object asked out of
    its place, its patches and their neighbours repainted with the background's name.
    """
    random = np.random.default_rng([seed, 3])
    scenes = [sample_scene(random) for _ in range(prompts)]
    settings = sections.Generator(
        model=str(folder),
        inpainting=None,
        steps=STEPS,
        guidance=GUIDANCE,
        inpainting_guidance=INPAINTING_GUIDANCE,
        dtype=DTYPE,
        batch_size=32,
        device="cpu",
    )
    options = dataclasses.asdict(settings)
    del options["prompt"]
    generator = load_generator(**options)
    seeds = random.integers(2**31, size=prompts)
    model = read_model(judge)
    scores = _score_prompts(generator, model, scenes, seeds, random)
    scores |= _score_insertions(generator, model, scenes, seeds, random)
    scores |= _score_removals(generator, model, scenes, seeds)
    return {name: round(float(value), 4) for name, value in scores.items()}


def _score_prompts(
    generator: Generator,
    judge: torch.nn.Module,
    scenes: list[Scene],
    seeds: np.ndarray,
    random: np.random.Generator,
) -> dict[str, float]:
    captions = [describe_scene(scene, random)[0] for scene in scenes]
    said = recognise(judge, generator.generate(captions, seeds=seeds))
    labels = label_scenes(scenes)
    found = said.presence >= THRESHOLD
    right_colour = said.colour.argmax(axis=-1) == labels.colour
    right_place = said.background.argmax(axis=-1) == labels.background
    there = labels.presence
    complete = (found & right_colour | ~there).all(axis=1) & right_place
    return {
        "prompted_category": found[there].mean(),
        "prompted_colour": right_colour[there].mean(),
        "prompted_background": right_place.mean(),
        "prompted_everything": complete.mean(),
        "prompted_invented": found[~there].mean(),
    }


def _score_insertions(
    generator: Generator,
    judge: torch.nn.Module,
    scenes: list[Scene],
    seeds: np.ndarray,
    random: np.random.Generator,
) -> dict[str, float]:
    """Ask for an object of another category and colour in a window of scenes with one object."""
    kept = [dataclasses.replace(scene, objects=scene.objects[:1]) for scene in scenes]
    added = [
        next(
            item
            for item in sample_scene_with_other(scene, random).objects
            if item.category != scene.objects[0].category
        )
        for scene in kept
    ]
    masks = np.stack([_draw_window(scene, random) for scene in kept])
    prompts = [f"a picture of {item.category}, {item.colour}" for item in added]
    images = render_images(kept)
    pixels = to_pixels(masks, height=images.shape[1], width=images.shape[2])
    said = recognise(judge, generator.inpaint(images, pixels, prompts, seeds=seeds))
    names = list(CATEGORIES)
    row, column = np.arange(len(added)), [names.index(item.category) for item in added]
    labels = label_scenes([Scene(s.background, (a,), 0) for s, a in zip(kept, added, strict=True)])
    colour = said.colour.argmax(axis=-1)[row, column] == labels.colour[row, column]
    return {
        "inserted": (said.presence[row, column] >= THRESHOLD).mean(),
        "inserted_colour": colour.mean(),
    }


def sample_scene_with_other(scene: Scene, random: np.random.Generator) -> Scene:
    """Draw scenes until one has an object of another category than the first of this one."""
    while True:
        other = sample_scene(random)
        if any(item.category != scene.objects[0].category for item in other.objects):
            return other


def _draw_window(scene: Scene, random: np.random.Generator) -> np.ndarray:
    """A window of half the side, where it covers least of the scene's object."""
    _, masks = render_scene(scene, side=64)
    share = token_shares(masks, rows=GRID, columns=GRID).sum(axis=0).reshape(GRID, GRID)
    return place_window(1 - share + 0.1 * random.random(share.shape), side=0.5)


def _score_removals(
    generator: Generator, judge: torch.nn.Module, scenes: list[Scene], seeds: np.ndarray
) -> dict[str, float]:
    """Ask the foremost object of each scene out of it."""
    images, masks = render_images(scenes), []
    for scene in scenes:
        _, shown = render_scene(scene, side=images.shape[1])
        share = token_shares(shown, rows=GRID, columns=GRID)[-1].reshape(GRID, GRID)
        masks.append(ndimage.binary_dilation(share > 0.1, NEIGHBOURS))
    pixels = to_pixels(np.stack(masks), height=images.shape[1], width=images.shape[2])
    gone = [scene.objects[-1].category for scene in scenes]
    edited = generator.inpaint(
        images,
        pixels,
        [f"a picture of {BACKGROUNDS[scene.background][0]}" for scene in scenes],
        seeds=seeds,
        negative=gone,
    )
    column = [list(CATEGORIES).index(name) for name in gone]
    said = recognise(judge, edited).presence[np.arange(len(scenes)), column]
    return {"removed": (said < THRESHOLD).mean()}


def main() -> None:
    """Score a folder and print: ``python -m mine.demo.generator_scores FOLDER``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--judge", type=Path, default=Path("resources/demo/evaluator"))
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--prompts", type=int, default=200)
    options = parser.parse_args()
    scores = score_generator(
        options.folder, options.judge, seed=options.seed, prompts=options.prompts
    )
    print(json.dumps(scores, indent=2))


if __name__ == "__main__":
    main()
