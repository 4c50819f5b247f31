"""The trials, drawn by Optuna and kept in a journal, so that an interrupted search goes on."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt.config import tree
from exeunt.errors import InputError, ToolError
from exeunt.progress import Progress, part
from exeunt.scheduler import HERE, Machines, Task
from exeunt.search import space
from exeunt.search.trial import Outcome, Stopped, evaluate

if TYPE_CHECKING:
    from exeunt.config.search import Search
    from exeunt.config.tree import Config
    from exeunt.search.wish import Wish

JOURNAL = "study.log"
TRIALS = "trials"
OWN, SINGLE = 0, 1  # the trials of the config's network, and of its last exit alone
FIRST = 10  # trials that are drawn at random before the sampler learns
WHOLE = "whole"  # how many trials there are in batches that have ended
SECTIONS = ("data", "model", "train", "calibrate", "compile")


@dataclass(frozen=True)
class Trial:
    """A trial that has ended.

    Attributes:
        number: of the draw, from 0; draws of a network that there was already are no trials.
        choices: what was chosen.
        outcome: what came of it; None: stopped early, or no network.
        why: in words, when there is no outcome.
    """

    number: int
    choices: dict[str, Any]
    outcome: Outcome | None
    why: str = ""


def folder_of(home: Path, number: int) -> Path:
    """The folder of a trial."""
    return home / TRIALS / f"{number:04d}"


def run(
    config: Config,
    section: Search,
    home: Path,
    data_dir: Path,
    *,
    wish: Wish,
    progress: Progress,
    evaluate: Callable[..., Outcome] = evaluate,
    machines: Machines = HERE,
) -> list[Trial]:
    """Do the trials that are missing; all of them in order.

    The same config and seed give the same trials, also when the search was interrupted, and on
    however many machines: each is drawn from those of batches before its own alone.

    Args:
        config: of the network around which is searched.
        section: the [search] table.
        home: the folder of the search.
        data_dir: of the data sets.
        wish: what is asked of a design.
        progress: told of each trial.
        evaluate: does one, as `trial.evaluate`.
        machines: each trial of a batch is a task for them.

    Raises:
        ToolError: Optuna is not installed.
        InputError: the journal in `home` is of another config, or no network can be trained.
    """
    optuna = _optuna()
    sections = SECTIONS if config.compress is None else (*SECTIONS, "compress")
    study = _opened(optuna, home, tree.hash_of(config, *sections) + _space(section), section.batch)
    done = _ended(study)
    while len(done) < section.trials:
        drawn, settled = _drawn(optuna, study, config, section, done)
        if not drawn and not settled:
            break
        begin, end = (100 * (len(done) + k) // section.trials for k in (0, len(drawn)))
        finished = tuple(t.outcome for t in done if t.outcome)
        tasks = [
            Task(
                network.name, folder_of(home, trial.number),
                (network, data_dir.absolute(), wish, finished, section.accuracy, evaluate), (".",),
            )
            for trial, network in drawn
        ]  # fmt: skip
        values = machines.map(_tried, tasks, progress=part(progress, begin, end))
        for (trial, _), (outcome, why, refused) in zip(drawn, values, strict=True):
            if refused and not any(t.outcome for t in (*done, *settled)):
                raise InputError(why)
            settled.append(Trial(trial.number, dict(trial.params), outcome, why))
            if outcome is None:
                trial.set_user_attr("why", why)
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            else:
                trial.set_user_attr("outcome", outcome.to_json())
                study.tell(trial, (outcome.accuracy, outcome.cost))
        done += sorted(settled, key=lambda t: t.number)
        if section.batch > 1:
            study.set_user_attr(WHOLE, len(study.get_trials(deepcopy=False)))
        progress(end, 100, f"network {len(done)} of {section.trials}")
    return done[: section.trials]


def _drawn(
    optuna: Any, study: Any, config: Config, section: Search, done: Sequence[Trial]
) -> tuple[list[tuple[Any, Config]], list[Trial]]:
    """The next batch: new networks to be tried, and trials that gave no network."""
    state = optuna.trial.TrialState
    drawn: list[tuple[Any, Config]] = []
    settled: list[Trial] = []
    while len(drawn) + len(settled) < min(section.batch, section.trials - len(done)):
        before = study.get_trials(deepcopy=False)
        number = len(before)
        if number >= _most(section):
            break
        study.sampler = _sampler(optuna, section, number)
        if number in (OWN, SINGLE):
            study.enqueue_trial(_asked_for(config, section, number == SINGLE))
        elif before[-1].state == state.FAIL:  # a network that there was already: one like it
            study.enqueue_trial(_mutated(config, section, before[-1].params, number))
        trial = study.ask()
        try:
            network = space.network(config, section, trial.suggest_categorical)
        except InputError as error:
            settled.append(Trial(number, dict(trial.params), None, str(error)))
            trial.set_user_attr("why", str(error))
            study.tell(trial, state=state.PRUNED)
            continue
        known = [t.choices for t in (*done, *settled)] + [t.params for t, _ in drawn]
        if trial.params in known:
            study.tell(trial, state=state.FAIL)  # which no sampler learns from
            continue
        drawn.append((trial, network.model_copy(update={"name": f"{config.name}-{number}"})))
    return drawn, settled


def _most(section: Search) -> int:
    """Draws after which the space is taken to have no further network."""
    return 4 * section.trials + 100


def _mutated(config: Config, section: Search, choices: dict[str, Any], seed: int) -> dict[str, Any]:
    """Choices of a network that differs in one or two of them."""
    draw, asked = random.Random(seed), {}
    others = set(draw.sample(sorted(choices), min(len(choices), draw.choice((1, 2)))))

    def choose(name: str, values: Sequence[Any]) -> Any:
        keep = name in choices and name not in others and choices[name] in values
        asked[name] = choices[name] if keep else draw.choice(list(values))
        return asked[name]

    with suppress(InputError):  # what is no network is told of when it is tried
        space.network(config, section, choose)
    return asked


def _tried(
    folder: Path,
    network: Config,
    data_dir: Path,
    wish: Wish,
    finished: tuple[Outcome, ...],
    accuracy: float,
    evaluate: Callable[..., Outcome],
    *,
    progress: Progress,
) -> tuple[Outcome | None, str, bool]:
    """A trial as a task: what came of it, or why nothing did, and whether it was refused."""
    try:
        found = evaluate(
            network, folder, data_dir, wish=wish, finished=finished, accuracy=accuracy,
            progress=progress,
        )  # fmt: skip
    except (Stopped, InputError) as error:
        return None, str(error), isinstance(error, InputError)
    return found, "", False


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ToolError(
            "a search needs the package optuna and found none; install it with "
            "`pip install exeunt[search]`"
        ) from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def _space(section: Search) -> str:
    """What a journal must agree in: all but how many trials there are, and what comes after."""
    later = {"trials", "finalists", "count"} | ({"batch"} if section.batch == 1 else set())
    later |= set() if section.budgets else {"budgets"}
    return section.model_dump_json(exclude=later)


def _opened(optuna: Any, home: Path, asked: str, batch: int) -> Any:
    """The study in `home`, begun when there is none, without a trial that was interrupted."""
    import warnings

    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    home.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    path = home / JOURNAL
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        study = optuna.create_study(
            storage=storage, study_name="search", directions=("maximize", "minimize"),
            load_if_exists=True,
        )  # fmt: skip
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} must be the journal of a search, got something else ({error}): delete it to "
            "search again"
        ) from None
    known = study.user_attrs.get("asked")
    if known is None:
        study.set_user_attr("asked", asked)
    elif known != asked:
        raise InputError(
            f"the search in {home} must be of this config, got one of another: choose another "
            f"--out, or delete {home} to search again"
        )
    return _without_interrupted(optuna, study, storage, asked, batch)


def _without_interrupted(optuna: Any, study: Any, storage: Any, asked: str, batch: int) -> Any:
    """The study with trials of batches that have ended: a new journal when one was interrupted."""
    trials = study.get_trials(deepcopy=False)
    whole = study.user_attrs.get(WHOLE, 0) if batch > 1 else None
    ended = [t for t in trials if t.state.is_finished()] if whole is None else trials[:whole]
    if len(ended) == len(trials):
        return study
    optuna.delete_study(study_name="search", storage=storage)
    study = optuna.create_study(
        storage=storage, study_name="search", directions=("maximize", "minimize")
    )
    study.set_user_attr("asked", asked)
    if whole is not None:
        study.set_user_attr(WHOLE, whole)
    study.add_trials(ended)
    return study


def _sampler(optuna: Any, section: Search, number: int) -> Any:
    """Draws trial `number` by the trials before it."""
    seed = section.seed * 1_000_003 + number
    if section.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    first = min(FIRST, max(2, section.trials // 4))
    if section.sampler == "nsga2":
        return optuna.samplers.NSGAIISampler(population_size=first, seed=seed)
    return optuna.samplers.TPESampler(seed=seed, n_startup_trials=first)


def _asked_for(config: Config, section: Search, single: bool) -> dict[str, Any]:
    """The choices of the config's own network, or of its last exit alone, that are asked for."""
    own, asked = space.own(config, section, single=single), {}

    def choose(name: str, values: Sequence[Any]) -> Any:
        asked[name] = own[name] if own[name] in values else values[0]
        return asked[name]

    space.network(config, section, choose)
    return asked


def _ended(study: Any) -> list[Trial]:
    """The trials that were of a new network."""
    found = []
    for trial in study.get_trials(deepcopy=False):
        why, data = trial.user_attrs.get("why", ""), trial.user_attrs.get("outcome")
        if why or data is not None:
            outcome = None if data is None else Outcome.of(data)
            found.append(Trial(trial.number, dict(trial.params), outcome, why))
    return found
