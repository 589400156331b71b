"""Rival explainers on equal terms: explain(material) -> words with scores for every voxel."""
