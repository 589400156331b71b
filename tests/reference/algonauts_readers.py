"""The Algonauts 2023 data read literally, with NumPy alone and nothing of this project."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def read_responses(root, subject):
    """nsdId of each image, and responses (image, vertex) of the left, then of the right."""
    folder = Path(f"{root}/{subject}/training_split")
    names = sorted(path.name for path in (folder / "training_images").glob("*.png"))
    identities = [int(name.split("nsd-")[1].removesuffix(".png")) for name in names]
    sides = [np.load(folder / f"training_fmri/{side}_training_fmri.npy") for side in ("lh", "rh")]
    return np.array(identities), np.hstack(sides)


def read_vertices(root, subject):
    """Vertex of fsaverage of each column of the left and of the right hemisphere."""
    folder = f"{root}/{subject}/roi_masks"
    names = [f"{folder}/{side}.all-vertices_fsaverage_space.npy" for side in ("lh", "rh")]
    return [np.where(np.load(name))[0] for name in names]


def read_roi(root, subject, atlas, name):
    """Which columns are in an ROI, the left before the right, as in the challenge's tutorial."""
    folder = f"{root}/{subject}/roi_masks"
    mapping = np.load(f"{folder}/mapping_{atlas}.npy", allow_pickle=True).item()
    label = {value: key for key, value in mapping.items()}[name]
    return np.concatenate(
        [np.load(f"{folder}/{side}.{atlas}_challenge_space.npy") == label for side in ("lh", "rh")]
    )
