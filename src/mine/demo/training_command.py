"""What the commands that train the demo's models share: their options, and their scores."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def parse_options(description: str, **defaults: int | float | Path) -> argparse.Namespace:
    """Read ``--output FOLDER`` and one option for each default, of the default's type."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the model")
    for name, default in defaults.items():
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=type(default), default=default)
    return parser.parse_args()


def write_scores(scores: dict[str, float], folder: Path) -> None:
    """Write scores beside a model and print them."""
    (folder / "scores.json").write_text(json.dumps(scores, indent=2) + "\n")
    print(json.dumps(scores), flush=True)
