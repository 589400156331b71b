"""A change of any key of the configuration on which results depend is seen by some rule."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from mine.config import IDLE

CHOOSE_JOBS = {"encoder.together", "encoders.images"}
"""Keys that say which jobs there are, and so are seen by what is asked for."""


def test_every_key_that_results_depend_on_is_a_parameter_of_a_rule(
    repository: Path, tmp_path: Path
) -> None:
    command = [sys.executable, str(Path(__file__).with_name("trace_keys.py"))]
    command += [str(repository), str(repository / "config.yaml")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    # The rule that writes the whole configuration down makes no result of it.
    whole = set(found["held"].pop("configuration"))
    seen = {key for keys in found["held"].values() for key in keys}
    idle = {key for key in found["keys"] if not IDLE.isdisjoint((key, key.partition(".")[0]))}
    assert len(found["keys"]) > 150 and set(found["keys"]) <= whole
    assert set(found["keys"]) - seen - idle == CHOOSE_JOBS
