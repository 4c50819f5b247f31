"""The [rules] section: what it may not be together with."""

from __future__ import annotations

import pytest

from exeunt.config import tree
from exeunt.config.rules import FAMILIES
from exeunt.errors import InputError
from exeunt.quant.modified.candidates import candidates

HEAD = """
name = "ruled"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
"""
STAGE = "[[model.stages]]\nblocks = [{ conv = 4, padding = 1 }]\n"


def test_every_family_is_one_that_the_rule_unit_has() -> None:
    """A rule that is learned must not be refused when it is compiled."""
    assert len(candidates((28, 28, 1), FAMILIES)) > 50
    assert not any(found.filter for found in candidates((28, 28, 1), FAMILIES))
    with pytest.raises(InputError, match=r"rules\.families\[0\] must be"):
        tree.parse(HEAD + 2 * STAGE + '[rules]\nfamilies = ["filter"]\n')


REFUSED = [
    (
        STAGE + "[rules]\n",
        "rules must be absent for a network of one exit, since they make images leave earlier, got "
        "a section [rules]",
    ),
    (
        2 * STAGE + '[rules]\n[calibrate]\ncriterion = "patience"\n',
        "calibrate.criterion must go by the logits of one image alone with [rules], as "
        '"margin" does, got "patience"',
    ),
    (
        2 * STAGE + "[rules]\n[calibrate]\nper_class = true\n",
        "calibrate.per_class must be left out with [rules], got true",
    ),
    (
        2 * STAGE + "[rules]\n[calibrate]\nshift = 1\n",
        "calibrate.shift must be left out with [rules], got 1",
    ),
    (
        2 * STAGE + "[rules]\nlooks = 0\nfirst = false\n",
        "rules must have something to learn, got first = false and looks = 0: leave [rules] out",
    ),
]


@pytest.mark.parametrize(("entries", "sentence"), REFUSED)
def test_what_rules_do_not_go_with(entries: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        tree.parse(HEAD + entries, where="ruled.toml")
    assert str(caught.value).startswith(f"config ruled.toml: {sentence}")
    assert "\n" not in str(caught.value)
