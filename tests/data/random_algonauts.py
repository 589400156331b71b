"""A random miniature of the Algonauts 2023 data: few images, few vertices, fsaverage whole."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

SUBJECTS = ("subj01", "subj02")
FSAVERAGE = 163842
ATLASES = {
    "prf-visualrois": {0: "Unknown", 1: "V1v", 2: "V1d"},
    "floc-faces": {0: "Unknown", 1: "OFA", 2: "FFA-1"},
    "streams": {0: "Unknown", 1: "early", 5: "ventral"},
}
IMAGES = 73000


class RandomAlgonauts:
    """The dataset that a seed gives, written under a folder. regular: nothing is drawn away.

    key: the section `dataset` of its configuration.
    """

    def __init__(self, root: Path, *, seed: int, regular: bool = False) -> None:
        self.root = Path(root)
        self.random = random = np.random.default_rng([seed, 2023])
        self.placed = regular or random.random() < 0.7
        self.on_fsaverage = self.placed and not regular and random.random() < 0.4
        pool = np.sort(random.choice(IMAGES if not regular else 400, 60, replace=False))
        self.pixels = {
            int(image): random.integers(0, 256, (16, 16, 3), dtype=np.uint8) for image in pool
        }
        for subject in SUBJECTS:
            count = 40 if regular else int(random.integers(20, 45))
            own = np.sort(random.choice(pool, count, replace=False))
            self._write_subject(self.root / subject, own, regular)
        self.key = {
            "kind": "algonauts",
            "root": str(self.root),
            "voxels": ["all"],
            "test_fraction": 0.3,
            "algonauts": {},
        }

    def _write_subject(self, folder: Path, own: np.ndarray, regular: bool) -> None:
        random = self.random
        images = folder / "training_split/training_images"
        for part in (images, folder / "training_split/training_fmri", folder / "roi_masks"):
            part.mkdir(parents=True)
        (folder / "test_split/test_images").mkdir(parents=True)
        for row, image in enumerate(own, 1):
            name = f"train-{row:04d}_nsd-{image:05d}.png"
            Image.fromarray(self.pixels[int(image)]).save(images / name)
        lacking = None if regular else random.choice([*ATLASES, ""])
        for side in ("lh", "rh"):
            count = int(random.integers(20, 40))
            vertices = np.sort(random.choice(FSAVERAGE, count, replace=False))
            values = random.normal(size=(len(own), count)).astype(np.float32)
            np.save(folder / f"training_split/training_fmri/{side}_training_fmri.npy", values)
            everywhere = np.zeros(FSAVERAGE, dtype=np.int64)
            everywhere[vertices] = 1
            if self.placed:
                path = folder / f"roi_masks/{side}.all-vertices_fsaverage_space.npy"
                np.save(path, everywhere)
            for atlas, mapping in ATLASES.items():
                if atlas == lacking and folder.name == "subj02":
                    continue
                labels = random.choice(list(mapping), count)
                np.save(folder / f"roi_masks/{side}.{atlas}_challenge_space.npy", labels)
                everywhere[vertices] = labels
                np.save(folder / f"roi_masks/{side}.{atlas}_fsaverage_space.npy", everywhere)
        for atlas, mapping in ATLASES.items():
            if atlas != lacking or folder.name != "subj02":
                np.save(folder / f"roi_masks/mapping_{atlas}.npy", mapping)

    def write_ncsnr(self) -> None:
        """Write what NSD publishes, as its files are, and name it."""
        for subject in SUBJECTS:
            for side in ("lh", "rh"):
                values = self.random.random(FSAVERAGE).astype(np.float32)
                path = self.root / subject / f"{side}.ncsnr.mgh"
                nib.save(nib.MGHImage(values[:, None, None], np.eye(4)), path)
        self.key["algonauts"] |= {"ncsnr": "{subject}/{hemisphere}.ncsnr.mgh", "repeats": 3}

    def write_information(self) -> Path:
        """Write NSD's table of images, and COCO's captions of them, and name them."""
        rows = ["x,cocoId,cropBox,nsdId,shared1000"]
        for number, image in enumerate(sorted(self.pixels)):
            rows.append(f'{number},{image + 7},"(0, 0, 0.1, 0.1)",{image},False')
        path = self.root / "nsd_stim_info_merged.csv"
        path.write_text("\n".join(rows) + "\n")
        self.key["algonauts"]["information"] = str(path)
        return path
