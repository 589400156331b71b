"""The embedded demo: a miniature Natural Scenes Dataset whose voxels have planted selectivity."""
