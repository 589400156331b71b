"""How often the words that the lens says are right, and how often it says any where nothing is.

Right is a word of which captions or objects say so. Captions do not mention all that is there, so
what they call wrong may be right: of one word beside another, or of clear readings beside unclear
ones, they tell the better.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import xarray as xr

from mine.core.calibration import find_said, label_groups, read_groups
from mine.core.choosing import draw_some
from mine.core.mentions import find_mentioned
from mine.errors import InputError
from mine.statistics.bootstrap import bootstrap_ratio, bootstrap_weights
from mine.statistics.proportions import share_interval

IMAGES = 5_000
"""Images with captions that words are judged by, at most."""
BLOCK = 250
"""Images whose readings are held at a time."""


def choose_captioned(
    stimuli: xr.Dataset,
    *,
    count: int,
    least: int = 0,
    held_out: bool = False,
    generator: np.random.Generator,
) -> tuple[np.ndarray, list[list[str]]]:
    """Choose images that words are judged by: count at most, each with a caption, all held out or
    none.

    stimuli: of mine.stages.stimuli. Returns their identities, ascending, and captions; of none
    where no image has captions, and then nothing is drawn. Raises InputError if fewer than
    ``least`` have captions.
    """
    captions = [json.loads(text) for text in stimuli["captions"].values]
    captioned = np.array([bool(own) for own in captions])
    able = np.flatnonzero((stimuli["held_out"].values == held_out) & captioned)
    if len(able) < least:
        which = "that are held out" if held_out else "that are not held out"
        raise InputError(
            f"dataset.captions: expected captions of at least {least} images {which}, found "
            f"{len(able)}"
        )
    if not len(able):
        return stimuli["image"].values[able], []
    drawn = draw_some(able, count, generator)
    return stimuli["image"].values[drawn], [captions[place] for place in drawn]


def judge_silence(
    word: np.ndarray, score: np.ndarray, base_rates: xr.Dataset, *, level: float
) -> pd.DataFrame:
    """Measure how often tokens that show nothing say something.

    word, score: the lens's, (token, rank), of shuffled tokens that had no part in base_rates, see
    :func:`mine.stages.embeddings.measure_base_rates`. Returns the row ``false_words`` with the
    columns of :func:`judge_words`. Over draws of images ``level`` is expected; the interval is
    Wilson's, over tokens alone.
    """
    token, _, chance = read_groups(word, score, base_rates)
    said = len(np.unique(token[chance <= level]))
    return pd.DataFrame([_describe_share("false_words", "", said, len(word))])


def compose_silent(
    word: np.ndarray, score: np.ndarray, *, tokens: int
) -> tuple[xr.Dataset, xr.Dataset]:
    """Make images of tokens that show nothing, and a voxel that all tokens of an image drive alike.

    word, score: as of :func:`judge_silence`. tokens: of an image. Returns attributions and lens
    as :func:`mine.stages.descriptions.describe_images` takes them.
    """
    count = len(word) // tokens
    lens = {
        name: (("image", "token", "rank"), values[: count * tokens].reshape(count, tokens, -1))
        for name, values in {"word": word, "score": score}.items()
    }
    every = np.broadcast_to(np.arange(tokens), (1, 1, count, tokens))
    attributions = xr.Dataset(
        {
            "token": (("sign", "voxel", "image", "rank"), every),
            "attribution": (("sign", "voxel", "image", "rank"), np.ones(every.shape)),
            "lowest": (("voxel", "image", "rank"), every[0]),
        },
        coords={"sign": ["positive"], "voxel": [0], "image": np.arange(count)},
    )
    return attributions, xr.Dataset(lens)


def judge_silent_descriptions(described: xr.Dataset) -> pd.DataFrame:
    """Measure how often descriptions say something though none of their tokens shows anything.

    described: of the images and the voxel of :func:`compose_silent`. Returns the row
    ``false_descriptions`` with the columns of :func:`judge_words`; the interval is Wilson's, over
    descriptions.
    """
    said = find_said(described.isel(condition=0, voxel=0)).any(axis=-1)
    return pd.DataFrame([_describe_share("false_descriptions", "", int(said.sum()), len(said))])


def judge_words(
    lens: xr.Dataset,
    base_rates: xr.Dataset,
    captions: Sequence[Sequence[str]],
    *,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Compare the words that the lens says in images with their captions.

    lens: ``word`` and ``score`` (image, token, rank). captions: of each image. level: largest
    chance of a word that is said. An image says a word that any of its tokens says. A caption
    mentions a word if it, one of its group or an inflection of these is in it, in any case.

    Returns rows of ``measure``, ``word`` (that of largest base rate in its group; empty for all),
    ``value``, ``low``, ``high`` and ``n``. Of single words intervals are Wilson's, over images; of
    all together they are from images resampled.

    * ``says_nothing``: of tokens, the share that says no word
    * ``right``: of the words that images say, the share that the captions mention
    * ``right_unclear``: the same of the words that are read in images without being said
    * ``mentioned``: of the images, the share whose captions mention the word: what ``right`` would
      be by chance
    * ``found``: of the images whose captions mention the word, the share that says it
    """
    words, group = base_rates["word"].values, base_rates["group"].values
    said, read, silent = _find_words(lens, base_rates, level=level)
    mentioned = find_mentioned(captions, words, group)
    weights = bootstrap_weights(len(said), resamples=resamples, generator=generator)
    tokens = np.full(len(said), lens.sizes["token"])
    rows = [
        _describe_ratio("says_nothing", "", silent, tokens, weights),
        _describe_ratio("right", "", (said & mentioned).sum(axis=1), said.sum(axis=1), weights),
        _describe_ratio(
            "right_unclear",
            "",
            (read & ~said & mentioned).sum(axis=1),
            (read & ~said).sum(axis=1),
            weights,
        ),
    ]
    names = label_groups(base_rates)
    counts = (array.sum(axis=0) for array in (said, mentioned, said & mentioned))
    for name, spoken, there, right in zip(names, *counts, strict=True):
        if spoken or there:
            rows += [
                _describe_share("right", name, right, spoken),
                _describe_share("mentioned", name, there, len(said)),
                _describe_share("found", name, right, there),
            ]
    return pd.DataFrame(rows)


def judge_places(
    lens: xr.Dataset,
    base_rates: xr.Dataset,
    shares: np.ndarray,
    categories: Sequence[str],
    *,
    level: float,
    resamples: int,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Compare the tokens that say a category's name with the places of its objects.

    lens: ``word`` and ``score`` (image, token, rank). shares: of each token inside objects of each
    category, (image, token, category). A category that is no word of the vocabulary is left out.
    Returns rows ``on_object`` with the columns of :func:`judge_words`: of the tokens that say the
    name, the share that touches an object; empty for all. Intervals are from images resampled.
    """
    group_of = dict(zip(base_rates["word"].values, base_rates["group"].values, strict=True))
    known = [place for place, name in enumerate(categories) if name in group_of]
    wanted = np.array([group_of[categories[place]] for place in known])
    hit, total = (np.zeros((lens.sizes["image"], len(known))) for _ in range(2))
    for images, token, group, chance in _read_blocks(lens, base_rates):
        image, place = np.divmod(token, lens.sizes["token"])
        for column, number in enumerate(wanted):
            here = (group == number) & (chance <= level)
            touched = shares[images][image[here], place[here], known[column]] > 0
            np.add.at(total[images, column], image[here], 1)
            np.add.at(hit[images, column], image[here][touched], 1)
    weights = bootstrap_weights(len(hit), resamples=resamples, generator=generator)
    rows = [_describe_ratio("on_object", "", hit.sum(axis=1), total.sum(axis=1), weights)]
    rows += [
        _describe_ratio("on_object", categories[place], hit[:, column], total[:, column], weights)
        for column, place in enumerate(known)
    ]
    return pd.DataFrame(rows)


def _find_words(
    lens: xr.Dataset, base_rates: xr.Dataset, *, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which groups images say, which they are read as, both bool (image, group), and how
    many tokens of each say nothing (image,)."""
    shape = lens.sizes["image"], int(base_rates["group"].values.max()) + 1
    said, read = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    silent = np.full(shape[0], lens.sizes["token"])
    for images, token, group, chance in _read_blocks(lens, base_rates):
        image, clear = token // lens.sizes["token"], chance <= level
        read[images][image, group] = True
        said[images][image[clear], group[clear]] = True
        speaking = np.unique(token[clear]) // lens.sizes["token"]
        silent[images] -= np.bincount(speaking, minlength=len(silent[images]))
    return said, read, silent


def _read_blocks(
    lens: xr.Dataset, base_rates: xr.Dataset
) -> Iterator[tuple[slice, np.ndarray, np.ndarray, np.ndarray]]:
    for start in range(0, lens.sizes["image"], BLOCK):
        images = slice(start, start + BLOCK)
        here = lens[["word", "score"]].isel(image=images).load()
        word, score = (here[name].values for name in ("word", "score"))
        rank = word.shape[-1]
        yield images, *read_groups(word.reshape(-1, rank), score.reshape(-1, rank), base_rates)


def _describe_share(measure: str, word: str, count: int, total: int) -> dict[str, object]:
    low, high = share_interval(count, total)
    value = count / total if total else float("nan")
    return {"measure": measure, "word": word, "value": value, "low": low, "high": high, "n": total}


def _describe_ratio(
    measure: str, word: str, count: np.ndarray, total: np.ndarray, weights: np.ndarray
) -> dict[str, object]:
    """A ratio of sums over images. count, total: (image,)."""
    value, low, high = bootstrap_ratio(count, total, weights)
    n = int(total.sum())
    return {"measure": measure, "word": word, "value": value, "low": low, "high": high, "n": n}
