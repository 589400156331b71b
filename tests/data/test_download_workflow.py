"""The workflow fetches what it reads before it reads it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

from mine.check import check_config
from mine.config import load_config
from mine.stores import open_store
from tests.data.miniature_bucket import IMAGES
from tests.workflow.running import prepare_miniature, run

TARGETS = ("results/small/subj01/rois.json", "results/small/stimuli.json")

STARTS = {
    "download": "Downloading",
    "responses": "Reading the responses",
    "rois": "Finding the regions",
    "stimuli": "Indexing the images",
}
"""How the messages of the rules begin."""


@pytest.fixture
def folder(address: str, repository: Path, tmp_path: Path) -> Path:
    """A folder with the workflow and a configuration whose dataset is yet to be downloaded."""
    return prepare_miniature(
        tmp_path,
        repository,
        rois=["FFA-1"],
        dataset={"root": "nsd", "test_images": "shared"},
        download={"accept_terms": True, "endpoint": address},
        backbone={
            "model": f"local-dir:{repository / 'resources/demo/clip'}",
            "pretrained": None,
            "shard_size": 50,
        },
    )


def jobs(said: str) -> set[str]:
    """Rules of the jobs that ran."""
    started = re.findall(r"^Job \d+: (\w+ing \w+ ?\w*)", said, flags=re.MULTILINE)
    return {rule for text in started for rule, start in STARTS.items() if text.startswith(start)}


def test_dataset_is_fetched_once_and_then_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert jobs(run(folder, *TARGETS)) == {"download", "responses", "rois", "stimuli"}
    monkeypatch.chdir(folder)
    assert check_config(load_config("config.yaml")) == []
    assert open_store(folder / "results/small/stimuli.zarr").sizes["image"] > 0
    groups = sorted(path.stem for path in (folder / "results/small/download").glob("*.tsv"))
    assert groups == ["experiment", "regions", "stimuli", "subj01"]
    rows = (folder / "results/small/download/experiment.tsv").read_text().splitlines()
    assert rows[0].split("\t") == ["file", "size", "etag", "sha256", "verified"] and len(rows) == 3
    log = (folder / "results/small/logs/download/subj01.log").read_text()
    assert "are to be fetched" in log and "with the checksum of their source" in log


@pytest.mark.slow
def test_only_what_is_concerned_runs_again(folder: Path) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["dataset"]["captions"] = ["captions.json"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "captions.json").write_text('{"annotations": []}')
    run(folder, *TARGETS)
    # Shards are known from the beginning once the table of images is there.
    said = run(folder, "-n", "--until", "low_level")
    shards = set(re.findall(r"Gabor energy, shard (\d+)", said))
    assert len(shards) == -(-IMAGES // 50), said

    assert jobs(run(folder, *TARGETS)) == set()
    # Another limit makes nothing stale; other code of the download, or a region more, fetches and
    # verifies, and no response is read again.
    config["download"]["connections"] = 2
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert jobs(run(folder, *TARGETS)) == set()
    script = folder / "workflow/scripts/download.py"
    script.write_text(script.read_text() + "print(1)\n")
    assert jobs(run(folder, *TARGETS)) == {"download"}
    config["rois"] = ["FFA-1", "OFA", "V1d"]
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    members = "results/small/subj01/V1d/members.json"
    assert jobs(run(folder, *TARGETS, members)) == {"download", "rois"}
    assert "prf-visualrois" in (folder / "results/small/download/regions.tsv").read_text()
    # No rule fetches captions.
    (folder / "captions.json").write_text('{"annotations": [], "info": {}}')
    assert jobs(run(folder, *TARGETS)) == {"stimuli"}
    # Where there is no network, what was copied there is read as it is.
    config["download"] = {"accept_terms": False, "endpoint": "http://127.0.0.1:9"}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    shutil.rmtree(folder / "results")
    assert jobs(run(folder, *TARGETS)) == {"responses", "rois", "stimuli"}


@pytest.mark.slow
def test_shards_follow_from_the_table_that_is_fetched_first(folder: Path) -> None:
    said = run(folder, "results/small/embeddings/clip/base_rates.json")
    found = set(re.findall(r"Embedding images, shard (\d+)", said))
    assert len(found) == -(-IMAGES // 50)
    assert not (folder / "nsd/nsddata_betas").exists(), "no response is read here"


def test_nothing_is_fetched_without_acceptance(folder: Path) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["download"]["accept_terms"] = False
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    said = run(folder, *TARGETS, succeeds=False)
    assert "nsd_stim_info_merged.csv, found no such file" in said and "download:" not in said
    assert not (folder / "nsd").exists()


def test_failure_is_one_sentence_in_the_log(folder: Path) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["dataset"]["sessions"] = 9
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    run(folder, *TARGETS, succeeds=False)
    log = (folder / "results/small/logs/download/experiment.log").read_text()
    assert "expected session 9 of 9 in the bucket, found sessions up to 2" in log
    assert "Traceback" not in log
