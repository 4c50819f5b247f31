"""bench.py of a deploy package on a board: PYNQ, DMA and rails are stand-ins, the core is RTL."""

from __future__ import annotations

import json
import shutil
import types

import numpy as np
import pytest

from exeunt.bench import board as command
from exeunt.bench import processor
from exeunt.reference.golden import make
from exeunt.runtime import golden

pytestmark = pytest.mark.sim


@pytest.fixture
def network(small, tmp_path):
    """network/ of a deploy package for a board with sensors."""
    folder = tmp_path / "network"
    (folder / "rtl").mkdir(parents=True)
    for name in ("manifest.json", "rtl/params.npz"):
        shutil.copy(small.folder / name, folder / name)
    golden.write(folder / "golden.npz", make(small.folder, small.images[:64], logits=2))
    labels = small.logits[-1].argmax(axis=1)
    np.savez(folder / "splits.npz", test_images=small.images, test_labels=labels)
    facts = {"name": "zcu104", "flow": "vivado", "clock_mhz": 150.0, "bitstream": "exeunt.bit"}
    sensors = {"total": "12V", "rails": ["INT"]}
    (folder / "board.json").write_text(json.dumps({**facts, "sensors": sensors}))
    (folder / "exeunt.bit").touch()
    (folder / "exeunt.hwh").touch()
    return folder


def rails():
    def sensor(value):
        return types.SimpleNamespace(value=value)

    return {
        "12V": types.SimpleNamespace(power=sensor(9.0)),
        "INT": types.SimpleNamespace(power=None, voltage=sensor(0.85), current=sensor(2.0)),
    }


def test_figures_in_seconds_with_energy(small, board, network, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(processor, "SECONDS", 0.002)
    board.get_rails = rails
    given = ["--repeats", "2", "--seconds", "0.1", "--no-sweep", "--out", str(tmp_path / "b")]
    assert command.main(given, folder=network) == 0, capsys.readouterr().err
    assert board.loaded == [str(network / "exeunt.bit")]
    data = json.loads((tmp_path / "b.json").read_text())
    assert (data["transport"], data["board"], data["unit"]) == ("pynq", "zcu104", "seconds")
    assert (data["images"], data["mismatches"], data["clock"]) == (120, 0, "of the bitstream")
    left = np.bincount(small.want().exits, minlength=3) / 120
    assert [row["rate"] for row in data["exits"]] == pytest.approx(left)
    used = data["energy"]
    assert (used["source"], used["watts"]) == ("rails", pytest.approx(9.0))
    assert used["rails"] == pytest.approx({"12V": 9.0, "INT": 1.7})
    assert used["total"] > 0
    assert data["latency"]["p50"] < 1e-3  # cycles at 150 MHz
    assert "mJ above idle), by rails" in capsys.readouterr().out


def test_sensors_that_the_image_does_not_know(board, network, capsys):
    board.get_rails = lambda: {"5V": None}
    assert command.main(["--no-sweep"], folder=network) == 2
    said = capsys.readouterr().err
    assert "rail '12V' must be one that the board's image knows, got 5V: correct" in said


def test_selftest_alone(board, network, capsys):
    assert command.main(["--selftest"], folder=network) == 0
    assert capsys.readouterr().out == "self-test: 64 images, every answer as expected\n"
