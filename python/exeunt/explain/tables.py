"""The tables of an explanation engine while they are filled, and how wide everything must be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from exeunt.explain.backward import Scales
from exeunt.explain.design import SCATTER, SWEEP, WALK, Engine, Step
from exeunt.explain.program import METHODS, Program, Shape
from exeunt.explain.store import GROUP
from exeunt.explain.taps import Tap
from exeunt.runtime.maps import CODES, map_shape

Word = TypeVar("Word")
Offset = tuple[int, int, int, int]  # rows, place in a row, place, position


class Table(Generic[Word]):
    """Words, each once."""

    def __init__(self) -> None:
        self.words: list[Word] = []
        self._found: dict[Any, int] = {}

    def place(self, words: Sequence[Word]) -> int:
        """Where these words stand one after another."""
        key = tuple(words)
        if key not in self._found:
            self._found[key] = len(self.words)
            self.words += key
        return self._found[key]


class Tables:
    """Weights, rows of weights, offsets of ways, mantissas, taps, and the largest numbers.

    Args:
        bits: of a gradient.
        pe: sums in a cycle.
        exits: of the network.
        slots: frames that the context holds.
        code: of the values of maps.
    """

    def __init__(self, bits: int, pe: int, exits: int, slots: int, code: str) -> None:
        self.code = code
        self.bits, self.pe, self._exits, self._slots = bits, pe, exits, slots
        self.taps: list[Tap] = []
        self.weights: Table[int] = Table()
        self.mantissas: Table[int] = Table()
        self.rows: Table[tuple[int, int]] = Table()  # weights, first channel
        self.ways: Table[Offset] = Table()
        self.ways.place([(0, 0, 0, 0)])
        self.weight_bits = 2
        self.row_most = self.u_most = self.flat = self.positions = 1
        self.groups = self.channels = self.sum = self.masks = self.values = 1
        self.left = self.payload = 0
        self.map_channels = 1

    def most(self, **numbers: int) -> None:
        """Numbers that occur, by the attribute that keeps the largest one."""
        for name, value in numbers.items():
            setattr(self, name, max(getattr(self, name), value))

    def tap(self, tap: Tap) -> int:
        """The number of a tap."""
        if tap not in self.taps:
            self.taps.append(tap)
        return self.taps.index(tap)

    def reach(
        self,
        sums: Shape,
        first: tuple[int, int],
        step: tuple[int, int],
        shape: tuple[int, int, int],
        ways: list[tuple[int, int]],
        down: tuple[int, int],
        columns: int,
    ) -> None:
        """The numbers that occur as rows and places."""
        height, width, channels = sums
        rows = (shape[0] - 1) * step[0] + max(y for y, _ in ways) + (down[0]) * down[1]
        self.most(row_most=max(height, rows + abs(first[0])))
        most = (shape[1] - 1) * step[1] + max(x for _, x in ways) + columns + 1
        self.most(u_most=(most + abs(first[1])) * channels + 2 * self.pe)
        self.most(u_most=(width + abs(first[1])) * channels)
        self.most(flat=math.prod(sums))
        self.most(positions=max(shape[:2]))

    def engine(
        self,
        programs: Mapping[tuple[str, int], Program],
        steps: Mapping[tuple[str, int], tuple[Step, ...]],
        scales: Mapping[tuple[str, int], Scales],
    ) -> Engine:
        """With these steps of each method and exit."""
        pe = self.pe
        shift = (pe - 1).bit_length()
        depth = -(-self.flat // pe)
        feature_bits = max((t.bits for t in self.taps if t.kind == "features"), default=1)
        way_bits = max((t.bits for t in self.taps if t.kind == "way"), default=1)
        taps = tuple(
            Tap(t.kind, t.tensor, t.place, t.shape, {"way": way_bits, "features": feature_bits}.get(
                t.kind, t.bits), t.routes, t.program, t.sweep)
            for t in self.taps
        )  # fmt: skip
        cam = any(t.kind == "features" for t in taps)
        pixels = [t for t in taps if t.kind == "pixels"]
        image = next(iter(pixels), None)
        value_bits = max(self.bits + self.left, feature_bits + 1 if cam else 2)
        x_bits = _signed(self.u_most)
        n_bits = max(_unsigned(self.flat - 1), max(depth - 1, 1).bit_length() + shift)
        p_bits = _unsigned(self.positions + 1)
        g_bits = _unsigned(self.groups - 1)
        c_bits = max(_unsigned(self.channels), g_bits + 4)
        y_bits = _signed(self.row_most)
        wa_bits = _address(len(self.weights.words))
        words = max(t.words for t in taps) if taps else 1
        numbers = {
            "BITS": self.bits, "PE": pe, "W_BITS": self.weight_bits, "VALUE_BITS": value_bits,
            "LEFT": self.left, "SUM_BITS": _signed(self.sum),
            "FACTOR_BITS": max(8, max(self.mantissas.words, default=1).bit_length()),
            "FEATURE_BITS": feature_bits, "WAY_BITS": way_bits, "CAM": int(cam),
            "PIXELS": int(bool(pixels)), "IMAGE_C": image.shape[2] if image else 1,
            "Y_BITS": y_bits, "X_BITS": x_bits, "N_BITS": n_bits, "P_BITS": p_bits,
            "C_BITS": c_bits, "G_BITS": g_bits, "A_BITS": _unsigned(max(words - 1, 1)),
            "CW": max((t.bits * GROUP if t.kind != "pixels" else t.bits * t.lanes for t in taps),
                      default=GROUP),
            "T_BITS": _unsigned(max(len(taps) - 1, 1)),
            "SLOT_BITS": _unsigned(max(self._slots - 1, 1)), "DEPTH": depth,
            "MASKS": self.masks, "VALUES": self.values,
            "MOST": self.payload, "CHANNELS": self.map_channels, "EXITS": self._exits,
            "CODE": CODES.index(self.code),
        }  # fmt: skip
        numbers["CW"] = max(numbers["CW"], GROUP)
        row_bits = _address(len(self.rows.words))
        fields = {
            "row_first": y_bits, "row_step": y_bits, "rows": y_bits, "kernel_row": y_bits,
            "u_first": x_bits, "u_step": x_bits, "line_width": x_bits, "kernel_u": x_bits,
            "length": x_bits, "line_first": n_bits, "line_step": n_bits, "kernel_line": n_bits,
            "table_base": max(row_bits, _address(len(self.mantissas.words)), 8),
        }  # fmt: skip
        program: list[tuple[int, bool]] = []
        pointers: list[int] = []
        count = len(METHODS) * self._exits
        for method in METHODS:
            for exit in range(self._exits):
                if (method, exit) not in steps:
                    pointers.append(0)
                    continue
                pointers.append(count + len(program))
                for step in steps[method, exit]:
                    order = (SWEEP if step.sweeps else SCATTER) + WALK
                    for name in order:
                        value = step.fields[name]
                        if name in fields:
                            value = _cut(value, fields[name])
                        assert value >= 0, (name, value)
                        program.append((value, name == "flags"))
        field_bits = max(
            15, x_bits, n_bits, y_bits, c_bits, _unsigned(max(v for v, _ in program)),
            _unsigned(count + len(program)),
        )  # fmt: skip
        table = pointers + [v | end << field_bits for v, end in program]
        rows = [_cut(a, wa_bits) << c_bits | span for a, span in self.rows.words]
        ways = [
            ((_cut(y, y_bits) << x_bits | _cut(u, x_bits)) << n_bits | _cut(n, n_bits)) << p_bits
            | _cut(p, p_bits)
            for y, u, n, p in self.ways.words
        ]
        numbers |= {
            "F": field_bits, "FIELDS": len(table), "WEIGHTS": len(self.weights.words),
            "ROWS": len(rows), "WAYS": len(ways), "MANTISSAS": max(len(self.mantissas.words), 1),
        }  # fmt: skip
        tables = {
            "PROGRAM_FILE": table, "WEIGHT_FILE": self.weights.words, "ROW_FILE": rows,
            "WAY_FILE": ways, "MANTISSA_FILE": self.mantissas.words or [1],
        }  # fmt: skip
        widths = {
            "PROGRAM_FILE": field_bits + 1, "WEIGHT_FILE": pe * self.weight_bits,
            "ROW_FILE": wa_bits + c_bits, "WAY_FILE": y_bits + x_bits + n_bits + p_bits,
            "MANTISSA_FILE": numbers["FACTOR_BITS"],
        }  # fmt: skip
        shapes = {(e, m): map_shape(p.shape, self.code) for (m, e), p in programs.items()}
        return Engine(numbers, tables, widths, taps, steps, shapes, scales)


def word_of(lanes: Sequence[int], bits: int) -> int:
    """Lanes side by side, the first one lowest, in two's complement."""
    word = 0
    for lane, value in enumerate(lanes):
        word |= (int(value) & ((1 << bits) - 1)) << (lane * bits)
    return word


def _cut(value: int, bits: int) -> int:
    """The lowest bits, which are two's complement where it is negative."""
    return value & ((1 << bits) - 1)


def _signed(most: int) -> int:
    """Bits of two's complement of -most to most."""
    return int(most).bit_length() + 1


def _unsigned(most: int) -> int:
    return max(1, int(most).bit_length())


def _address(count: int) -> int:
    return max(1, (max(count, 1) - 1).bit_length())
