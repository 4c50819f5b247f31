"""Joules from rails that are read while work runs, or from a meter's figures."""

from __future__ import annotations

import sys
import time
import types

import pytest

from exeunt.bench import energy
from exeunt.errors import InputError, ToolError


class Sensor:
    """One value, or one that changes with every reading."""

    def __init__(self, *values):
        self._values = list(values)

    @property
    def value(self):
        return self._values.pop(0) if len(self._values) > 1 else self._values[0]


def rail(power=None, voltage=None, current=None):
    return types.SimpleNamespace(power=power, voltage=voltage, current=current)


BOARD = {
    "12V": rail(power=Sensor(6.0)),
    "INT": rail(voltage=Sensor(0.85), current=Sensor(2.0)),
    "FAN": rail(voltage=Sensor(12.0)),
}


def test_total_is_its_own_rail_and_others_are_told():
    rails = energy.Rails(BOARD, total="12V", rails=("INT",), period=0.001)
    power = rails.during(lambda: time.sleep(0.02))
    assert power.watts == pytest.approx(6.0)
    assert power.rails == pytest.approx({"12V": 6.0, "INT": 1.7})
    assert power.samples >= 3


def test_without_a_total_the_rails_add_up():
    sensors = {"A": rail(power=Sensor(2.0)), "B": rail(power=Sensor(0.5))}
    assert energy.Rails(sensors, total="", rails=("A", "B")).idle(0.001).watts == 2.5


def test_readings_weigh_what_they_last():
    assert energy._mean([0.0, 1.0, 4.0], [2.0, 2.0, 8.0]) == pytest.approx((2 + 15) / 4)
    assert energy._mean([1.0, 1.0], [2.0, 4.0]) == 3.0


def test_energy_is_power_times_time_by_inference():
    meter = energy.External(5.0, 3.0)
    used = energy.energy(
        meter, lambda: time.sleep(0.05), inferences=lambda: 10, idle=meter.idle(1.0)
    )
    assert used.total == pytest.approx(5.0 * 0.05 / 10, rel=0.5)
    assert used.above_idle == pytest.approx(used.total * 2 / 5)
    told = used.to_json()
    assert (told["watts"], told["idle_watts"], told["source"]) == (5.0, 3.0, "external meter")
    alone = energy.External(5.0)
    used = energy.energy(alone, lambda: None, inferences=lambda: 1, idle=alone.idle(1.0))
    assert used.above_idle is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((0.0,), r"^--watts must be above 0 and at most 1000 W, got 0: give what the meter shows$"),
        ((float("nan"),), r"^--watts must be above 0 .* got nan"),
        ((5.0, -1.0), r"^--idle-watts must be above 0 .* got -1"),
        ((5.0, 6.0), r"^--idle-watts must be at most --watts, got 6 and 5: exchange them$"),
    ],
)
def test_meter_values_that_cannot_be(arguments, sentence):
    with pytest.raises(InputError, match=sentence):
        energy.External(*arguments)


@pytest.mark.parametrize(
    ("total", "rails", "sentence"),
    [
        ("", (), r"the board must have power rails .*, got none: give --watts"),
        ("5V", (), r"rail '5V' must be one that the board's image knows, got 12V, FAN, INT: "),
        ("FAN", (), r"rail 'FAN' must measure power, or voltage and current, got neither: "),
    ],
)
def test_rails_that_are_not_there(total, rails, sentence):
    with pytest.raises(InputError, match=sentence):
        energy.Rails(BOARD, total=total, rails=rails)


def test_sensor_that_fails_while_reading():
    class Broken:
        @property
        def value(self):
            raise OSError("i2c")

    rails = energy.Rails({"5V": rail(power=Broken())}, total="5V")
    with pytest.raises(ToolError, match=r"power rails 5V must be readable, got OSError: i2c: "):
        rails.during(lambda: None)


def test_work_that_fails_stops_the_thread():
    rails = energy.Rails(BOARD, total="12V", period=0.001)
    with pytest.raises(ZeroDivisionError):
        rails.during(lambda: 1 / 0)


def test_board_without_sensors_or_without_pynq(monkeypatch):
    with pytest.raises(InputError, match=r"board pynq-z2 must have power sensors .*, got none: "):
        energy.rails_of({"total": "", "rails": []}, where="pynq-z2")
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(ToolError, match=r"power rails of zcu104 must be read through pynq, got "):
        energy.rails_of({"total": "12V"}, where="zcu104")
    fake = types.SimpleNamespace(get_rails=lambda: BOARD)
    monkeypatch.setitem(sys.modules, "pynq", fake)
    assert energy.rails_of({"total": "12V"}, where="zcu104").read() == {"12V": 6.0}
