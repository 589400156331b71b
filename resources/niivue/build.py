"""Bundle NiiVue into one classic script: ``python resources/niivue/build.py``.

A page that was opened from disk may load no modules, so that the package is bundled, by esbuild,
into ``workflow/browser/niivue.js``. It takes npm and a network. ``lock.json`` holds the version and
the checksum of every package that goes into it; what npm fetches has to have them.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUNDLE = HERE.parents[1] / "workflow/browser/niivue.js"
ENTRY = 'export { NVImage, Niivue, SLICE_TYPE } from "@niivue/niivue";\n'


def main() -> None:
    """Fetch what the lock names, compare it, and bundle it with the licences."""
    lock = json.loads((HERE / "lock.json").read_text())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wanted = [f"{package}@{entry['version']}" for package, entry in lock.items()]
        run(folder, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *wanted)
        check_packages(lock, json.loads((folder / "package-lock.json").read_text())["packages"])
        (folder / "entry.js").write_text(ENTRY)
        options = ("--bundle", "--minify", "--format=iife", "--global-name=niivue")
        run(folder, "node_modules/.bin/esbuild", "entry.js", *options, "--outfile=bundle.js")
        script = (folder / "bundle.js").read_text()
        BUNDLE.write_text(f"/*!\n{gather_licences(lock, folder)}*/\n{script}", encoding="utf-8")


def check_packages(lock: dict[str, dict[str, str]], packages: dict[str, dict]) -> None:
    """Raise unless each package that npm installed is that of the lock; those that it may leave out
    are esbuild's own programs for each machine."""
    found = {
        path.removeprefix("node_modules/"): entry
        for path, entry in packages.items()
        if path and not entry.get("optional")
    }
    assert found.keys() == lock.keys(), found.keys() ^ lock.keys()
    for name, entry in found.items():
        for key in ("version", "integrity"):
            assert entry[key] == lock[name][key], (name, key, entry[key])


def gather_licences(lock: dict[str, dict[str, str]], folder: Path) -> str:
    """Return the licence of each package, from itself, or beside this file where it has none."""
    texts = []
    for name, entry in lock.items():
        inside = sorted((folder / "node_modules" / name).glob("[Ll][Ii][Cc][Ee][Nn][Ss][Ee]*"))
        own = [*inside, HERE / f"LICENSE.{name.split('/')[-1]}"]
        text = next((path.read_text().strip() for path in own if path.is_file()), entry["license"])
        texts.append(f"{name} {entry['version']}\n\n{text.replace('*/', '* /')}\n")
    return "\n".join(texts)


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    main()
