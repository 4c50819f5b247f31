"""Statistics, rules and modifications against definitions written out pixel by pixel."""

from __future__ import annotations

import json

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.rules import (
    NONE,
    STATISTICS,
    Condition,
    Modification,
    Rule,
    RuleSet,
    Table,
    apply,
    background,
    black,
    fired,
    from_json,
    gain,
    gamma,
    measure,
    offset,
    sentence,
    sentences,
    to_json,
)

SHAPES = [(8, 8, 1), (7, 5, 3), (1, 9, 2), (6, 1, 1)]


def frames(shape, count=12, seed=0):
    random = np.random.default_rng(seed)
    made = random.integers(0, 256, (count, *shape)).astype(np.uint8)
    made[random.random(made.shape) < 0.5] = 0
    made[0], made[1] = 0, 255
    return made


def one_by_one(frame, ink, edge):
    """The statistics of one frame in plain Python."""
    h, w, c = frame.shape
    size = h * w * c
    total = steps = inked = edged = rows = columns = slants = 0
    for y in range(h):
        for x in range(w):
            for k in range(c):
                p = int(frame[y, x, k])
                step = abs(p - int(frame[y, x - 1, k])) if x else 0
                total, steps = total + p, steps + step
                inked, edged = inked + (p >= ink), edged + (step >= edge)
                rows, columns = rows + y * p, columns + x * p
                slants += (x if 2 * y >= h else w - 1 - x) * p
    found = {
        "mean": 16 * total // size,
        "contrast": 16 * steps // size,
        "ink": 1024 * inked // size,
        "edges": 1024 * edged // size,
    }
    if not total:
        return found | {"row": 16 * (h - 1), "column": 16 * (w - 1), "slant": 8 * (w - 1)}
    return found | {
        "row": 16 * rows // total,
        "column": 16 * columns // total,
        "slant": 16 * slants // total - 8 * (w - 1),
    }


@pytest.mark.parametrize("shape", SHAPES)
def test_statistics(shape):
    made = frames(shape)
    found = measure(made, ink=100, edge=40)
    for n, frame in enumerate(made):
        assert {name: int(v[n]) for name, v in found.items()} == one_by_one(frame, 100, 40)
    for name, values in found.items():
        low, high = STATISTICS[name].bounds(shape)
        assert values.min() >= low, name
        assert values.max() <= high, name


def test_only_what_is_asked_for_is_measured():
    assert list(measure(frames((4, 4, 1)), ink=1, edge=1, names=["slant"])) == ["slant"]


CHANGES = [
    Modification(dx=1),
    Modification(dx=-3, dy=2),
    Modification(shear=5),
    Modification(shear=-40, dx=1),
    Modification(border=(1, 0, 2, 1)),
    Modification(filter=(1, 2, 1, 2, 4, 2, 1, 2, 1), right=4),
    Modification(filter=(0, -1, 0, -1, 5, -1, 0, -1, 0)),
    Modification(table=gain(1.3)),
    Modification(
        dx=1, shear=3, border=(1, 1, 1, 1), filter=(0, 1, 0, 1, 4, 1, 0, 1, 0), right=3,
        table=black(20).then(gamma(0.8)),
    ),
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 5, 3)])
def test_modifications(change, shape):
    h, w, _ = shape
    made = frames(shape, 4)
    got = change.apply(made)
    assert got.dtype == np.uint8

    def moved(frame, y, x, k):
        top, left, bottom, right = change.border
        if not (top <= y < h - bottom and left <= x < w - right):
            return 0
        y, x = y - change.dy, x - change.dx - (change.shear * (2 * y - h + 1) + 16) // 32
        return int(frame[y, x, k]) if 0 <= y < h and 0 <= x < w else 0

    for n, frame in enumerate(made):
        for y, x, k in np.ndindex(*shape):
            value = moved(frame, y, x, k)
            if change.filter:
                near = [(y + i // 3 - 1, x + i % 3 - 1) for i in range(9)]
                value = (
                    sum(
                        f * moved(frame, a, b, k)
                        for f, (a, b) in zip(change.filter, near, strict=True)
                    )
                    + (1 << change.right) // 2
                ) >> change.right
                value = min(255, max(0, value))
            if change.table:
                value = change.table.entries[value]
            assert got[n, y, x, k] == value, (n, y, x, k)


def test_tables():
    assert gain(1.5).entries[:4] == (0, 2, 3, 5)
    assert gain(1.5).entries[255] == 255
    assert offset(-3).entries[:5] == (0, 0, 0, 0, 1)
    assert gamma(1).entries == tuple(range(256))
    assert black(55).entries[54:57] == (0, 0, 1)
    assert black(55).entries[255] == 255
    assert background(7).entries[5:8] == (0, 0, 7)
    both = gain(2).then(offset(-10))
    assert both.entries[10] == 10
    assert both.text == "gain 2, offset -10"


BRIGHT = Rule((Condition("mean", ">=", 2000),), Modification(table=gain(0.5)))
DARK = Rule(
    (Condition("mean", "<", 1200), Condition("ink", ">=", 1)), Modification(table=gain(1.5))
)


def test_the_first_rule_that_matches_wins():
    made = frames((8, 8, 1), 40)
    always = Rule((), Modification(dx=1))
    out, which = apply(made, (BRIGHT, DARK, always))
    for n, frame in enumerate(made):
        found = one_by_one(frame, 128, 32)
        dark = found["mean"] < 1200 and found["ink"] >= 1
        want = 0 if found["mean"] >= 2000 else 1 if dark else 2
        assert which[n] == want
        rule = (BRIGHT, DARK, always)[want]
        assert (out[n] == rule.modification.apply(frame[None])[0]).all()
    assert set(which) == {0, 1, 2}
    out, which = apply(made, (BRIGHT,))
    assert (out[which == NONE] == made[which == NONE]).all()
    assert (which == NONE).any()


def example(**other):
    given = {
        "shape": (8, 8, 1),
        "rules": (BRIGHT, DARK),
        "looks": ((Rule((), Modification(dx=-1)),), (DARK,)),
        "thresholds": (31, 40),
        "ink": 90,
        "network": "one",
    }
    return RuleSet(**(given | other))


def test_a_set():
    rules = example()
    made = frames((8, 8, 1), 40)
    assert rules.statistics == ("mean", "ink")
    chosen = rules.chosen(made)
    assert chosen.shape == (3, 40)
    for number, (_, found) in enumerate(rules.lists):
        out, which = rules.look(made, number)
        want = apply(made, found, ink=90)
        assert (out == want[0]).all()
        assert (which == want[1]).all()
        assert (chosen[number] == which).all()
    assert (fired((), {}, 3) == NONE).all()


def test_json_and_back():
    rules = example(rules=(*(Rule((), m) for m in CHANGES[-1:]),))
    again = from_json(json.loads(json.dumps(to_json(rules))))
    assert again == rules
    assert from_json(to_json(example())) == example()


def test_sentences():
    assert sentences(example()) == [
        "If the mean is at least 125, then gain 0.5.",
        "If the mean is below 75 and the share of ink is at least 0.0977%, then gain 1.5.",
        "Look 1: Always: shift 1 pixel to the left.",
        "Look 2: If the mean is below 75 and the share of ink is at least 0.0977%, then gain 1.5.",
    ]
    everything = Rule(
        (Condition("slant", "<", -8),),
        Modification(dx=2, dy=-1, shear=4, border=(1, 2, 3, 4), filter=(1,) * 9, right=3),
    )
    assert sentence(everything) == (
        "If the slant is below -0.5 pixels, then shift 2 pixels to the right, shift 1 pixel up, "
        "shear the lower rows to the right by 0.25 a row, clear 1 rows above, 2 columns left, 3 "
        "below, 4 right, filter (1 1 1; 1 1 1; 1 1 1) / 8."
    )
    assert sentence(Rule()) == "Always: leave it as it is."


WRONG = [
    (
        lambda: Condition("brightness", "<", 3),
        "the statistic of a condition must be one of mean, contrast, ink, edges, row, column, "
        "slant, got brightness: choose one of them",
    ),
    (
        lambda: Condition("mean", "=", 3),
        "a condition must compare by < or >=, got =: use one of them",
    ),
    (
        lambda: Rule((Condition("ink", ">=", 9), Condition("ink", "<", 9))),
        "the conditions of a rule must agree, ink >= 9 and ink < 9 contradict each other: leave "
        "one of them out",
    ),
    (
        lambda: Rule((Condition("ink", "<", 9),) * 5),
        "a rule must have at most 4 conditions, got 5: prune it",
    ),
    (
        lambda: example(rules=(), looks=(), thresholds=()),
        "a rule set must have a rule, got none: leave the rules out",
    ),
    (
        lambda: example(looks=((),), thresholds=(1,)),
        "look 1 must have a rule, got none: leave that look out",
    ),
    (
        lambda: example(looks=((DARK,),) * 3, thresholds=(1, 2, 3)),
        "a rule set must have at most 2 looks after the first, got 3: keep the first 2",
    ),
    (
        lambda: example(thresholds=(1,)),
        "a rule set must have a threshold for each of its 2 looks, got 1: calibrate again",
    ),
    (
        lambda: example(thresholds=(1, 1 << 31)),
        "the threshold of a look must fit in 32 signed bits, got 2147483648: calibrate again",
    ),
    (lambda: example(rules=(DARK,) * 9), "rules must have at most 8 rules, got 9: prune them"),
    (
        lambda: example(rules=(Rule(), DARK)),
        "rule 2 of rules must be reached by some image, and rule 1 has no condition, so that it "
        "takes them all: put that one last",
    ),
    (
        lambda: example(rules=(Rule((Condition("row", "<", 113),)),)),
        "rule 1 of rules must compare row with 1 to 112 in images of 8x8x1, got 113: nothing "
        "would pass, or everything",
    ),
    (
        lambda: example(rules=(Rule((Condition("slant", ">=", -56),)),)),
        "rule 1 of rules must compare slant with -55 to 56 in images of 8x8x1, got -56: nothing "
        "would pass, or everything",
    ),
    (lambda: example(ink=0), "ink of a rule set must be 1 to 255, got 0: choose a level there"),
    (
        lambda: example(shape=(8, 8)),
        "the shape of a rule set must be three numbers from 1 on, got (8, 8): give height, width "
        "and channels",
    ),
    (
        lambda: example(rules=(Rule((), Modification(dx=-8)),)),
        "dx of a rule must be below 8, the size of the image, got -8: lower it",
    ),
    (
        lambda: example(rules=(Rule((), Modification(border=(4, 0, 4, 0))),)),
        "the border of a rule must leave some of the 8x8 image, got (4, 0, 4, 0): lower it",
    ),
    (
        lambda: Modification(shear=65),
        "the shear of a rule must be -64 to 64 sixteenths of a pixel a row, got 65: lower it",
    ),
    (
        lambda: Modification(border=(0, 0, 0, -1)),
        "the border of a rule must be four numbers from 0 on (top, left, bottom, right), got "
        "(0, 0, 0, -1): correct it",
    ),
    (
        lambda: Modification(filter=(1,) * 8),
        "the filter of a rule must have 9 coefficients, 3x3 row by row, got 8: give them all",
    ),
    (
        lambda: Modification(filter=(8,) * 9),
        "a coefficient of a rule's filter must be -8 to 7, got 8: scale the filter and its right "
        "shift",
    ),
    (
        lambda: Modification(right=8),
        "the right shift of a rule's filter must be 0 to 7, got 8: scale the coefficients",
    ),
    (
        lambda: Table((0,) * 255),
        "the table of a rule must have 256 entries, one for each value of a pixel, got 255: give "
        "them all",
    ),
    (
        lambda: Table((*range(255), 256)),
        "entry 255 of the table of a rule must be 0 to 255, got 256: clip it",
    ),
    (
        lambda: gain(-1),
        "the gain of a rule must be from 0 to 255, got -1: choose one there",
    ),
    (
        lambda: example().check((8, 9, 1)),
        "images must be 8x8x1 for these rules, got 8x9x1: use the rules of this network",
    ),
    (
        lambda: example().measured(frames((4, 4, 1))),
        "images must be 8x8x1 for these rules, got 4x4x1: use the rules of this network",
    ),
    (
        lambda: example().check((8, 8, 1), network="two"),
        "the rules must be those of the network two, they are of one: do "
        "`exeunt rules` for this one",
    ),
    (
        lambda: from_json({"shape": [8, 8, 1]}),
        "the rules must have the form that `exeunt rules` writes, and have not (KeyError: "
        "'rules'): do it again",
    ),
    (
        lambda: from_json(
            to_json(example()) | {"rules": [{"if": [], "then": {"blur": 1}}]},
        ),
        "a modification must be made of dx, dy, shear, border, filter, right and table, got blur: "
        "make the rules again",
    ),
]


@pytest.mark.parametrize(("make", "text"), WRONG, ids=[text[:40] for _, text in WRONG])
def test_wrong_rules_get_a_sentence(make, text):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == text


def test_unknown_networks_pass():
    example().check((8, 8, 1))
    example(network="").check((8, 8, 1), network="two")
