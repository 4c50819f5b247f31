"""Exit criteria side by side and the AUROC of scores, as the report shows them."""

from __future__ import annotations

from exeunt.report import criteria, overview


def row(name: str, permitted: float, seed: int, saved: float, accuracy: float) -> dict:
    return {
        "criterion": name, "permitted": permitted, "seed": seed, "saved": saved,
        "multiplies": 1000 * (1 - saved), "accuracy": accuracy, "accuracy_last": 0.98,
        "rates": [saved, 1 - saved], "thresholds": [5], "images": 360, "images_validation": 216,
    }  # fmt: skip


ROWS = [
    row("one", 0.002, 0, 0.3, 0.978), row("one", 0.01, 0, 0.6, 0.97),
    row("two", 0.002, 0, 0.4, 0.98), row("one", 0.002, 1, 0.5, 0.974),
    row("one", 0.01, 1, 0.6, 0.97), row("two", 0.002, 1, 0.4, 0.98),
]  # fmt: skip
REPORT = {"calibration": {"criteria": ROWS}}


def test_the_table_has_means_over_seeds():
    found = criteria.criteria(REPORT)
    assert found is not None
    drawn, table = found["parts"]
    assert drawn["svg"].count("<svg") == 1
    assert "seeds 0, 1" in found["text"]
    assert "216 validation images" in found["text"]
    assert "0, 1 of them may be lost" in found["text"]
    assert "The last exit alone has 98.00%" in found["text"]
    assert [tuple(r) for r in table["rows"]] == [
        ("one", "0.2", "40.0 ± 14.1", "97.60 ± 0.28", "0.40"),
        ("one", "1", "60.0 ± 0.0", "97.00 ± 0.00", "1.00"),
        ("two", "0.2", "40.0 ± 0.0", "98.00 ± 0.00", "0.00"),
    ]


def test_what_the_config_asks_for_is_said():
    rows = [
        row("one", 0.002, 0, 0.3, 0.978) | {"shift": 0, "per_class": True, "guarantee": "average"},
        row("two", 0.002, 0, 0.3, 0.978) | {"shift": 0, "per_class": False, "guarantee": "none"},
        row("one", 0.01, 0, 0.3, 0.978) | {"shift": 0, "per_class": True, "guarantee": "average"},
    ]
    for n, made in enumerate(rows):
        made |= {"promised": n == 2, "images_needed": 623 if n == 0 else 123}
    found = criteria.criteria({"calibration": {"criteria": rows}})
    assert found["text"].startswith(
        'Thresholds are chosen on 216 validation images, with the promise "average" where there is '
        "one, else for half of the permitted loss against the last exit: 0, 1 of them may be lost; "
        "for 0.2 points the promise needs 623; two can have none. Classes may have thresholds of "
        "their own by one. The figures are of 360 test images"
    )
    moved = [made | {"shift": 1, "per_class": False, "guarantee": "none"} for made in rows]
    text = criteria.criteria({"calibration": {"criteria": moved}})["text"]
    assert "0, 1 of them may be lost. Copies moved by 1 pixel count too. The figures" in text


def test_the_same_as_text():
    assert criteria.lines(REPORT)[0] == (
        "one       permitted 0.2 points: 40.0 ± 14.1% of the multiplications saved, "
        "97.60 ± 0.28% right, 0.40 points lost, seeds 0, 1"
    )
    single = {"calibration": {"criteria": ROWS[:3]}}
    assert criteria.lines(single)[2] == (
        "two       permitted 0.2 points: 40.0% of the multiplications saved, 98.00% right, "
        "0.00 points lost, seeds 0"
    )


def test_nothing_to_compare():
    assert criteria.criteria({}) is None
    assert criteria.lines({"calibration": {"drop": 0.1}}) == []


def test_exits_show_how_well_their_scores_rank():
    rows = [{"rate": 0.5, "auroc": 0.98765}, {"rate": 0.5, "auroc": None}]
    part = overview.exits({"exits": rows, "accuracy": {"images": 4}})
    assert part is not None
    table = part["parts"][1]
    column = list(table["head"]).index("AUROC of the score")
    assert [r[column] for r in table["rows"]] == ["0.988", "-"]
    assert len(table["head"]) == len(table["rows"][0])
