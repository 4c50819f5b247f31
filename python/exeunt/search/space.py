"""The networks among which is chosen: the config's own, narrower, shallower, with fewer exits."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exeunt.errors import InputError

if TYPE_CHECKING:
    from exeunt.config.compress import AnyPass, Compress
    from exeunt.config.layers import Stage
    from exeunt.config.search import Search
    from exeunt.config.tree import Config

Shape = tuple[int, int, int]
Choose = Callable[[str, Sequence[Any]], Any]  # one of these values for a name


def network(config: Config, section: Search, choose: Choose) -> Config:
    """The config of one network; what the config itself has is among the values of each choice.

    Args:
        config: with a network described by stages.
        section: what may be chosen.
        choose: picks one of some values for a name; asked in the same order for the same answers.

    Raises:
        InputError: the choices do not make a network, such as a window that is larger than its
            map. A pool that would be is as large as its map.
    """
    from exeunt.config import tree

    stages = config.model.stages
    count = int(choose("stages", range(min(section.stages, len(stages)), len(stages) + 1)))
    kept = [
        i == count - 1 or not section.exits or bool(choose(f"exit{i}", (True, False)))
        for i in range(count)
    ]
    made: list[dict[str, Any]] = []
    blocks: list[dict[str, Any]] = []
    shape = config.model.input
    entering = before = shape[2]
    for i, stage in enumerate(stages[:count]):
        factor = float(choose(f"width{i}", _with(section.widths, 1.0)) if section.widths else 1.0)
        for block in stage.blocks:
            table = block.model_dump(mode="python", exclude_unset=True)
            blocks.append(_scaled(table, factor, entering, before))
            entering = _channels(blocks[-1], entering)
            before = _channels(table, before)
        if i == 0 and section.strides:
            step = choose("stride", _with(section.strides, _stride(stage)))
            blocks[0] = _strided(blocks[0], step)
        for k, table in enumerate(blocks[len(blocks) - len(stage.blocks) :]):
            shape = _behind(table, shape, f"stages[{i}].blocks[{k}]")
        if not kept[i]:
            continue
        head = [y.model_dump(mode="python", exclude_unset=True) for y in stage.head]
        if section.pools:
            side = choose(f"pool{i}", _with(section.pools, _side(stage)))
            if side != _side(stage):
                head = _pooled(head, min(int(side), *shape[:2]))
        made.append({"blocks": blocks, "head": _narrowed(head, factor, entering, before)})
        blocks = []
    data = config.model_dump(mode="python", exclude_unset=True)
    data["model"] = {k: v for k, v in data["model"].items() if k not in ("preset", "width")}
    data["model"]["stages"] = made
    for key in ("weight_bits", "activation_bits"):
        options = getattr(section, key)
        if options:
            data["model"][key] = int(choose(key, _with(options, getattr(config.model, key))))
    if section.criteria and len(made) > 1:
        criterion = str(choose("criterion", _with(section.criteria, config.calibrate.criterion)))
        data["calibrate"] = {**data.get("calibrate", {}), "criterion": criterion}
    if config.compress is not None:
        passes = _passes(config.compress, section.budgets, choose)
        data["compress"] = {**data["compress"], "passes": passes} if passes else None
    if section.epochs is not None:
        data["train"] = {**data.get("train", {}), "epochs": section.epochs}
    data["compile"] = {**data.get("compile", {}), "baseline": False}
    data.pop("search", None)
    return tree.made(data, where="of the search")


def _passes(
    section: Compress, budgets: Sequence[float], choose: Choose
) -> tuple[dict[str, Any], ...]:
    """The passes that are left, with the budgets that are chosen."""
    made = []
    for i, spec in enumerate(section.passes):
        budget = spec.budget
        if budgets:
            others = budgets if budget <= 1.0 else ()  # centroids are no fraction
            budget = float(choose(_pass(i, spec), (1.0, *_with(others, budget))))
        if budgets and budget == 1.0:
            continue
        chosen = spec if budget == spec.budget else spec.with_budget(budget)
        made.append(chosen.model_dump(mode="python", exclude_unset=True))
    return tuple(made)


def _pass(index: int, spec: AnyPass) -> str:
    """The name by which the budget of a pass is asked for."""
    return f"{spec.kind}{index}"


def own(config: Config, section: Search, *, single: bool = False) -> dict[str, Any]:
    """The choices that make the network of the config itself, or with `single` of its last exit."""
    stages = config.model.stages
    found: dict[str, Any] = {"stages": len(stages)}
    for i, stage in enumerate(stages):
        if section.exits and i < len(stages) - 1:
            found[f"exit{i}"] = not single
        if section.widths:
            found[f"width{i}"] = 1.0
        if section.pools:
            found[f"pool{i}"] = _side(stage)
    if section.strides:
        found["stride"] = _stride(stages[0])
    for key in ("weight_bits", "activation_bits"):
        if getattr(section, key):
            found[key] = getattr(config.model, key)
    if section.criteria:
        found["criterion"] = config.calibrate.criterion
    if config.compress is not None and section.budgets:
        found |= {_pass(i, spec): spec.budget for i, spec in enumerate(config.compress.passes)}
    return found


def answers(choices: Mapping[str, Any]) -> Choose:
    """A `choose` that gives these answers.

    Raises (when asked):
        InputError: a name that has none, or an answer that is not among the values.
    """

    def choose(name: str, values: Sequence[Any]) -> Any:
        if name not in choices or choices[name] not in values:
            raise InputError(
                f"the choice {name} must be one of {', '.join(map(str, values))}, got "
                f"{choices.get(name)}: change it"
            )
        return choices[name]

    return choose


def _with(options: Sequence[Any], own: Any) -> tuple[Any, ...]:
    """The options, and the config's own value behind them where it is not one of them."""
    return (*options, *(() if own in options else (own,)))


def _side(stage: Stage) -> int | str:
    """Side of the pool with which a head begins; 1: it begins with none."""
    return getattr(stage.head[0], "size", 1) if stage.head else 1


def _stride(stage: Stage) -> Any:
    """Step of the first convolution of a stage."""
    block: Any = stage.blocks[0]
    first = block.residual[0] if hasattr(block, "residual") else block
    return getattr(first, "stride", 1)


def _channels(table: Mapping[str, Any], entering: int) -> int:
    """Channels behind a block."""
    if "residual" in table:
        return int(table["residual"][-1]["conv"])
    return int(table.get("conv", entering))


def _behind(table: dict[str, Any], shape: Shape, where: str) -> Shape:
    """Height, width and channels behind a block."""
    from exeunt.config.layers import Stage, behind

    try:
        return behind(Stage.model_validate({"blocks": (table,)}).blocks[0], shape, where)
    except ValueError as error:
        raise InputError(f"a network of the search: {error}") from None


def _wide(value: int, factor: float) -> int:
    return max(1, round(value * factor))


def _scaled(table: dict[str, Any], factor: float, entering: int, before: int) -> dict[str, Any]:
    """A block with its channels times `factor`; `before` of them entered it unscaled."""
    if "residual" in table:
        inner = []
        for layer in table["residual"]:
            inner.append(_scaled(layer, factor, entering, before))
            entering, before = inner[-1]["conv"], layer["conv"]
        return {**table, "residual": tuple(inner)}
    if "conv" not in table:
        return table
    if table.get("groups", 1) == before and before > 1:  # depthwise: as many as enter
        return {**table, "conv": entering * (table["conv"] // before), "groups": entering}
    return {**table, "conv": _wide(table["conv"], factor)}


def _narrowed(
    head: list[dict[str, Any]], factor: float, entering: int, before: int
) -> list[dict[str, Any]]:
    """A head with the convolutions of its stage's width."""
    made = []
    for table in head:
        made.append(_scaled(table, factor, entering, before))
        entering, before = _channels(made[-1], entering), _channels(table, before)
    return made


def _strided(table: dict[str, Any], stride: int) -> dict[str, Any]:
    if "residual" in table:
        first, *others = table["residual"]
        return {**table, "residual": ({**first, "stride": stride}, *others)}
    return {**table, "stride": stride}


def _pooled(head: list[dict[str, Any]], side: int) -> list[dict[str, Any]]:
    """A head that begins with a pool of that side, or with none."""
    first = head[0] if head and "pool" in head[0] else None
    rest = head[1:] if first else head
    if side == 1:
        return rest
    return [{"pool": first["pool"] if first else "max", "size": side}, *rest]
