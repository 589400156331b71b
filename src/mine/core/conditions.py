"""What the causal tests compare: pictures and edits, named by the words that they are made with.

A name stands for the same words in both, and is what stores, tables and figures call them.
"""

from __future__ import annotations

MODELS = ("evaluator", "encoder")
"""The evaluator, whose predictions are reported, and the explained encoder beside it."""

DESCRIPTIONS = ("description", "random", "lowest")
"""An image in words: of the tokens that drive the voxel, of random ones, of those of lowest
|attribution|."""

PICTURES = (*DESCRIPTIONS, "caption", "empty")
"""Made from a description, from the image's whole caption, and from nothing."""

TO_MEASURED = "to_measured_"
"""How the names of numbers begin that compare a picture's predicted response with the measured one
to the original, and not with the predicted."""

REFERENCES = ("", TO_MEASURED)
"""What a picture's response is compared with, by how the names of its numbers begin."""

DIRECTIONS = {"insertion": 1.0, "removal": -1.0}
"""Where a feature is put in or taken out, and the sign of the shift that is expected."""

GUIDES = ("description", "profile")
"""Edits by the words of one image, and by those of the voxel over images."""

CONTROLS = ("other", "random", "lowest", "unspecific", "elsewhere")
"""Edits by a word of another category, by words of other tokens, by none, and by the same words
somewhere else."""

CONTROLS_OF = {"insertion": CONTROLS, "removal": CONTROLS[1:]}
"""What is taken out has to be there, which another category need not be."""

EDITS = (*GUIDES, *CONTROLS)
