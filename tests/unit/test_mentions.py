"""Laws of which words captions mention."""

from __future__ import annotations

import numpy as np
import pytest

from mine.core.mentions import find_mentioned, find_words

HARD = [
    ("A dog's head on a black-and-white rug", ["dog", "black", "white", "rug", "black-and-white"]),
    ("A view of Paris on the TV", ["Paris", "TV"]),
    ("He wears a T-shirt", ["t-shirt", "T-Shirt", "shirt"]),
    ("An ice-cream van, a fire\nhydrant", ["ice cream", "ice", "fire hydrant"]),
    ("Twelve o’clock in São Paulo", ["o'clock", "são paulo"]),
]
"""Captions, and words that are in them however they are written."""


def test_words_of_captions_are_whole_words_of_the_vocabulary():
    captions = [["A dog, and an Ice Cream.", "two dogs"], [], ["ice on cream"]]
    found = find_words(captions, ["dog", "ice cream", "ice", "cat"])
    np.testing.assert_array_equal(
        found, [[True, True, True, False], [False] * 4, [False, False, True, False]]
    )


def test_captions_mention_words_their_group_and_their_inflections():
    words = ["dog", "puppy", "mouse", "sky", "traffic light", "sea", "skies"]
    captions = [["Two Dogs play."], ["A puppy by the sea", "The sky."], ["Mice at traffic lights"]]
    found = find_mentioned(captions, np.array(words), np.array([0, 0, 1, 2, 3, 4, 2]))
    assert found.tolist() == [
        [True, False, False, False, False],
        [True, False, True, False, True],
        [False, True, False, True, False],
    ]


@pytest.mark.parametrize(("caption", "words"), HARD)
def test_case_and_what_joins_a_word_count_for_nothing(caption, words):
    vocabulary = [*words, "og", "lack", "pari"]  # parts of words are none
    expected = [[True] * len(words) + [False] * 3]
    assert find_words([[caption]], vocabulary).tolist() == expected
    group = np.arange(len(vocabulary))
    assert find_mentioned([[caption]], np.array(vocabulary), group).tolist() == expected


def test_a_caption_has_each_of_the_words_that_are_written_alike():
    words, captions = ["us", "US", "flag"], [["The US"], ["two flags"]]
    assert find_words(captions, words).tolist() == [[True, True, False], [False] * 3]
    found = find_mentioned(captions, np.array(words), np.array([0, 1, 2]))
    assert found.tolist() == [[True, True, False], [False, False, True]]
