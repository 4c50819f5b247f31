"""Energy of an inference: from the board's own power rails, or from a meter outside.

Only power at the supply is energy of the board; the power above that of the idle board, with the
bitstream loaded and nothing to do, is what the inferences add.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from exeunt.errors import InputError, ToolError

PERIOD = 0.02
"""Seconds between two readings: these sensors average over tens of milliseconds."""

MOST_WATTS = 1000.0


@dataclass(frozen=True)
class Power:
    """Mean watts while something ran: of the whole, and of each rail; `samples` readings of it."""

    watts: float
    rails: Mapping[str, float] = field(default_factory=dict)
    samples: int = 0


class Meter(Protocol):
    """Something that says how much power is drawn while work is done."""

    source: str

    def idle(self, seconds: float) -> Power | None:
        """Power of the idle board over so many seconds; None: not known."""

    def during(self, work: Callable[[], None]) -> Power:
        """Power while `work` runs."""


class External:
    """What a meter outside showed, given by hand: watts under load and, where known, idle."""

    source = "external meter"

    def __init__(self, watts: float, idle_watts: float | None = None) -> None:
        for name, value in (("--watts", watts), ("--idle-watts", idle_watts)):
            if value is not None and not 0 < value <= MOST_WATTS:
                raise InputError(
                    f"{name} must be above 0 and at most {MOST_WATTS:g} W, got {value:g}: give "
                    "what the meter shows"
                )
        if idle_watts is not None and idle_watts > watts:
            raise InputError(
                f"--idle-watts must be at most --watts, got {idle_watts:g} and {watts:g}: "
                "exchange them"
            )
        self._watts, self._idle = watts, idle_watts

    def idle(self, seconds: float) -> Power | None:
        """The value given for the idle board."""
        del seconds
        return None if self._idle is None else Power(self._idle)

    def during(self, work: Callable[[], None]) -> Power:
        """The value given for the board under load."""
        work()
        return Power(self._watts)


class Rails:
    """Power rails that the board measures, read again and again by a thread while work runs.

    Args:
        sensors: `pynq.get_rails()`: name -> object with `power`, or `voltage` and `current`, each
            with `value` in watts, volts, amperes.
        total: the rail of the whole board; "" adds up `rails`.
        rails: others to tell of.
    """

    source = "rails"

    def __init__(
        self,
        sensors: Mapping[str, Any],
        *,
        total: str,
        rails: Sequence[str] = (),
        period: float = PERIOD,
    ) -> None:
        wanted = tuple(dict.fromkeys(([total] if total else []) + list(rails)))
        if not wanted:
            raise InputError(
                "the board must have power rails to measure energy, got none: give --watts from "
                "an external meter"
            )
        for name in wanted:
            if name not in sensors:
                found = ", ".join(sorted(sensors)) or "none"
                raise InputError(
                    f"rail {name!r} must be one that the board's image knows, got {found}: "
                    "correct the board's sensors or give --watts from an external meter"
                )
            rail = sensors[name]
            if getattr(rail, "power", None) is None and (
                getattr(rail, "voltage", None) is None or getattr(rail, "current", None) is None
            ):
                raise InputError(
                    f"rail {name!r} must measure power, or voltage and current, got neither: "
                    "choose another rail or give --watts from an external meter"
                )
        self._rails = {name: sensors[name] for name in wanted}
        self._total, self._period = total, period

    def read(self) -> dict[str, float]:
        """Watts of every rail now."""
        found = {}
        for name, rail in self._rails.items():
            power = getattr(rail, "power", None)
            if power is not None:
                found[name] = float(power.value)
            else:
                found[name] = float(rail.voltage.value) * float(rail.current.value)
        return found

    def idle(self, seconds: float) -> Power | None:
        """Power over so many seconds in which nothing is asked of the board."""
        return self.during(lambda: time.sleep(seconds))

    def during(self, work: Callable[[], None]) -> Power:
        """Power while `work` runs, each reading weighed with the time it stands for.

        Raises:
            ToolError: a sensor could not be read.
        """
        times: list[float] = []
        rows: list[dict[str, float]] = []
        failed: list[BaseException] = []
        done = threading.Event()

        def sample() -> None:
            try:
                while True:
                    rows.append(self.read())
                    times.append(time.perf_counter())
                    if done.wait(self._period):
                        break
                rows.append(self.read())
                times.append(time.perf_counter())
            except Exception as error:
                failed.append(error)

        thread = threading.Thread(target=sample, name="power", daemon=True)
        thread.start()
        try:
            work()
        finally:
            done.set()
            thread.join()
        if failed:
            raise ToolError(
                f"power rails {', '.join(self._rails)} must be readable, got "
                f"{type(failed[0]).__name__}: {failed[0]}: check the sensors or give --watts"
            )
        means = {name: _mean(times, [row[name] for row in rows]) for name in self._rails}
        watts = means[self._total] if self._total else sum(means.values())
        return Power(watts, means, len(rows))


def _mean(times: Sequence[float], values: Sequence[float]) -> float:
    """Mean over time of values between which the truth is taken to be straight."""
    t, v = np.asarray(times), np.asarray(values)
    if t[-1] <= t[0]:
        return float(v.mean())
    return float(((v[1:] + v[:-1]) / 2 * np.diff(t)).sum() / (t[-1] - t[0]))


@dataclass(frozen=True)
class Energy:
    """Joules of one inference, `above_idle` None where the idle power is not known."""

    total: float
    above_idle: float | None
    power: Power
    idle: Power | None
    source: str

    def to_json(self) -> dict[str, Any]:
        """Plain data; joules an inference and watts."""
        return {
            "source": self.source,
            "unit": "joules an inference",
            "total": self.total,
            "above_idle": self.above_idle,
            "watts": self.power.watts,
            "idle_watts": None if self.idle is None else self.idle.watts,
            "rails": dict(self.power.rails),
            "samples": self.power.samples,
        }


def energy(
    meter: Meter, work: Callable[[], None], *, inferences: Callable[[], int], idle: Power | None
) -> Energy:
    """Energy of an inference while `work` runs.

    Args:
        meter: what measures.
        work: keeps the board busy for a second or more.
        inferences: asked afterwards how many were answered.
        idle: power of the idle board.

    Raises:
        ToolError: a sensor could not be read.
    """
    started = time.perf_counter()
    seconds = [0.0]

    def timed() -> None:
        work()
        seconds[0] = time.perf_counter() - started

    power = meter.during(timed)
    each = seconds[0] / max(1, inferences())
    above = None if idle is None else (power.watts - idle.watts) * each
    return Energy(power.watts * each, above, power, idle, meter.source)


def rails_of(sensors: Mapping[str, Any], *, where: str) -> Rails:
    """The rails of the board on which this runs, through PYNQ.

    Args:
        sensors: the board's `total` and `rails`.
        where: the board's name.

    Raises:
        InputError: the board has none, or not those.
        ToolError: PYNQ is not installed here.
    """
    if not sensors.get("total") and not sensors.get("rails"):
        raise InputError(
            f"board {where} must have power sensors to measure energy, got none: give --watts "
            "and --idle-watts from an external meter"
        )
    try:
        import pynq
    except ImportError as error:
        raise ToolError(
            f"power rails of {where} must be read through pynq, got {error}: run this on the "
            "board or give --watts from an external meter"
        ) from None
    found = pynq.get_rails()
    return Rails(found, total=sensors.get("total", ""), rails=tuple(sensors.get("rails", ())))
