"""What an archive holds of a finished analysis, and that its figures can be drawn from it alone."""

from __future__ import annotations

import json
import runpy
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr

from mine import cli, exporting
from mine.archive import write_archive
from mine.config import Config, Demo, load_config
from mine.demo import nsd_writer
from mine.errors import InputError
from mine.exporting import list_expected, list_left_out, list_results
from mine.figures.catalogue import FIGURES
from mine.history import history_path, write_history
from mine.redrawing import Named
from mine.sources import code_digest
from mine.stores import open_store, write_store

DATASET = "results/small/dataset"
CONFIG = f"name: small\nsubjects: [subj01]\nrois: [EBA]\ndataset: {{root: {DATASET}}}\n"
FIGURE = "results/small/figures/subj01/described"
PROFILES = "results/small/subj01/EBA/profiles.zarr"
EDITS = "results/small/subj01/EBA/edits.zarr"
RESPONSES = "results/small/subj01/responses.zarr"


@pytest.fixture
def analysis(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an analysis of four stores and the one figure that there is here, drawn from
    three of them. The dataset lies within its results, as the demo's does."""
    monkeypatch.chdir(tmp_path)
    described = [figure for figure in FIGURES if figure.rule == "figure_described"]
    monkeypatch.setattr(exporting, "FIGURES", described)
    Path("config.yaml").write_text(CONFIG)
    write_reasons(["described", "described", "retinotopic"])
    other = xr.Dataset({"response": ("voxel", np.ones(3))})
    write_store(other, "results/small/subj01/apart.zarr", provenance={})
    pixels = xr.Dataset({"pixels": (("edit", "row"), np.full((2, 3), 9, "uint8"))})
    write_store(pixels, EDITS, provenance={})
    measured = {
        "response": (("image", "voxel"), np.full((2, 3), 0.5)),
        "ceiling": ("voxel", [1.0] * 3),
    }
    write_store(xr.Dataset(measured), RESPONSES, provenance={})
    nsd_writer.write_stimuli(Path(DATASET), np.zeros((2, 4, 4, 3), "uint8"))
    for name in ("logs/a.log", "browser/data/subj01/images/1.jpg"):
        Path("results/small", name).parent.mkdir(parents=True)
        Path("results/small", name).write_text("of no archive")
    Path("results/small/summary.tsv").write_text("a\n1\n")
    Path("results/small/subj01/regions.tsv").write_text("roi\tvoxels\nEBA\t3\n")
    Path("results/small/summary").mkdir()
    Path("results/small/summary/subjects.tsv").write_text("subject\n")
    for name in ("summary.tsv", "subj01/regions.tsv", "summary/subjects.tsv"):
        record(Path("results/small", name))
    draw(repository)
    return tmp_path


def record(table: Path, code: str | None = "0") -> None:
    """Leave the record of a job that has written a table."""
    job = SimpleNamespace(
        rule=table.stem,
        input=Named({}),
        output=Named({"table": str(table)}),
        params=Named({} if code is None else {"code": code}),
        wildcards=Named({}),
    )
    write_history(job)


def write_reasons(reasons: list[str]) -> None:
    write_store(xr.Dataset({"reason": ("voxel", reasons)}), PROFILES, provenance={})


def draw(repository: Path) -> None:
    """Run the script of the figure as Snakemake does."""
    script = repository / "workflow/scripts/figure_described.py"
    Path(FIGURE).parent.mkdir(parents=True, exist_ok=True)
    outputs = {name: f"{FIGURE}.{name}" for name in ("png", "pdf")}
    job = SimpleNamespace(
        rule="figure_described",
        input=Named(
            {
                "profiles": [PROFILES],
                "profiles_manifest": [PROFILES[:-5] + ".json"],
                "edits": EDITS,
                "responses": RESPONSES,
            }
        ),
        output=Named({**outputs, "table": f"{FIGURE}.tsv"}),
        params=Named({"code": code_digest(script)}),
        wildcards=Named({"subject": "subj01"}),
        log=["results/small/logs/figure_described.log"],
    )
    runpy.run_path(str(script), init_globals={"snakemake": job})


def test_archive_holds_what_figures_are_drawn_from(analysis: Path, capsys) -> None:
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 0
    said = capsys.readouterr().out
    assert "wrote bundle: 1 figures, 3 stores, 0 images" in said and "not part of the" in said
    bundle = Path("bundle")
    assert (bundle / "config.yaml").read_text() == CONFIG
    for name in ("requirements.lock", "README.txt", "results/small/summary.tsv", f"{FIGURE}.png"):
        assert (bundle / name).is_file(), name
    assert (bundle / "software/workflow/scripts/figure_described.py").is_file()
    assert (bundle / "software/src/mine/cli.py").is_file()
    for name in ("logs", "browser"):
        assert not (bundle / "results/small" / name).exists()
    # Of another store its manifest, for the chain.
    assert (bundle / "results/small/subj01/apart.json").is_file()
    assert not (bundle / "results/small/subj01/apart.zarr").exists()
    assert open_store(bundle / PROFILES).identical(open_store(PROFILES))
    assert cli.main(["export", "config.yaml", "--to", "whole", "--all"]) == 0
    assert open_store("whole/results/small/subj01/apart.zarr").sizes == {"voxel": 3}


@pytest.mark.parametrize(
    ("options", "pixels", "responses"),
    [
        ([], False, False),
        (["--images"], True, False),
        (["--all"], False, True),
        (["--images", "--all"], True, True),
    ],
)
def test_what_a_licence_or_nobody_asks_for_stays_behind(
    analysis: Path, options: list[str], pixels: bool, responses: bool
) -> None:
    assert cli.main(["export", "config.yaml", "--to", "bundle", *options]) == 0
    bundle = Path("bundle")
    files = [path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_file()]
    assert list(Path(DATASET).rglob("*.hdf5"))
    assert not [name for name in files if name.startswith(DATASET) or name.endswith(".hdf5")]
    # What stays behind reads as nothing, and all else as it is.
    kept = open_store(bundle / EDITS)["pixels"]
    assert any(name.startswith(f"{EDITS}/pixels/c") for name in files) == pixels
    assert (kept.values == (9 if pixels else 0)).all()
    kept = open_store(bundle / RESPONSES)
    assert any(name.startswith(f"{RESPONSES}/response/c") for name in files) == responses
    assert (kept["response"].fillna(0).values == (0.5 if responses else 0)).all()
    assert (kept["ceiling"].values == 1).all()


def test_configuration_of_several_files_goes_along_as_one(analysis: Path) -> None:
    Path("over.yaml").write_text("dataset: {skip_missing_sessions: true}\n")
    assert cli.main(["export", "config.yaml", "over.yaml", "--to", "bundle"]) == 0
    dataset = load_config("bundle/config.yaml").dataset
    assert dataset.skip_missing_sessions and dataset.root == DATASET


def list_bundle(name: str = "bundle") -> set[str]:
    """Names of the files in an archive."""
    files = (path for path in Path(name).rglob("*") if path.is_file())
    return {path.relative_to(name).as_posix() for path in files}


def test_what_nobody_recorded_stays_behind_and_is_named(analysis: Path, capsys) -> None:
    own = [f"{FIGURE[:-9]}explained.png", "results/small/notes.txt", f"{PROFILES}/photo.png"]
    for name in own[1:]:
        Path(name).write_text("shows an image of the dataset")
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 0
    assert not list_bundle() & set(own)
    left = f"Left behind, since no record names them: {own[1]}, {own[2]}.\n"
    assert left in capsys.readouterr().out
    # A picture among the figures would pass for one of them.
    Path(own[0]).write_text("shows an image of the dataset")
    assert cli.main(["export", "config.yaml", "--to", "other"]) == 1
    assert f"{own[0]}: expected its record" in capsys.readouterr().err


@pytest.mark.parametrize("linked", ["subj01/EBA", "subj01", "figures"])
def test_results_behind_a_link_go_along(analysis: Path, linked: str) -> None:
    assert cli.main(["export", "config.yaml", "--to", "plain"]) == 0
    place = Path("results/small", linked)
    place.rename("scratch")
    place.symlink_to(analysis / "scratch", target_is_directory=True)
    Path("scratch/loop").symlink_to("..", target_is_directory=True)
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 0
    assert list_bundle() == list_bundle("plain")
    assert open_store(Path("bundle", PROFILES)).sizes == {"voxel": 3}


@pytest.mark.parametrize("root", ["absolute", "linked"])
def test_the_dataset_stays_behind_by_whatever_name_it_is_reached(analysis: Path, root: str) -> None:
    # A record names it among what a job wrote, as that of a table would.
    Path("results/small/seen").symlink_to(analysis / DATASET, target_is_directory=True)
    for folder in (DATASET, "results/small/seen"):
        Path(DATASET, "secret.tsv").write_text("a\n")
        record(Path(folder, "secret.tsv"))
    Path("elsewhere").symlink_to(analysis / DATASET, target_is_directory=True)
    place = analysis / DATASET if root == "absolute" else "elsewhere"
    Path("config.yaml").write_text(CONFIG.replace(DATASET, str(place)))
    assert cli.main(["export", "config.yaml", "--to", "bundle", "--all"]) == 0
    assert not [name for name in list_bundle() if "secret" in name or ".hdf5" in name]


def test_absolute_paths_that_an_archive_gives_away_are_told(analysis: Path, capsys) -> None:
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 0
    assert "absolute" not in capsys.readouterr().out
    Path("config.yaml").write_text(CONFIG.replace(DATASET, "/home/ann/nsd"))
    assert cli.main(["export", "config.yaml", "--to", "other"]) == 0
    said = "goes along as it is, with the absolute paths that it names: /home/ann/nsd.\n"
    assert said in capsys.readouterr().out


def test_of_the_software_nothing_goes_along_but_what_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = ["requirements.lock", "Snakefile", "workflow/rules/a.smk", "src/mine/a.py"]
    others = ["workflow/.hf_token", "workflow/notes.txt", "src/mine/.env/a.py", "src/mine/id_rsa"]
    untracked = "src/mine/mine.json"
    for name in [*own, *others, untracked]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    monkeypatch.setattr(exporting, "SOFTWARE", tmp_path)

    def gather() -> set[str]:
        return {name.removeprefix("software/") for name in exporting.gather_software()}

    assert gather() == {*own, untracked}
    for command in (["init", "-q"], ["add", *own]):
        subprocess.run(["git", "-C", str(tmp_path), *command], check=True)
    assert gather() == set(own)


def test_figures_replace_nothing(analysis: Path, capsys) -> None:
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 0
    for name in ("bundle", "bundle/results/small/figures", "bundle/new"):
        assert cli.main(["figures", "bundle", "--to", name]) == 1
        assert f"{name}: expected a folder outside the archive" in capsys.readouterr().err
    Path("own").mkdir()
    Path("own/thesis.pdf").write_text("mine")
    for name in ("own", "bundle/software"):
        assert cli.main(["figures", "bundle", "--to", name]) == 1
        assert f"{name}: expected an empty folder, or nothing" in capsys.readouterr().err
    # As docs/provenance.md has it.
    assert cli.main(["figures", "bundle", "--to", "bundle/software/figures"]) == 0


def change_record(**values: object) -> None:
    record = history_path(f"{FIGURE}.png")
    record.write_text(json.dumps(json.loads(record.read_text()) | values))


@pytest.mark.parametrize("shown", [{"images": [1]}, {"rule": "figure_maps"}])
def test_figures_that_show_pictures_of_the_dataset_stay_behind(
    analysis: Path, shown: dict[str, object]
) -> None:
    change_record(**shown)
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 0
    kept = {path.name for path in Path("bundle", FIGURE).parent.iterdir()}
    assert kept == {"described.tsv", "described.provenance.json"}
    said = Path("bundle/README.txt").read_text()
    assert "Figures that show any of these are not either; their tables are." in said


def test_figures_that_show_images_go_along_with_them(analysis: Path, capsys) -> None:
    change_record(images=[1])
    assert cli.main(["export", "config.yaml", "--to", "bundle", "--images"]) == 0
    assert "wrote bundle: 1 figures, 3 stores, 1 images" in capsys.readouterr().out
    assert Path(f"bundle/{FIGURE}.png").is_file() and Path("bundle/images/1.png").is_file()


def test_of_figures_that_stayed_behind_the_tables_are_compared(analysis: Path, capsys) -> None:
    change_record(images=[1])
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 0
    assert cli.main(["figures", "bundle", "--to", "again"]) == 0
    said = capsys.readouterr().out
    assert "3 files drawn in again, 1 of them as in the archive, 2 not part of it" in said


@pytest.mark.parametrize("name", ["bundle", "bundle.zip"])
def test_figures_are_drawn_from_the_archive_alone(analysis: Path, name: str, capsys) -> None:
    assert cli.main(["export", "config.yaml", "--to", name]) == 0
    shutil.rmtree("results")
    assert cli.main(["figures", name, "--to", "again"]) == 0, capsys.readouterr()
    assert "3 files drawn in again, 3 of them as in the archive" in capsys.readouterr().out
    assert Path("again/subj01/described.tsv").read_text().startswith("roi\t")
    left = {path.name for path in Path("again").iterdir()}
    assert left == {"subj01", "logs"}


def test_a_figure_that_differs_is_told(analysis: Path, capsys) -> None:
    table = Path(f"{FIGURE}.tsv")
    table.write_text(table.read_text() + "other\n")
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 0
    assert cli.main(["figures", "bundle", "--to", "again"]) == 1
    assert "again/subj01/described.tsv: differs from the archive's\n" in capsys.readouterr().out


def test_results_of_other_code_than_goes_along_are_told(
    analysis: Path, repository: Path, capsys
) -> None:
    def export(place: str) -> list[str]:
        capsys.readouterr()
        assert cli.main(["export", "config.yaml", "--to", place]) == 0
        told = "other code" in capsys.readouterr().out
        found = json.loads(Path(place, "archive.json").read_text())["other_code"]
        assert told == bool(found) == ("other code" in Path(place, "README.txt").read_text())
        return found

    table = Path("results/small/subj01/regions.tsv")
    code = code_digest(repository / "workflow/scripts/regions.py")
    for name in ("summary.tsv", "summary/subjects.tsv"):
        record(Path("results/small", name), code=None)
    record(table, code=code)
    assert export("same") == []
    record(table, code="0" * 64)
    assert export("changed") == ["regions"]
    # A rule that there is no more.
    record(Path("results/small/summary.tsv"), code=code)
    assert export("gone") == ["regions", "summary"]


def test_results_are_not_exported_by_another_configuration(analysis: Path, capsys) -> None:
    recorded = Path("results/small/config.json")
    recorded.write_text(json.dumps(asdict(load_config("config.yaml"))))
    Path("over.yaml").write_text("seed: 7\n")
    assert cli.main(["export", "config.yaml", "over.yaml", "--to", "bundle"]) == 1
    assert f"{recorded}: the results beside it were made with other values of seed; export" in (
        capsys.readouterr().err
    )
    assert not Path("bundle").exists()
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 0


def test_an_archive_is_not_written_among_the_results(analysis: Path, capsys) -> None:
    for place in ("results/small", "results/small/bundle", "results/small/../small/bundle.zip"):
        assert cli.main(["export", "config.yaml", "--to", place]) == 1
        said = f"{place}: expected a place outside results/small, found one inside\n"
        assert capsys.readouterr().err == said
    assert not Path("results/small/bundle").exists()


def test_what_is_not_of_one_run_is_not_exported(analysis: Path, repository: Path, capsys) -> None:
    write_reasons(["described", "retinotopic", "retinotopic"])
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 1
    said = capsys.readouterr().err
    assert f"{PROFILES}: expected what {FIGURE}.png was drawn from, found another" in said
    draw(repository)
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 0
    history_path(f"{FIGURE}.png").unlink()
    assert cli.main(["export", "config.yaml", "--to", "other"]) == 1
    assert "expected its record described.provenance.json beside it" in capsys.readouterr().err
    assert not Path("other").exists()


@pytest.mark.parametrize(
    "name",
    [
        *(f"{FIGURE}.{kind}" for kind in ("png", "pdf", "tsv")),
        "results/small/subj01/regions.tsv",
        "results/small/summary/subjects.tsv",
    ],
)
def test_an_analysis_that_is_not_finished_is_not_exported(
    analysis: Path, name: str, capsys
) -> None:
    Path(name).unlink()
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 1
    assert capsys.readouterr().err == (
        f"{name}: expected this file of a finished analysis, found none; `snakemake --cores all` "
        "with its configuration goes on where it stopped\n"
    )
    assert not Path("bundle").exists()


def test_figures_are_expected_of_every_subject_and_of_the_regions_that_it_has(
    tmp_path: Path,
) -> None:
    regions = {"subj01": ["EBA", "OPA"], "subj02": ["EBA"]}
    for subject, names in regions.items():
        (tmp_path / subject).mkdir()
        rows = [f"{name}\t9\n" for name in names]
        (tmp_path / subject / "regions.tsv").write_text("".join(["roi\tvoxels\n", *rows]))
    given = {"name": "small", "subjects": list(regions), "rois": ["EBA", "OPA"]}
    config = load_config({**given, "dataset": {"root": DATASET}})

    def expect(config: Config) -> list[str]:
        paths = [path.relative_to(tmp_path) for path in list_expected(config, tmp_path)]
        assert len(set(paths)) == len(paths)
        assert paths.pop() == Path("summary/subjects.tsv")
        assert {path.suffix for path in paths} == {".png", ".pdf", ".tsv"}
        return [path.as_posix() for path in paths if path.suffix == ".png"]

    pictures = expect(config)
    of_regions = [name for name in pictures if name.endswith("/profiles.png")]
    assert of_regions == [
        f"figures/{subject}/{roi}/profiles.png" for subject in regions for roi in regions[subject]
    ]
    own = [figure.files for figure in FIGURES if not figure.demo]
    number = {"roi": 3, "subject": 2, "preference": 1, "clusters": 1}
    assert len(pictures) == sum(
        number["roi" if "{roi}" in files else "subject" if "{subject}" in files else files]
        for files in own
    )
    demo = expect(replace(config, demo=Demo()))
    assert set(demo) - set(pictures) == {
        "figures/recovery.png",
        "figures/counterfactuals_exact.png",
    }


def test_pixels_left_out_read_as_nothing(tmp_path: Path) -> None:
    pixels = xr.Dataset({"pixels": (("edit", "row"), np.full((2, 3), 9, "uint8"))})
    write_store(pixels, tmp_path / "results/edits.zarr", provenance={})
    leave_out = ("edits.zarr/pixels/c",)
    names = list(list_results(tmp_path / "results", None, leave_out=leave_out))
    files = {path.relative_to(tmp_path).as_posix(): path for path in names}
    assert "results/edits.zarr/pixels/zarr.json" in files
    manifests = list_left_out(files, leave_out=leave_out)
    assert manifests.keys() == {"results/edits.json"}
    files |= manifests
    write_archive(tmp_path / "bundle", files, {})
    kept = open_store(tmp_path / "bundle/results/edits.zarr")
    assert kept["pixels"].shape == (2, 3) and not kept["pixels"].values.any()


def test_the_name_of_an_archive_is_looked_at_before_the_analysis(tmp_path: Path) -> None:
    config = load_config({"name": "a", "subjects": ["b"], "rois": ["c"], "dataset": {"root": "d"}})
    for place, said in ((tmp_path / "a.tar.gz", "ends in .zip"), (tmp_path, "nothing there yet")):
        with pytest.raises(InputError, match=said):
            exporting.export_analysis(config, b"", place)


def test_an_archive_that_cannot_be_written_is_told_in_one_sentence(analysis: Path, capsys) -> None:
    assert cli.main(["export", "config.yaml", "--to", "config.yaml/in/bundle"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("config.yaml/in") and said.count("\n") == 1
    assert ": expected a place that can be read and written, found: " in said


@pytest.mark.parametrize("options", [[], ["--images"], ["--all"]])
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda chunk: chunk.unlink(), "expected its file reason/c/0 of {size} bytes, found none"),
        (
            lambda chunk: chunk.write_bytes(b"cut"),
            "expected its file reason/c/0 of {size} bytes, found 3",
        ),
        (
            lambda chunk: (Path(PROFILES) / "zarr.json").unlink(),
            "expected its file zarr.json of ",
        ),
        (lambda chunk: shutil.rmtree(PROFILES), "expected a folder, found nothing but its manife"),
    ],
)
def test_a_damaged_store_is_not_exported(
    analysis: Path, damage: Callable, said: str, options: list[str], capsys
) -> None:
    chunk = Path(PROFILES, "reason/c/0")
    size = chunk.stat().st_size
    damage(chunk)
    assert cli.main(["export", "config.yaml", "--to", "bundle", *options]) == 1
    assert capsys.readouterr().err.startswith(f"store {PROFILES}: {said.format(size=size)}")
    assert not Path("bundle").exists()


def test_of_what_stays_behind_damage_is_a_fault_where_it_goes_along(analysis: Path, capsys) -> None:
    shutil.rmtree("results/small/subj01/apart.zarr")
    assert cli.main(["export", "config.yaml", "--to", "bundle"]) == 0
    assert cli.main(["export", "config.yaml", "--to", "whole", "--all"]) == 1
    assert "subj01/apart.zarr: expected a folder, found nothing" in capsys.readouterr().err


def test_a_chunk_is_struck_from_a_manifest_only_where_it_stays_behind_on_purpose(
    tmp_path: Path,
) -> None:
    store = tmp_path / "results/numbers.zarr"
    write_store(xr.Dataset({"pixels": ("row", np.ones(3))}), store, provenance={})
    (store / "pixels/c/0").unlink()
    names = list_results(tmp_path / "results", None, leave_out=())
    assert not list_left_out({path.as_posix(): path for path in names}, leave_out=())


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("rule", "../../evil", "expected a rule that draws a figure"),
        ("rule", "render_demo", "expected a rule that draws a figure"),
        (
            "outputs",
            {"png": {"path": "../../../../../out.png"}},
            "expected names inside the archive",
        ),
        (
            "inputs",
            {"profiles": [{"path": "../../../../../in.zarr"}]},
            "expected names inside the archive",
        ),
        (
            "inputs",
            {"profiles": [{"path": "../../../../software/in.zarr"}]},
            "expected names inside the archive",
        ),
        (
            "inputs",
            {"profiles": [{"path": "/home/ann/in.zarr", "outside": True}]},
            "expected files in the archive, found '/home/ann/in.zarr' outside of it",
        ),
        (
            "outputs",
            {"png": {"path": "/home/ann/out.png", "outside": True}},
            "expected files in the archive, found '/home/ann/out.png' outside of it",
        ),
        ("inputs", {"": 5}, "expected the record of a job, found something else"),
        ("wildcards", {"subject": []}, "expected the record of a job, found something else"),
    ],
)
def test_a_record_that_leads_out_of_the_archive_is_refused(
    analysis: Path, key: str, value: object, said: str, capsys
) -> None:
    record = history_path(f"{FIGURE}.png")
    changed = json.loads(record.read_text()) | {key: value}
    files = {record.as_posix(): json.dumps(changed).encode(), f"{FIGURE}.png": b""}
    write_archive(Path("bundle"), files, {})
    assert cli.main(["figures", "bundle", "--to", "again"]) == 1
    assert said in capsys.readouterr().err
    assert not Path("out.png").exists() and not list(Path("again").rglob("*.png"))
