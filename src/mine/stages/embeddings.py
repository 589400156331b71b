"""Image tokens, their lens readings, and the text side that the readings need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import xarray as xr

from mine.core.backbone import Backbone, sample_tokens, standardise
from mine.core.calibration import EACH, measure_null, read_shuffled
from mine.core.lens import (
    WordList,
    apply_lens,
    average_said,
    embed_category,
    embed_vocabulary,
    find_members,
    read_lens,
)
from mine.core.neighbours import Contexts
from mine.core.showing import Reader, show_blank
from mine.core.synonyms import group_synonyms, merge_inflections
from mine.errors import InputError
from mine.logging import split_work


def build_vocabulary(
    backbone: Backbone,
    *,
    words: list[str],
    prompts: list[str],
    temperature: float | None,
    reference_images: np.ndarray,
    read_images: Reader,
    words_per_token: int,
    batch_size: int,
    generator: np.random.Generator,
    contexts: Contexts | None,
    lists: Mapping[str, WordList],
) -> xr.Dataset:
    """Embed the vocabulary, measure the mean raw token over reference images, and read tokens that
    show nothing.

    Words that the model cannot be read in are left out. Returns ``text`` float32 (word, feature),
    centred and of unit length, the ``text_mean`` that was taken away, and ``token_mean``, both
    (feature,). Where tokens are read by the model's logits there is each word's ``length`` (word,)
    besides, the mean is that of the words that the reference images' tokens say
    (:func:`mine.core.lens.average_said`), and nothing is taken away from tokens.
    ``shuffled_word`` and ``shuffled_score`` (shuffled, rank) are what the lens reads in shuffled
    tokens (:mod:`mine.core.calibration`), either half of them of other images. ``temperature`` of
    the lens is kept in the attributes; None takes the model's own.

    contexts: of the words in running text, by which tokens are then read
    (:mod:`mine.core.neighbours`). ``text`` is of their means, nothing is taken away from tokens,
    and there are ``context`` float16 (context, feature) and ``context_word`` (context,), the word
    of each.

    lists: of words that the vocabulary has, by name; which are of which, ``in_list`` bool (list,
    word) says then. Raises InputError if fewer than two words are left or none of a list, or if
    fewer than two images are given.
    """
    logits = backbone.reads_logits and contexts is None
    source = backbone if contexts is None else contexts
    known = source.choose_words(words)
    where = "" if contexts is None else " and in lens.corpus"
    if len(known) < 2:
        raise InputError(
            f"lens.vocabulary: expected at least two words that are tokens of the model{where}, "
            f"found {len(known)} of {len(words)}"
        )
    members = find_members(known, lists, wanted=f"a token of the model{where}")
    if len(reference_images) < 2:
        raise InputError(
            f"lens.reference_images: expected at least two, found {len(reference_images)}"
        )
    vectors, mean = source.embed_words(known, prompts), None
    temperature = source.temperature if temperature is None else temperature
    token_mean, drawn = sample_tokens(
        backbone,
        reference_images,
        read_images,
        each=EACH,
        batch_size=batch_size,
        generator=generator,
    )
    if logits or contexts is not None:
        token_mean = np.zeros_like(token_mean)
    if logits:
        reading = {"temperature": temperature, "device": backbone.device}
        mean = average_said(drawn, vectors, words_per_token=words_per_token, **reading)
    text, length, text_mean = embed_vocabulary(vectors, mean=mean)
    vocabulary = xr.Dataset(
        {
            "text": (
                ("word", "feature"),
                text,
                {"long_name": "text embedding, centred over the vocabulary, unit length"},
            ),
            "text_mean": (
                ("feature",),
                text_mean,
                {"long_name": "mean text embedding that they are centred by"},
            ),
            "token_mean": (
                ("feature",),
                token_mean,
                {"long_name": "mean raw token over the reference images"},
            ),
        },
        coords={"word": known},
        attrs={
            "temperature": temperature,
            "reference_images": len(reference_images),
        },
    )
    if lists:
        what = {"long_name": "whether the word is of a named list"}
        vocabulary["in_list"] = (("list", "word"), members, what)
        vocabulary = vocabulary.assign_coords(list=list(lists))
    if logits:
        what = "length of the text embedding before, by which a word's logit counts"
        vocabulary["length"] = ("word", length, {"long_name": what})
    if contexts is not None:
        own = contexts.select(known)
        what = "state of the model at a word of the corpus, unit length"
        vocabulary["context"] = ("context_place", "feature"), own.vectors, {"long_name": what}
        what = "index into the vocabulary of this word"
        vocabulary["context_word"] = "context_place", own.owner, {"long_name": what}
    word, score = read_shuffled(
        drawn,
        read_lens(vocabulary),
        words_per_token=words_per_token,
        device=backbone.device,
        generator=generator,
    )
    where = ("shuffled", "rank")
    what = "index into the vocabulary of what is read in tokens that show nothing"
    vocabulary["shuffled_word"] = (where, word, {"long_name": what})
    vocabulary["shuffled_score"] = (where, score, {"long_name": "its softmax probability"})
    return vocabulary


def embed_categories(
    backbone: Backbone,
    categories: Mapping[str, list[str]],
    *,
    prompts: list[str],
    text_mean: np.ndarray,
    contexts: Contexts | None,
) -> xr.Dataset:
    """Embed categories in the vocabulary's text space.

    categories: name -> words. prompts, text_mean: those of the vocabulary. contexts: of the
    vocabulary, where it is of contexts; words that it lacks are left out. Returns ``text`` float32
    (category, feature), see :func:`mine.core.lens.embed_category`, of the words that the model can
    be read in. Raises InputError if a category has none.
    """
    source = backbone if contexts is None else contexts
    wanted, text = "that is a token of the model" if contexts is None else "of the vocabulary", []
    for name, words in categories.items():
        known = source.choose_words(words)
        if not known:
            raise InputError(
                f"categories.{name}.prompts: expected a word {wanted}, found {', '.join(words)}"
            )
        vectors = source.embed_words(known, prompts)
        text.append(embed_category(vectors, text_mean=text_mean))
    return xr.Dataset(
        {
            "text": (
                ("category", "feature"),
                np.stack(text),
                {"long_name": "mean text embedding of its words, centred as the vocabulary"},
            )
        },
        coords={"category": list(categories)},
    )


def embed_images(
    backbone: Backbone,
    images: np.ndarray,
    read_images: Reader,
    *,
    vocabulary: xr.Dataset,
    words_per_token: int,
    batch_size: int,
) -> tuple[xr.Dataset, xr.Dataset]:
    """Embed one shard of images: its tokens for the encoder, and what the lens reads in the raw
    ones.

    images: (image,) identities, none where no subject saw an image of the shard. Returns the
    tokens' dataset — ``tokens`` float16 (image, token, feature) standardised, ``norm`` of the raw
    token, ``pooled`` — and the lens's, ``word`` and ``score``.
    """
    images, read_images, kept = show_blank(images, read_images)
    parts, lens = [], read_lens(vocabulary)
    for part in split_work(len(images), size=batch_size, what="images"):
        raw, pooled = backbone.encode_images(read_images(images[part]))
        word, score = apply_lens(
            raw, **lens, words_per_token=words_per_token, device=backbone.device
        )
        norm = np.linalg.norm(raw, axis=-1).astype(np.float32)
        parts.append((standardise(raw).astype(np.float16), norm, pooled, word, score))
    tokens, norm, pooled, word, score = map(np.concatenate, zip(*parts, strict=True))
    row, column = np.divmod(np.arange(tokens.shape[1]), backbone.columns)
    place = {
        "image": ("image", images, {"long_name": "identity of the image"}),
        "row": ("token", row.astype(np.int16)),
        "column": ("token", column.astype(np.int16)),
    }
    grid = {"rows": backbone.rows, "columns": backbone.columns}
    embedded = xr.Dataset(
        {
            "tokens": (
                ("image", "token", "feature"),
                tokens,
                {"long_name": "standardised token", "units": "standard deviations over features"},
            ),
            "norm": (("image", "token"), norm, {"long_name": "length of the raw token"}),
            "pooled": (
                ("image", "feature"),
                pooled.astype(np.float32),
                {"long_name": "the model's own embedding of the image, not normalised"},
            ),
        },
        coords=place,
        attrs=grid,
    )
    read = xr.Dataset(
        {
            "word": (
                ("image", "token", "rank"),
                word,
                {"long_name": "index into the vocabulary"},
            ),
            "score": (
                ("image", "token", "rank"),
                score,
                {"long_name": "softmax probability over the vocabulary"},
            ),
        },
        coords=place,
        attrs=grid,
    )
    return embedded.isel(image=kept), read.isel(image=kept)


def measure_base_rates(
    lenses: Iterable[xr.Dataset],
    training_images: np.ndarray,
    *,
    vocabulary: xr.Dataset,
    merge_cosine: float,
) -> xr.Dataset:
    """Measure how often each word is read, in images and in tokens that show nothing, and group
    near-synonyms and inflections.

    Returns ``base_rate`` float32 (word,), the mean lens probability over all tokens of the training
    images, ``group`` int32 (word,), see :func:`mine.core.synonyms.merge_inflections` and
    :func:`mine.core.synonyms.group_synonyms`, and
    ``null_mean``, ``null_deviation`` (word,) and ``null_largest`` (shuffled,) of
    :func:`mine.core.calibration.measure_null`.
    """
    total, images, tokens = np.zeros(vocabulary.sizes["word"]), 0, 0
    for lens in lenses:
        chosen = lens.isel(image=np.isin(lens["image"].values, training_images))
        score = chosen["score"].values.astype(np.float64)
        np.add.at(total, chosen["word"].values.ravel(), score.ravel())
        images += chosen.sizes["image"]
        tokens += score[..., 0].size
    base_rate = (total / tokens).astype(np.float32)
    text = vocabulary["text"].values
    root = merge_inflections(vocabulary["word"].values, text)
    group = group_synonyms(text, base_rate, cosine=merge_cosine, root=root)
    mean, deviation, largest = measure_null(
        vocabulary["shuffled_word"].values, vocabulary["shuffled_score"].values, group
    )
    return xr.Dataset(
        {
            "base_rate": (("word",), base_rate, {"long_name": "mean lens probability"}),
            "group": (
                ("word",),
                group,
                {"long_name": "group of near-synonyms and inflections"},
            ),
            "null_mean": (
                ("word",),
                mean,
                {"long_name": "mean probability of its group in tokens that show nothing"},
            ),
            "null_deviation": (("word",), deviation, {"long_name": "its standard deviation there"}),
            "null_largest": (
                ("shuffled",),
                largest,
                {"long_name": "largest excess of any word in these, in its standard deviations"},
            ),
        },
        coords={"word": vocabulary["word"]},
        attrs={"images": images, "tokens": tokens},
    )


def embed_captions(backbone: Backbone, captions: list[list[str]], images: np.ndarray) -> xr.Dataset:
    """Embed captions: ``caption`` float32 (image, feature), the mean of the unit embeddings of an
    image's captions; zero where it has none."""
    counts = np.array([len(own) for own in captions], dtype=np.int64)
    texts = [text for own in captions for text in own]
    # an experiment without captions has features all the same, of no image
    features = backbone.encode_texts(texts or [""])[: len(texts)]
    owner = np.repeat(np.arange(len(images)), counts)
    total = np.zeros((len(images), features.shape[1]), dtype=np.float32)
    np.add.at(total, owner, features)
    mean = total / np.maximum(counts, 1)[:, None].astype(np.float32)
    what = {"long_name": "mean of the unit text embeddings of its captions; 0 without any"}
    return xr.Dataset({"caption": (("image", "feature"), mean, what)}, coords={"image": images})
