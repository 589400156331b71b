"""Digests of the code behind a rule, which change where what it runs does and never otherwise."""

from __future__ import annotations

import ast
import functools
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mine.errors import InputError
from mine.memory import Memory

PACKAGE = Path(__file__).resolve().parent

# The values of a configuration reach a rule as parameters, so the text that describes them need
# not count as code: with it every edited help sentence would rerun the whole analysis. What these
# modules import still counts. No rule that computes runs a function of theirs.
DESCRIPTION_ONLY = frozenset({"mine.config", "mine.sections", "mine.settings"})

IN_PROCESS = Memory()
"""What this process has read of source files."""

FORM = 2
"""Number of the form in which `_read_source` gives what it reads; another form has another one."""


def remember_sources(folder: Path | str) -> Memory:
    """Return what earlier processes have read of source files, in this form and in no other.

    folder: where it is kept.
    """
    return Memory(Path(folder) / f"sources-{FORM}.json")


def code_digest(script: Path | str, *, memory: Memory = IN_PROCESS) -> str:
    """Digest the code that a rule runs: its script and every `mine` module that it reaches.

    Syntax trees are hashed, without docstrings, so comments and layout change nothing. Imports are
    followed transitively, those inside functions too. Only the standard library is used.

    Args:
        script: path of a Python file.
        memory: what was read of source files before; parsing all of them takes seconds.

    Returns:
        64 hexadecimal digits.

    Raises:
        InputError: the script does not exist or is no Python.
    """
    script = Path(script)
    if not script.is_file():
        raise InputError(f"script {script}: expected a Python file, found none")
    modules: dict[str, str] = {}
    tree, waiting = _follow_imports(script, memory)
    pending = set(waiting)
    while pending:
        name = pending.pop()
        body, imports = _follow_imports(_module_file(name, memory), memory)
        modules[name] = "" if name in DESCRIPTION_ONLY else body
        pending |= imports - modules.keys()
    digest = hashlib.sha256(tree.encode())
    for name in sorted(modules):
        digest.update(f"\n{name}\n{modules[name]}".encode())
    memory.save()
    return digest.hexdigest()


@functools.cache
def _follow_imports(path: Path, memory: Memory) -> tuple[str, frozenset[str]]:
    """Return the digest of a file's syntax tree, and the names of the `mine` modules it imports."""
    source = memory.recall(path, _read_source)
    return source["tree"], frozenset(_with_parents(source["imports"], memory))


def _read_source(file: str) -> dict[str, Any]:
    """Return what there is to know of a source file.

    - tree: the digest of its syntax tree
    - imports: names of `mine` modules, and of what is taken from them, which may be a module too
    """
    path = Path(file)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise InputError(
            f"{path}: expected Python, found at line {error.lineno}: {error.msg}"
        ) from None
    package = _package_of(path)
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = _absolute_name(node, package)
            imports |= {module, *(f"{module}.{alias.name}" for alias in node.names)}
    _drop_docstrings(tree)
    return {
        "tree": hashlib.sha256(ast.dump(tree).encode()).hexdigest(),
        "imports": sorted(name for name in imports if name.split(".")[0] == "mine"),
    }


def _absolute_name(node: ast.ImportFrom, package: str) -> str:
    """Return the full name of the module that a file of a package takes names from."""
    module = node.module or ""
    if not node.level:
        return module
    parents = package.split(".")
    base = ".".join(parents[: len(parents) - node.level + 1])
    return f"{base}.{module}" if module else base


def _package_of(path: Path) -> str:
    """Return the dotted name of the package that holds a file of this library, or nothing."""
    if not path.resolve().is_relative_to(PACKAGE):
        return ""
    return ".".join(("mine", *path.resolve().parent.relative_to(PACKAGE).parts))


def _with_parents(names: Iterable[str], memory: Memory) -> set[str]:
    """Keep the names that are modules of this library, and add the packages that hold them."""
    found: set[str] = set()
    for name in names:
        parts = name.split(".")
        # Not the package itself: it offers to people what lies in it, and no rule runs that.
        for length in range(2, len(parts) + 1):
            candidate = ".".join(parts[:length])
            # `from mine.config import InputError` names an attribute, not a module.
            if _module_file(candidate, memory) is not None:
                found.add(candidate)
    return found


@functools.cache
def _module_file(name: str, memory: Memory) -> Path | None:
    """Return the file of a module of this library, None where there is none of that name; each is
    looked for once for the rules that share a memory."""
    base = PACKAGE.joinpath(*name.split(".")[1:])
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _drop_docstrings(tree: ast.Module) -> None:
    """Take the docstrings out of a syntax tree, in place."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            # Bare strings elsewhere in a body (those below a constant) document it, and do nothing.
            node.body = [
                statement
                for statement in node.body
                if not (
                    isinstance(statement, ast.Expr)
                    and isinstance(statement.value, ast.Constant)
                    and isinstance(statement.value.value, str)
                )
            ]
