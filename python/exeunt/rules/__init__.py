"""Rules that modify an image before a network sees it, in integers: what the rule unit computes.

A frame is measured (`statistics`), the first rule that matches is chosen (`rule`), and its
modification is applied (`modification`, `table`). `form` is the JSON of a rule set, `words` says it
in sentences. NumPy alone; hls/rtl/ex_rules.sv does the same, bit by bit.
"""

from exeunt.rules.form import KEY, found_in, from_json, to_json
from exeunt.rules.modification import NOTHING, Modification
from exeunt.rules.rule import (
    MAX_CONDITIONS,
    MAX_LOOKS,
    MAX_RULES,
    NONE,
    Condition,
    Rule,
    RuleSet,
    apply,
    fired,
)
from exeunt.rules.statistics import STATISTICS, Statistic, measure
from exeunt.rules.table import Table, background, black, gain, gamma, offset
from exeunt.rules.words import sentence, sentences

__all__ = [
    "KEY",
    "MAX_CONDITIONS",
    "MAX_LOOKS",
    "MAX_RULES",
    "NONE",
    "NOTHING",
    "STATISTICS",
    "Condition",
    "Modification",
    "Rule",
    "RuleSet",
    "Statistic",
    "Table",
    "apply",
    "background",
    "black",
    "fired",
    "found_in",
    "from_json",
    "gain",
    "gamma",
    "measure",
    "offset",
    "sentence",
    "sentences",
    "to_json",
]
