"""Descriptions and profiles of a large region: 1,000 voxels, 500 images, 50 tokens, 10 words each.

The rival makes no use of how few words a token is read as: it multiplies maps of attributions with
masses over the whole vocabulary, image by image, for the mean evidence alone. It is measured on
some images and multiplied up; profiles' time includes evidence of both signs, false discovery
rates, the regressions that list words and the profiles' place in text space.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from common import peak_memory, read_options, time_call, write_records

from mine.core.evidence import map_attributions, score_words
from mine.core.lens import word_mass
from mine.core.listing import read_profiles
from mine.stages.descriptions import describe_images
from mine.stages.profiles import embed_profiles


def make_region(options) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset, np.ndarray]:
    """Attributions, lens and vocabulary of random numbers, and measured responses."""
    random = np.random.default_rng(0)
    voxels, images, tokens = options.voxels, options.images, options.tokens
    order = np.argsort(random.random((2, voxels, images, tokens), dtype=np.float32), axis=-1)
    shape = (2, voxels, images, options.kept)
    strength = -np.sort(-random.random(shape, dtype=np.float32), axis=-1)
    attributions = xr.Dataset(
        {
            "token": (("sign", "voxel", "image", "rank"), order[..., : options.kept].astype("i2")),
            "attribution": (("sign", "voxel", "image", "rank"), strength),
            "lowest": (("voxel", "image", "rank"), order[0, ..., -options.kept :].astype("i2")),
            "prediction": (("voxel", "image"), random.random((voxels, images), np.float32)),
        },
        coords={
            "sign": ["positive", "negative"],
            "voxel": np.arange(voxels),
            "image": np.arange(images),
        },
    )
    # Words are common and rare as in a language: a token's are drawn by a power law, without one
    # twice (the largest of keys u^(1/p), Efraimidis & Spirakis 2006).
    chance = 1 / (1 + np.arange(options.vocabulary, dtype=np.float32))
    word = np.empty((images, tokens, options.words), np.int32)
    for image in range(images):
        keys = random.exponential(size=(tokens, options.vocabulary)) / chance
        word[image] = np.argpartition(keys, options.words, axis=1)[:, : options.words]
    score = -np.sort(-random.dirichlet(np.ones(options.words), (images, tokens)), axis=-1)
    lens = xr.Dataset(
        {
            "word": (("image", "token", "rank"), word),
            "score": (("image", "token", "rank"), score.astype(np.float16)),
        },
        coords={"image": np.arange(images)},
    )
    vocabulary = xr.Dataset(
        {
            "base_rate": (("word",), random.dirichlet(np.ones(options.vocabulary))),
            "group": (("word",), np.arange(options.vocabulary, dtype=np.int32)),
            "null_mean": (("word",), np.zeros(options.vocabulary, np.float32)),
            "null_deviation": (("word",), np.ones(options.vocabulary, np.float32)),
            "null_largest": (("shuffled",), np.ones(10_000, np.float32)),
        },
        coords={"word": [f"word {index}" for index in range(options.vocabulary)]},
    )
    return attributions, lens, vocabulary, random.standard_normal((images, voxels))


def mean_evidence(attributions, lens, words: int, images: int) -> np.ndarray:
    """Mean mass of every word for every voxel over the first images: (voxel, word)."""
    own = attributions.isel(image=slice(images)).sel(sign="positive")
    maps = map_attributions(
        own["token"].values, own["attribution"].values, lens.sizes["token"]
    ).transpose(1, 0, 2)
    total = np.zeros((len(own["voxel"]), words))
    everywhere = maps.sum(axis=0)
    for image in range(images):
        mass = word_mass(lens["word"].values[image], lens["score"].values[image], words=words)
        total += (maps[image] - (everywhere - maps[image]) / (images - 1)) @ mass
    return total / images


def main() -> None:
    options = read_options(
        __doc__.splitlines()[0],
        voxels=1000,
        images=500,
        tokens=256,
        kept=50,
        words=10,
        vocabulary=10000,
        features=768,
        rival_images=20,
    )
    attributions, lens, vocabulary, measured = make_region(options)
    group = vocabulary["group"].values
    few = {"image": slice(options.rival_images)}
    slow, expected = time_call(
        lambda: mean_evidence(attributions, lens, options.vocabulary, options.rival_images)
    )
    found = score_words(attributions.isel(few), lens.isel(few), group).effect
    rival = slow * options.images / options.rival_images
    scoring, _ = time_call(lambda: score_words(attributions, lens, group))
    text = np.random.default_rng(1).standard_normal((options.vocabulary, options.features))

    def profile() -> None:
        checked = {"measured": measured, "measured_lens": lens, "count": 10, "level": 0.05}
        checked["reading_reliability"] = 0.9
        read = read_profiles(attributions, lens, group, **checked)
        embed_profiles(read.scores["positive"], text)

    profiles, _ = time_call(profile)
    describing, _ = time_call(
        lambda: describe_images(
            attributions,
            lens,
            vocabulary,
            token_fraction=options.kept / options.tokens,
            words=10,
            phrase_words=5,
            false_words=0.05,
            generator=np.random.default_rng(1),
        )
    )
    evidence = {
        "name": "evidence",
        "seconds": round(scoring, 1),
        "rival": "dense products over the vocabulary, the mean alone",
        "rival_seconds": round(rival, 1),
        "ratio": round(rival / scoring, 2),
        "relative_difference": float(np.abs(found - expected).max() / np.abs(expected).max()),
    }
    records = [
        evidence,
        {"name": "profiles", "seconds": round(profiles, 1)},
        {"name": "descriptions", "seconds": round(describing, 1)},
    ]
    names = ("voxels", "images", "tokens", "kept", "words", "vocabulary", "features")
    common = {
        "sizes": {name: getattr(options, name) for name in names},
        "peak_mb": peak_memory(),
        "threads": options.threads,
    }
    write_records(
        "profiles",
        [record | common for record in records],
        libraries=("numpy", "xarray"),
        directory=options.results,
    )


if __name__ == "__main__":
    main()
