"""LUT, DSP and BRAM on xc7 of what stands beside the kernels: explanations, rules, held rates.

As for kernels a sum of parts, whose factors are fitted to counts of the blocks by Yosys
(`rtl_tests/cost_beside.jsonl`). A block is named as its module in `hls/rtl`, and described by its
parameters there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from exeunt.kernels.parts.size import DSP_PRODUCT, Size, blocks, lut, lutrams, ram, rom, selection

ENGINE, RULES, HOLD = "ex_explain", "ex_rules", "ex_hold"
LOOKED = "ex_look_buffer"
EDGES = "edges"  # of a quantizer that tells whether a value is on the slope of its line
GROUP = 16  # channels of a context word
BUFFER = 54  # LUT of a frame buffer without its memory, see rtl_tests/cost_control.jsonl
DECISION = 30  # LUT that a decision takes more with an offset, of a whole controller
PREFIX = "beside_"  # of the names of the models

Numbers = Mapping[str, Any]
Parts = dict[str, float]


def size(block: str, numbers: Numbers, *, dsp: bool = True) -> Size:
    """What a block takes; of a buffer for further looks, what it takes more than the usual one.

    Args:
        block: its module, or `EDGES`.
        numbers: its parameters.
        dsp: multipliers may be DSPs, as Yosys prefers it; False keeps all of them in LUTs.
    """
    found, others = parts(block, numbers, dsp=dsp), _BLOCKS[block][1](numbers, dsp)
    if block == LOOKED:  # both have the same memory
        logic = {name: value for name, value in found.items() if name != "memory"}
        return Size(max(0, lut(PREFIX + block, logic) - BUFFER))
    if block == HOLD:
        return Size(lut(PREFIX + block, found) + DECISION * numbers["EXITS"])
    return Size(lut(PREFIX + block, found), others.dsp, others.bram18)


def parts(block: str, numbers: Numbers, *, dsp: bool = True) -> Parts:
    """The parts of a block, by name."""
    return _BLOCKS[block][0](numbers, dsp)


def names() -> tuple[str, ...]:
    """The blocks that have a model."""
    return tuple(_BLOCKS)


def _bits(count: int) -> int:
    """Bits of an address of so many things, at least one."""
    return max(1, (count - 1).bit_length())


def _in_luts(words: int, bits: int) -> int:
    """LUT of a memory with a write port, 0 where it is made of blocks."""
    return 0 if ram(words, bits) else _distributed(words, bits)


def _distributed(words: int, bits: int) -> int:
    """LUT of a memory that is read at once, so that no block will do."""
    banks = math.ceil(words / 64)
    return 4 * lutrams(words, bits) + (selection(banks, bits) if banks > 1 else 0)


def _read_only(tables: Iterable[tuple[int, int]]) -> float:
    """Words of 64 bits of constant memories that are made of LUTs."""
    return sum(words * bits / 64 for words, bits in tables if not rom(words, bits))


# ---------------------------------------------------------------- the explanation engine


def _engine_memories(n: Numbers) -> list[tuple[int, int, int]]:
    """(how many, words, bits) of the memories that are written."""
    unit = 16 if n["CODE"] != 2 and _stored(n) + 2 > 8 else 8
    return [
        (1, n["MASKS"], 16),
        (1, n["VALUES"], n["BITS"]),
        (n["PE"], n["DEPTH"], n["SUM_BITS"]),
        (1, math.ceil(n["MOST"] / unit), unit),
    ]


def _stored(n: Numbers) -> int:
    """Bits of a value in a tile of a map."""
    return 1 + (n["BITS"] - 1).bit_length() if n["CODE"] == 1 else int(n["BITS"])


def _engine_tables(n: Numbers) -> list[tuple[int, int]]:
    """(words, bits) of the constant memories."""
    place = n["Y_BITS"] + n["X_BITS"] + n["N_BITS"] + n["P_BITS"]
    return [
        (n["FIELDS"], n["F"] + 1),
        (n["WEIGHTS"], n["PE"] * n["W_BITS"]),
        (n["ROWS"], _bits(n["WEIGHTS"]) + n["C_BITS"]),
        (n["WAYS"], place),
        (n["MANTISSAS"], n["FACTOR_BITS"]),
    ]


def _multiplied(n: Numbers, dsp: bool) -> bool:
    """Whether the products of the lanes are in DSPs."""
    wide = min(n["VALUE_BITS"] + n["W_BITS"], n["SUM_BITS"])
    return dsp and wide >= DSP_PRODUCT


def _engine(n: Numbers, dsp: bool) -> Parts:
    pe, turns = n["PE"], _bits(n["PE"]) if n["PE"] > 1 else 0
    product = 0 if _multiplied(n, dsp) else pe * n["VALUE_BITS"] * n["W_BITS"]
    scaled = 0 if dsp else n["SUM_BITS"] * n["FACTOR_BITS"]
    return {
        "one": 1,
        "levels": float(n["CODE"] == 2),
        "place": n["Y_BITS"] + n["X_BITS"] + n["N_BITS"] + n["P_BITS"],
        "turn": pe * (n["W_BITS"] + 1) * math.ceil(turns / 2),
        "sum": pe * n["SUM_BITS"],
        "ram": float(sum(count * _in_luts(w, b) for count, w, b in _engine_memories(n))),
        "rom": _read_only(_engine_tables(n)),
        "choice": GROUP * (n["WAY_BITS"] + n["FEATURE_BITS"] * n["CAM"]),
        "wide": n["SUM_BITS"] + n["FACTOR_BITS"],
        "product": product + scaled,
    }


def _engine_blocks(n: Numbers, dsp: bool) -> Size:
    classes = n["CAM"] and _bits(n["ROWS"]) >= DSP_PRODUCT  # weights of a class
    multipliers = n["PE"] * _multiplied(n, dsp) + dsp * (1 + classes + (n["CODE"] == 2))
    taken = sum(count * ram(words, bits) for count, words, bits in _engine_memories(n))
    return Size(0, multipliers, taken + sum(rom(*table) for table in _engine_tables(n)))


# ---------------------------------------------------------------- what feeds it


def _tap(n: Numbers, _: bool) -> Parts:
    channels, lanes, bits, slots = n["C"], n["LANES"], n["BITS"], n["SLOTS"]
    width, wide, words, deep = _store(n)
    whole = lanes in (channels, GROUP) or lanes > GROUP
    even = not whole and (channels <= GROUP or GROUP % lanes == 0)
    return {
        "one": 1,
        "address": _bits(words) + _bits(slots),
        "memory": 0.0 if deep else float(4 * lutrams(words * slots, width) * wide),
        "choice": float(selection(wide, width)) if wide > 1 else 0.0,
        "gather": float(min(GROUP, channels) // lanes if even else 0),
        "across": 0.0 if whole or even else float((GROUP + lanes) * bits),
    }


def _store(n: Numbers) -> tuple[int, int, int, bool]:
    """Bits of a word, words written at once, words of a frame in each bank, whether in blocks."""
    width = min(GROUP, n["C"]) * n["BITS"]
    wide = math.ceil(n["LANES"] / GROUP)
    words = n["POSITIONS"] * math.ceil(n["C"] / GROUP) // wide
    return width, wide, words, words * n["SLOTS"] > 64


def _tap_blocks(n: Numbers, _: bool) -> Size:
    width, wide, words, deep = _store(n)
    return Size(0, 0, wide * blocks(words * n["SLOTS"], width) if deep else 0)


def _window(n: Numbers, _: bool) -> Parts:
    """Of the largest inputs of a max pool. More than 6 bits of a comparison do not fit a LUT.

    Few more of them are no carry chain either, and are made for each bit that they choose.
    """
    lanes, folds = n["LANES"], n["C"] // n["LANES"]
    words, part = _opened(n)
    return {
        "one": 1,
        "part": part,
        "repeated": float(part if n["IN_BITS"] in (4, 5) else 0),
        "compare": lanes * n["IN_BITS"],
        "memory": float(0 if ram(words, part) else _distributed(words, part)),
        "place": _bits(folds) + _bits(n["W"]) + _bits(words),
    }


def _opened(n: Numbers) -> tuple[int, int]:
    """Windows that are open at once, and bits of what is known of those of a beat."""
    words = n["W"] // n["KW"] * (n["C"] // n["LANES"])
    return words, n["LANES"] * (n["IN_BITS"] + _bits(n["KH"] * n["KW"]) + 1)


def _window_blocks(n: Numbers, _: bool) -> Size:
    return Size(0, 0, ram(*_opened(n)))


def _chosen(n: Numbers, _: bool) -> Parts:
    slots, exits, slot = n["SLOTS"], n["EXITS"], _bits(n["SLOTS"])
    entry = slot + n["CLASS_BITS"] + _bits(n["EXITS"])
    return {"one": 1, "exit": exits, "queue": slots * entry, "write": slots * exits * entry,
            "slot": slots}  # fmt: skip


def _slots(n: Numbers, _: bool) -> Parts:
    slots, exits = n["SLOTS"], n["EXITS"]
    order = 4 * lutrams(n["IN_FLIGHT"], _bits(slots) + 1)
    return {"one": 1, "slot": slots, "exit": exits, "both": slots * exits, "order": exits * order}


def _registers(n: Numbers, _: bool) -> Parts:
    return {"one": 1, "exit": n["EXITS"], "slot": n["SLOTS"]}


def _alone(_: Numbers, __: bool) -> Parts:
    return {"one": 1}


def _edges(n: Numbers, _: bool) -> Parts:
    """Of `lanes` of a quantizer of `in_bits`, with `folds` words of edges."""
    lanes, bits, folds = n["lanes"], n["in_bits"], n["folds"]
    words = 2 * folds
    return {
        "one": 1,
        "compare": lanes * bits,
        "rom": lanes * _read_only([(words, bits + 1)]),
        "lane": lanes,
    }


def _edge_blocks(n: Numbers, _: bool) -> Size:
    return Size(0, 0, n["lanes"] * rom(2 * n["folds"], n["in_bits"] + 1))


# ---------------------------------------------------------------- rules and further looks


def _statistics(n: Numbers) -> tuple[list[int], int]:
    """Bits of the sums of each statistic that is gathered, and of what limits are held against."""
    values = n["HEIGHT"] * n["WIDTH"] * n["FOLD"] * n["LANES"]
    mass, count = (255 * values).bit_length(), values.bit_length()
    moment = mass + _bits(max(n["HEIGHT"], n["WIDTH"]))
    every = (mass, mass, count, count, moment, moment, moment)
    used = [bits for k, bits in enumerate(every) if n["STATISTICS"] >> k & 1]
    if n["STATISTICS"] >> 4 and not n["STATISTICS"] & 1:
        used.append(mass)  # centres need the mass
    return used, (moment if n["STATISTICS"] >> 4 else mass) + 4


def _rule_memories(n: Numbers) -> list[tuple[int, int]]:
    """(words, bits) of the memories of conditions and rules."""
    beats = _bits(n["HEIGHT"] * n["WIDTH"] * n["FOLD"])
    start = (4 * n["HEIGHT"] + n["WIDTH"]).bit_length() + 5
    rules = n["RULES"] + 1
    found = [(n["CONDITIONS"], n["LIMIT_BITS"] + 7)]
    if n["MOVES"]:
        found.append((rules, n["HEIGHT"].bit_length() + 1 + beats))
    if n["MOVES"] or n["SHEARS"]:
        found.append((rules, start + 8))
    if n["BORDERS"]:
        found.append((rules, 32))
    if n["TABLES"]:
        found.append((rules, _bits(n["TABLES"])))
    return found


def _rule_blocks(n: Numbers, dsp: bool) -> Size:
    beats = _bits(n["HEIGHT"] * n["WIDTH"] * n["FOLD"])
    taken = 1 + ram(n["SLOTS"] << beats, 8 * n["LANES"])  # how often each fired, and the frames
    if n["TABLES"]:
        taken += n["LANES"] * ram(n["TABLES"] << 8, 8)
    return Size(0, int(dsp and n["STATISTICS"] >> 6 & 1), taken)


def _unit(n: Numbers, dsp: bool) -> Parts:
    sums, top = _statistics(n)
    looks, slots = n["LOOKS"], n["SLOTS"]
    beats = _bits(n["HEIGHT"] * n["WIDTH"] * n["FOLD"])
    start = (4 * n["HEIGHT"] + n["WIDTH"]).bit_length() + 5
    place = n["HEIGHT"].bit_length() + n["WIDTH"].bit_length()
    frames = _in_luts(n["SLOTS"] << beats, 8 * n["LANES"])
    tables = n["LANES"] * _in_luts(n["TABLES"] << 8, 8) if n["TABLES"] else 0
    slant = n["STATISTICS"] >> 6 & 1
    steps = bin(n["STATISTICS"] & 0b1010).count("1")
    chosen = slots * (1 + looks) * n["RULES"].bit_length()
    return {
        "one": 1,
        "sum": float(sum(sums)),
        "top": float(top * len(sums)),
        "step": float(8 * n["LANES"] * steps),
        "memory": float(sum(4 * lutrams(w, b) for w, b in _rule_memories(n)) + frames + tables),
        "beats": beats,
        "slope": float(start * (n["MOVES"] or n["SHEARS"])),
        "border": float(place * n["BORDERS"]),
        "looks": float(looks > 0),
        "chosen": float(chosen),
        "product": 0.0 if dsp or not slant else float(8 * n["WIDTH"].bit_length()),
    }


def _looks(n: Numbers, _: bool) -> Parts:
    width = n["PE"] * (n["BITS"] + n["LOOKS"])
    words = n["SLOTS"] << _bits(n["CLASSES"] // n["PE"])
    return {"one": 1, "sum": width, "memory": float(_distributed(words, width))}


def _look_memory(n: Numbers, _: bool) -> Size:
    return Size(0, 0, ram(n["DEPTH"], n["WIDTH"]))


def _look_buffer(n: Numbers, _: bool) -> Parts:
    places = n["DEPTH"] // n["FRAME"]
    return {
        "one": 1,
        "place": places,
        "address": _bits(n["DEPTH"]) + _bits(n["FRAME"]),
        "memory": float(_in_luts(n["DEPTH"], n["WIDTH"])),
    }


# ---------------------------------------------------------------- a rate that is held


def _hold(n: Numbers, _: bool) -> Parts:
    return {"one": 1, "exit": n["EXITS"], "bits": n["EXITS"] * n["HELD"]}


def _nothing(_: Numbers, __: bool) -> Size:
    return Size()


_BLOCKS: Mapping[str, tuple[Callable[[Numbers, bool], Parts], Callable[[Numbers, bool], Size]]] = {
    ENGINE: (_engine, _engine_blocks),
    "ex_explain_tap": (_tap, _tap_blocks),
    "ex_explain_pool": (_window, _window_blocks),
    "ex_explain_choose": (_chosen, _nothing),
    "ex_explain_slots": (_slots, _nothing),
    "ex_explain_registers": (_registers, _nothing),
    "ex_explain_port": (_alone, _nothing),
    EDGES: (_edges, _edge_blocks),
    RULES: (_unit, _rule_blocks),
    "ex_looks": (_looks, _nothing),
    LOOKED: (_look_buffer, _look_memory),
    "ex_again": (_alone, _nothing),
    HOLD: (_hold, _nothing),
}
