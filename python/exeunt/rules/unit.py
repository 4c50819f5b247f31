"""What the rule unit is built with and what its memories hold: a rule set as hls/rtl/ex_rules.sv.

A unit is built for a rule set (`Unit.of`), and can be given another one that asks for no more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from exeunt.errors import InputError
from exeunt.rules.modification import NOTHING, Modification
from exeunt.rules.rule import FROM, Condition, Rule, RuleSet
from exeunt.rules.statistics import LEVEL, STATISTICS, Shape

CONDITIONS, MOVE, SLOPE, BORDER, ENTRY, TABLE = range(6)  # spaces of ex_rules
SLOTS = 2
LOOK_SLOTS = 4  # one that comes, one that is sent, and those whose verdicts are waited for
_CODES = {name: code for code, name in enumerate(STATISTICS)}
_MIRRORED = ("row", "column")  # counted from the far end in hardware
_NO_STATISTIC = 7
_IDENTITY = tuple(range(256))


@dataclass(frozen=True)
class Unit:
    """A rule unit: its parameters.

    shape: (H, W, C) of the frames, `lanes` channels a beat. slots: frames kept.
    statistics: a bit for each of `STATISTICS` that is gathered. limit_bits: of a condition's limit.
    moves, shears, borders: whether modifications may have them. tables: how many, the first one
    leaves values as they are; 0: none. rules: of all lists. looks: after the first one.
    """

    shape: Shape
    lanes: int
    slots: int
    statistics: int
    ink: int
    edge: int
    conditions: int
    rules: int
    limit_bits: int
    moves: bool
    shears: bool
    borders: bool
    tables: int
    looks: int = 0

    @classmethod
    def of(cls, rules: RuleSet, *, lanes: int, slots: int = 0) -> Unit:
        """The smallest unit for a rule set; slots 0: as many as it is usual.

        Raises:
            InputError: a rule with a filter, which the hardware does not have, or images of a beat.
        """
        done = [rule.modification for rule in rules.every]
        for found in done:
            if found.filter:
                raise InputError(
                    "rules must do without a filter in hardware, which the rule unit has not, got "
                    f"the filter {' '.join(map(str, found.filter))}: learn rules without filters"
                )
        if rules.shape[0] * rules.shape[1] * rules.shape[2] < 2 * lanes:
            raise InputError(
                "rules must go with images of at least two beats in hardware, got "
                f"{'x'.join(map(str, rules.shape))}: leave the rules out"
            )
        bits = max([1, *(_limit_bits(name, rules.shape) for name in rules.statistics)])
        return cls(
            shape=rules.shape,
            lanes=lanes,
            slots=slots or (LOOK_SLOTS if rules.looks else SLOTS),
            statistics=sum(1 << _CODES[name] for name in rules.statistics),
            ink=rules.ink,
            edge=rules.edge,
            conditions=len(list(_conditions(rules))),
            rules=max(1, len(rules.every)),
            limit_bits=bits,
            moves=any(m.moves for m in done),
            shears=any(m.shear for m in done),
            borders=any(any(m.border) for m in done),
            tables=len(_tables(rules)) if any(m.table for m in done) else 0,
            looks=len(rules.looks),
        )

    @property
    def fold(self) -> int:
        """Beats a pixel."""
        return self.shape[2] // self.lanes

    @property
    def beats(self) -> int:
        """Beats a frame."""
        return self.shape[0] * self.shape[1] * self.fold

    @property
    def judging(self) -> int:
        """Cycles from a frame's last beat to its rule."""
        return self.conditions * (self.limit_bits + 1)

    @property
    def stages(self) -> int:
        """Cycles from the read of a beat to the beat on the output."""
        return 2 if self.tables else 1

    @property
    def parameters(self) -> dict[str, int]:
        """Parameters of ex_rules, without files and addresses."""
        return {
            "LANES": self.lanes,
            "FOLD": self.fold,
            "HEIGHT": self.shape[0],
            "WIDTH": self.shape[1],
            "SLOTS": self.slots,
            "STATISTICS": self.statistics,
            "INK": self.ink,
            "EDGE": self.edge,
            "CONDITIONS": self.conditions,
            "RULES": self.rules,
            "LOOKS": self.looks,
            "LIMIT_BITS": self.limit_bits,
            "MOVES": int(self.moves),
            "SHEARS": int(self.shears),
            "BORDERS": int(self.borders),
            "TABLES": self.tables,
        }

    def to_json(self) -> dict[str, Any]:
        """Plain data; `from_json` gives the same unit."""
        return asdict(self) | {"shape": list(self.shape)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Unit:
        """The unit that `to_json` described."""
        return cls(**{**data, "shape": tuple(data["shape"])})

    def check(self, rules: RuleSet) -> None:
        """Refuse a rule set that asks for more than was built.

        Raises:
            InputError: another image size, or more of something.
        """
        if tuple(rules.shape) != tuple(self.shape):
            raise InputError(
                f"the rules must be for images of {'x'.join(map(str, self.shape))}, which the rule "
                f"unit was built for, got {'x'.join(map(str, rules.shape))}: compile with them"
            )
        wanted = Unit.of(rules, lanes=self.lanes, slots=self.slots)
        missing = [
            name
            for code, name in enumerate(STATISTICS)
            if wanted.statistics >> code & 1 and not self.statistics >> code & 1
        ]
        missing += [
            name for name in ("moves", "shears", "borders")
            if getattr(wanted, name) and not getattr(self, name)
        ]  # fmt: skip
        for name in ("ink", "edge"):
            level, built = getattr(rules, name), getattr(self, name)
            used = {"ink": "ink", "edge": "edges"}[name]
            if used in rules.statistics and level != built:
                missing.append(f"{name} {level}")
        if wanted.looks != self.looks:
            missing.append(f"{wanted.looks} looks of {self.looks}")
        for name in ("conditions", "rules", "tables"):
            if getattr(wanted, name) > getattr(self, name):
                missing.append(f"{getattr(wanted, name)} {name} of {getattr(self, name)}")
        if missing:
            raise InputError(
                "the rules must need nothing that the rule unit was built without, they need "
                f"{', '.join(missing)}: compile with them"
            )

    def words(self, rules: RuleSet) -> dict[int, list[int]]:
        """What each space that is built holds for a rule set, by index.

        Raises:
            InputError: the set asks for more than was built.
        """
        self.check(rules)
        found: dict[int, list[int]] = {}
        asked = [self._condition(*c) for c in _conditions(rules)]
        asked += [self._condition(None, False, False, False)] * (self.conditions - len(asked))
        found[CONDITIONS] = asked
        done = [NOTHING, *(rule.modification for rule in rules.every)]
        done += [NOTHING] * (self.rules + 1 - len(done))
        if self.moves:
            found[MOVE] = [self._move(m) for m in done]
            found[SLOPE] = [self._slope(m) for m in done]
        if self.borders:
            found[BORDER] = [self._border(m) for m in done]
        if self.tables:
            tables = _tables(rules)
            found[ENTRY] = [tables.index(_entries(m)) for m in done]
            tables += [_IDENTITY] * (self.tables - len(tables))
            found[TABLE] = [value for table in tables for value in table]
        return found

    def memories(self, rules: RuleSet, name: str = "rules") -> dict[str, tuple[str, str]]:
        """Memory-init files for a rule set: parameter of ex_rules -> name and text.

        `name` is the unit's own: the names of its files begin with it.
        """
        names = {
            CONDITIONS: "condition", MOVE: "move", SLOPE: "slope", BORDER: "border",
            ENTRY: "entry", TABLE: "table",
        }  # fmt: skip
        return {
            f"{names[space].upper()}_FILE": (
                f"{name}_{names[space]}.mem",
                "".join(f"{word:x}\n" for word in words),
            )
            for space, words in self.words(rules).items()
        }

    def _condition(self, condition: Condition | None, final: bool, last: bool, none: bool) -> int:
        """The word of a condition; None stands for one that always holds, or never in no rule."""
        code, limit, invert = _NO_STATISTIC, 0, not final
        if condition is not None:
            height, width, _ = self.shape
            code, limit = _CODES[condition.statistic], condition.value
            invert = condition.sign != FROM
            if condition.statistic in _MIRRORED:
                side = height if condition.statistic == "row" else width
                limit, invert = LEVEL * (side - 1) - limit, not invert
            elif condition.statistic == "slant":
                limit += LEVEL // 2 * (width - 1)
        flags = none << 6 | last << 5 | final << 4 | invert << 3 | code
        return flags << self.limit_bits | limit

    def _move(self, found: Modification) -> int:
        height, width, _ = self.shape
        down = _signed(found.dy, height.bit_length() + 1)
        address = max(1, (self.beats - 1).bit_length())
        return down << address | _signed(-found.dy * width * self.fold, address)

    def _slope(self, found: Modification) -> int:
        height, width, _ = self.shape
        bits = (4 * height + width).bit_length() + 1 + 4
        start = 16 * found.dx + (16 - found.shear * (height - 1)) // 2
        if not (found.dx or found.shear):
            start = 0
        return _signed(start, bits) << 8 | _signed(found.shear, 8)

    def _border(self, found: Modification) -> int:
        top, left, bottom, right = found.border
        height, width, _ = self.shape
        return (height - bottom) << 24 | (width - right) << 16 | top << 8 | left


def _limit_bits(name: str, shape: Shape) -> int:
    low, high = STATISTICS[name].bounds(shape)
    return max(1, (high - low).bit_length())


def _conditions(rules: RuleSet) -> Iterator[tuple[Condition | None, bool, bool, bool]]:
    """Every condition in order, with the flags final, last and none of its word."""
    lists = [found for _, found in rules.lists]
    for number, found in enumerate(lists):
        final_list = number + 1 == len(lists)
        if not found:
            yield None, False, not final_list, False
        for k, rule in enumerate(found):
            asked: tuple[Condition | None, ...] = rule.conditions or (None,)
            for j, condition in enumerate(asked):
                final = j + 1 == len(asked)
                last = final and k + 1 == len(found) and not final_list
                yield condition, final, last, final and _skipped(rule, number)


def _skipped(rule: Rule, number: int) -> bool:
    """Whether a rule of a look says that there is none."""
    return number > 0 and rule.modification.nothing


def _entries(found: Modification) -> tuple[int, ...]:
    return _IDENTITY if found.table is None else found.table.entries


def _tables(rules: RuleSet) -> list[tuple[int, ...]]:
    """The different tables, the one that leaves values as they are first."""
    return list(dict.fromkeys([_IDENTITY, *(_entries(r.modification) for r in rules.every)]))


def _signed(value: int, bits: int) -> int:
    """A signed number in so many bits."""
    return value & ((1 << bits) - 1)
