"""Faults that are injected one at a time into a copy of a dataset with which nothing is wrong."""

from __future__ import annotations

import copy
import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mine.datasets.reader import open_dataset, restore_section
from mine.errors import InputError
from mine.sections import Dataset
from mine.stages.responses import build_responses
from mine.stages.stimuli import build_stimuli


class Damaged:
    """A copy of a dataset that a fault may change. key: the section `dataset`."""

    def __init__(self, whole: Path, key: dict, root: Path, *, subjects: tuple, rois: dict) -> None:
        shutil.copytree(whole, root)
        self.root, self.subjects, self.rois = root, list(subjects), dict(rois)
        self.key = copy.deepcopy(key) | {"root": str(root)}

    def path(self, name: str) -> Path:
        return self.root / name

    def edit(self, name: str, change: Callable[[str], str]) -> None:
        path = self.path(name)
        path.write_text(change(path.read_text()))

    def check(self) -> list[str]:
        return open_dataset(self.key).check(subjects=self.subjects, rois=self.rois)

    def read_all(self) -> None:
        """Read all that an analysis reads."""
        dataset = restore_section(Dataset, self.key)
        reader = open_dataset(dataset)
        stimuli = build_stimuli(reader.read_images(self.subjects))
        reader.open_stimuli().read(stimuli["image"].values)
        for subject in self.subjects:
            recording = reader.read_subject(subject)
            build_responses(
                recording,
                test=dataset.test_images,
                standardise_on=dataset.zscore,
                least_ncsnr=dataset.least_ncsnr,
                least_noise_ceiling=dataset.least_noise_ceiling,
            )
            reader.read_rois(subject, rois=self.rois, voxels=recording.voxels)


class Faults:
    """A table of faults: name -> formats, what is damaged, parts of the sentence."""

    def __init__(self) -> None:
        self.table: dict[str, tuple[tuple[str, ...], Callable, tuple[str, ...]]] = {}

    def add(self, *parts: str, formats: tuple[str, ...] = ("",)) -> Callable:
        def note(damage: Callable) -> Callable:
            assert damage.__name__ not in self.table
            self.table[damage.__name__] = (formats, damage, parts)
            return damage

        return note

    @property
    def cases(self) -> list[tuple[str, str]]:
        return [(name, one) for name, (formats, *_) in self.table.items() for one in formats]


def hold_to_one_sentence(
    world: Damaged, damage: Callable, parts: tuple[str, ...], *, harmless: bool
) -> None:
    """Inject a fault; assert that the check tells it in one sentence, and so does reading the
    dataset all the same, unless it is harmless; and that neither writes anything."""
    damage(world)
    before = sorted(world.root.parent.rglob("*"))
    problems = world.check()
    assert len(problems) == 1, problems
    assert "\n" not in problems[0] and "expected" in problems[0] and "found" in problems[0]
    for part in parts:
        assert part in problems[0], (part, problems[0])
    if harmless:
        world.read_all()
    else:
        with pytest.raises(InputError) as refused:
            world.read_all()
        assert "\n" not in str(refused.value)
    assert sorted(world.root.parent.rglob("*")) == before, "a reader writes nothing"


def store_damaged(path: Path) -> None:
    """Write a file of gzip anew, uncompressed within and with one bit of its last number changed, a
    fault that nothing but the checksum tells."""
    content = bytearray(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=0))
    content[-9] ^= 1
    path.write_bytes(bytes(content))
