"""Digests change when what they stand for changes, and never otherwise."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mine
from mine import provenance
from mine.errors import InputError
from mine.provenance import (
    code_digest,
    describe_provenance,
    digest_contents,
    digest_files,
    library_versions,
)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small library in the place of this one: script -> mine.a -> mine.inner.b."""
    root = tmp_path / "mine"
    (root / "inner").mkdir(parents=True)
    (root / "__init__.py").write_text("")
    (root / "config.py").write_text("from mine.errors import InputError\n")
    (root / "errors.py").write_text("class InputError(ValueError): pass\n")
    (root / "a.py").write_text("def f():\n    from .inner import b\n    return b.X\n")
    (root / "inner/__init__.py").write_text("")
    (root / "inner/b.py").write_text("from ..config import InputError\nX = 1\n")
    (root / "apart.py").write_text("Y = 1\n")
    (tmp_path / "script.py").write_text('"""Do it."""\nfrom mine.a import f\nprint(f())\n')
    monkeypatch.setattr(provenance, "PACKAGE", root)
    return root


def digest_after(package: Path, name: str, text: str) -> str:
    (package / name).write_text(text)
    provenance._parse_source.cache_clear()
    return code_digest(package.parent / "script.py")


def test_code_digest_sees_what_the_script_reaches(package: Path) -> None:
    before = code_digest(package.parent / "script.py")
    changed = {
        digest_after(package, "../script.py", "from mine.a import f\nprint(f() + 1)\n"),
        digest_after(package, "inner/b.py", "from ..config import InputError\nX = 2\n"),
        digest_after(package, "errors.py", "class InputError(TypeError): pass\n"),
        digest_after(package, "inner/__init__.py", "Z = 1\n"),
    }
    assert len(changed | {before}) == 5


def test_code_digest_ignores_what_does_not_run(package: Path) -> None:
    before = code_digest(package.parent / "script.py")
    script = '"""Do it otherwise."""\n\n# a comment\nfrom mine.a import (f)\nprint(f())\n'
    assert digest_after(package, "../script.py", script) == before
    assert digest_after(package, "apart.py", "Y = 2\n") == before
    # What the package itself offers to people runs in no rule.
    assert digest_after(package, "__init__.py", "from mine.apart import Y\n") == before
    assert digest_after(package, "config.py", "from mine.errors import InputError\nQ = 1") == before
    text = 'from ..config import InputError\nX = 1\n"""The number."""\n'
    assert digest_after(package, "inner/b.py", text) == before


def test_code_digest_is_the_same_in_another_folder(package: Path, tmp_path: Path) -> None:
    before = code_digest(package.parent / "script.py")
    copy = tmp_path / "elsewhere" / "script.py"
    copy.parent.mkdir()
    shutil.copy(package.parent / "script.py", copy)
    assert code_digest(copy) == before


def test_code_digest_refuses_what_is_no_script(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a Python file, found none"):
        code_digest(tmp_path / "absent.py")
    (tmp_path / "broken.py").write_text("x = 1\ndef (:\n")
    with pytest.raises(InputError, match="expected Python, found at line 2"):
        code_digest(tmp_path / "broken.py")


def test_rules_import_nothing_heavy() -> None:
    heavy = ["numpy", "scipy", "pandas", "xarray", "zarr", "torch", "nibabel", "h5py", "jsonschema"]
    light = "mine.config, mine.provenance, mine.datasets.listing"
    command = f"import sys, {light}; print(sys.modules.keys() & {heavy})"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


def test_model_digest_sees_names_and_content_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    (first / "weights").write_bytes(b"123")
    (first / "config").write_bytes(b"{}")
    shutil.copytree(first, second)
    before = digest_files(first)
    assert digest_files(second) == before
    (second / "weights").write_bytes(b"124")
    assert digest_files(second) != before
    (first / "weights").rename(first / "weight")
    assert digest_files(first) != before
    with pytest.raises(InputError, match="expected a file or a folder, found nothing"):
        digest_files(tmp_path / "absent")


def test_provenance_says_seed_models_and_versions() -> None:
    said = describe_provenance(seed=3, models={"clip": "abc"}, libraries=("zarr",))
    assert said["seed"] == 3 and said["models"] == {"clip": "abc"}
    assert set(said["libraries"]) == {"mine", "numpy", "zarr"}
    assert library_versions()["mine"] == mine.__version__


def test_contents_count_and_age_does_not(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a", "b")]
    for file in files:
        file.write_text("one")
    memory = tmp_path / "memory/digests.json"
    first = digest_contents(files, memory=memory)
    os.utime(files[0])
    assert digest_contents(reversed(files), memory=memory) == first
    memory.write_text("{")
    assert digest_contents(files, memory=memory) == first
    files[1].write_text("two")
    assert digest_contents(files, memory=memory) != first
    assert digest_contents(files[:1], memory=memory) != first
    assert [path.name for path in memory.parent.iterdir()] == ["digests.json"]


def test_contents_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    first = digest_contents([file], memory=tmp_path / "digests.json")
    monkeypatch.delattr("hashlib.file_digest")
    assert digest_contents([file], memory=tmp_path / "digests.json") == first
    os.utime(file)
    with pytest.raises(AttributeError):
        digest_contents([file], memory=tmp_path / "digests.json")


def test_of_a_package_that_gathers_names_only_what_is_used_counts(
    package: Path, tmp_path: Path
) -> None:
    def forget() -> None:
        provenance._parse_source.cache_clear()
        provenance._gathered_names.cache_clear()

    tests = package / "tests"
    tests.mkdir()
    (tests / "__init__.py").write_text(
        'from mine.tests.one import f\nfrom mine.tests.two import g\n\n__all__ = ["f"]\n'
    )
    (tests / "one.py").write_text("def f(): return 1\n")
    (tests / "two.py").write_text("def g(): return 2\n")
    script = tmp_path / "gathers.py"
    for line, sees_two in (("from mine.tests import f", False), ("import mine.tests", True)):
        script.write_text(line + "\n")
        digests = []
        for value in (2, 3):
            (tests / "two.py").write_text(f"def g(): return {value}\n")
            forget()
            digests.append(code_digest(script))
        assert (digests[0] != digests[1]) == sees_two
        (tests / "one.py").write_text(f"def f(): return '{line}'\n")
        forget()
        assert code_digest(script) != digests[1]
