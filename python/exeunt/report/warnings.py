"""What is no failure but deserves a look, one sentence with one advice each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from exeunt import promise

WORTH_A_WARNING = 0.006  # of accuracy that leaving early costs
FEW = 0.6  # of the images leave early
MISSED = 0.1  # of a budget of the compression
LOST = 0.01  # of accuracy by compression
UNLIKELY = 0.01  # chance that test and validation images that differ so much are alike
_NEAR = 0.15  # of the way from guessing to always right

Report = Mapping[str, Any]


def warnings(report: Report, step: str = "run") -> list[str]:
    """The warnings that a step has to tell; "run" tells all."""
    found = []
    if step in ("run", "train"):
        found += list((report.get("data") or {}).get("notes", []))
    if step == "train":
        found += _untrained(report)
    if step in ("run", "compress"):
        found += _compressed(report)
    if step in ("run", "calibrate"):
        seen = report.get("accuracy") or {}
        guessing = _guessing(report, seen.get("quantized_last_exit"), seen.get("chance"))
        found += (report.get("calibration") or {}).get("notes", [])
        found += guessing or _early(report)  # exits of a network that guesses say nothing
        found += _promise(report)
    if step == "attach":
        found += _attached(report)
    if step in ("run", "simulate"):
        found += _cycles(report)
    return found


def near_chance(accuracy: float, chance: float) -> bool:
    """Whether an accuracy is hardly better than always saying the most frequent class."""
    return accuracy < min(chance + _NEAR * (1 - chance), 3 * chance)


def _against(accuracy: float, chance: float) -> str:
    """An accuracy that is near chance, beside it."""
    more = "hardly more" if accuracy > chance else "no more"
    return (
        f"{_percent(accuracy)}, {more} than the {_percent(chance)} of always saying the same class"
    )


def _untrained(report: Report) -> list[str]:
    found = report.get("training") or {}
    accuracy, chance = (found.get("validation_accuracy") or [None])[-1], found.get("chance")
    if accuracy is None or chance is None or not near_chance(accuracy, chance):
        return []
    return [
        f"validation accuracy of the last exit is {_against(accuracy, chance)}: raise train.epochs"
    ]


def _guessing(report: Report, accuracy: float | None, chance: float | None) -> list[str]:
    """A last exit that answers the test images hardly better than by chance."""
    if accuracy is None or chance is None or not near_chance(accuracy, chance):
        return []
    file = (report.get("training") or {}).get("source")
    advice = (
        f"check that {file} was trained on pixels 0..255 and with the classes in this order"
        if file
        else "raise train.epochs"
    )
    return [
        f"accuracy of the last exit on the test images is {_against(accuracy, chance)}: {advice}"
    ]


def _early(report: Report) -> list[str]:
    """Costly, useless or rare early exits."""
    found = []
    accuracy, rows = report.get("accuracy") or {}, report.get("exits") or []
    early, last = accuracy.get("early_exit"), accuracy.get("quantized_last_exit")
    if early is not None and last is not None and last - early > WORTH_A_WARNING:
        drop = (report.get("calibration") or {}).get("drop", 0.0)
        advice = (
            "lower calibrate.drop"
            if drop >= (last - early) / 2
            else "take more validation images (data.validation)"
        )
        found.append(
            f"leaving early costs {100 * (last - early):.2f} points of accuracy on the test "
            f"images: {advice}"
        )
    unused = [str(row.get("index", i)) for i, row in enumerate(rows) if row.get("rate") == 0]
    leave = sum(row.get("rate") or 0.0 for row in rows[:-1])
    if len(rows) > 1 and len(unused) == len(rows) - 1 and rows[-1].get("rate"):
        found.append(
            "the thresholds let nothing leave before the last exit: raise calibrate.drop, train "
            "for longer, or give the first stages more to work with"
        )
    elif len(rows) > 1 and rows[-1].get("rate") == 0:
        found.append(_everything([row.get("rate") or 0.0 for row in rows]))
    elif unused:
        found.append(f"nobody leaves at exit {', '.join(unused)}: leave it out of the network")
    if len(rows) > 1 and leave < FEW and not unused:
        found.append(
            f"only {100 * leave:.1f}% leave before the last exit: give the first stages more to "
            "work with"
        )
    return found


def _everything(rates: Sequence[float]) -> str:
    """That nobody gets to the last exit."""
    by = max(i for i, rate in enumerate(rates) if rate)
    return (
        f"the thresholds let everything leave by exit {by}, so what is behind it is never used: "
        "lower calibrate.drop, or leave the later stages out of the network"
    )


def _attached(report: Report) -> list[str]:
    """Attached exits that cost accuracy, or lack a promise; a network that guesses."""
    found = report.get("attach") or {}
    early, last = found.get("accuracy"), found.get("accuracy_last_exit")
    guessing = _guessing(report, last, found.get("chance"))
    broken = [
        *found.get("notes", []),
        *guessing,
        *_unpromised(promise.from_json(found.get(promise.KEY))),
    ]
    if (found.get("rates") or [1.0])[-1] == 0:
        broken.append(_everything(found["rates"]))
    if early is None or last is None or last - early <= WORTH_A_WARNING:
        return broken
    return [
        *broken,
        f"leaving by the attached exits costs {100 * (last - early):.2f} points of accuracy on "
        "the test images: lower calibrate.drop, or take more validation images (data.validation)",
    ]


def _promise(report: Report) -> list[str]:
    """A promise that cannot be made, or that the test images speak against."""
    data = (report.get("calibration") or {}).get(promise.KEY)
    made = promise.from_json(data)
    if made.text and not made.holds:
        return _unpromised(made)
    test = (data or {}).get("test") or {}
    if test and test["lost"] > made.permitted * test["images"] and test["chance"] < UNLIKELY:
        return [
            f"{_percent(test['lost'] / test['images'], 2)} of the test images are lost where "
            f"{_percent(made.permitted, 2)} is permitted and {made.lost or 0:,} of {made.tested:,} "
            "validation images were: these are not like the test images, and the promise is about "
            "images like them; take validation images from where the images to come are from"
        ]
    return []


def _unpromised(made: promise.Promise) -> list[str]:
    """That the images were too few for a promise, if so."""
    if not made.text or made.holds:
        return []
    return [f"{made.text}: raise data.validation or calibrate.drop"]


def _cycles(report: Report) -> list[str]:
    """Cycles that were predicted otherwise than the RTL took them."""
    found = report.get("cycle_reference") or {}
    exact, total = found.get("frames_exact", 0), found.get("frames_total", 0)
    if exact == total:
        return []
    return [
        f"the cycle reference is off by {_percent(found['max_relative_error'])} on this network "
        f"({exact:,} of {total:,} images exact), which never should be: all figures are the "
        "simulation's, please report the config"
    ]


def _compressed(report: Report) -> list[str]:
    """Budgets that were missed, and accuracy that was lost."""
    chosen = (report.get("compression") or {}).get("chosen") or {}
    found = []
    for entry in chosen.get("budgets") or []:
        left, budget = entry["left"], entry["budget"]
        if abs(left - budget) > MISSED * budget:
            found.append(
                f"the {entry['kind']} pass left {_percent(left)} of the {entry['of']} where its "
                f"budget is {_percent(budget)}: {entry.get('advice', 'compress again')}"
            )
    try:
        lost = chosen["original"]["accuracy"]["early_exit"]
        lost -= chosen["compressed"]["accuracy"]["early_exit"]
    except KeyError:
        return found
    if lost > LOST:
        found.append(
            f"compression lost {100 * lost:.2f} points of validation accuracy with early exit: "
            "raise the epochs of its passes"
        )
    return found


def _percent(value: float, digits: int = 1) -> str:
    return f"{100 * value:.{digits}f}%"
