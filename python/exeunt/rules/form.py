"""The JSON of a rule set, as exits.json and the manifest have it under "rules"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exeunt.errors import InputError
from exeunt.rules.modification import Modification
from exeunt.rules.rule import Condition, Rule, RuleSet
from exeunt.rules.table import Table

KEY = "rules"


def _modification_json(found: Modification) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name in ("dx", "dy", "shear", "right"):
        if getattr(found, name):
            data[name] = getattr(found, name)
    if any(found.border):
        data["border"] = list(found.border)
    if found.filter:
        data["filter"] = list(found.filter)
    if found.table is not None:
        data["table"] = {"entries": bytes(found.table.entries).hex(), "text": found.table.text}
    return data


def _rule_json(rule: Rule) -> dict[str, Any]:
    return {
        "if": [[c.statistic, c.sign, c.value] for c in rule.conditions],
        "then": _modification_json(rule.modification),
    }


def to_json(rules: RuleSet) -> dict[str, Any]:
    """Plain data of a rule set; `from_json` gives the same set."""
    return {
        "shape": list(rules.shape),
        "network": rules.network,
        "ink": rules.ink,
        "edge": rules.edge,
        "rules": [_rule_json(rule) for rule in rules.rules],
        "looks": [
            {"threshold": threshold, "rules": [_rule_json(rule) for rule in found]}
            for threshold, found in zip(rules.thresholds, rules.looks, strict=True)
        ],
    }


def found_in(exits: Mapping[str, Any]) -> RuleSet | None:
    """The rules in the data of an exits.json; None where there are none.

    Raises:
        InputError: rules of another form, or that a set may not have.
    """
    return from_json(exits[KEY]) if exits.get(KEY) else None


def _modification(data: Mapping[str, Any]) -> Modification:
    given = {name: int(data[name]) for name in ("dx", "dy", "shear", "right") if name in data}
    unknown = set(data) - {"dx", "dy", "shear", "right", "border", "filter", "table"}
    if unknown:
        raise InputError(
            "a modification must be made of dx, dy, shear, border, filter, right and table, got "
            f"{', '.join(sorted(unknown))}: make the rules again"
        )
    top, left, bottom, right = (int(n) for n in data.get("border", (0, 0, 0, 0)))
    table = None
    if "table" in data:
        entries = tuple(bytes.fromhex(data["table"]["entries"]))
        table = Table(entries, str(data["table"]["text"]))
    return Modification(
        border=(top, left, bottom, right),
        filter=tuple(int(n) for n in data.get("filter", ())),
        table=table,
        **given,
    )


def _rule(data: Mapping[str, Any]) -> Rule:
    conditions = tuple(Condition(str(n), str(sign), int(v)) for n, sign, v in data["if"])
    return Rule(conditions, _modification(data["then"]))


def from_json(data: Mapping[str, Any]) -> RuleSet:
    """The rule set that `to_json` described.

    Raises:
        InputError: data of another form, or rules that a set may not have.
    """
    try:
        height, width, channels = (int(n) for n in data["shape"])
        return RuleSet(
            shape=(height, width, channels),
            rules=tuple(_rule(rule) for rule in data["rules"]),
            looks=tuple(tuple(_rule(rule) for rule in look["rules"]) for look in data["looks"]),
            thresholds=tuple(int(look["threshold"]) for look in data["looks"]),
            ink=int(data["ink"]),
            edge=int(data["edge"]),
            network=str(data["network"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"the rules must have the form that `exeunt rules` writes, and have not "
            f"({type(error).__name__}: {error}): do it again"
        ) from error
