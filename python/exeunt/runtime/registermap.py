"""The accelerator's registers by the names that its manifest gives them.

`registers["batch"]` is a register, `registers["status.in_flight"]` a field, `registers["taken"]` a
tuple with one entry per exit, `registers["taken", 1]` one of them. What the manifest lists is
there; nothing else has to be written for a new block.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from exeunt.errors import InputError
from exeunt.runtime.errors import DeviceFault
from exeunt.runtime.transport import TransferError, Transport
from exeunt.runtime.turns import Turns

MASK = 0xFFFFFFFF


class _Place(NamedTuple):
    """A register, perhaps one field and one exit of it."""

    name: str
    entry: Mapping[str, Any]
    field: tuple[int, int] | None
    exit: int | None


class Registers:
    """Reads and writes registers by name over a transport; `access` is held for each of them."""

    def __init__(
        self, entries: Mapping[str, Any], exits: int, transport: Transport, access: Turns
    ) -> None:
        self._entries = entries
        self._exits = exits
        self._transport = transport
        self._access = access

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __contains__(self, name: object) -> bool:
        register, _, field = str(name).partition(".")
        entry = self._entries.get(register)
        return entry is not None and (not field or field in entry["fields"])

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, key: str | tuple[str, int]) -> Any:
        """The value of a register or field: int, or a tuple of one per exit.

        Raises:
            InputError: there is no such register, or it is for writing alone.
            DeviceFault: the device does not answer.
        """
        place = self._place(key)
        if "r" not in place.entry["access"]:
            raise InputError(
                f"Register {place.name} must be readable to be read, its access is "
                f"{place.entry['access']}; write it, or read `status`."
            )
        if place.entry["per_exit"] and place.exit is None:
            with self._access:
                return tuple(self._get(place, i) for i in range(self._exits))
        return self._get(place, place.exit or 0)

    def __setitem__(self, key: str | tuple[str, int], value: int) -> None:
        """Write a register or a field; the other fields of a readable register stay.

        Raises:
            InputError: there is no such register, it is read-only, or the value does not fit.
            DeviceFault: the device does not answer.
        """
        place = self._place(key)
        entry = place.entry
        if "w" not in entry["access"]:
            raise InputError(
                f"Register {place.name} must be writable to be written, its access is "
                f"{entry['access']}; read it only."
            )
        if entry["per_exit"] and place.exit is None:
            raise InputError(
                f"Register {place.name} must be written for one exit at a time, got no exit; use "
                f'registers["{place.name}", exit].'
            )
        low, width = place.field or (0, 32)
        least = 0 if place.field else -(1 << 31)
        if not least <= value < 1 << width:
            raise InputError(
                f"Register {key!r} must get a value of {width} bits, got {value}; write a smaller "
                "one."
            )
        address = int(entry["address"]) + 4 * (place.exit or 0)
        word = int(value) << low
        with self._access:
            if place.field and "r" in entry["access"]:
                word |= self.read(address) & ~(((1 << width) - 1) << low)
            self.write(address, word & MASK)

    def read(self, address: int) -> int:
        """The 32-bit word at a byte address.

        Raises:
            DeviceFault: the device does not answer.
        """
        try:
            with self._access:
                return self._transport.read(address) & MASK
        except TransferError as error:
            raise DeviceFault(str(error)) from error

    def write(self, address: int, word: int) -> None:
        """Write the 32-bit word at a byte address.

        Raises:
            DeviceFault: the device does not answer.
        """
        try:
            with self._access:
                self._transport.write(address, word & MASK)
        except TransferError as error:
            raise DeviceFault(str(error)) from error

    def counters(self) -> dict[str, Any]:
        """Every counter of the map, int or tuple of one per exit, from one snapshot."""
        with self._access:
            self["control.snapshot"] = 1
            return {name: self[name] for name, entry in self._entries.items() if entry["counter"]}

    def _get(self, place: _Place, exit_index: int) -> int:
        word = self.read(int(place.entry["address"]) + 4 * exit_index)
        if place.field is None:
            return word
        low, width = place.field
        return (word >> low) & ((1 << width) - 1)

    def _place(self, key: str | tuple[str, int]) -> _Place:
        name, exit_index = key if isinstance(key, tuple) else (key, None)
        register, _, field = name.partition(".")
        entry = self._entries.get(register)
        if entry is None or (field and field not in entry["fields"]):
            names = [*self._entries]
            names += [f"{n}.{f}" for n, e in self._entries.items() for f in e["fields"]]
            near = get_close_matches(name, names, 1)
            raise InputError(
                f"A register must be one of the manifest's, got {name!r}; "
                + (f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}.")
            )
        if exit_index is not None and not entry["per_exit"]:
            raise InputError(
                f"Register {register} must be used without an exit since there is only one, got "
                f'exit {exit_index}; use registers["{name}"].'
            )
        if exit_index is not None and not 0 <= exit_index < self._exits:
            raise InputError(
                f"Register {register} must be of an exit from 0 to {self._exits - 1}, got "
                f"{exit_index}; this network has {self._exits}."
            )
        bits = tuple(entry["fields"][field]) if field else None
        return _Place(register, entry, bits, exit_index)
