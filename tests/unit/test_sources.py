"""The digest of a rule's code changes when what it runs does, and never otherwise."""

from __future__ import annotations

import ast
import shutil
from pathlib import Path

import pytest

from mine import sources
from mine.errors import InputError
from mine.memory import Memory
from mine.sources import code_digest, remember_sources


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
    monkeypatch.setattr(sources, "PACKAGE", root)
    return root


def digest_after(package: Path, name: str, text: str) -> str:
    (package / name).write_text(text)
    return code_digest(package.parent / "script.py", memory=Memory())


def test_code_digest_sees_what_the_script_reaches(package: Path) -> None:
    before = code_digest(package.parent / "script.py", memory=Memory())
    changed = {
        digest_after(package, "../script.py", "from mine.a import f\nprint(f() + 1)\n"),
        digest_after(package, "inner/b.py", "from ..config import InputError\nX = 2\n"),
        digest_after(package, "errors.py", "class InputError(TypeError): pass\n"),
        digest_after(package, "inner/__init__.py", "Z = 1\n"),
    }
    assert len(changed | {before}) == 5


def test_code_digest_ignores_what_does_not_run(package: Path) -> None:
    before = code_digest(package.parent / "script.py", memory=Memory())
    script = '"""Do it otherwise."""\n\n# a comment\nfrom mine.a import (f)\nprint(f())\n'
    assert digest_after(package, "../script.py", script) == before
    assert digest_after(package, "apart.py", "Y = 2\n") == before
    # What the package itself offers to people runs in no rule.
    assert digest_after(package, "__init__.py", "from mine.apart import Y\n") == before
    assert digest_after(package, "config.py", "from mine.errors import InputError\nQ = 1") == before
    text = 'from ..config import InputError\nX = 1\n"""The number."""\n'
    assert digest_after(package, "inner/b.py", text) == before


def test_code_digest_is_the_same_in_another_folder(package: Path, tmp_path: Path) -> None:
    before = code_digest(package.parent / "script.py", memory=Memory())
    copy = tmp_path / "elsewhere" / "script.py"
    copy.parent.mkdir()
    shutil.copy(package.parent / "script.py", copy)
    assert code_digest(copy, memory=Memory()) == before


def test_code_digest_refuses_what_is_no_script(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a Python file, found none"):
        code_digest(tmp_path / "absent.py")
    (tmp_path / "broken.py").write_text("x = 1\ndef (:\n")
    with pytest.raises(InputError, match="expected Python, found at line 2"):
        code_digest(tmp_path / "broken.py")


def test_no_part_that_computes_runs_what_does_not_count_as_code(repository: Path) -> None:
    parts = "core datasets demo encoders explainers figures stages statistics browser summary"
    library = repository / "src/mine"
    files = [path for part in parts.split() for path in (library / part).rglob("*.py")]
    files += [*(repository / "workflow/scripts").glob("*.py"), library / "handling.py"]
    assert len(files) > 250
    for path in files:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = {alias.name for alias in node.names}
                assert node.module != "mine.settings", path
                assert node.module != "mine.config" or names == {"InputError"}, path
    sections = ast.parse((library / "sections.py").read_text())
    assert not [node for node in ast.walk(sections) if isinstance(node, ast.FunctionDef)]


def test_sources_are_parsed_once(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, kept = package.parent / "script.py", package.parent / "memory/sources.json"
    first = code_digest(script, memory=Memory(kept))
    assert first == code_digest(script, memory=Memory())
    with monkeypatch.context() as patched:
        patched.delattr("ast.parse")
        assert code_digest(script, memory=Memory(kept)) == first
    (package / "inner/b.py").write_text("from ..config import InputError\nX = 10\n")
    changed = code_digest(script, memory=Memory(kept))
    assert changed != first and changed == code_digest(script, memory=Memory())


def test_what_was_kept_in_another_form_is_read_anew(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, kept = package.parent / "script.py", package.parent / "memory"
    first = code_digest(script, memory=remember_sources(kept))
    with monkeypatch.context() as patched:
        patched.delattr("ast.parse")
        assert code_digest(script, memory=remember_sources(kept)) == first
        patched.setattr(sources, "FORM", sources.FORM + 1)
        with pytest.raises(AttributeError, match="parse"):
            code_digest(script, memory=remember_sources(kept))
