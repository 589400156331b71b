"""Where a result comes from: digests of code and of models, versions of libraries."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from mine.errors import InputError

SCHEMA_VERSION = 2
"""Version of the stores' layout; raised when readers of old stores would go wrong."""

PACKAGE = Path(__file__).resolve().parent

# The values of a configuration reach a rule as parameters, so the text that describes them need
# not count as code: with it every edited help sentence would rerun the whole analysis. What these
# modules import still counts.
DESCRIPTION_ONLY = frozenset({"mine.config", "mine.sections", "mine.settings"})


def code_digest(script: Path | str) -> str:
    """Digest the code that a rule runs: its script and every `mine` module that it reaches.

    Syntax trees are hashed, without docstrings, so comments and layout change nothing. Imports are
    followed transitively, those inside functions too. Only the standard library is used.

    Args:
        script: path of a Python file.

    Returns:
        64 hexadecimal digits.

    Raises:
        InputError: the script does not exist or is no Python.
    """
    script = Path(script)
    if not script.is_file():
        raise InputError(f"script {script}: expected a Python file, found none")
    modules: dict[str, str] = {}
    tree, waiting = _parse_source(script)
    pending = set(waiting)
    while pending:
        name = pending.pop()
        body, imports = _parse_source(_module_file(name))
        modules[name] = "" if name in DESCRIPTION_ONLY else body
        pending |= imports - modules.keys()
    digest = hashlib.sha256(tree.encode())
    for name in sorted(modules):
        digest.update(f"\n{name}\n{modules[name]}".encode())
    return digest.hexdigest()


@functools.cache
def _parse_source(path: Path) -> tuple[str, frozenset[str]]:
    """Return the syntax tree of a file as text, and the names of the `mine` modules it imports."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError as error:
        raise InputError(
            f"{path}: expected Python, found at line {error.lineno}: {error.msg}"
        ) from None
    imports: set[str] = set()
    package = _package_of(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join(parents[: len(parents) - node.level + 1])
                module = f"{base}.{module}" if module else base
            imports |= _find_sources(module, {alias.name for alias in node.names})
    _drop_docstrings(tree)
    return ast.dump(tree), frozenset(_with_parents(imports))


def _find_sources(module: str, names: set[str]) -> set[str]:
    """Return what `from module import names` may reach: where the module is a package that only
    gathers names, the modules that these come from and no others."""
    gathered = _gathered_names(module)
    if gathered and names <= gathered.keys():
        return {gathered[name] for name in names}
    return {module, *(f"{module}.{name}" for name in names)}


@functools.cache
def _gathered_names(package: str) -> dict[str, str]:
    """Return which module each name of a package comes from; nothing unless all that the package
    does is to gather names of its modules."""
    if not package.startswith("mine.") or _module_file(package) is None:
        return {}
    tree = ast.parse(_module_file(package).read_text(encoding="utf-8"))
    _drop_docstrings(tree)
    origins: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
            origins |= {alias.asname or alias.name: node.module for alias in node.names}
        elif not (isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"):
            return {}
    return origins


def _package_of(path: Path) -> str:
    """Return the dotted name of the package that holds a file of this library, or nothing."""
    if not path.resolve().is_relative_to(PACKAGE):
        return ""
    return ".".join(("mine", *path.resolve().parent.relative_to(PACKAGE).parts))


def _with_parents(names: Iterable[str]) -> set[str]:
    """Keep the names that are modules of this library, and add the packages that hold them."""
    found: set[str] = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != "mine":
            continue
        # Not the package itself: it offers to people what lies in it, and no rule runs that.
        for length in range(2, len(parts) + 1):
            candidate = ".".join(parts[:length])
            # A package that only gathers names does nothing by itself: it counts where it is named.
            if candidate != name and _gathered_names(candidate):
                continue
            # `from mine.config import InputError` names an attribute, not a module.
            if _module_file(candidate) is not None:
                found.add(candidate)
    return found


def _module_file(name: str) -> Path | None:
    """Return the file of a module of this library, None where there is none of that name."""
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


def manifest_path(path: Path | str) -> Path:
    """Return the place of a store's manifest: `results/encoder.zarr` -> `results/encoder.json`."""
    path = Path(path)
    if path.suffix != ".zarr":
        raise InputError(f"store {path}: expected a name that ends in .zarr")
    return path.with_suffix(".json")


def library_versions(*names: str) -> dict[str, str]:
    """Return the installed version of each distribution named, and that of this package."""
    return {name: importlib.metadata.version(name) for name in ("mine", *sorted(names))}


def digest_files(path: Path | str, *, without: Iterable[str] = ()) -> str:
    """Digest a file, or every file of a folder by relative name and content.

    Args:
        path: the file or the folder.
        without: names of files that do not count.

    Raises:
        InputError: there is nothing at `path`.
    """
    path = Path(path)
    if path.is_file():
        files = [(path.name, path)]
    elif path.is_dir():
        found = (file for file in path.rglob("*") if file.is_file() and file.name not in without)
        files = sorted((file.relative_to(path).as_posix(), file) for file in found)
    else:
        raise InputError(f"{path}: expected a file or a folder, found nothing")
    digest = hashlib.sha256()
    for name, file in files:
        with file.open("rb") as stream:
            content = hashlib.file_digest(stream, "sha256").hexdigest()
        digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def digest_contents(files: Iterable[Path | str], *, memory: Path | str) -> str:
    """Digest files by name and content, without reading again what has not been touched.

    Args:
        files: paths of files.
        memory: a JSON file that keeps, for each file, its size, its time of change and its digest;
            made where it is missing, and worth nothing but time.

    Raises:
        FileNotFoundError: one of the files does not exist.
    """
    memory = Path(memory)
    known = _read_memory(memory)
    digest, news = hashlib.sha256(), {}
    for file in sorted(map(str, files)):
        state = os.stat(file)
        kept = known.get(file)
        if kept is None or kept[:2] != [state.st_size, state.st_mtime_ns]:
            with open(file, "rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            kept = news[file] = [state.st_size, state.st_mtime_ns, content]
        digest.update(f"{file}\0{kept[2]}\n".encode())
    if news:
        memory.parent.mkdir(parents=True, exist_ok=True)
        # Jobs that run beside each other may write it at once: each its own file, then renamed.
        half = memory.with_name(f"{memory.name}.{os.getpid()}")
        half.write_text(json.dumps(_read_memory(memory) | news), encoding="utf-8")
        os.replace(half, memory)
    return digest.hexdigest()


def _read_memory(path: Path) -> dict[str, list]:
    """Return the digests that were kept; none from a file that is absent or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def describe_provenance(
    *,
    seed: int | None = None,
    models: Mapping[str, str] | None = None,
    libraries: Iterable[str] = (),
) -> dict[str, object]:
    """Gather what a manifest says of a store's origin; no time, no host, no path.

    Args:
        seed: the analysis's seed, where the store depends on it.
        models: digest of each model that was used, by its name.
        libraries: distributions whose versions can change the numbers.
    """
    return {
        "seed": seed,
        "models": dict(models or {}),
        "libraries": library_versions("numpy", *libraries),
    }


def dump_json(content: Mapping[str, object]) -> str:
    """Write a mapping as JSON that is the same text whenever the content is the same."""
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
