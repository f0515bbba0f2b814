"""Snapshots: the same bits back, from memory or from a file."""

from __future__ import annotations

import errno
import tempfile
from typing import Any

import pytest
import torch

from headstart.backbones import snapshot
from headstart.backbones.snapshot import Snapshot


def tensors(seed: int) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {
        "weight": torch.randn(5, 7),
        "half": torch.randn(3).to(torch.bfloat16),
        "last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        "count": torch.tensor(seed),
        "mask": torch.rand(9) > 0.5,
        "empty": torch.empty(0, 4),
    }


@pytest.mark.parametrize("limit", [0, 1 << 20])
def test_the_latest_values_come_back_bit_for_bit(limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "MEMORY_BYTES", limit)
    one = Snapshot(tensors(0))
    assert (one._file is None) == (limit > 0)
    for seed in (0, 1, 2):
        one.renew(tensors(seed))
        targets, copies = tensors(9), dict(one)
        one.put_back(targets)
        for name, value in tensors(seed).items():
            assert torch.equal(targets[name], value), name
            assert torch.equal(copies[name], value), name
            assert copies[name].dtype == value.dtype
    one.put_back({"of another": torch.zeros(2)})  # what is not in it stays


def test_a_file_is_read_into_the_tensors_without_a_copy_between(monkeypatch: pytest.MonkeyPatch) -> None:
    """A large embedding table beside its copy would be the peak of a training."""
    monkeypatch.setattr(snapshot, "MEMORY_BYTES", 0)
    one, targets = Snapshot(tensors(0)), tensors(9)
    made: list[object] = []
    plain = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *given, **more: made.append(given[0]) or plain(*given, **more))
    one.put_back(targets)
    assert made == [targets["last"].shape]  # only what is not contiguous
    assert all(torch.equal(targets[name], value) for name, value in tensors(0).items())


@pytest.mark.parametrize("after", [0, 1])
def test_a_full_disk_leaves_the_copies_in_memory(after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first write or at a later one."""
    monkeypatch.setattr(snapshot, "MEMORY_BYTES", 0)
    real, writes = tempfile.TemporaryFile, [0]

    def full(**options: Any) -> Any:
        file = real(**options)
        write = file.write

        class Full:
            def __getattr__(self, name: str) -> Any:
                return getattr(file, name)

            def write(self, data: Any) -> int:
                writes[0] += 1
                if writes[0] > after * 6:
                    raise OSError(errno.ENOSPC, "No space left on device")
                return write(data)

        return Full()

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    one = Snapshot(tensors(0))
    one.renew(tensors(1))
    found = dict(one)
    assert all(torch.equal(found[name], value) for name, value in tensors(1).items())
