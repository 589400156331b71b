"""The figures of an analysis by number: what each shows, and where it is written.

The workflow's targets, the tables of the documentation and the tests follow from this list. It is
read by the rules, and so imports nothing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Numbered:
    """A figure. files: below `figures`, without ending, with wildcards; shows: what it is about;
    demo: whether it takes the planted truth."""

    rule: str
    files: str
    shows: str
    demo: bool = False


FIGURES = (
    Numbered("figure_encoder", "{subject}/encoder", "how well responses are predicted"),
    Numbered(
        "figure_faithfulness", "{subject}/faithfulness", "whether top tokens carry predictions"
    ),
    Numbered("figure_voxels", "{subject}/{roi}/attributions", "attributions and words of images"),
    Numbered("figure_voxels", "{subject}/{roi}/profiles", "profile cards of voxels"),
    Numbered("figure_described", "{subject}/described", "how many voxels are described, and why"),
    Numbered("figure_preference", "{subject}/preference", "categories that regions prefer"),
    Numbered("figure_preference_subjects", "preference", "the same across subjects"),
    Numbered("figure_maps", "{subject}/maps", "preferences and clusters in the brain"),
    Numbered("figure_structure", "{subject}/{roi}/structure", "what tells a region's voxels apart"),
    Numbered("figure_structure_subjects", "clusters", "clusters that subjects share"),
    Numbered("figure_generated", "{subject}/{roi}/generated", "pictures made from words alone"),
    Numbered("figure_edits", "{subject}/{roi}/edits", "features inserted and removed"),
    Numbered("figure_causality", "{subject}/causality", "the causal tests"),
    Numbered("figure_recovery", "recovery", "how much of what was planted was found", demo=True),
    Numbered("figure_exact", "counterfactuals_exact", "edits against exact ones", demo=True),
)
"""Figure 1 is the first."""

UNNUMBERED = {"calibration": ("Calibration of the lens", "calibrate_lens")}
"""Titles and targets of figures that are made where they are asked for and compare nothing."""
