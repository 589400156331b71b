"""A device that is not there is refused by the key that names it, and not by PyTorch."""

from __future__ import annotations

import pytest
import torch

from mine.core.devices import choose_device
from mine.core.evaluator import load_features
from mine.errors import InputError


@pytest.fixture(params=[0, 2])
def gpus(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: request.param)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return request.param


def test_auto_is_a_gpu_where_there_is_one(gpus: int) -> None:
    assert choose_device("auto", key="encoder.device").type == ("cuda" if gpus else "cpu")
    assert choose_device("cpu", key="encoder.device").type == "cpu"


def test_a_gpu_that_is_not_there_is_refused_by_its_key(gpus: int) -> None:
    known = ["cpu, cuda, cuda:0, cuda:1", "cpu"][gpus == 0]
    for name in ["cuda:2", "mps", *(["cuda", "cuda:0"] if not gpus else [])]:
        with pytest.raises(InputError) as caught:
            choose_device(name, key="encoder.device")
        assert str(caught.value) == (
            f"encoder.device: expected auto or a device that PyTorch has here, {known}, found "
            f"{name}"
        )
    for number in range(gpus):
        assert choose_device(f"cuda:{number}", key="encoder.device").index == number


def test_a_model_is_not_loaded_onto_a_gpu_that_is_not_there(repository) -> None:
    model = f"local-dir:{repository}/resources/demo/evaluator"
    with pytest.raises(InputError, match=r"^evaluator\.device: expected auto .*, found cuda:99$"):
        load_features(kind="timm", model=model, pretrained=None, device="cuda:99")
