"""A vocabulary of true size: what grouping 40,000 words takes, and what is read in images by them.

Words are CLIP's own whole words, and others that nothing is an inflection of. Their embeddings are
random; one in five is near another word's, as synonyms are, and every form is near its base.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from common import peak_memory, read_options, time_call, write_records
from open_clip.tokenizer import SimpleTokenizer

from mine.core.calibration import measure_null
from mine.core.lens import tokenizer_words
from mine.core.readings import find_thresholds, gather_together
from mine.core.synonyms import find_bases, group_synonyms, merge_inflections


def make_words(count: int) -> list[str]:
    words = tokenizer_words(SimpleTokenizer())[:count]
    return words + [f"word {number}" for number in range(count - len(words))]


def make_text(words: list[str], features: int, random: np.random.Generator) -> np.ndarray:
    text = random.standard_normal((len(words), features), dtype=np.float32)
    for form, bases in find_bases(words).items():
        text[form] = text[min(bases)] + 0.5 * text[form]
    near = random.choice(len(words), size=len(words) // 5, replace=False)
    text[near] = text[random.permutation(near)] + 0.2 * text[near]
    return text / np.linalg.norm(text, axis=1, keepdims=True)


def group_one_by_one(text: np.ndarray, rate: np.ndarray, cosine: float) -> np.ndarray:
    """The same groups, each word by itself."""
    group, leaders = np.empty(len(text), dtype=np.int32), np.empty_like(text)
    count = 0
    for word in np.argsort(-rate, kind="stable"):
        similarity = leaders[:count] @ text[word]
        if count and similarity.max() >= cosine:
            group[word] = similarity.argmax()
            continue
        group[word], leaders[count] = count, text[word]
        count += 1
    return group


def make_lens(images: int, tokens: int, words: int, random: np.random.Generator) -> xr.Dataset:
    """Readings of images, each of which is read as some 300 of the words."""
    shape = images, tokens, 10
    own, which = random.integers(0, words, (images, 300), np.int32), random.integers(0, 300, shape)
    score = np.sort(random.dirichlet(np.ones(10), shape[:2]).astype(np.float16), axis=-1)
    return xr.Dataset(
        {
            "word": (("image", "token", "rank"), own[np.arange(images)[:, None, None], which]),
            "score": (("image", "token", "rank"), score[..., ::-1]),
        }
    )


def main() -> None:
    options = read_options(
        __doc__.splitlines()[0], words=40_000, features=768, images=2_000, tokens=196
    )
    random = np.random.default_rng(0)
    words = make_words(options.words)
    text, rate = make_text(words, options.features, random), random.random(len(words))
    records: list[dict[str, object]] = []

    def note(name: str, seconds: float, **more: object) -> None:
        more.setdefault("sizes", {"words": len(words), "features": options.features})
        records.append(
            {"name": name, "seconds": round(seconds, 2), "peak_mb": peak_memory()} | more
        )

    seconds, root = time_call(lambda: merge_inflections(words, text))
    note("vocabulary_inflections", seconds)
    seconds, group = time_call(lambda: group_synonyms(text, rate, cosine=0.9, root=root))
    note("vocabulary_groups", seconds)
    some = slice(len(words) // 4)
    seconds, found = time_call(lambda: group_synonyms(text[some], rate[some], cosine=0.9))
    slow, expected = time_call(lambda: group_one_by_one(text[some], rate[some], 0.9))
    note(
        "vocabulary_quarter",
        seconds,
        rival="one word at a time",
        rival_seconds=round(slow, 2),
        ratio=round(slow / seconds, 1),
        relative_difference=float(np.mean(found != expected)),
        sizes={"words": len(text[some]), "features": options.features},
    )
    lens = make_lens(20_000, 1, len(words), random)
    word, score = lens["word"].values[:, 0], lens["score"].values[:, 0]
    note("vocabulary_null", time_call(lambda: measure_null(word, score, group))[0])
    lens = make_lens(options.images, options.tokens, len(words), random)
    sizes = {"words": len(words), "images": options.images, "tokens": options.tokens}
    seconds, _ = time_call(lambda: gather_together(lens, group, np.arange(20)))
    note("vocabulary_together", seconds, sizes=sizes)
    seconds, _ = time_call(lambda: find_thresholds(lens, group))
    note("vocabulary_thresholds", seconds, sizes=sizes)
    write_records(
        "vocabulary", records, libraries=("numpy", "open_clip_torch"), directory=options.results
    )


if __name__ == "__main__":
    main()
