"""What the demo's generator is told of a scene while it is trained: captions, and bare words.

Descriptions and profiles are lists of words, not sentences, so a share of the prompts is one too.
"""

from __future__ import annotations

import numpy as np

from mine.demo.scenes import Scene, describe_scene
from mine.demo.words import CONCEPTS, HYPERNYMS

CAPTION, WORDS = 0.55, 0.35  # shares of the prompts; the others are empty, for guidance
FULL = 0.6  # of the captions name everything
HYPERNYM = 0.05  # how often a word gives way to one that covers it
AGAIN = 0.3  # how often a concept among bare words is said again, in another word


def draw_prompt(scene: Scene, random: np.random.Generator) -> str:
    """Draw one prompt for a scene: a caption, some of its words, or nothing."""
    kind = random.random()
    if kind < CAPTION:
        captions = describe_scene(scene, random)
        return captions[0 if random.random() < FULL else int(random.integers(1, len(captions)))]
    if kind < CAPTION + WORDS:
        words = draw_words(scene, random)
        template = str(random.choice(["{}", "a picture of {}"]))
        return template.format(", ".join(words))
    return ""


def draw_words(scene: Scene, random: np.random.Generator) -> list[str]:
    """Draw some of a scene's words: of each object its category and some attributes, the place."""
    concepts: list[str] = []
    for item in scene.objects:
        if random.random() < 0.7:
            attributes = (item.colour, item.expression, item.size)
            kept = [name for name in attributes if name is not None and random.random() < 0.4]
            concepts += [item.category, *kept]
    if not concepts or random.random() < 0.5:
        concepts.append(scene.background)
    random.shuffle(concepts)
    words = [_say(concept, random, HYPERNYM) for concept in concepts]
    # A description says one thing in several words: "figure, human" is one person.
    again = [_say(concept, random, 0.5) for concept in concepts if random.random() < AGAIN]
    return list(dict.fromkeys(words + again))


def _say(concept: str, random: np.random.Generator, hypernym: float) -> str:
    """One of a concept's words; ``hypernym``: how often one that covers it, if there is any."""
    above = [word for word, members in HYPERNYMS.items() if concept in members]
    if above and random.random() < hypernym:
        return str(random.choice(above))
    return str(random.choice(CONCEPTS[concept]))
