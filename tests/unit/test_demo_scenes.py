"""The miniature world: its words, its pictures, and what is said of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from mine.core.lens import WordList, read_word_list, unite_words
from mine.demo.painting import render_scene
from mine.demo.scenes import (
    CAPTIONS_PER_SCENE,
    OBJECT_COUNTS,
    SIZE_RANGE,
    SMALLEST_VISIBLE,
    Scene,
    describe_scene,
    sample_scene,
    token_shares,
)
from mine.demo.words import (
    BACKGROUNDS,
    CATEGORIES,
    COLOURS,
    CONCEPTS,
    DISTRACTORS,
    EXPRESSIONS,
    HYPERNYMS,
    SIZES,
    SYNONYMS,
    concept_of,
    vocabulary,
)

FUNCTION_WORDS = {"a", "and", "in", "the", "picture", "of"}


def draw_scenes(count: int, seed: int = 0) -> list[Scene]:
    random = np.random.default_rng(seed)
    return [sample_scene(random) for _ in range(count)]


SCENES = draw_scenes(30)


# --- words ---


def test_vocabulary_has_300_words_or_more_each_once():
    words = vocabulary()
    assert len(words) >= 300
    assert len(set(words)) == len(words) and words == sorted(words)
    assert all(word.isalpha() and word.islower() and word.isascii() for word in words)


def test_vocabulary_holds_synonyms_hypernyms_and_distractors():
    words = set(vocabulary())
    for accepted in SYNONYMS.values():
        assert accepted <= words and len(accepted) >= 3
    assert set(HYPERNYMS) <= words and set(DISTRACTORS) <= words
    assert len(CATEGORIES) >= 10 and len(BACKGROUNDS) >= 8


def test_shipped_word_list_is_the_vocabulary(repository: Path):
    path = repository / "resources/demo/vocabulary.txt"
    assert path.read_text(encoding="utf-8").split("\n") == [*vocabulary(), ""]


def test_shipped_list_of_colours_adds_no_word_to_the_vocabulary(repository: Path):
    colours = read_word_list(repository / "resources/demo/colours.txt")
    assert colours == sorted(word for words in COLOURS.values() for word in words)
    lists = {"colours": WordList(Path("colours.txt"), colours)}
    assert unite_words(vocabulary(), lists) == vocabulary()


def test_no_word_names_two_things():
    for (_, first), (_, second) in itertools.combinations(SYNONYMS.items(), 2):
        assert not first & second
    own = {word for concept in CONCEPTS.values() for word in concept}
    assert not own & set(HYPERNYMS)
    assert not (own | set(HYPERNYMS)) & set(DISTRACTORS)


def test_a_word_names_the_concept_that_accepts_it():
    for name, accepted in SYNONYMS.items():
        assert name in accepted
        assert {concept_of(word) for word in accepted - set(HYPERNYMS)} == {name}
    for word in (*HYPERNYMS, *DISTRACTORS, "unheard-of"):
        assert concept_of(word) is None


def test_a_hypernym_is_accepted_where_it_covers_one_concept_alone():
    for hypernym, members in HYPERNYMS.items():
        assert set(members) <= set(CONCEPTS)
        assert all((hypernym in SYNONYMS[member]) == (len(members) == 1) for member in members)


# --- what a scene holds ---


def test_scenes_hold_different_objects_inside_the_image():
    for scene in draw_scenes(150, seed=1):
        assert scene.background in BACKGROUNDS
        assert len(scene.objects) in OBJECT_COUNTS
        categories = [item.category for item in scene.objects]
        assert len(set(categories)) == len(categories)
        for item in scene.objects:
            assert item.category in CATEGORIES and item.colour in COLOURS and item.size in SIZES
            low, high = SIZE_RANGE[item.size]
            assert low <= item.width <= high
            for centre in (item.row, item.column):
                assert item.width / 2 <= centre <= 1 - item.width / 2
            assert (item.expression in EXPRESSIONS) == (item.category == "face")
            assert (item.letters is not None) == (item.category == "word")


def test_every_value_of_every_attribute_occurs():
    scenes = draw_scenes(250, seed=2)
    items = [item for scene in scenes for item in scene.objects]
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)
    assert {len(scene.objects) for scene in scenes} == set(OBJECT_COUNTS)
    for name, values in (
        ("category", CATEGORIES),
        ("colour", COLOURS),
        ("size", SIZES),
    ):
        assert {getattr(item, name) for item in items} == set(values)
    assert {item.expression for item in items} == {None, *EXPRESSIONS}


# --- pictures ---


def test_rendering_is_a_function_of_the_scene():
    for scene, again in zip(SCENES[:10], draw_scenes(10), strict=True):
        assert scene == again
        for first, second in zip(
            render_scene(scene, side=64), render_scene(again, side=64), strict=True
        ):
            np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("side", [64, 96, 128])
def test_pictures_and_masks_have_the_asked_side(side):
    for scene in SCENES[:4]:
        image, masks = render_scene(scene, side=side)
        assert image.shape == (side, side, 3) and image.dtype == np.uint8
        assert masks.shape == (len(scene.objects), side, side) and masks.dtype == np.float32


def test_masks_share_each_pixel():
    for scene in SCENES:
        _, masks = render_scene(scene, side=64)
        assert (masks >= 0).all() and (masks.sum(axis=0) <= 1 + 1e-5).all()


def test_every_object_stays_visible_at_its_place():
    for scene in SCENES[:15]:
        _, masks = render_scene(scene, side=64)
        for item, mask in zip(scene.objects, masks, strict=True):
            alone = render_scene(Scene(scene.background, (item,), scene.texture), side=64)[1][0]
            # Visible boxes keep SMALLEST_VISIBLE; of a sprite that does not fill its box, less.
            assert mask.sum() >= 0.5 * SMALLEST_VISIBLE * alone.sum()
            rows, columns = np.nonzero(alone > 0.5)
            assert abs((rows.mean() + 0.5) / 64 - item.row) < item.width / 3
            assert abs((columns.mean() + 0.5) / 64 - item.column) < item.width / 3
            assert rows.max() - rows.min() + 1 <= item.width * 64 + 2


def test_taking_a_category_out_changes_its_pixels_and_no_others():
    taken = 0
    for scene in SCENES:
        image, masks = render_scene(scene, side=64)
        for index, item in enumerate(scene.objects):
            edited, left = render_scene(scene.without(item.category), side=64)
            changed = (image != edited).any(axis=-1)
            assert not (changed & (masks[index] == 0)).any()
            solid = masks[index] > 0.99
            taken += changed[solid].mean() > 0.5 if solid.any() else 0
            others = np.delete(masks, index, axis=0)
            assert (left >= others - 1e-6).all()
            np.testing.assert_array_equal(left[:, masks[index] == 0], others[:, masks[index] == 0])
    assert taken >= 0.9 * sum(len(scene.objects) for scene in SCENES)


def test_taking_out_what_is_not_there_changes_nothing():
    scene = SCENES[0]
    absent = next(name for name in CATEGORIES if name not in {o.category for o in scene.objects})
    assert scene.without(absent) == scene


def test_categories_colours_and_backgrounds_look_different():
    base = next(scene.objects[0] for scene in SCENES if scene.objects[0].category == "dog")
    looks = {}
    for background in BACKGROUNDS:
        looks[background] = render_scene(Scene(background, (), 3), side=64)[0]
    for category in CATEGORIES:
        item = type(base)(
            **vars(base)
            | {
                "category": category,
                "expression": "happy" if category == "face" else None,
                "letters": "ABC" if category == "word" else None,
            }
        )
        looks[category] = render_scene(Scene("field", (item,), 3), side=64)[0]
    for colour in COLOURS:
        item = type(base)(**vars(base) | {"category": "chair", "colour": colour})
        looks[colour] = render_scene(Scene("field", (item,), 3), side=64)[0]
    kinds = [list(map(looks.get, names)) for names in (BACKGROUNDS, CATEGORIES, COLOURS)]
    for kind in kinds:
        for first, second in itertools.combinations(kind, 2):
            assert (first != second).any(axis=-1).mean() > 0.005


def test_shares_of_patches_are_means_over_their_pixels():
    masks = np.random.default_rng(0).random((2, 12, 12))
    shares = token_shares(masks, rows=3, columns=4)
    assert shares.shape == (2, 12)
    for row, column in itertools.product(range(3), range(4)):
        block = masks[:, 4 * row : 4 * row + 4, 3 * column : 3 * column + 3]
        np.testing.assert_allclose(shares[:, 4 * row + column], block.mean(axis=(1, 2)))


# --- captions ---


def concepts_in(caption: str) -> list[str]:
    words = [word for word in caption.split() if word not in FUNCTION_WORDS]
    found = [concept_of(word) for word in words]
    assert None not in found, caption
    return found


def concepts_of_scene(scene: Scene) -> set[str]:
    found = {scene.background}
    for item in scene.objects:
        found |= {item.category, item.colour, item.size, item.expression} - {None}
    return found


def test_captions_mention_only_what_is_there():
    random = np.random.default_rng(3)
    for scene in SCENES:
        captions = describe_scene(scene, random)
        assert len(captions) == CAPTIONS_PER_SCENE
        for caption in captions:
            mentioned = concepts_in(caption)
            assert mentioned and set(mentioned) <= concepts_of_scene(scene)


def test_attributes_stand_before_their_own_object():
    random = np.random.default_rng(4)
    for scene in SCENES:
        own = {item.category: item for item in scene.objects}
        for caption in describe_scene(scene, random):
            attributes: set[str] = set()
            for concept in concepts_in(caption):
                if concept in own:
                    item = own[concept]
                    assert attributes <= {item.colour, item.size, item.expression}
                    attributes = set()
                elif concept != scene.background:
                    attributes.add(concept)
            assert not attributes


def test_first_caption_mentions_everything():
    random = np.random.default_rng(5)
    for scene in SCENES:
        assert set(concepts_in(describe_scene(scene, random)[0])) == concepts_of_scene(scene)


def test_other_captions_mention_a_part():
    random = np.random.default_rng(6)
    objects = attributes = background = 0
    shown = possible = captions = 0
    for scene in draw_scenes(120, seed=6):
        for caption in describe_scene(scene, random)[1:]:
            mentioned = set(concepts_in(caption))
            present = [item for item in scene.objects if item.category in mentioned]
            objects, shown = objects + len(present), shown + len(scene.objects)
            attributes += sum(name in mentioned for name in (o.colour for o in present))
            possible += len(present)
            background, captions = background + (scene.background in mentioned), captions + 1
    assert 0.6 < objects / shown < 0.8
    assert 0.4 < attributes / possible < 0.75
    assert 0.5 < background / captions < 0.95


def test_captions_use_every_synonym():
    random = np.random.default_rng(7)
    said = set()
    for scene in draw_scenes(150, seed=7):
        for caption in describe_scene(scene, random):
            said |= set(caption.split()) - FUNCTION_WORDS
    assert said == {word for concept in CONCEPTS.values() for word in concept}


# --- the truth is for scoring alone ---

READERS_OF_TRUTH = {
    "render_demo.py",
    "recovery_voxels.py",
    "recovery_scores.py",
    "recovery_causality.py",
    "recovery_preference.py",
    "recovery_structure.py",
    "recovery_explainers.py",
    "tabulate_explainers.py",
    "recovery.py",
}


def test_no_stage_but_scoring_reads_ground_truth(repository: Path):
    library = [
        path
        for path in (repository / "src/mine").rglob("*.py")
        if "demo" not in path.relative_to(repository / "src/mine").parts
    ]
    scripts = [
        path
        for path in (repository / "workflow/scripts").glob("*.py")
        if path.name not in READERS_OF_TRUTH
    ]
    assert len(library) > 20 and len(scripts) > 10
    for path in [*library, *scripts]:
        text = path.read_text(encoding="utf-8")
        for forbidden in ("mine.demo", "from mine import demo", "truth.zarr"):
            assert forbidden not in text, f"{path} mentions {forbidden}"
        # What holds the keys of the configuration says where the truth is, and reads none.
        if path.name not in ("sections.py", "config.py", "check.py", "settings_documents.py"):
            assert "demo/truth" not in text and "demo.truth" not in text, path


def test_no_rule_but_scoring_takes_the_truth_as_input(repository: Path):
    for path in (repository / "workflow/rules").glob("*.smk"):
        for block in path.read_text(encoding="utf-8").split("\nrule ")[1:]:
            name = block.split(":")[0]
            if "truth" in block:
                assert f"{name}.py" in READERS_OF_TRUTH, f"rule {name} mentions the truth"
