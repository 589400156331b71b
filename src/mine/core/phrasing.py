"""Sentences of given words by a local language model, and what they add to these words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from mine.core.models import digest_folder, explain_refusal
from mine.core.synonyms import find_bases
from mine.errors import InputError

KEY = "phrasing.model"

FUNCTION_WORDS = frozenset(
    """a all also an and are as at be been being both by can could do does each either for from had
    has have he her his i if in into is it its itself just may might must of on or our shall she
    should so some such than that the their them then there these they this those thus to too was we
    were what when where whether which while who whom whose will with would you your""".split()
)
"""Words of English that say nothing of a picture by themselves. Those that deny, compare, count or
say where something is do, and are not among them."""

Phraser = Callable[[Sequence[str]], str]
"""Makes a sentence of words."""


def find_added(sentence: str, words: Sequence[str]) -> list[str]:
    """List the content words of a sentence that were not given, in their order, each once.

    A word was given if it is one of the words, a part of one of several words, or an inflection of
    either; function words do not count. What has digits counts as content.
    """
    given = _list_words(" ".join(words))
    said = [word for word in _list_words(sentence) if word not in FUNCTION_WORDS]
    names = list(dict.fromkeys([*given, *said]))
    bases = find_bases(names)
    forms = {name: {place, *bases.get(place, ())} for place, name in enumerate(names)}
    known = set().union(*(forms[word] for word in given))
    return [word for word in dict.fromkeys(said) if not forms[word] & known]


def _list_words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.lower().replace("'s", "").replace("’s", ""))


def load_phraser(
    *, model: str | None, prompt: str, tokens: int, dtype: str, device: str
) -> tuple[Phraser, str]:
    """Load a causal language model of transformers; return what phrases words, and its digest.

    model: ``local-dir:`` and a folder. prompt: what it is asked, with {} for the words; a model
    with a chat template is asked in a user's turn. tokens: most that it answers with. The likeliest
    token is taken at each step, so that the same words give the same sentence. Raises InputError if
    the model cannot be had.
    """
    import torch
    from transformers import pipeline

    from mine.core.devices import choose_device

    if model is None:
        raise InputError(f"{KEY}: expected the folder of a language model, found null")
    digest = digest_folder(model, kind="language", key=KEY)
    place = str(Path(model.removeprefix("local-dir:")))
    with explain_refusal("transformers", model, None, key=KEY):
        generate = pipeline(
            "text-generation",
            model=place,
            dtype=getattr(torch, dtype),
            device=choose_device(device, key="phrasing.device"),
            model_kwargs={"use_safetensors": True},
            # Left to itself, it asks on the terminal whether to run a folder's code.
            trust_remote_code=False,
        )

    def phrase(words: Sequence[str]) -> str:
        asked = prompt.format(", ".join(words))
        turn = [{"role": "user", "content": asked}] if generate.tokenizer.chat_template else asked
        said = generate(turn, max_new_tokens=tokens, do_sample=False, return_full_text=False)[0][
            "generated_text"
        ]
        # The first sentence, on one line.
        return re.split(r"(?<=[.!?])\s", " ".join(said.split()))[0]

    return phrase, str(digest)
