"""Style, the direction of imports, and the workflow's own linter."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


def run(repository: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=repository, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("ruff", "format", "--check", "."),
        ("snakefmt", "--check", "Snakefile", "workflow"),
        ("lint-imports",),
    ],
    ids=["ruff-check", "ruff-format", "snakefmt", "imports"],
)
def test_tool_finds_nothing(repository: Path, command: tuple[str, ...]) -> None:
    done = run(repository, *command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_lint(repository: Path) -> None:
    said = run(repository, "snakemake", "--lint").stderr
    if "your workflow is in a good condition" in said:
        return
    assert "Lints for " in said, said
    # Every rule runs in the one locked environment that `make` builds, which is what the linter
    # asks each rule to say.
    allowed = "Specify a conda environment or container for each rule."
    found = re.findall(r"^(Lints for .+?):$|^    \* (.+?):$", said, flags=re.MULTILINE)
    left = [lint for _, lint in found if lint and lint != allowed]
    assert any(lint == allowed for _, lint in found) and not left, said


def test_rule_script_log_and_benchmark_share_a_name(repository: Path) -> None:
    scripts = {path.stem for path in (repository / "workflow/scripts").glob("*.py")}
    rules = set()
    for path in (repository / "workflow/rules").glob("*.smk"):
        for block in re.split(r"\n *(?:rule|checkpoint) ", path.read_text())[1:]:
            name = block.split(":")[0]
            rules.add(name)
            for part in (f"<logs>/{name}", f"<benchmarks>/{name}", f'scripts/{name}.py"'):
                assert part in block, f"{path.name}: rule {name} lacks {part}"
            assert f'code("{name}")' in block, f"{path.name}: rule {name} lacks its code digest"
    assert scripts == rules


def test_every_script_records_how_its_outputs_were_made(repository: Path) -> None:
    for path in (repository / "workflow/scripts").glob("*.py"):
        last = path.read_text().rstrip().splitlines()[-1]
        assert last.startswith("write_history(snakemake"), path.name


def test_a_script_that_is_given_the_seed_draws_with_it(repository: Path) -> None:
    """Else another seed would make anew what does not depend on it."""
    for path in sorted((repository / "workflow/scripts").glob("*.py")):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        read = [node for node in nodes if isinstance(node, ast.Attribute) and node.attr == "seed"]
        recorded = [
            keyword.value
            for node in nodes
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "describe_provenance"
            for keyword in node.keywords
        ]
        assert not read or set(read) - set(recorded), path.name


def test_every_rule_that_runs_a_model_waits_for_it_and_knows_it(repository: Path) -> None:
    loaders = re.compile(r"\b(?:open_backbone|open_features|load_observer)\(")
    asked = set()
    for path in (repository / "workflow/rules").glob("*.smk"):
        for block in re.split(r"\n *(?:rule|checkpoint) ", path.read_text())[1:]:
            name = block.split(":")[0]
            if loaders.search((repository / f"workflow/scripts/{name}.py").read_text()):
                asked.add(name)
                for part in ("model_files(", "model_digest(", "gpu=gpus("):
                    assert part in block, f"{path.name}: rule {name} lacks {part}"
    assert {"embed", "paint", "recovery_causality"} <= asked
    # Else one would go round how they are opened.
    for path in (repository / "workflow/scripts").glob("*.py"):
        assert not re.search(r"\bload_(?:features|backbone)\b", path.read_text()), path.name
