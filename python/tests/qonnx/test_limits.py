"""What no kernel and no memory can hold is said before FINN is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from exeunt.errors import InputError
from exeunt.hls.front import limits
from exeunt.qonnx import file, meaning


def test_more_memory_than_there_is(
    builder: type, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = builder((8, 8, 1))
    b.exit(b.linear(b.conv("image", 4), 5))  # 36 weights and 60 thresholds, 720 weights
    path = b.save(tmp_path / "model.onnx")
    network = meaning.integers(file.load(path))
    bits = 36 * 4 + 60 * network.operations[0].result.dtype.bits + 720 * 4
    monkeypatch.setattr(limits, "MEMORY_BITS", bits)
    limits.parts(network)
    monkeypatch.setattr(limits, "MEMORY_BITS", bits - 1)
    with pytest.raises(InputError) as error:
        limits.parts(network)
    assert str(error.value) == (
        f"{path}: weights and thresholds must fit into 0 MB, which is more than any device or "
        "simulation here has, but take 0 MB; take a smaller network or fewer bits"
    )
