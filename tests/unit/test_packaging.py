"""The lock is what the project asks for, whole and without an address."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import mine


def read_lock(path: Path) -> dict[str, list[tuple[Requirement, list[str]]]]:
    """Return the pins of a lock by name, each with its hashes; a name may be pinned for each
    version of Python or platform apart."""
    pins: dict[str, list[tuple[Requirement, list[str]]]] = {}
    for entry in path.read_text().replace("\\\n", " ").splitlines():
        if entry.strip() and not entry.lstrip().startswith("#"):
            requirement, *hashes = entry.split(" --hash=")
            pin = Requirement(requirement.strip())
            pins.setdefault(canonicalize_name(pin.name), []).append((pin, hashes))
    return pins


@pytest.fixture(scope="module")
def lock(repository: Path) -> dict[str, list[tuple[Requirement, list[str]]]]:
    return read_lock(repository / "requirements.lock")


@pytest.fixture(scope="module")
def project(repository: Path) -> dict:
    return tomllib.loads((repository / "pyproject.toml").read_text())


def test_every_dependency_is_pinned_within_its_bounds(lock: dict, project: dict) -> None:
    asked = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
        # The editable installation is built in the environment itself, without a network.
        *project["build-system"]["requires"],
    ]
    for text in asked:
        requirement = Requirement(text)
        pins = lock.get(canonicalize_name(requirement.name))
        assert pins, f"{text}: not in requirements.lock; run `make lock`"
        for pin, _ in pins:
            (specifier,) = pin.specifier
            assert specifier.operator == "==", pin
            assert requirement.specifier.contains(specifier.version), f"{text}: locked {pin}"


def test_every_line_is_pinned_and_hashed(lock: dict) -> None:
    assert len(lock) > 50
    for pins in lock.values():
        for pin, hashes in pins:
            assert [specifier.operator for specifier in pin.specifier] == ["=="], pin
            assert hashes, f"{pin}: no hash"
            assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", entry.strip()) for entry in hashes)


def test_what_writes_the_site_is_pinned_and_hashed(repository: Path) -> None:
    pins = read_lock(repository / "docs/requirements.lock")
    for text in (repository / "docs/requirements.in").read_text().split():
        asked = Requirement(text)
        ((pin, _),) = pins[canonicalize_name(asked.name)]
        assert asked.specifier.contains(next(iter(pin.specifier)).version), text
    for versions in pins.values():
        for pin, hashes in versions:
            assert [specifier.operator for specifier in pin.specifier] == ["=="] and hashes, pin


def test_lower_bounds_are_recent(lock: dict, project: dict) -> None:
    # What is locked is what is tested: a bound far below it would promise what nobody has seen.
    for text in project["project"]["dependencies"]:
        requirement = Requirement(text)
        (bound,) = requirement.specifier
        locked = [
            Version(next(iter(pin.specifier)).version).release[:2]
            for pin, _ in lock[canonicalize_name(requirement.name)]
        ]
        assert bound.operator == ">=" and min(locked) == Version(bound.version).release[:2], text


@pytest.mark.parametrize(
    ("folder", "extras"),
    [("src", []), ("workflow", []), ("tests", ["dev"]), ("benchmarks", ["dev"]), ("envs", ["dev"])],
)
def test_what_is_imported_is_declared(
    repository: Path, project: dict, folder: str, extras: list[str]
) -> None:
    declared = [*project["project"]["dependencies"]]
    for extra in extras:
        declared += project["project"]["optional-dependencies"][extra]
    names = {canonicalize_name(Requirement(text).name) for text in declared}
    distributions = packages_distributions()
    paths = list((repository / folder).rglob("*.py"))
    own = {"mine", "tests", *(path.stem for path in (repository / folder).glob("*.py"))}
    assert paths
    for path in paths:
        for module in list_imports(path) - own - sys.stdlib_module_names:
            found = {canonicalize_name(name) for name in distributions.get(module, [])}
            assert found & names, f"{path}: {module} of {', '.join(found)} is not in pyproject.toml"


def list_imports(path: Path) -> set[str]:
    """The first names of all modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_no_address_in_what_installs(repository: Path) -> None:
    for name in (
        "requirements.lock",
        "docs/requirements.lock",
        "pyproject.toml",
        "Makefile",
        ".ci/run",
    ):
        text = (repository / name).read_text()
        assert "://" not in text, name
        assert not re.search(r"--(extra-)?index-url|--find-links|--trusted-host", text), name


def test_no_committed_file_names_a_package_index(repository: Path) -> None:
    options = re.compile("|".join([r"--(extra-)?index" "-url", r"--find" "-links", r"file:" "///"]))
    for name in git("ls-files", "-z", folder=repository).split("\0")[:-1]:
        path = repository / name
        if name == "tests/unit/test_packaging.py" or not path.is_file():
            continue
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found = options.search(text.replace("--no-emit-index-url", ""))
        assert not found, f"{name}: {found and found[0]}"


def test_installed_environment_is_the_locked_one(lock: dict) -> None:
    for name in ("numpy", "torch", "zarr", "xarray", "snakemake", "open-clip-torch"):
        pins = [pin for pin, _ in lock[name] if pin.marker is None or pin.marker.evaluate()]
        assert len(pins) == 1
        assert pins[0].specifier.contains(version(name)), f"{name}: installed {version(name)}"


def test_version_is_stated_once(repository: Path) -> None:
    assert version("mine") == mine.__version__
    assert f"version: {mine.__version__}\n" in (repository / "CITATION.cff").read_text()


def test_results_are_not_committed(repository: Path) -> None:
    names = git("ls-files", "results", folder=repository).split()
    assert names == ["results/.gitkeep"]


def git(*arguments: str, folder: Path) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no git repository: {done.stderr.strip()}")
    return done.stdout
