"""What is to be generated: pictures from words, for voxels and images, and their controls.

For a voxel and an image that it answers to, a text-to-image model is given the words of the image's
description (condition ``description``), and as controls those of random tokens (``random``) and of
the tokens of lowest |attribution| (``lowest``), the image's whole caption (``caption``, a ceiling)
and nothing (``empty``). All conditions of an image start from the same noise, so that they
differ by their words alone, and voxels whose words are equal share the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from mine.core.choosing import choose_responsive
from mine.core.conditions import DESCRIPTIONS, PICTURES
from mine.core.prompts import join_words

if TYPE_CHECKING:  # both bring torch, which planning does without
    from mine.core.generation import Generator
    from mine.core.observing import Observer


def plan_pictures(
    features: xr.Dataset,
    vocabulary: Sequence[str],
    captions: Sequence[Sequence[str]],
    *,
    template: str,
    words: int,
    images: int,
    quantile: float,
    generator: np.random.Generator,
) -> xr.Dataset:
    """Plan the pictures of all voxels of a features store, each picture once.

    captions: of each image, of which the first is used; an image without gets no picture in that
    condition. template: with {} for the words. words: of a description, at most. images: for each
    voxel, of those whose description says something. quantile: of the predicted response, from
    which images are drawn. A control has at most
    as many words as the description. There is a sample of each prompt for each draw of the random
    tokens, with the words of that draw.

    Returns

    - prompt (picture); seed (picture): of the noise, one for each (image, sample)
    - picture (condition, voxel, chosen, sample): which one shows it; -1 where there is none
    - image (voxel, chosen): the original, by identity; -1 where a voxel has fewer
    """
    identities = features["image"].values
    said = {name: features["description"].sel(condition=name).values for name in DESCRIPTIONS}
    chosen = choose_responsive(
        features["prediction"].values,
        # Its first word; the description's are the same in all draws.
        said["description"][0, ..., 0] >= 0,
        quantile=quantile,
        most=images,
        generator=generator,
    )
    samples = features.sizes["draw"]
    seeds = generator.integers(2**31, size=(len(identities), samples))
    picture = np.full((len(PICTURES), *chosen.shape, samples), -1, np.int32)
    known: dict[tuple[str, int], int] = {}
    for voxel, column in np.argwhere(chosen >= 0):
        image = chosen[voxel, column]
        whole = {"caption": next(iter(captions[image]), None), "empty": ""}
        for sample in range(samples):
            listed = {name: each[sample, voxel, image, :words] for name, each in said.items()}
            # A longer prompt shows more things, and each of them less.
            count = int((listed["description"] >= 0).sum())
            prompts = whole | {
                name: join_words(vocabulary, those[:count], template)
                for name, those in listed.items()
            }
            for row, condition in enumerate(PICTURES):
                if prompts[condition] is not None:
                    key = prompts[condition], int(seeds[image, sample])
                    picture[row, voxel, column, sample] = known.setdefault(key, len(known))
    original = np.where(chosen >= 0, identities[chosen], -1)
    return xr.Dataset(
        {
            "prompt": (
                ("picture",),
                np.array([prompt for prompt, _ in known], dtype=str),
                {"long_name": "prompt of what to show"},
            ),
            "seed": (
                ("picture",),
                np.array([seed for _, seed in known], dtype=np.int64),
                {"long_name": "seed of the noise"},
            ),
            "picture": (
                ("condition", "voxel", "chosen", "sample"),
                picture,
                {"long_name": "position of the picture; -1: none"},
            ),
            "image": (
                ("voxel", "chosen"),
                original.astype(np.int32),
                {"long_name": "original, by identity; -1: none"},
            ),
        },
        coords={"condition": list(PICTURES), "voxel": features["voxel"]},
    )


def make_pictures(
    plan: xr.Dataset,
    painter: Generator,
    observer: Observer,
    read: Callable[[np.ndarray], np.ndarray],
    *,
    parts: Iterable[slice],
) -> xr.Dataset:
    """Make the pictures of a plan, and predict responses to them and to their originals.

    read: uint8 (image, row, column, 3) of images by identity. parts: slices that cover the
    pictures, one after the other. Returns what :func:`record_pictures` does.
    """
    # Before hours of painting, so that a model that fails here fails at once.
    originals = observer.observe(read(planned_images(plan["image"])))[0]
    prompts, seeds = plan["prompt"].values.tolist(), plan["seed"].values
    pixels = np.zeros((0, 1, 1, 3), np.uint8)
    for part in parts:
        made = painter.generate(prompts[part], seeds=seeds[part])
        if part.start == 0:
            pixels = np.empty((len(prompts), *made.shape[1:]), np.uint8)
        pixels[part] = made
    predictions = (each for each, _ in observer.observe_parts(pixels))
    return record_pictures(plan, pixels, predictions, originals)


def record_pictures(
    plan: xr.Dataset,
    pixels: np.ndarray,
    pictures: Iterable[dict[str, np.ndarray]],
    originals: dict[str, np.ndarray],
) -> xr.Dataset:
    """Put the pictures and the responses predicted for them beside their plan.

    pixels: uint8 (picture, row, column, 3). pictures: part by part, in their order, predictions by
    model, (picture, voxel of the subject). originals: by model, (image, voxel of the subject), of
    the images of the plan in ascending order (:func:`planned_images`).
    """
    voxels, image = plan["voxel"].values, plan["image"].values
    place = np.searchsorted(planned_images(plan["image"]), image)
    unit = {"units": "standard deviations of the response"}
    shown = np.concatenate(
        [np.stack([part[model][:, voxels] for model in originals]) for part in pictures], axis=1
    )
    original = np.full((len(originals), *image.shape), np.nan, np.float32)
    for row, values in enumerate(originals.values()):
        known = image >= 0
        columns = np.broadcast_to(voxels[:, None], image.shape)
        original[row][known] = values[place[known], columns[known]]
    return plan.assign(
        pixels=(("picture", "row", "column", "channel"), pixels, {"long_name": "the picture"}),
        response=(
            ("model", "picture", "voxel"),
            shown,
            {"long_name": "predicted response to the picture", **unit},
        ),
        original=(
            ("model", "voxel", "chosen"),
            original,
            {"long_name": "predicted response to the original", **unit},
        ),
    ).assign_coords(model=list(originals))


def planned_images(image: xr.DataArray) -> np.ndarray:
    """The images that a plan names, each once, ascending; -1 is none."""
    named = np.unique(image.values)
    return named[named >= 0]
