"""Where to compute."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from mine.errors import InputError

if TYPE_CHECKING:
    import torch

DRIVERS = ("nvidiactl", "dxg", "kfd")
"""Devices that the drivers of GPUs make in /dev: of NVIDIA, of Windows' own Linux, of AMD."""


def choose_device(name: str, *, key: str) -> torch.device:
    """Return the device of that name; ``auto`` is a GPU where there is one.

    key: of the configuration, which names it. Raises InputError if PyTorch has no such device here.
    """
    import torch

    count = torch.cuda.device_count()
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    known = ["cpu", *["cuda"][:count], *(f"cuda:{number}" for number in range(count))]
    known += ["mps"] if torch.backends.mps.is_available() else []
    if name not in known:
        raise InputError(
            f"{key}: expected auto or a device that PyTorch has here, {', '.join(known)}, found "
            f"{name}"
        )
    return torch.device(name)


def sees_gpu() -> bool:
    """Tell whether anything speaks for a GPU on this machine, without asking PyTorch, which takes
    seconds to import. If not, there is none to compute on."""
    devices = any(Path("/dev", name).exists() for name in DRIVERS)
    return devices or shutil.which("nvidia-smi") is not None
