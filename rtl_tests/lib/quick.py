"""Signals as integers: read and written without cocotb's types, which take most of a bench's time.

After the import, `value` of every signal of cocotb is an unsigned integer, and a value that was
written last is not written again: nobody but the bench may write the signal. The signals of a
simulator with two states alone, as Verilator is one, have such values.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cocotb import handle

WORD = 32  # bits from which on the simulator's integer has a sign
KEPT = "exeunt"  # what reads a signal, and the value written last, in the handle itself


def reader(signal: Any) -> Callable[[], int]:
    """What reads a signal: one of cocotb, or anything else with a `value`."""
    found = getattr(signal, "_handle", None)
    if found is None:
        return lambda: int(signal.value)
    if found.get_num_elems() < WORD:
        read: Callable[[], int] = found.get_signal_val_long
        return read
    digits = found.get_signal_val_binstr
    return lambda: int(digits(), 2)


def _get(signal: Any) -> int:
    kept = signal.__dict__
    if f"{KEPT}_read" not in kept:
        kept[f"{KEPT}_read"] = reader(signal)
    value: int = kept[f"{KEPT}_read"]()
    return value


def _set(signal: Any, value: int | str) -> None:
    kept = signal.__dict__
    if kept.get(f"{KEPT}_written") != value:
        _write(signal, value)
        kept[f"{KEPT}_written"] = value


def typed(signal: Any) -> None:
    """For a signal that others read: its `value` is of cocotb's types as ever."""
    signal.__dict__[f"{KEPT}_read"] = signal.get


_write = handle.ValueObjectBase.value.fset
for _kind in (handle.LogicObject, handle.LogicArrayObject, handle.PackedObject):
    _kind.value = property(_get, _set)
