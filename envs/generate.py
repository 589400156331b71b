"""Write the conda environments from the lock: ``python envs/generate.py``.

A test fails, with the difference, where an environment and the lock have parted.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

FOLDER = Path(__file__).resolve().parent
LOCK = FOLDER.parent / "requirements.lock"
PYTHON = "3.11"

# Which of the lock's pins apply is decided for what clusters run.
PLATFORM = {
    "implementation_name": "cpython",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "platform_system": "Linux",
    "python_full_version": f"{PYTHON}.0",
    "python_version": PYTHON,
    "sys_platform": "linux",
}
CUDA = ("cuda-", "nvidia-", "triton")
"""What only a torch built for CUDA needs."""

HEADS = {
    "cpu": """\
# Without a GPU: the lock but for the libraries of CUDA. The wheel of torch that most indexes have
# for Linux is built for CUDA, and pip fetches these libraries with it; they do no harm without a
# GPU. Where several gigabytes matter, name an index of torch's wheels for CPUs in pip's own
# variable PIP_EXTRA_INDEX_URL.
""",
    "gpu": """\
# With an NVIDIA GPU: the lock as it is, whose torch brings CUDA's libraries as wheels. The machine
# has to have a driver for the version of CUDA in their names, and nothing else. An index of one's
# own is named in pip's variable PIP_INDEX_URL.
""",
}
TEXT = """\
# Written from requirements.lock by `python envs/generate.py`, for Linux on x86-64.
{head}# Then, in the root of the repository: pip install --no-deps --no-build-isolation --editable .
name: mine-{name}
channels: [conda-forge, nodefaults]
dependencies:
  - python={python}
  - pip
  - pip:
{pins}
"""


def render_environments() -> dict[Path, str]:
    """Return every environment as the lock wants it."""
    pins = list(read_pins(LOCK.read_text()))
    kept = {"gpu": pins, "cpu": [pin for pin in pins if not pin.startswith(CUDA)]}
    return {
        FOLDER / f"{name}.yaml": TEXT.format(
            name=name,
            head=HEADS[name],
            python=PYTHON,
            pins="\n".join(f"      - {pin}" for pin in own),
        )
        for name, own in kept.items()
    }


def read_pins(lock: str) -> Iterator[str]:
    """Yield the pins of a lock that apply on PLATFORM: name==version."""
    for entry in lock.replace("\\\n", " ").splitlines():
        if entry.strip() and not entry.lstrip().startswith("#"):
            pin = Requirement(entry.split(" --hash=")[0].strip())
            if pin.marker is None or pin.marker.evaluate(PLATFORM):
                yield f"{pin.name}{pin.specifier}"


if __name__ == "__main__":
    for path, text in render_environments().items():
        path.write_text(text)
