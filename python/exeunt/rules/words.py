"""Rules as sentences, for people."""

from __future__ import annotations

from exeunt.rules.modification import Modification
from exeunt.rules.rule import BELOW, Condition, Rule, RuleSet
from exeunt.rules.statistics import LEVEL, SHARE, STATISTICS


def _value(condition: Condition) -> str:
    unit = STATISTICS[condition.statistic].unit
    if unit == "share":
        return f"{100 * condition.value / SHARE:.3g}%"
    return f"{condition.value / LEVEL:.4g}{' pixels' if unit == 'pixel' else ''}"


def condition(found: Condition) -> str:
    """A condition: "the share of ink is below 12.5%"."""
    how = "below" if found.sign == BELOW else "at least"
    return f"{STATISTICS[found.statistic].text} is {how} {_value(found)}"


def _pixels(count: int) -> str:
    return f"{abs(count)} pixel{'s' if abs(count) != 1 else ''}"


def modification(found: Modification) -> str:
    """A modification, step by step: "shift 1 pixel to the left, gain 1.3"."""
    steps = []
    if found.dx:
        steps.append(f"shift {_pixels(found.dx)} to the {'right' if found.dx > 0 else 'left'}")
    if found.dy:
        steps.append(f"shift {_pixels(found.dy)} {'down' if found.dy > 0 else 'up'}")
    if found.shear:
        side = "right" if found.shear > 0 else "left"
        steps.append(f"shear the lower rows to the {side} by {abs(found.shear) / 16:g} a row")
    if any(found.border):
        top, left, bottom, right = found.border
        steps.append(f"clear {top} rows above, {left} columns left, {bottom} below, {right} right")
    if found.filter:
        rows = "; ".join(" ".join(map(str, found.filter[k : k + 3])) for k in (0, 3, 6))
        steps.append(f"filter ({rows}) / {1 << found.right}")
    if found.table is not None:
        steps.append(found.table.text)
    return ", ".join(steps) or "leave it as it is"


def sentence(rule: Rule) -> str:
    """A rule: "If the mean is below 20 and the slant is at least 1 pixels, then gain 1.3."."""
    then = modification(rule.modification)
    if not rule.conditions:
        return f"Always: {then}."
    return f"If {' and '.join(map(condition, rule.conditions))}, then {then}."


def sentences(rules: RuleSet) -> list[str]:
    """Every rule of a set in order, those of a look introduced by it."""
    found = []
    for place, listed in rules.lists:
        start = "" if place == "rules" else f"{place.capitalize()}: "
        found += [f"{start}{sentence(rule)}" for rule in listed]
    return found
