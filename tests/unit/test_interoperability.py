"""Maps of surfaces, and what `import mine` brings along."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from mine.datasets.maps import write_map
from mine.datasets.voxels import SurfaceVoxels

READ = """
import json, sys
import nibabel, nilearn.surface

left, right = sys.argv[1:]
data = [nilearn.surface.load_surf_data(path).tolist() for path in (left, right)]
tables = [nibabel.load(path).labeltable.get_labels_as_dict() for path in (left, right)]
assert not any(name.split(".")[0] == "mine" for name in sys.modules)
print(json.dumps([data, tables]))
"""


def test_labels_of_surfaces_open_in_nibabel_and_nilearn(tmp_path: Path) -> None:
    voxels = SurfaceVoxels(
        vertex=np.array([1, 3, 0]),
        vertices=(5, 4),
        hemisphere=np.array(["left", "left", "right"]),
        space="fsaverage",
    )
    paths = [str(tmp_path / f"{side}.label.gii") for side in ("lh", "rh")]
    write_map(paths, np.array([2, 1, 1]), voxels, names={1: "faces", 2: "places"})
    command = [sys.executable, "-c", READ, *paths]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    data, tables = json.loads(done.stdout)
    assert data == [[0, 2, 0, 1, 0], [1, 0, 0, 0]]
    assert tables == [{"0": "none", "1": "faces", "2": "places"}] * 2


def test_importing_the_package_imports_the_standard_library_alone() -> None:
    command = (
        "import sys; before = set(sys.modules); import mine; mine.open; "
        "new = {name.split('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(new - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True)
    assert done.stdout == "['mine']\n", done.stdout + done.stderr
