"""Trials: drawn from those before, kept, stopped early, gone on with."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

from exeunt import optimise
from exeunt.config import tree
from exeunt.config.compile import Compile
from exeunt.config.search import Search
from exeunt.errors import InputError, ToolError
from exeunt.progress import silent
from exeunt.search import study
from exeunt.search.front import front
from exeunt.search.trial import Judge, Outcome, Stopped, best_of
from exeunt.search.wish import wish

TEXT = """
name = "s"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
[[model.stages]]
blocks = [{ conv = 8, kernel = 3, padding = 1, stride = 2 }]
[[model.stages]]
blocks = [{ conv = 16, kernel = 3, padding = 1 }, { pool = "max", size = 2 }]
[compile]
resources = { lut = 30000 }
"""
CONFIG = tree.parse(TEXT)
WISH = wish(CONFIG.compile, optimise.Budget(lut=30000))


def left(reach: float) -> dict:
    """What calibration leaves where so many images reach the second exit."""
    return {"reach": [1.0, reach], "criterion": "margin"}


def outcome(accuracy: float, cost: float, *, exits: int = 2, best=(0.5, 0.8)) -> Outcome:
    rates = (1.0,) if exits == 1 else (0.75, 0.25)
    return Outcome(accuracy, accuracy, cost, int(cost), 1000, 0, 1, rates, best)


def pretend(calls: list[str], *, fail: int = -1):
    """A trial that costs what its choices say, without a training."""

    def evaluate(config, folder, data_dir, **more):
        calls.append(config.name)
        if len(calls) == fail:
            raise KeyboardInterrupt
        stages = config.model.stages
        wide = sum(b.conv for s in stages for b in s.blocks if hasattr(b, "conv"))
        return outcome(min(0.99, 0.8 + wide / 200), 100.0 * wide, exits=len(stages))

    return evaluate


def run(home: Path, section: Search, calls: list[str], *, fail: int = -1):
    return study.run(
        CONFIG, section, home, Path("data"), wish=WISH, progress=silent,
        evaluate=pretend(calls, fail=fail),
    )  # fmt: skip


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_the_first_two_are_its_own_network_and_its_last_exit(tmp_path: Path, sampler: str):
    calls: list[str] = []
    trials = run(tmp_path, Search(trials=14, sampler=sampler), calls)
    assert [t.number for t in trials] == sorted(t.number for t in trials)
    assert [t.number for t in trials[:2]] == [study.OWN, study.SINGLE]
    own = {"stages": 2, "width0": 1.0, "width1": 1.0, "weight_bits": 4, "activation_bits": 4}
    for trial, early in zip(trials[:2], (True, False), strict=True):
        assert trial.choices.items() >= {**own, "exit0": early}.items()
    assert len({tuple(sorted(t.choices.items(), key=str)) for t in trials}) == 14
    assert [len(t.outcome.rates) for t in trials[:2] if t.outcome] == [2, 1]


def test_an_interrupted_search_gives_the_same_trials(tmp_path: Path):
    section = Search(trials=12)
    whole = run(tmp_path / "a", section, [])
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", section, [], fail=6)
    calls: list[str] = []
    again = run(tmp_path / "b", section, calls)
    assert again == whole
    assert len(calls) == 12 - 5, "what was done is not done again"
    assert run(tmp_path / "b", section, []) == whole


def test_a_batch_that_was_interrupted_at_its_end_is_drawn_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """All of its trials but the last are in the journal."""
    import optuna

    section = Search(trials=6, batch=3)
    whole = run(tmp_path / "a", section, [])
    tell, told = optuna.Study.tell, []

    def interrupted(study, *arguments, **more):
        told.append(1)
        if len(told) == 3:
            raise KeyboardInterrupt
        return tell(study, *arguments, **more)

    with monkeypatch.context() as patched:
        patched.setattr(optuna.Study, "tell", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "b", section, [])
    assert run(tmp_path / "b", section, []) == whole


class Backwards:
    """Machines that do the last task first."""

    here = False

    def agree(self, needs) -> None:
        pass

    def map(self, work, tasks, *, progress=silent, finished=None) -> list:
        values = [work(t.folder, *t.arguments, progress=progress) for t in reversed(tasks)]
        return values[::-1]


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", "random"])
def test_a_batch_is_the_same_in_whatever_order_it_is_done(tmp_path: Path, sampler: str):
    section = Search(trials=14, sampler=sampler, batch=4)
    whole = run(tmp_path / "a", section, [])
    other = study.run(
        CONFIG, section, tmp_path / "b", Path("data"), wish=WISH, progress=silent,
        evaluate=pretend([]), machines=Backwards(),
    )  # fmt: skip
    assert other == whole
    assert len(whole) == 14
    if sampler == "tpe":
        assert whole != run(tmp_path / "c", Search(trials=14, sampler=sampler), [])


@pytest.mark.parametrize("fail", [2, 7, 12])
def test_a_batch_that_was_interrupted_is_drawn_again(tmp_path: Path, fail: int):
    section = Search(trials=14, batch=4)
    whole = run(tmp_path / "a", section, [])
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", section, [], fail=fail)
    assert run(tmp_path / "b", section, []) == whole


def test_a_batch_knows_only_the_networks_of_batches_before(tmp_path: Path):
    counts = []

    def evaluate(config, folder, data_dir, *, finished, **more):
        counts.append(len(finished))
        return pretend([])(config, folder, data_dir)

    section = Search(trials=10, batch=4)
    study.run(
        CONFIG, section, tmp_path, Path("data"), wish=WISH, progress=silent, evaluate=evaluate
    )
    assert counts == [0] * 4 + [4] * 4 + [8] * 2


def test_more_trials_go_on_with_those_there_are(tmp_path: Path):
    few = run(tmp_path, Search(trials=6, sampler="random"), [])
    calls: list[str] = []
    more = run(tmp_path, Search(trials=9, sampler="random", finalists=1), calls)
    assert more[:6] == few
    assert len(calls) == 3
    assert run(tmp_path, Search(trials=6, sampler="random"), []) == few


def test_a_space_with_few_networks_ends_the_search(tmp_path: Path):
    section = Search(
        trials=12, widths=(), pools=(), weight_bits=(), activation_bits=(), stages=2,
        sampler="random",
    )  # fmt: skip
    calls: list[str] = []
    trials = run(tmp_path, section, calls)
    assert len(calls) == 2, "with and without the first exit"
    assert len(trials) == 2


def test_a_journal_of_another_search(tmp_path: Path):
    run(tmp_path, Search(trials=2), [])
    with pytest.raises(InputError, match=r"^the search in .* must be of this config, got one of"):
        run(tmp_path, Search(trials=2, seed=1), [])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / study.JOURNAL).write_text("no journal\n")
    with pytest.raises(InputError, match=r"must be the journal of a search, got something else"):
        run(tmp_path / "other", Search(trials=2), [])


def test_a_choice_that_is_no_network_is_told_of(tmp_path: Path):
    section = Search(trials=12, strides=(8,), widths=(), sampler="random")
    trials = run(tmp_path, section, [])
    bad = [t for t in trials if t.outcome is None]
    assert bad
    assert all("must have a window within its" in t.why for t in bad)


def test_the_first_network_must_train(tmp_path: Path):
    def evaluate(*args, **more):
        raise InputError("no such data")

    with pytest.raises(InputError, match="no such data"):
        study.run(
            CONFIG, Search(trials=3), tmp_path, Path("data"), wish=WISH, progress=silent,
            evaluate=evaluate,
        )  # fmt: skip


def test_a_later_network_may_fail(tmp_path: Path):
    calls: list[str] = []
    good = pretend(calls)

    def evaluate(*args, **more):
        if len(calls) == 2:
            calls.append("")
            raise InputError("training must keep a finite loss")
        return good(*args, **more)

    trials = study.run(
        CONFIG, Search(trials=4), tmp_path, Path("data"), wish=WISH, progress=silent,
        evaluate=evaluate,
    )  # fmt: skip
    assert [t.why for t in trials] == ["", "", "training must keep a finite loss", ""]


def test_without_optuna(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ToolError, match=r"^a search needs the package optuna and found none; "):
        run(tmp_path, Search(trials=2), [])


def test_the_judge_stops_what_even_at_best_is_beaten():
    finished = tuple(outcome(0.9, 100.0 + i, best=(0.6, 0.8, 0.9)) for i in range(5))
    history = [{"accuracy": [0.4, 0.55]}]
    judge = Judge(finished, cost=120.0, epochs=3)
    assert judge.hope(history) == pytest.approx(0.55 + 0.3)
    with pytest.raises(Stopped, match=r"^epoch 1, 85\.0% at best$"):
        judge(history)
    Judge(finished, cost=99.0, epochs=3)(history)  # it would be cheaper than all
    Judge(finished, cost=120.0, epochs=4)(history)  # before a third of the epochs
    Judge(finished[:4], cost=120.0, epochs=3)(history)  # too few to tell
    Judge(finished, cost=120.0, epochs=3)([{"accuracy": [0.65]}])  # it may become better
    with pytest.raises(Stopped):
        Judge(finished, cost=99.0, epochs=3, accuracy=0.86)(history)


def test_the_best_exit_so_far():
    history = [{"accuracy": [0.4, 0.5]}, {"accuracy": [0.45, 0.3]}, {"accuracy": [0.6, 0.55]}]
    assert best_of(history) == [0.5, 0.5, 0.6]


def test_an_outcome_survives_the_journal():
    made = dataclasses.replace(outcome(0.9, 100.0), latency=321)
    assert Outcome.of(made.to_json()) == made
    older = {key: value for key, value in made.to_json().items() if key != "latency"}
    assert Outcome.of(older).latency is None
    assert made.point(3) == front([made.point(3)])[0]


def compiled(**changes) -> Compile:
    return CONFIG.compile.model_copy(update=changes)


def test_what_is_asked_is_images_or_lut():
    assert WISH.kind == "throughput_fps"
    price = WISH.price(CONFIG.model, left(0.25))
    assert (price.cost, price.size.lut <= 30000) == (price.cycles, True)
    assert WISH.images(price) == pytest.approx(1e8 / price.cycles)
    assert WISH.at_best(CONFIG.model).cost <= price.cost
    for change in ({"target_cycles": 256}, {"fps": 390625.0}):
        few = wish(compiled(**change), optimise.Budget(lut=30000))
        found = few.price(CONFIG.model, left(0.25))
        assert (few.kind, found.cost) == ("lut", found.size.lut)
        assert 250 < found.cycles <= 256
    assert found.size.lut < price.size.lut


def test_what_is_asked_is_latency():
    budget = optimise.Budget(lut=30000)
    least = wish(compiled(objective="latency"), budget)
    price = least.price(CONFIG.model, left(0.25))
    assert (least.kind, price.cost) == ("latency_us", price.latency)
    early = least.price(CONFIG.model, left(0.005))  # 99% of the frames leave at exit 0
    assert early.latency < price.latency
    assert least.at_best(CONFIG.model).cost <= early.latency
    half = wish(compiled(objective="latency", percentile=50), budget)
    assert half.price(CONFIG.model, left(0.25)).latency == early.latency
    both = wish(compiled(objective="latency", target_cycles=64), budget)
    paced = both.price(CONFIG.model, left(0.25))
    assert (both.kind, paced.cycles) == ("latency_us", 64)
    assert paced.latency >= price.latency


def test_what_is_asked_is_energy():
    """Also where a rate or a latency is a limit, which then is kept."""
    budget = optimise.Budget(lut=30000)
    least = wish(compiled(objective="energy"), budget)
    price = least.price(CONFIG.model, left(0.25))
    assert (least.kind, price.cost) == ("nanojoules", price.nanojoules)
    assert 0 < least.at_best(CONFIG.model).cost <= price.cost
    assert least.price(CONFIG.model, left(0.5)).cost > price.cost
    for limit in ({"target_cycles": 256}, {"latency_us": 2 * price.latency / 100}):
        asked, few = (
            wish(compiled(objective=objective, **limit), budget) for objective in ("energy", "area")
        )
        found, small = (which.price(CONFIG.model, left(0.25)) for which in (asked, few))
        assert (asked.kind, few.kind) == ("nanojoules", "lut")
        assert found.nanojoules <= small.nanojoules
        assert found.size.lut >= small.size.lut
    assert found.latency <= 2 * price.latency


def test_latency_that_is_enough_is_bought_with_few_lut():
    budget = optimise.Budget(lut=30000)
    least = wish(compiled(objective="latency"), budget).price(CONFIG.model, left(0.25))
    before = least.size.lut
    for times in (1.5, 4.0):
        for objective in ("latency", "area"):
            asked = compiled(objective=objective, latency_us=times * least.latency / 100)
            few = wish(asked, budget)
            price = few.price(CONFIG.model, left(0.25))
            assert (few.kind, price.cost) == ("lut", price.size.lut)
            assert price.latency <= times * least.latency
        assert price.size.lut < before
        before = price.size.lut
    early = wish(compiled(objective="area", latency_us=0.9 * least.latency / 100), budget)
    with pytest.raises(InputError, match=r"^compile\.latency_us must be at least .*: ask for more"):
        early.price(CONFIG.model, left(0.25))


def test_what_a_search_cannot_ask():
    with pytest.raises(InputError, match=r"^a search must have compile\.board or compile\.res"):
        wish(compiled(resources=None), optimise.Budget())
