"""MINE: what in a natural image drives a voxel of human visual cortex, in words."""

__version__ = "0.1.0"
