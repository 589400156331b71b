"""The words of the miniature world: what its scenes hold and what each thing may be called.

``SYNONYMS`` is also what scoring accepts: a profile word is right when it is the planted concept's
own name or one of its synonyms. Distractors, and hypernyms that cover several concepts, are in the
lens's vocabulary as wrong answers.
"""

from __future__ import annotations

CATEGORIES: dict[str, tuple[str, ...]] = {
    "face": ("face", "visage", "portrait", "countenance"),
    "person": ("person", "body", "figure", "pedestrian"),
    "house": ("house", "home", "cottage", "cabin"),
    "word": ("word", "text", "sign", "lettering"),
    "food": ("food", "donut", "doughnut", "pastry"),
    "dog": ("dog", "puppy", "hound", "canine"),
    "car": ("car", "automobile", "sedan", "taxi"),
    "bird": ("bird", "sparrow", "songbird", "finch"),
    "flower": ("flower", "blossom", "bloom", "daisy"),
    "chair": ("chair", "seat", "stool", "armchair"),
}

# As COCO sorts its categories; none bears the name of a category that it is not alone in.
SUPERCATEGORIES: dict[str, str] = {
    "face": "human",
    "person": "human",
    "house": "building",
    "word": "writing",
    "food": "food",
    "dog": "animal",
    "car": "vehicle",
    "bird": "animal",
    "flower": "plant",
    "chair": "furniture",
}

COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("red", "crimson", "scarlet"),
    "yellow": ("yellow", "golden", "lemon"),
    "green": ("green", "emerald", "olive"),
    "blue": ("blue", "azure", "navy"),
    "purple": ("purple", "violet", "lilac"),
    "white": ("white", "ivory", "pale"),
    "black": ("black", "ebony", "dark"),
}

BACKGROUNDS: dict[str, tuple[str, ...]] = {
    "beach": ("beach", "seaside", "shore", "coast"),
    "forest": ("forest", "woods", "woodland", "jungle"),
    "city": ("city", "street", "town", "downtown"),
    "snow": ("snow", "winter", "tundra", "glacier"),
    "field": ("field", "meadow", "grassland", "pasture"),
    "room": ("room", "indoors", "interior", "lounge"),
    "desert": ("desert", "dunes", "wasteland", "badlands"),
    "night": ("night", "nighttime", "midnight", "starlight"),
}

EXPRESSIONS: dict[str, tuple[str, ...]] = {
    "happy": ("happy", "smiling", "cheerful", "joyful"),
    "sad": ("sad", "unhappy", "gloomy", "frowning"),
}

SIZES: dict[str, tuple[str, ...]] = {
    "large": ("large", "big", "huge"),
    "small": ("small", "little", "tiny"),
}

# Each hypernym with the concepts that it covers.
HYPERNYMS: dict[str, tuple[str, ...]] = {
    "animal": ("dog", "bird"),
    "creature": ("dog", "bird"),
    "pet": ("dog", "bird"),
    "human": ("face", "person"),
    "people": ("face", "person"),
    "vehicle": ("car",),
    "transport": ("car",),
    "furniture": ("chair",),
    "plant": ("flower",),
    "building": ("house",),
    "architecture": ("house", "city"),
    "nature": ("beach", "forest", "snow", "field", "desert"),
    "outdoors": ("beach", "forest", "city", "snow", "field", "desert", "night"),
    "landscape": ("beach", "forest", "snow", "field", "desert"),
}

# Words of things that the world does not hold.
DISTRACTORS: tuple[str, ...] = tuple(
    """
    airplane anchor ankle ant apron arrow axe bacon badge bagel balloon bamboo banana banjo barrel
    basket bat bathtub battery beard bee bell belt bicycle blanket boat bone book boot bottle bowl
    bracelet branch brick bridge broom brush bucket bus butter button cable cactus cake calculator
    camel camera candle canoe carpet carrot castle cat cheese chicken clock cloud coat coin comb
    compass computer cookie corn cow crab crayon crown cup curtain deer diamond dice doll dolphin
    door dragon drawer dress drill drum duck eagle earring egg elephant engine envelope eraser
    feather fence fire fish flag flute fork fountain fox frog garlic giraffe glasses globe glove
    goat grape grill guitar hammer hat helmet hockey honey hook horse hospital insect iron jacket
    jar jeans jewel kangaroo kettle key kite kitten knife ladder lake lamp leaf lettuce lighthouse
    lion lizard lobster lock magnet map mask medal microphone mirror mountain mouse mushroom nail
    necklace nest net newspaper notebook nurse ocean octopus onion oven owl paint panda paper
    parachute peach peanut pear pearl pencil penguin piano pie pig pillow pipe pirate pizza plate
    pliers pocket pond potato printer pumpkin puzzle pyramid rabbit radio rainbow razor ribbon ring
    river robot rocket rope ruler saddle salad sandwich saw scarf scissors screw shark sheep shell
    ship shirt shoe shovel sink skateboard skirt snail snake soap sock sofa soup spider spoon
    squirrel stamp statue submarine suitcase sweater sword table telephone television tent tiger
    toilet tomato toothbrush towel tractor train trophy truck trumpet turtle umbrella violin volcano
    wagon wallet watch whale wheel whistle windmill worm zebra
    """.split()
)

CONCEPTS: dict[str, tuple[str, ...]] = CATEGORIES | COLOURS | BACKGROUNDS | EXPRESSIONS | SIZES
# A hypernym that covers one concept alone is true of exactly the same pictures: a synonym here.
SYNONYMS: dict[str, frozenset[str]] = {
    name: frozenset(words) | {word for word, members in HYPERNYMS.items() if members == (name,)}
    for name, words in CONCEPTS.items()
}


def concept_of(word: str) -> str | None:
    """Return the concept that a word names, or None for hypernyms, distractors and words unknown
    here.
    """
    return _CONCEPT_OF.get(word)


def vocabulary() -> list[str]:
    """Return the lens's vocabulary: every synonym, hypernym and distractor, in alphabetical
    order.
    """
    scene_words = [word for words in CONCEPTS.values() for word in words]
    return sorted({*scene_words, *HYPERNYMS, *DISTRACTORS})


_CONCEPT_OF = {word: name for name, words in CONCEPTS.items() for word in words}
