"""What a job costs before it does anything: the imports of every script.

Each script's imports, as its first lines state them, are timed in a process of their own, best of
some; the ratio is that of Python with numpy alone. The table has the median script and the slowest.
"""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

from common import read_options, time_call, write_records

SCRIPTS = Path(__file__).parent.parent / "workflow" / "scripts"


def imports_of(script: Path) -> str:
    """The import statements of a script, as code."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    statements = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return "\n".join(map(ast.unparse, statements))


def time_code(code: str, repeats: int) -> float:
    """Shortest wall time of a new Python that runs some code: s."""
    command = [sys.executable, "-c", code]
    return time_call(lambda: subprocess.run(command, check=True), repeats=repeats)[0]


def main() -> None:
    options = read_options(__doc__.splitlines()[0], repeats=2, slowest=5)
    plain = time_code("import numpy", options.repeats)
    seconds = {
        script.stem: time_code(imports_of(script), options.repeats)
        for script in sorted(SCRIPTS.glob("*.py"))
    }
    slowest = sorted(seconds, key=seconds.get, reverse=True)[: options.slowest]
    shown = {"start_median": statistics.median(seconds.values())}
    shown |= {f"start_{name}": seconds[name] for name in slowest}
    records = [
        {
            "name": name,
            "seconds": round(value, 2),
            "rival": "import numpy",
            "rival_seconds": round(plain, 2),
            "ratio": round(plain / value, 3),
            "sizes": {"scripts": len(seconds), "repeats": options.repeats},
        }
        for name, value in shown.items()
    ]
    write_records(
        "start",
        records,
        libraries=("numpy", "xarray", "zarr", "torch", "matplotlib"),
        directory=options.results,
    )


if __name__ == "__main__":
    main()
