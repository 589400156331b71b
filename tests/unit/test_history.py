"""A record says how a file was made; the chain of records leads back to the raw files, checked."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from mine import cli
from mine.errors import InputError
from mine.history import HASHED_BYTES, describe_file, hide_folders, history_path, write_history
from mine.lineage import list_problems, render_tree, trace_origin
from mine.provenance import describe_provenance
from mine.redrawing import Named
from mine.stores import open_store, read_manifest, write_store


def write_numbers(path: Path, value: float, **provenance: object) -> None:
    """Write a store that holds one number."""
    dataset = xr.Dataset({"response": ("voxel", np.array([value]))})
    write_store(dataset, path, provenance=describe_provenance(seed=0, **provenance))


def make_job(rule: str, *, inputs: dict, outputs: dict, **parameters: object) -> SimpleNamespace:
    """What Snakemake gives to the script of a rule."""
    return SimpleNamespace(
        rule=rule,
        input=Named(inputs),
        output=Named(outputs),
        params=Named({"code": f"code of {rule}", "seed": 0, **parameters}),
        wildcards=Named({"subject": "subj01"}),
    )


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three stores and a table: a raw file -> responses -> scores, and a table of both stores."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/design.mat").write_bytes(b"design")
    Path("data/betas.hdf5").write_bytes(b"betas")
    make_responses(1.0)
    make_scores()
    Path("results/table.tsv").write_text("a\n1\n")
    stores = {
        "responses": ["results/subj01/responses.zarr"],
        "scores": "results/subj01/scores.zarr",
    }
    job = make_job("table", inputs=stores, outputs={"": ["results/table.tsv"]})
    job.wildcards = Named({"control": "", "roi": "EBA"})
    write_history(job)
    return tmp_path


def make_responses(value: float) -> None:
    write_numbers(Path("results/subj01/responses.zarr"), value)
    job = make_job(
        "responses",
        inputs={"dataset": ["data/design.mat"]},
        outputs={
            "store": "results/subj01/responses.zarr",
            "manifest": "results/subj01/responses.json",
        },
        dataset={"root": "/somewhere/data", "voxels": ["nsdgeneral"]},
    )
    write_history(job, sources=["data/betas.hdf5"])


def make_scores() -> None:
    write_numbers(Path("results/subj01/scores.zarr"), 2.0, models={"backbone": "abc"})
    inputs = {"responses": "results/subj01/responses.json"}
    outputs = {"store": "results/subj01/scores.zarr"}
    write_history(make_job("scores", inputs=inputs, outputs=outputs))


def read_record(path: str) -> dict:
    return json.loads(history_path(path).read_text())


def test_record_names_what_a_store_was_made_from(results: Path) -> None:
    record = read_record("results/subj01/scores.zarr")
    assert (record["rule"], record["wildcards"]) == ("scores", {"subject": "subj01"})
    assert (record["code"], record["seed"]) == ("code of scores", 0)
    assert record["models"] == {"backbone": "abc"}
    assert {"python", "mine", "torch", "snakemake", "numpy"} <= record["versions"].keys()
    digest = read_manifest("results/subj01/responses.zarr")["content_digest"]
    # The store, though a rule has its manifest as the input.
    assert record["inputs"] == {"responses": {"path": "responses.zarr", "digest": digest}}
    own = read_manifest("results/subj01/scores.zarr")["content_digest"]
    assert record["outputs"] == {"store": {"path": "scores.zarr", "digest": own}}
    raw = read_record("results/subj01/responses.zarr")
    assert raw["sources"] == [{"path": "../../data/betas.hdf5", "size": 5}]
    assert raw["inputs"]["dataset"][0]["path"] == "../../data/design.mat"


def test_record_of_a_table_names_the_models_that_its_job_used(results: Path) -> None:
    stores = {"scores": "results/subj01/scores.zarr"}
    job = make_job("table", inputs=stores, outputs={"": ["results/table.tsv"]})
    write_history(job, models={"backbone": "abc"})
    assert read_record("results/table.tsv")["models"] == {"backbone": "abc"}
    assert "model backbone abc" in render_tree(trace_origin("results/table.tsv"))


def test_every_script_that_loads_a_model_names_it(repository: Path) -> None:
    """To the manifests of its stores, or, where it writes none, to its record."""
    load = re.compile(r"\b(open_(backbone|features)|load_(generator|observer|phraser))\(")
    scripts = (repository / "workflow/scripts").glob("*.py")
    texts = {script.stem: script.read_text(encoding="utf-8") for script in scripts}
    loading = {name for name, text in texts.items() if load.search(text)}
    assert loading > {"embed", "alignments", "phrases", "recovery_causality"}
    for name in loading:
        told = r"write_history\([^)]*models=" if "write_store(" not in texts[name] else "models="
        assert re.search(told, texts[name]), name


def test_records_are_alike_wherever_and_whenever_they_are_written(
    results: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in results.rglob("*.provenance.json")}
    assert len(before) == 3 and not any(b"somewhere" in text for text in before.values())
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    Path("data").mkdir()
    Path("data/design.mat").write_bytes(b"design")
    Path("data/betas.hdf5").write_bytes(b"betas")
    make_responses(1.0)
    make_scores()
    for path in elsewhere.rglob("*.provenance.json"):
        assert path.read_bytes() == before[path.name], path


def test_other_code_changes_the_record_and_not_the_manifest(results: Path) -> None:
    manifest = Path("results/subj01/scores.json").read_bytes()
    record = history_path("results/subj01/scores.zarr").read_bytes()
    write_numbers(Path("results/subj01/scores.zarr"), 2.0, models={"backbone": "abc"})
    inputs = {"responses": "results/subj01/responses.zarr"}
    outputs = {"store": "results/subj01/scores.zarr"}
    write_history(make_job("other", inputs=inputs, outputs=outputs))
    assert Path("results/subj01/scores.json").read_bytes() == manifest
    assert history_path("results/subj01/scores.zarr").read_bytes() != record
    # A record is no part of a store, and opening one needs none.
    history_path("results/subj01/scores.zarr").unlink()
    assert float(open_store("results/subj01/scores.zarr")["response"][0]) == 2.0


def test_files_of_one_name_share_a_record() -> None:
    names = ("maps.png", "maps.pdf", "maps.tsv", "maps.nii.gz", "maps.lh.label.gii", "maps.zarr")
    assert {str(history_path(name)) for name in names} == {"maps.provenance.json"}
    assert str(history_path("truth/sub.01.zarr")) == "truth/sub.01.provenance.json"


def test_large_files_are_known_by_their_size(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    with path.open("wb") as stream:
        stream.truncate(HASHED_BYTES + 1)
    assert describe_file(path) == {"size": HASHED_BYTES + 1}
    with path.open("wb") as stream:
        stream.truncate(10)
    assert describe_file(path).keys() == {"digest"}
    assert describe_file(tmp_path / "absent") == {}


def test_a_folder_that_is_no_store_is_known_by_the_size_of_its_files(results: Path) -> None:
    folder, page = Path("results/browser/data/subj01"), "results/browser/index.html"
    (folder / "images").mkdir(parents=True)
    (folder / "subject.js").write_text("1234")
    (folder / "images/1.jpg").write_bytes(b"123")
    assert describe_file(folder) == {"size": 7}
    scores = {"scores": "results/subj01/scores.zarr"}
    write_history(make_job("browser_subject", inputs=scores, outputs={"folder": str(folder)}))
    Path(page).write_text("page")
    write_history(make_job("browser", inputs={"data": [str(folder)]}, outputs={"": [page]}))
    nodes = trace_origin(page)
    assert list_problems(nodes) == [] and "results/subj01/scores.zarr" in nodes
    (folder / "images/1.jpg").unlink()
    (problem,) = list_problems(trace_origin(page))
    assert problem.endswith(f"made from {folder} with 7 bytes, which now has 4 bytes")
    shutil.rmtree(folder)
    assert f"{page}: expected its input {folder}, found none" in list_problems(trace_origin(page))


def test_folders_of_subjects_with_dots_in_their_names_have_records_of_their_own(
    results: Path,
) -> None:
    for subject in ("sub.01", "sub.02"):
        folder = Path("results/browser/data", subject)
        folder.mkdir(parents=True)
        write_history(make_job(subject, inputs={}, outputs={"folder": str(folder)}))
    for subject in ("sub.01", "sub.02"):
        (node,) = trace_origin(f"results/browser/data/{subject}").values()
        assert node.record["rule"] == subject
        assert node.record["outputs"]["folder"]["path"] == subject


def test_an_empty_path_is_no_file() -> None:
    with pytest.raises(InputError, match="^an empty path: expected a store or a file of the"):
        trace_origin("")


def test_absolute_paths_are_shortened_wherever_they_stand() -> None:
    given = {"root": "/home/me/nsd", "model": "local-dir:/models/clip", "names": ["a/b", "/c/d"]}
    assert hide_folders(given) == {"root": "nsd", "model": "local-dir:clip", "names": ["a/b", "d"]}
    assert hide_folders("hf-hub:timm/vit") == "hf-hub:timm/vit"
    assert hide_folders("https://bucket") == "https://bucket"


def test_chain_leads_back_to_the_raw_files_and_tells_each_once(results: Path) -> None:
    nodes = trace_origin("results/table.tsv")
    assert list(nodes) == [
        "results/table.tsv",
        "results/subj01/responses.zarr",
        "data/design.mat",
        "results/subj01/scores.zarr",
    ]
    assert list_problems(nodes) == []
    text = render_tree(nodes)
    assert "made by rule table of roi EBA, code" in text
    assert "seed None" not in text
    assert text.count("made by rule responses of subject subj01, code code of resp") == 1
    assert "responses: results/subj01/responses.zarr  (above)" in text
    assert "data/betas.hdf5  5 bytes" in text and 'dataset = {"root": "data"' in text
    assert "model backbone abc" in text and text.count("python ") == 1


def test_stale_and_missing_inputs_are_told(results: Path) -> None:
    before = read_manifest("results/subj01/responses.zarr")["content_digest"][:12]
    make_responses(3.0)
    after = read_manifest("results/subj01/responses.zarr")["content_digest"][:12]
    (problem,) = list_problems(trace_origin("results/subj01/scores.zarr"))
    assert problem == (
        "results/subj01/scores.zarr: stale, made from results/subj01/responses.zarr with digest "
        f"{before}, which now has digest {after}"
    )
    Path("data/betas.hdf5").write_bytes(b"others")
    Path("data/design.mat").unlink()
    said = list_problems(trace_origin("results/subj01/responses.zarr"))
    assert len(said) == 2 and "expected its input data/design.mat, found none" in said[0]
    assert "data/betas.hdf5 with 5 bytes, which now has 6 bytes" in said[1]
    Path("results/subj01/responses.json").unlink()
    said = list_problems(trace_origin("results/subj01/scores.zarr"))
    assert any(
        "expected its input results/subj01/responses.zarr, found none" in one for one in said
    )


def test_what_cannot_be_looked_at_is_noted_and_is_no_problem(
    results: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def read_notes(path: str) -> list[str]:
        nodes = trace_origin("results/table.tsv")
        assert list_problems(nodes) == []
        text = render_tree(nodes)
        assert all(f"({note})" in text for note in nodes[path].notes)
        return nodes[path].notes

    scores = "results/subj01/scores.zarr"
    assert read_notes(scores) == []
    shutil.rmtree(scores)
    assert read_notes(scores) == [f"{scores}: only its manifest is here"]
    history_path(scores).unlink()
    assert read_notes(scores)[1:] == [f"{scores}: no record says how it was made"]
    # A record keeps of a path elsewhere its name alone, so that it is the same on any machine.
    outside = tmp_path_factory.mktemp("other") / "design.mat"
    outside.write_bytes(b"design")
    write_numbers(Path(scores), 2.0, models={"backbone": "abc"})
    inputs, outputs = {"dataset": [str(outside)]}, {"store": scores}
    write_history(make_job("scores", inputs=inputs, outputs=outputs))
    assert read_notes(scores) == ["design.mat: named by an absolute path, so not looked at"]


def test_a_file_that_something_else_has_written_is_told(results: Path) -> None:
    Path("results/table.tsv").write_text("a\n2\n")
    (problem,) = list_problems(trace_origin("results/table.tsv"))
    assert "so something else has written it since" in problem


@pytest.mark.parametrize(
    ("start", "record"),
    [
        ("README.md", "README.provenance.json"),
        ("results/subj01", "subj01.provenance.json"),
        ("results/empty/", "empty.provenance.json"),
        ("results/table.tsv", "table.provenance.json"),
        ("results/subj01/scores.zarr", "scores.provenance.json"),
    ],
)
def test_of_a_file_without_a_record_nothing_is_known_and_the_status_tells(
    results: Path, start: str, record: str, capsys
) -> None:
    Path("README.md").write_text("about")
    Path("results/empty").mkdir()
    for path in ("results/table.tsv", "results/subj01/scores.zarr"):
        history_path(path).unlink()
    assert cli.main(["provenance", start]) == 1
    said = capsys.readouterr().out
    name = start.rstrip("/")
    assert f"! {name}: expected the record {record} beside it, found none, so nothing says" in said
    assert said.endswith("1 files on the way, 1 problems\n")


def test_a_store_on_the_way_that_is_damaged_is_told(results: Path, capsys) -> None:
    chunk = Path("results/subj01/responses.zarr/response/c/0")
    size = chunk.stat().st_size
    chunk.unlink()
    (problem,) = list_problems(trace_origin("results/table.tsv"))
    assert problem.startswith(
        f"store results/subj01/responses.zarr: expected its file response/c/0 of {size} bytes, "
        "found none; "
    )
    assert cli.main(["provenance", "results/subj01/scores.zarr"]) == 1
    assert f"! {problem}" in capsys.readouterr().out
    # Of the layout of another version there may be no such list.
    manifest = Path("results/subj01/responses.json")
    content = json.loads(manifest.read_text())
    del content["files"]
    manifest.write_text(json.dumps(content))
    assert list_problems(trace_origin("results/table.tsv")) == []


def test_command_prints_the_chain_and_its_status_tells_of_problems(results: Path, capsys) -> None:
    assert cli.main(["provenance", "results/table.tsv"]) == 0
    assert "4 files on the way, 0 problems" in capsys.readouterr().out
    make_responses(3.0)
    assert cli.main(["provenance", "results/table.tsv", "--as", "json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["start"] == "results/table.tsv"
    assert said["files"]["results/subj01/scores.zarr"]["record"]["rule"] == "scores"
    assert said["files"]["results/subj01/scores.zarr"]["problems"]


def test_command_refuses_in_one_sentence(results: Path, capsys) -> None:
    assert cli.main(["provenance", "results/absent.zarr"]) == 1
    said = capsys.readouterr().err
    assert said == (
        "results/absent.zarr: expected a store or a file of the results, found nothing\n"
    )
    history_path("results/table.tsv").write_text("[]")
    with pytest.raises(InputError, match="expected the record of a job, found something else"):
        trace_origin("results/table.tsv")
