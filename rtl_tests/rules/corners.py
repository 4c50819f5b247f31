"""Corners of `ex_rules`: every statistic and step alone and together, wide beats, many slots."""

from __future__ import annotations

from dataclasses import dataclass

from lib.bench import Corner, Port, stream_ports

from exeunt.rules import Condition, Modification, Rule, RuleSet, gain, gamma, offset
from exeunt.rules.unit import Unit

A_RULES, A_AT, A_WORD, A_FIRED = 0x100, 0x104, 0x108, 0x10C
SHIFT = Modification(dx=-1, dy=1)
SLOPE = Modification(shear=9, dx=1)
EDGE = Modification(border=(1, 0, 0, 2))
BRIGHT = Modification(table=gain(1.5))
ALL = Modification(dx=2, dy=-1, shear=-21, border=(0, 1, 1, 0), table=gamma(0.7))


@dataclass(frozen=True)
class Case:
    """What a corner is built with."""

    unit: Unit
    rules: RuleSet


def always(change: Modification) -> tuple[Rule, ...]:
    return (Rule((), change),)


def one_each(statistic: str, *values: int) -> tuple[Rule, ...]:
    """A rule below each value, and one from the last on."""
    changes = (SHIFT, BRIGHT, SLOPE, EDGE)
    below = [Rule((Condition(statistic, "<", v),), changes[k]) for k, v in enumerate(values)]
    return (*below, Rule((Condition(statistic, ">=", values[-1]),), ALL))


MIXED = (
    Rule((Condition("mean", "<", 700), Condition("ink", ">=", 90)), BRIGHT),
    Rule((Condition("slant", ">=", 3), Condition("row", "<", 60)), SLOPE),
    Rule((Condition("slant", "<", -3), Condition("column", ">=", 30)), Modification(shear=-9)),
    Rule(
        (
            Condition("edges", ">=", 400), Condition("edges", "<", 900),
            Condition("contrast", ">=", 500), Condition("mean", ">=", 100),
        ),
        EDGE,
    ),
    Rule((Condition("contrast", "<", 300),), ALL),
    Rule((Condition("row", ">=", 33),), Modification()),
)  # fmt: skip


def corner(
    name: str, rules: tuple[Rule, ...], *, shape: tuple[int, int, int] = (8, 8, 1), lanes: int = 1,
    slots: int = 2, ink: int = 128, edge: int = 32, looks: tuple[tuple[Rule, ...], ...] = (),
    places: int = 1,
) -> Corner:  # fmt: skip
    found = RuleSet(shape, rules, looks, (0,) * len(looks), ink=ink, edge=edge)
    unit = Unit.of(found, lanes=lanes, slots=slots)
    memories = unit.memories(found, name)
    files = {parameter: file for parameter, (file, _) in memories.items()}
    parameters = {
        **unit.parameters, **files, "PLACES": places,
        "A_RULES": A_RULES, "A_AT": A_AT, "A_WORD": A_WORD, "A_FIRED": A_FIRED,
    }  # fmt: skip
    place = max(1, (places - 1).bit_length())
    who = place + max(1, (slots - 1).bit_length())
    ports = (
        *stream_ports(8 * lanes, 8 * lanes),
        Port("clear"),
        Port("m_info_valid", output=True),
        Port("m_info", who + 3, output=True),
        Port("place_free"),
        Port("place_take", output=True),
        Port("place", place),
        Port("verdict_valid"),
        Port("verdict_again"),
        Port("verdict_info", who + 2),
        Port("write"),
        Port("address", 12),
        Port("wdata", 32),
        Port("rdata", 32, output=True),
    )
    return Corner(
        name, "ex_rules", parameters, ports, memories=dict(memories.values()),
        data=Case(unit, found),
    )  # fmt: skip


IN_ORDER = [
    corner("shift", always(SHIFT)),
    corner("shear", always(SLOPE), shape=(9, 7, 1)),
    corner("border", always(EDGE), shape=(5, 6, 1)),
    corner("table", always(BRIGHT), shape=(3, 4, 1), slots=1),
    corner("nothing", (Rule((Condition("mean", "<", 1),), Modification()),), shape=(1, 2, 1)),
    corner("mean", one_each("mean", 300, 900), slots=3),
    corner("contrast", one_each("contrast", 300, 900)),
    corner("ink", one_each("ink", 90, 210), ink=200),
    corner("edges", one_each("edges", 100, 310), edge=90),
    corner("row", one_each("row", 48, 60), shape=(9, 5, 1)),
    corner("column", one_each("column", 28, 36), shape=(5, 6, 3), lanes=3),
    corner("slant", one_each("slant", -3, 3), shape=(7, 8, 2)),
    corner("wide", MIXED, shape=(6, 7, 4), lanes=4, slots=4),
    corner("folded", MIXED, shape=(8, 5, 6), lanes=2, ink=60),
    corner("mixed", MIXED, shape=(8, 8, 1), slots=3),
    corner(
        "tables",
        (
            Rule((Condition("mean", "<", 900),), BRIGHT),
            Rule((), Modification(table=offset(9))),
        ),
        slots=3,
    ),
    corner(
        "line",
        (
            Rule((Condition("column", "<", 116),), Modification(dx=-5)),
            Rule((), Modification(dx=5)),
        ),
        shape=(1, 16, 1),
    ),
]

LOOK = (
    Rule((Condition("mean", "<", 500),), BRIGHT),
    Rule((Condition("slant", ">=", 3),), SLOPE),
    Rule((Condition("mean", ">=", 1400),), Modification()),  # no look at these
    Rule((), SHIFT),
)
SPARSE = (Rule((Condition("mean", "<", 900),), Modification(dy=1)),)
LOOKS = [
    corner("one_look", (), shape=(3, 4, 1), looks=(always(SHIFT),), slots=2, places=1),
    corner("one_slot", (), shape=(3, 4, 1), looks=(SPARSE, always(SHIFT)), slots=1, places=2),
    corner(
        "two_looks",
        one_each("mean", 300, 900)[1:],
        looks=(LOOK, SPARSE),
        slots=4,
        places=3,
    ),
    corner("second_only", (), looks=(SPARSE, always(EDGE)), shape=(4, 4, 1), slots=3, places=4),
    corner("wide_looks", MIXED, shape=(5, 6, 4), lanes=4, looks=(LOOK, MIXED), slots=3, places=2),
]

CORNERS = [*IN_ORDER, *LOOKS]
