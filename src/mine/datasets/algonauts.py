"""Read the Algonauts 2023 repackaging of NSD (Gifford et al. 2023, arXiv 2301.03198).

Its responses are z-scored and averaged over repeats, and the responses of its test split are not in
it. So the test images are drawn among the training images, and the noise ceiling is not known
unless NSD's own ncsnr is given with the number of repeats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from mine.datasets import algonauts_files as files
from mine.datasets import algonauts_rois, coco, nsd_files
from mine.datasets.algonauts_check import check_algonauts
from mine.datasets.algonauts_vertices import open_vertices, read_ncsnr
from mine.datasets.held_out import draw_test_images
from mine.datasets.image_files import ImageFiles
from mine.datasets.images import ImageTable
from mine.datasets.numpy_files import take_part
from mine.datasets.recording import Recording
from mine.datasets.rois import describe_rois
from mine.datasets.voxels import VoxelSet
from mine.errors import InputError
from mine.references import voxel_references
from mine.sections import Dataset


@dataclass(frozen=True)
class AlgonautsReader:
    """The Algonauts 2023 data in the folder that a configuration names."""

    dataset: Dataset

    @property
    def root(self) -> Path:
        return Path(self.dataset.root)

    def check(self, *, subjects: Sequence[str], rois: Mapping[str, str]) -> list[str]:
        return check_algonauts(self.dataset, subjects=subjects, rois=rois)

    def list_categories(self) -> dict[str, str]:
        paths = [Path(path) for path in self.dataset.instances]
        return {} if coco.list_missing(paths) else coco.read_categories(paths)

    def list_contrasts(self, subjects: Sequence[str]) -> list[str]:
        return []

    def count_images(self, subjects: Sequence[str]) -> int:
        return len({int(one) for name in subjects for one in files.list_images(self.root, name)[0]})

    def measure_session(self, subjects: Sequence[str]) -> float:
        sizes = [0.0]
        for subject in subjects:
            arrays = files.open_responses(self.root, subject)
            sizes.append(sum(4.0 * array.size for array in arrays))
        return max(sizes)

    def read_images(self, subjects: Sequence[str]) -> ImageTable:
        own = [files.list_images(self.root, subject)[0] for subject in subjects]
        shown = np.unique(np.concatenate(own))
        seen = np.array([np.isin(shown, images) for images in own]).T
        coco_id = crop = None
        captions = [[] for _ in shown]
        categories = present = annotated = None
        if self.dataset.algonauts.information is not None:
            path = Path(self.dataset.algonauts.information)
            table = nsd_files.read_information_table(path)
            if not np.isin(shown, table.index).all():
                missing = int(shown[~np.isin(shown, table.index)][0])
                raise InputError(f"{path}: expected a row of nsdId {missing}, found none")
            table = table.loc[shown]
            coco_id = table["cocoId"].to_numpy(dtype=np.int64)
            crop = coco.read_crops(table["cropBox"])
            texts = coco.read_captions(map(Path, self.dataset.captions), coco_ids=coco_id)
            captions = [texts.get(int(image), []) for image in coco_id]
            if self.dataset.instances:
                paths = [Path(path) for path in self.dataset.instances]
                categories, objects, _ = coco.read_instances(paths, coco_ids=coco_id)
                present, annotated = coco.find_present(
                    coco_id, crop, categories=categories, instances=objects
                )
        return ImageTable(
            identity=shown,
            source=str(self.root),
            subjects=list(subjects),
            seen=seen,
            shared=seen.all(axis=1),
            held_out=self._draw(shown),
            captions=captions,
            coco_id=coco_id,
            crop=crop,
            categories=categories,
            present=present,
            annotated=annotated,
        )

    def open_stimuli(self) -> ImageFiles:
        paths: dict[int, Path] = {}
        for subject in files.list_subjects(self.root):
            # the others' images are the same where they are there at all
            if (self.root / subject / files.ALGONAUTS_IMAGES).is_dir():
                identities, found = files.list_images(self.root, subject)
                paths = dict(zip(identities.tolist(), found, strict=True)) | paths
        if not paths:
            raise InputError(
                f"{self.root}: expected folders such as subj01 with images, found none"
            )
        return ImageFiles(paths, None, self.root)

    def read_subject(self, subject: str) -> Recording:
        identities, _ = files.list_images(self.root, subject)
        opened = open_vertices(self.root, subject)
        left, right = opened.responses
        files.match_rows(self.root, subject, len(identities), len(left))
        places = self._find_places(subject)
        here, settings = places < left.shape[1], self.dataset.algonauts
        rows = np.arange(len(left))

        def read_session(number: int) -> np.ndarray:
            return np.concatenate(
                [
                    take_part(left, rows, places[here]),
                    take_part(right, rows, places[~here] - left.shape[1]),
                ],
                axis=1,
            )

        test = identities[self._draw(identities)]
        repeats = None
        if settings.repeats is not None:
            repeats = np.full(len(identities), settings.repeats, dtype=np.int64)
        ncsnr = None
        if settings.ncsnr is not None:
            ncsnr = read_ncsnr(self.root, subject, settings.ncsnr, opened)[places]
        return Recording(
            subject=subject,
            images=(identities,),
            shared=np.sort(test),
            voxels=opened.select(places),
            read_session=read_session,
            ncsnr=ncsnr,
            test=np.sort(test),
            averaged=True,
            repeats=repeats,
            attributes={
                "dataset": "Algonauts 2023",
                "subject": subject,
                "sessions": 1,
                "voxel_set": list(self.dataset.voxels),
            },
        )

    def read_rois(self, subject: str, *, rois: Mapping[str, str], voxels: VoxelSet) -> xr.Dataset:
        opened = open_vertices(self.root, subject)
        everywhere = opened.select(np.arange(sum(opened.counts)))
        places = np.searchsorted(everywhere.index, voxels.index)
        found, absent = algonauts_rois.find_members(
            self._read_atlases(subject), self.root, rois=rois, places=places
        )
        return describe_rois(subject, voxels=voxels, found=found, absent=absent, t_values={})

    def read_background(self, subject: str, voxels: VoxelSet) -> None:
        """None: vertices lie in no volume."""

    def _draw(self, identities: np.ndarray) -> np.ndarray:
        dataset = self.dataset
        return draw_test_images(identities, fraction=dataset.test_fraction, seed=dataset.test_seed)

    def _read_atlases(self, subject: str) -> algonauts_rois.Atlases:
        opened = open_vertices(self.root, subject)
        return algonauts_rois.read_atlases(
            self.root, subject, counts=opened.counts, vertices=opened.vertices
        )

    def _find_places(self, subject: str) -> np.ndarray:
        atlases = self._read_atlases(subject)
        count = sum(open_vertices(self.root, subject).counts)
        return algonauts_rois.find_voxels(atlases, voxel_references(self.dataset), self.root, count)
