"""What every benchmark writes beside its numbers: the machine and the versions."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


def describe_hardware() -> dict[str, object]:
    """Processor, cores that this process may use, memory in GB and, if torch has one, the GPU."""
    model = platform.processor()
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    hardware = {"processor": model, "cores": cores, "memory_gb": round(memory, 1)}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        hardware["gpu"] = torch.cuda.get_device_name()
    return hardware


def describe_versions(libraries: Sequence[str]) -> dict[str, str]:
    """Versions of Python and of the named libraries."""
    versions = {name: importlib.metadata.version(name) for name in libraries}
    return {"python": platform.python_version(), **versions}


def peak_memory() -> float:
    """Largest memory that this process has held so far, in MB."""
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)


def time_call(function: Callable[[], object], *, repeats: int = 1) -> tuple[float, object]:
    """Shortest wall time of some calls in seconds, and what the last returned."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - start)
    return min(times), result


def write_records(
    file: str,
    records: Sequence[dict[str, object]],
    *,
    libraries: Sequence[str],
    directory: Path | None = None,
) -> Path:
    """Print records and write them to benchmarks/results/<file>.json (not under version control).

    A record has a ``name`` and ``sizes``, and where something is compared a ``ratio``, how many
    times as long the rival takes, and the ``relative_difference`` of the results.
    """
    common = {
        "load": round(os.getloadavg()[0], 2),
        "hardware": describe_hardware(),
        "versions": describe_versions(libraries),
    }
    path = (directory or RESULTS) / f"{file}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps([{**record, **common} for record in records], indent=2, sort_keys=True)
    path.write_text(text + "\n")
    print(text)
    return path


def write_record(
    name: str, *, libraries: Sequence[str], directory: Path | None = None, **record: object
) -> Path:
    """Write the one record of a benchmark that measures one thing."""
    return write_records(name, [{"name": name, **record}], libraries=libraries, directory=directory)


def read_options(description: str, **sizes: int) -> argparse.Namespace:
    """Options of a benchmark: a whole number per size, threads, and where the record goes."""
    parser = argparse.ArgumentParser(description=description)
    for name, default in sizes.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=default)
    parser.add_argument("--threads", type=int, default=describe_hardware()["cores"])
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()
