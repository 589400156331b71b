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

FORM = 1
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
    imports = {name for name, names in source["imports"] if names is None}
    for module, names in source["imports"]:
        if names is not None:
            imports |= _find_sources(module, set(names), memory)
    return source["tree"], frozenset(_with_parents(imports, memory))


def _read_source(file: str) -> dict[str, Any]:
    """Return what there is to know of a source file.

    - tree: the digest of its syntax tree
    - imports: pairs of a `mine` module and the names taken from it, None where it is imported whole
    - gathers: of which module each of its names comes; nothing unless all that it does is to gather
      names of the modules of its own package
    """
    path = Path(file)
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise InputError(
            f"{path}: expected Python, found at line {error.lineno}: {error.msg}"
        ) from None
    package = _package_of(path)
    imports: list[tuple[str, list[str] | None]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports += [(alias.name, None) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [alias.name for alias in node.names]
            imports.append((_absolute_name(node, package), names))
    _drop_docstrings(tree)
    return {
        "tree": hashlib.sha256(ast.dump(tree).encode()).hexdigest(),
        "imports": [pair for pair in imports if pair[0].split(".")[0] == "mine"],
        "gathers": _gather_names(tree, package),
    }


def _absolute_name(node: ast.ImportFrom, package: str) -> str:
    """Return the full name of the module that a file of a package takes names from."""
    module = node.module or ""
    if not node.level:
        return module
    parents = package.split(".")
    base = ".".join(parents[: len(parents) - node.level + 1])
    return f"{base}.{module}" if module else base


def _gather_names(tree: ast.Module, package: str) -> dict[str, str]:
    """Return which module each name of a package comes from; nothing unless all that the tree does
    is to gather names of the package's modules."""
    origins: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
            origins |= {alias.asname or alias.name: node.module for alias in node.names}
        elif not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"):
            return {}
    return origins


def _gathered_by(package: str, memory: Memory) -> dict[str, str]:
    """Return which module each name of a package comes from, if it is one that only gathers."""
    file = PACKAGE.joinpath(*package.split(".")[1:], "__init__.py")
    if not package.startswith("mine.") or not file.is_file():
        return {}
    return memory.recall(file, _read_source)["gathers"]


def _find_sources(module: str, names: set[str], memory: Memory) -> set[str]:
    """Return what `from module import names` may reach: where the module is a package that only
    gathers names, the modules that these come from and no others."""
    gathered = _gathered_by(module, memory)
    if gathered and names <= gathered.keys():
        return {gathered[name] for name in names}
    return {module, *(f"{module}.{name}" for name in names)}


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
            # A package that only gathers names does nothing by itself: it counts where it is named.
            if candidate != name and _gathered_by(candidate, memory):
                continue
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
