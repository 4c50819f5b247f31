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
) -> list[Trial]:
    """Do the trials that are missing; all of them in order.

    The same config and seed give the same trials, also when the search was interrupted: each is
    drawn from those before it alone.

    Args:
        config: of the network around which is searched.
        section: the [search] table.
        home: the folder of the search.
        data_dir: of the data sets.
        wish: what is asked of a design.
        progress: told of each trial.
        evaluate: does one, as `trial.evaluate`.

    Raises:
        ToolError: Optuna is not installed.
        InputError: the journal in `home` is of another config, or no network can be trained.
    """
    optuna = _optuna()
    study = _opened(optuna, home, tree.hash_of(config, *SECTIONS) + _space(section))
    done = _ended(study)
    state = optuna.trial.TrialState
    while len(done) < section.trials:
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
        begin, end = (100 * (len(done) + k) // section.trials for k in (0, 1))
        told = part(progress, begin, end)

        def doing(network: Config, *, number: int = number, told: Progress = told) -> Outcome:
            return evaluate(
                network, folder_of(home, number), data_dir, wish=wish,
                finished=[t.outcome for t in done if t.outcome], accuracy=section.accuracy,
                progress=told,
            )  # fmt: skip

        try:
            network = space.network(config, section, trial.suggest_categorical)
        except InputError as error:
            found = Trial(number, dict(trial.params), None, str(error))
        else:
            if any(t.choices == trial.params for t in done):
                study.tell(trial, state=state.FAIL)  # which no sampler learns from
                continue
            network = network.model_copy(update={"name": f"{config.name}-{number}"})
            found = _tried(network, number, dict(trial.params), done, doing)
        if found.outcome is None:
            trial.set_user_attr("why", found.why)
            study.tell(trial, state=state.PRUNED)
        else:
            trial.set_user_attr("outcome", found.outcome.to_json())
            study.tell(trial, (found.outcome.accuracy, found.outcome.cost))
        done.append(found)
        told(1, 1, f"network {len(done)} of {section.trials}")
    return done[: section.trials]


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
    network: Config,
    number: int,
    choices: dict[str, Any],
    done: Sequence[Trial],
    doing: Callable[[Config], Outcome],
) -> Trial:
    """The trial.

    Raises:
        InputError: it cannot be trained, and no other one could.
    """
    try:
        return Trial(number, choices, doing(network))
    except Stopped as error:
        return Trial(number, choices, None, str(error))
    except InputError as error:
        if not any(t.outcome for t in done):
            raise
        return Trial(number, choices, None, str(error))


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
    return section.model_dump_json(exclude={"trials", "finalists", "count"})


def _opened(optuna: Any, home: Path, asked: str) -> Any:
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
    return _without_interrupted(optuna, study, storage, home, asked)


def _without_interrupted(optuna: Any, study: Any, storage: Any, home: Path, asked: str) -> Any:
    """The study with ended trials alone: a new journal when its last one was interrupted."""
    trials = study.get_trials(deepcopy=False)
    ended = [t for t in trials if t.state.is_finished()]
    if len(ended) == len(trials):
        return study
    optuna.delete_study(study_name="search", storage=storage)
    study = optuna.create_study(
        storage=storage, study_name="search", directions=("maximize", "minimize")
    )
    study.set_user_attr("asked", asked)
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
