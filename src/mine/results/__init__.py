"""Finished results for people: subjects, regions and voxels, and new images explained."""

from mine.results.explanations import Explanation
from mine.results.folder import Results
from mine.results.profiles import Profile
from mine.results.regions import Region, Subject, Voxel

__all__ = ["Explanation", "Profile", "Region", "Results", "Subject", "Voxel"]
