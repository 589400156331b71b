"""The voxel browser: what its pages show, cut into files that a page loads as it needs them."""
