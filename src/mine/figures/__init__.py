"""Figures, each drawn from stores alone."""
