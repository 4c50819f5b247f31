"""From the steps of explanations to the tables of `ex_explain`: its program, and what it reads.

A step of the engine is a row of fields, the last one of which says that it is the last; the fields
are listed in `design`. Weights, rows, offsets of ways and mantissas are tables of their own,
shared between exits and methods where they are equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from exeunt.errors import InputError
from exeunt.explain import encode
from exeunt.explain.backward import Rounding, Scales, bound
from exeunt.explain.design import (
    CLASS,
    CONTEXT,
    FEATURES,
    FINAL,
    LEFT,
    MASKS,
    PIXELS,
    POSITIVE,
    ROUTED,
    SCALED,
    SWEEPS,
    TILED,
    Engine,
    Step,
)
from exeunt.explain.program import IMAGE, START, Program, Route, Scatter, Sweep
from exeunt.explain.store import GROUP
from exeunt.explain.tables import Tables, word_of
from exeunt.explain.taps import Place, Tap, place_of
from exeunt.graph import IntArray, Integer
from exeunt.runtime.maps import CODES, LEVELS, LOG, TILE, absolute, tiles

MOST_BITS = 14  # of a gradient, in the encoder
MOST_LEFT = 15


def lower(
    programs: Mapping[tuple[str, int], Program],
    scales: Mapping[tuple[str, int], Scales],
    *,
    exits: int,
    pe: int = 8,
    slots: int = 1,
    code: str | None = None,
) -> Engine:
    """The engine that runs these programs.

    Args:
        programs: by method and exit; nothing else may be asked for.
        scales: of each program, all of the same width.
        exits: of the network.
        pe: sums in a cycle, a power of two.
        slots: frames that the context holds.
        code: how maps are stored, see `exeunt.runtime.maps`; None: as `encode.code_of` says of the
            one with most channels.

    Raises:
        InputError: a width or a number of lanes that the engine does not have, or a network that
            it cannot walk back through.
    """
    bits = _checked(scales, pe, code)
    if code is None:
        code = encode.code_of(max(p.shape[2] for p in programs.values()), bits)
    tables = Tables(bits, pe, exits, slots, code)
    return _Lowering(programs, scales, tables).engine()


def checked_lanes(pe: int) -> int:
    """The sums in a cycle, if an engine can have so many.

    Raises:
        InputError: it cannot.
    """
    if pe < 1 or pe & (pe - 1):
        raise InputError(
            f"the lanes of an explanation engine must be a power of two, got {pe}: choose 8"
        )
    return pe


def _checked(scales: Mapping[tuple[str, int], Scales], pe: int, code: str | None) -> int:
    """The width of gradients, if the engine has it, those lanes and that code."""
    checked_lanes(pe)
    if code is not None and code not in CODES:
        raise InputError(
            f"the code of a heat map must be one of {', '.join(CODES)}, got {code!r}: choose one "
            "of them"
        )
    widths = {s.bits for s in scales.values()}
    if len(widths) != 1 or max(widths) > MOST_BITS:
        raise InputError(
            f"gradients of an explanation engine must have one width of up to {MOST_BITS} bits, "
            f"got {sorted(widths)}: choose 8"
        )
    return max(widths)


class _Lowering:
    def __init__(
        self,
        programs: Mapping[tuple[str, int], Program],
        scales: Mapping[tuple[str, int], Scales],
        tables: Tables,
    ) -> None:
        self._programs, self._scales, self._tables = programs, scales, tables
        self._pe = tables.pe
        self._limit = (1 << (tables.bits - 1)) - 1
        self._steps: dict[tuple[str, int], tuple[Step, ...]] = {}

    def engine(self) -> Engine:
        for program in self._programs.values():
            terms = [term for sweep in program.sweeps for term in sweep.scatters]
            for term in terms:
                weights = np.ones(1, np.int64) if term.weights is None else term.weights
                self._widen(weights * term.factor)
            if program.features is not None:
                self._widen(program.features.weights)
        for key, program in self._programs.items():
            steps = self._cam(key) if program.features is not None else self._walked(key)
            self._steps[key] = tuple(steps)
        return self._tables.engine(self._programs, self._steps, self._scales)

    def _widen(self, weights: IntArray) -> None:
        """Weights as wide as these, which the tables need to know before the first one comes."""
        kind = Integer.covering(int(weights.min()), int(weights.max()))
        self._tables.most(weight_bits=kind.bits + (not kind.signed))

    def _walked(self, key: tuple[str, int]) -> list[Step]:
        program, scales = self._programs[key], self._scales[key]
        places = self._places(program)
        steps = []
        for number, (sweep, rounding) in enumerate(zip(program.sweeps, scales.sweeps, strict=True)):
            last = number == len(program.sweeps) - 1
            total = 0
            for k, (term, left) in enumerate(zip(sweep.scatters, rounding.left, strict=True)):
                steps.append(self._scatter(program, sweep, term, left, places, clears=k == 0))
                largest = 1 if term.stream == START else self._limit
                total += bound(term, largest) << left
            self._tables.most(sum=total)
            if last:
                steps += self._maps(sweep, rounding, program.method)
            else:
                steps.append(self._sweep(program, sweep, rounding, places[number + 1]))
        return steps

    def _places(self, program: Program) -> dict[int, tuple[int, int]]:
        """Where the masks and values of each stream are kept: no two that are needed at once."""
        last: dict[int, int] = {}
        for number, sweep in enumerate(program.sweeps):
            for term in sweep.scatters:
                last[term.stream] = number
        found: dict[int, tuple[int, int]] = {}
        spans: list[tuple[int, int, tuple[int, int], tuple[int, int]]] = []
        for stream in range(1, len(program.sweeps)):
            height, width, channels = program.stream_shape(stream)
            sizes = (height * width * -(-channels // GROUP), height * width * channels)
            begin, end = 2 * stream - 1, 2 * last.get(stream, stream - 1)
            others = [(p, s) for b, e, p, s in spans if b <= end and begin <= e]
            place = tuple(_free([(p[k], s[k]) for p, s in others], sizes[k]) for k in range(2))
            found[stream] = (place[0], place[1])
            spans.append((begin, max(end, begin), found[stream], sizes))
            self._tables.most(masks=place[0] + sizes[0])
            self._tables.most(values=place[1] + sizes[1])
        return found

    def _scatter(
        self,
        program: Program,
        sweep: Sweep,
        term: Scatter,
        left: int,
        places: Mapping[int, tuple[int, int]],
        *,
        clears: bool,
    ) -> Step:
        if len(term.routes) > 1:
            raise InputError(
                f"{sweep.name} must have one max pool behind it to be explained by the engine, got "
                f"{len(term.routes)}: put a quantizer between them"
            )
        height, width, channels = sweep.sums
        line = width * channels
        kernel, weights, spans, groups = self._kernel(term, channels)
        (kh, kw), (sh, sw), (dh, dw) = kernel, term.stride, term.dilation
        across = groups == 1 and (dw == 1 or kw == 1)
        length = kw * channels if across else channels // groups
        if term.weights is None:
            length = 1
        flags, tap, way_base = (left << LEFT), 0, 0
        first = (-term.pad[0], -term.pad[1])
        step = (sh, sw)
        ways = [(0, 0)]
        source = program.stream_shape(term.stream)
        if term.routes:
            (route,) = term.routes
            kind = Tap(
                "way",
                route.tensor,
                place_of(program, route.tensor),
                source,
                _way_bits(route),
                program=program,
            )
            tap = self._tables.tap(kind)
            flags |= ROUTED
            first = (first[0] - route.pad[0] * sh, first[1] - route.pad[1] * sw)
            step = (route.stride[0] * sh, route.stride[1] * sw)
            ways = [
                (ky * route.dilation[0] * sh, kx * route.dilation[1] * sw)
                for ky in range(route.kernel[0])
                for kx in range(route.kernel[1])
            ]
            way_base = self._tables.ways.place([(y, x * channels, y * line, 0) for y, x in ways])
        rows, beats = self._weight_rows(term, weights, spans, across, length)
        base = rows - term.first
        if term.stream == START:
            flags |= CLASS
            shape = (1, 1, 1)
            place = (0, 0)
        else:
            flags |= MASKS
            shape = (source[0], source[1], -(-source[2] // GROUP))
            place = places[term.stream]
        clear = -(-math.prod(sweep.sums) // self._pe) if clears else 0
        self._tables.reach(
            sweep.sums, first, step, shape, ways, (kh, dh), kw if across else (kw - 1) * dw + 1
        )
        fields = {
            "flags": flags, "tap": tap, "way_base": way_base, "table_base": base,
            "mask_base": place[0], "value_base": place[1], "class_step": int(term.stream == START),
            "first_channel": term.first if term.stream != START else 0,
            "last_channel": term.first + term.rows - 1, "length": length,
            "last_ky": kh - 1, "last_kx": 0 if across else kw - 1,
            "kernel_u": dw * channels, "kernel_line": dh * line, "kernel_row": dh, "clear": clear,
            "every_x": 0, "every_y": 0, "line_width": line, "rows": height,
            "row_first": first[0], "row_step": step[0],
            "u_first": first[1] * channels, "u_step": step[1] * channels,
            "line_first": first[0] * line, "line_step": step[0] * line,
            "last_lane": (source[2] - 1) % GROUP,
            "last_g": shape[2] - 1, "last_y": shape[0] - 1, "last_x": shape[1] - 1,
        }  # fmt: skip
        self._tables.most(u_most=length)
        self._tables.most(left=left)
        self._tables.most(groups=shape[2])
        self._tables.most(channels=max(source[2], channels))
        if left > MOST_LEFT:
            raise InputError(
                f"terms of {sweep.name} must differ by up to {MOST_LEFT} bits to be explained by "
                f"the engine, got {left}: train its branches to equal scales"
            )
        return Step(
            fields, shape, beats, clear, term.stream if term.stream != START else -1,
            tap if term.routes else -1, (fields["first_channel"], fields["last_channel"]),
            inputs=len(ways),
        )  # fmt: skip

    @staticmethod
    def _kernel(term: Scatter, channels: int) -> tuple[tuple[int, int], IntArray, list[int], int]:
        """Kernel, weights (rows, KH, KW, C), first channel of each row, groups."""
        if term.weights is None:
            ones = np.full((term.rows, 1, 1, 1), term.factor, np.int64)
            return (1, 1), ones, list(range(term.rows)), max(term.rows, 2)
        weights = np.asarray(term.weights, np.int64) * term.factor
        each, inner = term.rows // term.groups, channels // term.groups
        return term.kernel, weights, [r // each * inner for r in range(term.rows)], term.groups

    def _weight_rows(
        self, term: Scatter, weights: IntArray, spans: list[int], across: bool, length: int
    ) -> tuple[int, int]:
        """Where the rows stand in the table of rows, and the cycles of one."""
        rows, pe = [], self._pe
        blocks = -(-length // pe)
        kh, kw = weights.shape[1:3]
        for row, span in zip(weights, spans, strict=True):
            if across:
                runs = row.reshape(kh, -1)
            elif term.weights is None:
                runs = row.reshape(1, 1)
            else:
                runs = row[:, :, span : span + length].reshape(kh * kw, length)
            lanes = np.zeros((len(runs), blocks * pe), np.int64)
            lanes[:, :length] = runs
            words = [word_of(w, self._tables.weight_bits) for w in lanes.reshape(-1, pe).tolist()]
            rows.append((self._tables.weights.place(words), span))
            beats = len(words)
        return self._tables.rows.place(rows), beats

    def _sweep(
        self, program: Program, sweep: Sweep, rounding: Rounding, place: tuple[int, int]
    ) -> Step:
        height, width, channels = sweep.shape
        geometry = sweep.sums if sweep.spread != (1, 1) else sweep.shape
        flags, tap = SWEEPS, -1
        if sweep.mask is not None:
            flags |= CONTEXT
            kind = Tap(
                "mask",
                sweep.mask.tensor,
                place_of(program, sweep.mask.tensor),
                sweep.shape,
                1,
                sweep.routes,
                program,
                sweep,
            )
            tap = self._tables.tap(kind)
        base = 0
        if rounding.mantissas:
            flags |= SCALED
            base = self._tables.mantissas.place(rounding.mantissas)
        if sweep.positive:
            flags |= POSITIVE
        groups = -(-channels // GROUP)
        line = geometry[1] * channels
        fields = {
            "flags": flags, "tap": max(tap, 0), "way_base": 0, "table_base": base,
            "mask_base": place[0], "value_base": place[1], "prune": rounding.prune,
            "shift": rounding.shift, "header": 0, "across": 0,
            "every_x": sweep.spread[1] - 1, "every_y": sweep.spread[0] - 1,
            "line_width": line, "rows": geometry[0], "row_first": 0, "row_step": 1,
            "u_first": 0, "u_step": channels, "line_first": 0, "line_step": line,
            "last_lane": (channels - 1) % GROUP,
            "last_g": groups - 1, "last_y": height - 1, "last_x": width - 1,
        }  # fmt: skip
        shape = (height, width, groups)
        self._tables.reach(geometry, (0, 0), (1, 1), shape, [(0, 0)], (1, 1), 1)
        self._tables.most(groups=groups)
        self._tables.most(channels=channels)
        return Step(fields, shape, 1, tap=tap)

    def _maps(self, sweep: Sweep, rounding: Rounding, method: str) -> list[Step]:
        """The last sweep: in tiles, or pixel by pixel, twice."""
        height, width, channels = sweep.shape
        if sweep.spread != (1, 1):
            raise InputError(
                f"the image must not go to an average pool at once to be explained by the engine, "
                f"got {sweep.spread} in front of {sweep.name}: begin with a convolution"
            )
        flags, tap = SWEEPS | FINAL, -1
        if sweep.pixels:
            flags |= PIXELS
            tap = self._tables.tap(Tap("pixels", IMAGE, Place(""), sweep.shape, 8))
        if sweep.positive:
            flags |= POSITIVE
        assert sweep.mask is None
        assert not rounding.mantissas
        line = width * channels
        header = rounding.exponent & 255
        if not -128 <= rounding.exponent <= 127:
            raise InputError(
                f"the exponent of a map must be -128 to 127, got {rounding.exponent}: the "
                "network's scales are too far apart"
            )
        fields = {
            "flags": flags, "tap": max(tap, 0), "way_base": 0,
            "table_base": 0, "mask_base": 0, "value_base": 0, "prune": rounding.prune,
            "shift": rounding.shift, "header": header, "across": width,
            "every_x": 0, "every_y": 0, "line_width": line, "rows": height,
            "row_first": 0, "row_step": 1, "u_first": 0, "u_step": channels,
            "line_first": 0, "line_step": line, "last_lane": channels - 1,
            "last_g": 0, "last_y": height - 1, "last_x": width - 1,
        }  # fmt: skip
        payload = encode.most_bits(sweep.shape, self._tables.bits, self._tables.code)
        self._tables.most(payload=payload, channels=channels, map_channels=channels)
        if self._tables.code == LEVELS:
            if not encode.levels_fit(channels, self._tables.bits):
                raise InputError(
                    f"maps in levels must have up to {TILE * TILE} channels and sums of up to 13 "
                    f"bits, got {channels} of {self._tables.bits} bits: choose 8 bits, or the code "
                    f"{LOG}"
                )
            factor, shift = encode.mean_scale(height * width)
            kind = 2 * absolute(method)
            fields |= {"table_base": factor, "value_base": shift, "mask_base": kind}
            shape = (height, width, 1)
            self._tables.reach(sweep.shape, (0, 0), (1, 1), shape, [(0, 0)], (1, 1), 1)
            self._tables.most(positions=height * width)
            return [
                Step({**fields, "mask_base": kind | 1}, shape, 1, tap=tap, map=True, again=True),
                Step(fields, shape, 1, tap=tap, map=True),
            ]
        places = [
            (i, j * channels, i * line, i * width + j) for i in range(TILE) for j in range(TILE)
        ]
        down, across, _ = tiles(sweep.shape)
        fields |= {
            "flags": flags | TILED, "way_base": self._tables.ways.place(places),
            "across": TILE * width, "row_step": TILE, "u_step": TILE * channels,
            "line_step": TILE * line, "last_lane": GROUP - 1,
            "last_g": channels - 1, "last_y": down - 1, "last_x": across - 1,
        }  # fmt: skip
        self._tables.reach(
            sweep.shape, (0, 0), (TILE, TILE), (down, across, channels),
            [(TILE - 1, TILE - 1)], (1, 1), 1,
        )  # fmt: skip
        self._tables.most(positions=(down * TILE) * width + across * TILE, groups=channels)
        return [Step(fields, (down, across, channels), 1, tap=tap, map=True)]

    def _cam(self, key: tuple[str, int]) -> list[Step]:
        """Grad-CAM: features are scattered with the weights of the class, and what is > 0 swept."""
        program, scales = self._programs[key], self._scales[key]
        features = program.features
        assert features is not None
        (rounding,) = scales.sweeps
        height, width, channels = features.shape
        bits = self._feature_bits(program)
        kept = Tap(
            "features",
            features.tensor,
            place_of(program, features.tensor),
            features.shape,
            bits,
            program=program,
        )
        tap = self._tables.tap(kept)
        weights = np.asarray(features.weights, np.int64)  # (classes, C)
        rows = []
        for w in weights.ravel().tolist():
            word = word_of([w] + [0] * (self._pe - 1), self._tables.weight_bits)
            rows.append((self._tables.weights.place([word]), 0))
        base = self._tables.rows.place(rows)
        sums = (height, width, 1)
        groups = -(-channels // GROUP)
        clear = -(-height * width // self._pe)
        fields = {
            "flags": FEATURES, "tap": tap, "way_base": 0, "table_base": base, "mask_base": 0,
            "value_base": 0, "class_step": channels, "first_channel": 0,
            "last_channel": channels - 1, "length": 1, "last_ky": 0, "last_kx": 0, "kernel_u": 1,
            "kernel_line": width, "kernel_row": 1, "clear": clear, "every_x": 0, "every_y": 0,
            "line_width": width, "rows": height, "row_first": 0, "row_step": 1, "u_first": 0,
            "u_step": 1, "line_first": 0, "line_step": width, "last_lane": (channels - 1) % GROUP,
            "last_g": groups - 1, "last_y": height - 1, "last_x": width - 1,
        }  # fmt: skip
        shape = (height, width, groups)
        self._tables.reach(sums, (0, 0), (1, 1), shape, [(0, 0)], (1, 1), 1)
        self._tables.most(groups=groups)
        self._tables.most(channels=channels)
        most = ((1 << bits) - 1) * int(np.abs(weights).sum(axis=1).max(initial=0))
        self._tables.most(sum=most)
        scatter = Step(fields, shape, 1, clear, tap=tap, channels=(0, channels - 1))
        sweep = Sweep("grad-cam", sums, sums, (), positive=True)
        return [scatter, *self._maps(sweep, rounding, program.method)]

    @staticmethod
    def _feature_bits(program: Program) -> int:
        features = program.features
        assert features is not None
        streams = [stream for node in program.nodes for stream in node.outputs]
        kind = streams[features.tensor].dtype
        if kind.signed:
            raise InputError(
                f"features of {features.name} must be 0 and more to be explained by the engine, "
                f"got {kind.min} and more: choose another method than grad-cam"
            )
        return kind.bits


def _free(taken: Iterable[tuple[int, int]], size: int) -> int:
    """The first place in front of, between or behind what is taken."""
    at = 0
    for begin, length in sorted(taken):
        if at + size <= begin:
            break
        at = max(at, begin + length)
    return at


def _way_bits(route: Route) -> int:
    return max(1, (math.prod(route.kernel) - 1).bit_length())
