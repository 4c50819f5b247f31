"""A board at a serial port is opened with the rate that its bitstream was made for."""

from __future__ import annotations

import pytest

from exeunt.bench import devices, step
from exeunt.errors import InputError
from exeunt.report import store

BOARD = "ulx3s-85f"


@pytest.mark.parametrize("made", [{}, {"baud": 2_000_000, "clock_mhz": 50.0}])
def test_the_rate_of_the_bitstream(made, tmp_path, monkeypatch):
    store.update(tmp_path, {"synthesis": [{"board": BOARD, "target": BOARD, **made}]})
    facts = step.facts(BOARD, tmp_path)
    assert facts.get("baud") == made.get("baud")
    asked = []

    def refuse(port, **options):
        asked.append((port, options))
        raise InputError("the serial port must be there")

    monkeypatch.setattr(devices, "_transport", lambda kind: {"serial": refuse}[kind])
    with pytest.raises(InputError, match="must be there"):
        devices.opened(tmp_path, board=facts, port="/dev/ttyUSB0")
    assert asked == [("/dev/ttyUSB0", {k: made[k] for k in ("baud",) if k in made})]
