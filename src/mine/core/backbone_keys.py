"""What the kinds of backbone share with what chooses among them: keys of the configuration."""

from __future__ import annotations

KEY, DTYPE = "backbone.model", "backbone.dtype"
"""Keys of a backbone's model and of its precision, for messages."""

ALIGNMENTS = ("output", "value", "self", "contribution")
"""How a CLIP's patch tokens reach the joint space; see clip_backbone.py."""
