"""The register map: the single source for the RTL, the manifest, the tests and the driver.

Addresses are bytes from the base of the AXI-Lite port; registers are 32 bits wide.
`parameters` gives the addresses to the RTL, so that no offset is typed a second time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exeunt import criteria
from exeunt.criteria import criterion
from exeunt.errors import InputError

ID = 0x45584E54  # "EXNT"
VERSION = 1
MAX_EXITS = 8
ADDRESS_BITS = 12

NEVER = criterion.NEVER
ALWAYS = criterion.ALWAYS

ORDER_ARRIVAL = 0
ORDER_INPUT = 1


@dataclass(frozen=True)
class Field:
    """Bits `low` .. `low + width - 1` of a register."""

    low: int
    width: int = 1

    def get(self, word: int) -> int:
        """The field's value in `word`."""
        return (word >> self.low) & ((1 << self.width) - 1)

    def put(self, value: int) -> int:
        """A word with this field set to `value` and zeros elsewhere."""
        assert 0 <= value < 1 << self.width, f"{value} does not fit in {self.width} bits"
        return value << self.low


@dataclass(frozen=True)
class Register:
    """One register, or `per_exit` ones behind each other (4 bytes apart, exit 0 first).

    `access` is "r", "rw" or "w"; `reset` is the value after a reset (per-exit ones: of each).
    A `counter` reads what it was at the last snapshot; the driver shows all of them.
    """

    name: str
    address: int
    access: str
    text: str
    reset: int = 0
    per_exit: bool = False
    counter: bool = False
    fields: Mapping[str, Field] = field(default_factory=dict)


MAP: tuple[Register, ...] = (
    Register("id", 0x000, "r", "the letters EXNT", reset=ID),
    Register("version", 0x004, "r", "version of this map", reset=VERSION),
    Register("hash", 0x008, "r", "hash of the design, computed with its own field zero"),
    Register(
        "control",
        0x00C,
        "w",
        "writing a one starts the action once; reads zero",
        fields={"reset": Field(0), "commit": Field(1), "snapshot": Field(2)},
    ),
    Register(
        "status",
        0x010,
        "r",
        "commit_pending: the other bank still has frames in flight; mode_pending: order or raw "
        "wait for an empty pipeline and new frames are held back; resetting: a soft reset is under "
        "way, which with a word on the output lasts until that is taken; bank: threshold bank of "
        "the next frame; refused: a threshold or a commit was written "
        "while a commit was pending and ignored, cleared by the next commit; epoch: soft resets "
        "since rst, 1 follows 255; in_flight: frames inside",
        fields={
            "commit_pending": Field(0),
            "mode_pending": Field(1),
            "resetting": Field(2),
            "bank": Field(3),
            "refused": Field(4),
            "epoch": Field(8, 8),
            "in_flight": Field(16, 16),
        },
    ),
    Register("order", 0x014, "rw", "0 results in arrival order, 1 in input order"),
    Register(
        "raw",
        0x018,
        "rw",
        "stream the logits of exit `exit` instead of results; an exit past the last means the last",
        fields={"exit": Field(0, 8), "enable": Field(31)},
    ),
    Register("batch", 0x01C, "rw", "TLAST after this many results; 0: never", reset=1),
    Register("criterion", 0x020, "r", criteria.text()),
    Register("frames_in", 0x040, "r", "frames accepted, at the last snapshot", counter=True),
    Register("frames_out", 0x044, "r", "frames that left, at the last snapshot", counter=True),
    Register("in_flight", 0x048, "r", "frames_in - frames_out, at the last snapshot", counter=True),
    Register("bad", 0x04C, "r", "frames cut short by TLAST, at the last snapshot", counter=True),
    Register(
        "stall", 0x050, "r", "cycles a beat waited at the input, at the last snapshot", counter=True
    ),
    Register("cycles", 0x054, "r", "cycles since reset, at the last snapshot", counter=True),
    Register(
        "taken",
        0x080,
        "r",
        "frames decided to leave, at the last snapshot; in raw mode a frame leaves with its last "
        "logit and counts here some cycles later, so that the sum may be one below frames_out",
        per_exit=True,
        counter=True,
    ),
    Register(
        "threshold",
        0x0C0,
        "rw",
        "shadow of the signed threshold; a frame leaves when its score reaches it; NEVER, ALWAYS; "
        "the last exit's is always ALWAYS",
        reset=NEVER,
        per_exit=True,
    ),
    Register("active", 0x0E0, "r", "threshold of the bank in force", reset=NEVER, per_exit=True),
)

RULES: tuple[Register, ...] = (
    Register(
        "rules",
        0x100,
        "rw",
        "rules that modify images: enabled applies them, to images whose last beat comes later; "
        "how many rules and tables were built",
        reset=1,
        fields={"enabled": Field(0), "rules": Field(8, 8), "tables": Field(16, 8)},
    ),
    Register(
        "rule_at",
        0x104,
        "rw",
        "where rule_word writes: a space of the rule unit and an index, which then counts up",
        fields={"index": Field(0, 16), "space": Field(16, 3)},
    ),
    Register("rule_word", 0x108, "w", "a word of the rules, written while no image is inside"),
    Register(
        "rule_fired",
        0x10C,
        "r",
        "how often the rule at the index of rule_at fired, rule 0: none did",
    ),
)
"""The registers of the rule unit, in accelerators that have one."""

EXPLAIN: tuple[Register, ...] = (
    Register(
        "explain_every",
        0x140,
        "rw",
        "which frames are explained: 0 those asked for by id, 1 all, n one in n; wait: a frame to "
        "be explained is held back until there is a slot for it, else it goes unexplained and is "
        "counted; a soft reset keeps both",
        fields={"every": Field(0, 16), "wait": Field(31)},
    ),
    Register(
        "explain_method",
        0x144,
        "rw",
        "how frames that enter from now on are explained, an index in "
        "exeunt.explain.program.METHODS; after a reset the first method that was built",
        fields={"method": Field(0, 4)},
    ),
    Register(
        "explain_ask",
        0x148,
        "w",
        "the id of a frame yet to enter, which is explained whatever the other registers say",
    ),
    Register("explain_forget", 0x14C, "w", "writing anything: all ids asked for are forgotten"),
    Register(
        "explained", 0x150, "r", "maps begun by the engine, at the last snapshot", counter=True
    ),
    Register(
        "explain_missed",
        0x154,
        "r",
        "frames to be explained for which no slot was free, at the last snapshot",
        counter=True,
    ),
    Register(
        "explain_unmet",
        0x158,
        "r",
        "ids asked for that came too late or were forgotten, at the last snapshot",
        counter=True,
    ),
    Register(
        "explain_slots",
        0x15C,
        "r",
        "slots in use now, of frames inside and of those whose map is to come; with 0 and no frame "
        "inside, as many maps come in all as `explained` counts",
    ),
    Register(
        "explain_below",
        0x160,
        "rw",
        "frames that leave at this exit are explained if their score is below this signed number; "
        "NEVER: whatever it is, ALWAYS: none; a soft reset keeps it",
        reset=NEVER,
        per_exit=True,
    ),
)
"""The registers of explanations, in accelerators that explain their frames."""

HOLD: tuple[Register, ...] = (
    Register(
        "hold",
        0x180,
        "rw",
        "on: thresholds follow what is held; latency: that is the latency of results, else the "
        "rate of frames that leave at each exit; writing it begins anew, with offsets 0 and an "
        "empty window",
        fields={"on": Field(0), "latency": Field(1)},
    ),
    Register(
        "hold_window",
        0x184,
        "w",
        "events of a window less 1, 7 at the least; this and what follows is written while it is "
        "off",
        fields={"last": Field(0, 16)},
    ),
    Register("hold_limit", 0x188, "w", "cycles above which the latency of a result is a hit"),
    Register(
        "hold_band",
        0x1A0,
        "w",
        "hits in a window, frames that the exit keeps or late results: more than `high` lower its "
        "threshold by a step, fewer than `low` raise it",
        per_exit=True,
        fields={"low": Field(0, 16), "high": Field(16, 16)},
    ),
    Register("hold_step", 0x1C0, "w", "by how much a threshold changes at once", per_exit=True),
    Register("hold_floor", 0x1E0, "w", "the least offset, signed, at most 0", per_exit=True),
    Register("hold_ceiling", 0x200, "w", "the largest offset, at least 0", per_exit=True),
    Register(
        "hold_offset",
        0x220,
        "r",
        "signed number in force, added to the threshold of the frame's bank; NEVER and ALWAYS "
        "stay what they are",
        per_exit=True,
    ),
    Register(
        "hold_changes",
        0x240,
        "r",
        "how often the offset has become larger and smaller since the last reset, modulo 65536, "
        "at the last snapshot",
        per_exit=True,
        counter=True,
        fields={"raised": Field(0, 16), "lowered": Field(16, 16)},
    ),
)
"""The registers of what holds a rate or a latency, in accelerators that have it."""

BY_NAME: Mapping[str, Register] = {r.name: r for r in (*MAP, *RULES, *EXPLAIN, *HOLD)}


def address(name: str, exit_index: int = 0) -> int:
    """Byte address of register `name`; of the one of exit `exit_index` when it has one per exit."""
    register = BY_NAME[name]
    assert exit_index == 0 or register.per_exit, f"register {name} is not one per exit"
    assert 0 <= exit_index < MAX_EXITS, f"exit {exit_index} is not one of {MAX_EXITS}"
    return register.address + 4 * exit_index


def parameters() -> dict[str, int]:
    """Verilog parameters of ex_registers: `A_<NAME>` is the byte address of each register."""
    return {f"A_{r.name.upper()}": r.address for r in MAP}


def rule_parameters() -> dict[str, int]:
    """Verilog parameters of ex_rules, like those of `parameters`."""
    names = {"rules": "A_RULES", "rule_at": "A_AT", "rule_word": "A_WORD", "rule_fired": "A_FIRED"}
    return {names[r.name]: r.address for r in RULES}


def explain_parameters() -> dict[str, int]:
    """Verilog parameters of what explains, like those of `parameters`."""
    return {f"A_{r.name.removeprefix('explain_').upper()}": r.address for r in EXPLAIN}


def hold_parameters() -> dict[str, int]:
    """Verilog parameters of ex_hold, like those of `parameters`."""
    found = {"A_CONTROL": BY_NAME["control"].address, "A_HOLD": BY_NAME["hold"].address}
    return found | {
        f"A_{r.name.removeprefix('hold_').upper()}": r.address for r in HOLD if r.name != "hold"
    }


def criteria_codes() -> dict[str, int]:
    """What the register `criterion` reads, by the name of the criterion."""
    return {name: criteria.get(name).code for name in criteria.names()}


def criterion_of(code: int) -> criteria.Criterion:
    """The criterion for which the register reads `code`, one of `criteria_codes`."""
    names = {found: name for name, found in criteria_codes().items()}
    return criteria.get(names[code])


def threshold_text(threshold: int | None) -> str:
    """A threshold for people: a number, "never" or "always" (None, the last exit)."""
    known = {NEVER: "never", ALWAYS: "always", None: "always"}
    return known.get(threshold, str(threshold))


def threshold_word(threshold: int | None) -> int:
    """The 32-bit register value of a threshold; None (the last exit) is ALWAYS.

    Raises:
        InputError: the threshold does not fit in 32 signed bits.
    """
    value = ALWAYS if threshold is None else int(threshold)
    if not ALWAYS <= value <= NEVER:
        raise InputError(
            f"threshold must fit in 32 signed bits, got {value}; calibrate again or use "
            f"{NEVER} for never and {ALWAYS} for always"
        )
    return value & 0xFFFFFFFF


def to_json(*, rules: bool = False, explain: bool = False, hold: bool = False) -> dict[str, Any]:
    """The map as plain data for the manifest: name -> address, access, reset, text, fields.

    `rules`: there is a rule unit. `explain`: frames are explained. `hold`: thresholds can follow.
    """
    more = (*(RULES if rules else ()), *(EXPLAIN if explain else ()), *(HOLD if hold else ()))
    return {
        r.name: {
            "address": r.address,
            "access": r.access,
            "reset": r.reset & 0xFFFFFFFF,
            "per_exit": r.per_exit,
            "counter": r.counter,
            "text": r.text,
            "fields": {k: [f.low, f.width] for k, f in r.fields.items()},
        }
        for r in (*MAP, *more)
    }
