"""Rules beside what people would do instead: the step behind `exeunt rules --compare`.

Everything is chosen on training and validation images, the figures are of the test images. A
network of another seed is trained where it is absent, and so is one with the modifications as
augmentation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from exeunt import cost
from exeunt import rules as room
from exeunt.config.rules import FAMILIES, Family, Learner, Rules
from exeunt.config.tree import Config
from exeunt.errors import InputError
from exeunt.progress import Progress, part, silent
from exeunt.quant.compare import other_seed, seeds_of, trained_at
from exeunt.quant.data.datasets import Splits, load
from exeunt.quant.network.logits import exact
from exeunt.quant.rules import alternatives, evidence, learn, learners, shifted, ways
from exeunt.quant.rules.evidence import Subject
from exeunt.quant.rules.lists import Evidence, gathered, learned
from exeunt.quant.rules.stability import stability
from exeunt.quant.rules.step import parts
from exeunt.quant.rules.ways import Judged, Known, Sets, Way
from exeunt.quant.train import one_thread
from exeunt.report import store
from exeunt.rules import RuleSet
from exeunt.splits import SPLITS, Labelled, read_split

FOLDER = "rules"
_SHIFTED = 2_000  # test images that each shift is made of
_GROUPS: tuple[tuple[Family, ...], ...] = (
    FAMILIES, ("move", "shear"), ("table",), ("border",),
)  # fmt: skip
_LEARNERS: tuple[Learner, ...] = ("tree", "covering", "single", "random")


@dataclass(frozen=True)
class Network:
    """One network of a comparison, and what is known of the images."""

    seed: int
    of: Subject
    trained: nn.Module
    evidence: Evidence
    sets: Sets
    without: Judged


def compare(
    config: Config,
    run_dir: Path,
    data_dir: Path,
    *,
    seeds: Sequence[int] = (),
    progress: Progress = silent,
) -> dict[str, Any]:
    """Put rules beside their alternatives; writes rules.compared to report.json.

    Args:
        config: of the run, with [rules].
        run_dir: with checkpoint.pt and splits.npz.
        data_dir: of the data sets.
        seeds: of the networks; none: the config's.
        progress: told of every network.

    Returns:
        rows: of each way and seed, see `ways.row`; first: the same for rules of the first look;
        stability, see `exeunt.quant.rules.stability`; transfer: rows of rules that were learned for
        the network of another seed; shifted: rows of changed test images; text: the rules of each
        seed.

    Raises:
        InputError: no [rules], one exit alone, or seeds of a network that is not trained here.
    """
    section = config.rules
    if section is None:
        raise InputError(
            f"config {config.name} must have a section [rules] to be compared, got none: add the "
            "line [rules], its keys have defaults"
        )
    wanted = seeds_of(config, seeds)
    splits = load(config.data, data_dir, shape=config.model.input, classes=config.model.classes)
    found: dict[str, Any] = {
        key: [] for key in ("rows", "first", "stability", "transfer", "shifted", "text")
    }
    count = len(wanted)
    networks, rules = [], []
    for number, seed in enumerate(wanted):
        here = part(progress, 40 * number // count, 40 * (number + 1) // count)
        at = other_seed(config, seed)
        folder = trained_at(config, at, run_dir, data_dir, progress=part(here, 0, 40))
        network = _network(at, folder, run_dir, splits, seed, progress=part(here, 40, 80))
        made = _learned(network, section, progress=part(here, 80, 100))
        networks.append(network)
        rules.append(made)
        found["text"].append({"seed": seed, "rules": [] if made is None else room.sentences(made)})
        found["rows"] += _ours(config, network, made)
        store.update(run_dir, {"rules": {"compared": found}})
    found |= _across(config, networks, rules)
    for key, name, rows in (
        ("rows", "what people would do instead", lambda n, _: _instead(config, n)),
        ("shifted", "changed images", lambda n, r: _shifted(config, n, r)),
        ("first", "the first look", lambda n, _: _first(config, n)),
    ):
        progress({"rows": 40, "shifted": 60, "first": 65}[key], 100, name)
        for network, made in zip(networks, rules, strict=True):
            found[key] += rows(network, made)
            store.update(run_dir, {"rules": {"compared": found}})
    trained = config.model.kind == "config" and config.compress is None
    for number, network in enumerate(networks if trained else ()):
        here = part(progress, 75 + 25 * number // count, 75 + 25 * (number + 1) // count)
        found["rows"] += _augmented(config, run_dir, data_dir, splits, network, progress=here)
        store.update(run_dir, {"rules": {"compared": found}})
    progress(100, 100, f"{count} networks on {len(networks[0].sets.test.labels):,} test images")
    return found


def _network(
    config: Config,
    folder: Path,
    run_dir: Path,
    splits: Splits,
    seed: int,
    *,
    progress: Progress,
) -> Network:
    """A trained network, and what it says of the images."""
    from exeunt.quant.compress import load_network

    section = config.rules
    assert section is not None
    with one_thread(section.seed):
        trained = load_network(config, folder)
        integers = exact(trained, config)
    of = evidence.subject(integers, config.calibrate.criterion)
    learning, laying = parts(splits.train, section.images, seed=section.seed)
    tried = gathered(
        of, section.model_copy(update={"first": True, "families": FAMILIES}), learning.images,
        learning.labels, config.calibrate.drop, progress=progress,
    )  # fmt: skip
    validation, test = (read_split(run_dir / SPLITS, name) for name in ("validation", "test"))
    sets = Sets(Known.of(of, laying), Known.of(of, validation), Known.of(of, test))
    without = ways.judged(ways.plain(of, sets), config.calibrate.drop)
    lost = sets.laying.seen(of, None).lost(of, without.thresholds)
    sets = replace(sets, allowed=lost)
    return Network(seed, of, trained, tried, sets, without)


def _learned(network: Network, section: Rules, *, progress: Progress = silent) -> RuleSet | None:
    """The rules of a section for a network; None where none pays on training images."""
    lists = learned(network.evidence, section, progress=progress)
    if not lists.rules and not lists.looks:
        return None
    return _rule_set(network.of, lists.rules, lists.looks)


def _rule_set(of: Subject, rules: Sequence[room.Rule], looks: Sequence[Any]) -> RuleSet:
    return RuleSet(
        shape=of.network.image.shape, rules=tuple(rules), looks=tuple(looks),
        thresholds=(0,) * len(looks), ink=evidence.INK, edge=evidence.EDGE,
    )  # fmt: skip


def _row(config: Config, network: Network, way: Way) -> dict[str, Any]:
    """The row of a way for one network."""
    section = config.rules
    assert section is not None
    reach = float((network.without.left.exits > 0).mean())
    judged = ways.judged(way, config.calibrate.drop, section.tail)
    made = ways.row(way, judged, reach, network.of.macs[-1])
    return {"seed": network.seed, **made, **_hardware(config, way, made["seen"])}


def _hardware(config: Config, way: Way, seen: Sequence[float]) -> dict[str, Any]:
    """What a way costs at compile.target_cycles by `exeunt.cost`: cycles between images, and lut.

    For stages folded for how often they see a validation image, without the rule unit itself. None
    where there is no hardware, or the network is not described by a config.
    """
    if not way.built or config.model.kind != "config" or config.compress is not None:
        return {"cycles": None, "lut": None}
    section = config.compile
    found = cost.network(
        config.model, target_cycles=section.cycles, reach=seen, headroom=section.spare,
        dsp=False,
    )  # fmt: skip
    return {"cycles": found.cycles, "lut": found.lut + found.control}


def _ours(config: Config, network: Network, rules: RuleSet | None) -> Iterator[dict[str, Any]]:
    """The network as it is, and with rules."""
    yield _row(config, network, ways.plain(network.of, network.sets))
    if rules is not None:
        yield _row(config, network, ways.by_rules(OURS, network.of, network.sets, rules))


def _instead(config: Config, network: Network) -> Iterator[dict[str, Any]]:
    """What is done instead, for one network."""
    section, of, sets = config.rules, network.of, network.sets
    assert section is not None
    other: Learner = "covering" if section.learner == "tree" else "tree"
    second = _learned(network, section.model_copy(update={"learner": other}))
    if second is not None:
        yield _row(config, network, ways.by_rules(f'learner "{other}"', of, sets, second))
    if section.looks:
        for way in alternatives.in_looks(network.evidence, section, sets):
            yield _row(config, network, way)
    threshold = network.without.thresholds[0]
    for way in alternatives.converted(of, sets, threshold, seed=section.seed):
        yield _row(config, network, way)
    bounds = {
        "oracle: best modification by the label": alternatives.oracle(
            of, network.evidence, sets.test, network.without
        ),
        "oracle: gradient for the label": alternatives.gradient(
            network.trained, of, sets.test, network.without
        ),
    }
    for name, figures in bounds.items():
        yield {"seed": network.seed, "name": name, "bound": True, **figures}


OURS = "rules, in each look"


def _first(config: Config, network: Network) -> Iterator[dict[str, Any]]:
    """Rules for the first look: families of modifications and ways of learning."""
    section, of, sets = config.rules, network.of, network.sets
    assert section is not None
    for families in _GROUPS:
        for learner in _LEARNERS:
            if learner == "random" and families != FAMILIES:
                continue
            asked = section.model_copy(
                update={"first": True, "looks": 0, "learner": learner, "families": families}
            )
            made = network.evidence.learner(asked)
            choices = learn.first(made, network.evidence.thresholds[0])
            if not choices and learner == "single":
                choices = _forced(made, network.evidence.thresholds[0])
            listed = learn.rules_of(choices, made.modifications, of.network.image.shape)
            if not listed:
                continue
            way = ways.by_rules("first look", of, sets, _rule_set(of, listed, ()))
            yield {
                **_row(config, network, way),
                "learner": learner,
                "families": list(families),
                "rules": len(listed),
            }


def _forced(learner: learn.Learner, threshold: int) -> list[learners.Choice]:
    """The modification that does the least harm if all images get it."""
    return [learners.Choice((), learn.least_harm(learner, threshold))]


def _shifted(config: Config, network: Network, rules: RuleSet | None) -> Iterator[dict[str, Any]]:
    """Rates and accuracy on changed test images, at the thresholds for those as they are."""
    section, of = config.rules, network.of
    assert section is not None
    some = Labelled(network.sets.test.images, network.sets.test.labels).some(
        _SHIFTED, seed=section.seed
    )
    asked: list[tuple[str, Way, Judged]] = []
    for name, made in (("no rules", None), (OURS, rules)):
        if made is None and name == OURS:
            continue
        way = (
            ways.plain(of, network.sets)
            if made is None
            else ways.by_rules(name, of, network.sets, made)
        )
        asked.append((name, way, ways.judged(way, config.calibrate.drop, section.tail)))
    kinds = [("none", 0), *((k, s) for k in shifted.KINDS for s in shifted.SEVERITIES)]
    for kind, severity in kinds:
        images = some.images
        if severity:
            images = shifted.KINDS[kind](images, severity, section.seed)
        known = Known.of(of, Labelled(images, some.labels))
        for name, way, judged in asked:
            seen = known.seen(of, None if name == "no rules" else rules)
            left = seen.scored(of, way.looks).leave(judged.thresholds, way.macs)
            yield {
                "seed": network.seed, "kind": kind, "severity": severity, "name": name,
                "first": float((left.exits <= way.looks).mean()),
                "right": float(left.right.mean()),
                "last": float(known.right.mean()),
                "multiplies": float(left.spent.mean()),
                "images": len(known.labels),
            }  # fmt: skip


def _augmented(
    config: Config,
    run_dir: Path,
    data_dir: Path,
    splits: Splits,
    network: Network,
    *,
    progress: Progress,
) -> Iterator[dict[str, Any]]:
    """A network trained with the modifications as augmentation, without rules and with its own."""
    section = config.rules
    assert section is not None
    at = other_seed(config, network.seed)
    trained = at.train.model_copy(update={"modify": section.families})
    augmented = at.model_copy(update={"train": trained})
    folder = trained_at(
        config, augmented, run_dir, data_dir, place=f"{FOLDER}/augmented-seed{network.seed}",
        progress=part(progress, 0, 60),
    )  # fmt: skip
    theirs = _network(
        augmented, folder, run_dir, splits, network.seed, progress=part(progress, 60, 80)
    )
    compared = Network(
        theirs.seed, theirs.of, theirs.trained, theirs.evidence, theirs.sets, network.without
    )
    name = "trained with the modifications as augmentation"
    yield _row(config, compared, ways.plain(theirs.of, theirs.sets, name))
    rules = _learned(theirs, section, progress=part(progress, 80, 100))
    if rules is not None:
        name = "the same and rules, in each look"
        yield _row(config, compared, ways.by_rules(name, theirs.of, theirs.sets, rules))


def _across(
    config: Config, networks: Sequence[Network], rules: Sequence[RuleSet | None]
) -> dict[str, Any]:
    """What the networks of several seeds have in common."""
    section = config.rules
    assert section is not None
    with_rules = [(n, r) for n, r in zip(networks, rules, strict=True) if r is not None and r.looks]
    looked = [_looked_at(config, network, made) for network, made in with_rules]
    transfer = []
    for network, _ in with_rules:
        for other, made in with_rules:
            if other is not network:
                way = ways.by_rules(f"rules of seed {other.seed}", network.of, network.sets, made)
                transfer.append(_row(config, network, way))
    if not with_rules:
        return {"stability": [], "transfer": []}
    images = with_rules[0][0].sets.test.images
    pairs = stability([made for _, made in with_rules], looked, images)
    for pair in pairs:
        pair["networks"] = [with_rules[k][0].seed for k in pair["networks"]]
    return {"stability": pairs, "transfer": transfer}


def _looked_at(config: Config, network: Network, rules: RuleSet) -> npt.NDArray[np.bool_]:
    """The test images that are looked at again, bool (N,)."""
    section = config.rules
    assert section is not None
    way = ways.by_rules(OURS, network.of, network.sets, rules)
    judged = ways.judged(way, config.calibrate.drop, section.tail)
    return np.asarray(judged.left.exits > 0)
