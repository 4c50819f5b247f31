"""The rule unit of a core: what hls/rtl/ex_rules.sv is built with for an accelerator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from exeunt import criteria, registers
from exeunt.errors import InputError
from exeunt.graph import Accelerator
from exeunt.hls.back.stitch_chain import literal
from exeunt.rules.rule import RuleSet
from exeunt.rules.unit import Unit

BITS = 8


@dataclass(frozen=True)
class RulesDescription:
    """A rule unit and the rules that it is built with."""

    unit: Unit
    rules: RuleSet

    @property
    def parameters(self) -> Mapping[str, str]:
        """Parameters of ex_rules, as SystemVerilog."""
        found = {key: literal(value) for key, value in self.unit.parameters.items()}
        found |= {key: literal(name) for key, (name, _) in self.unit.memories(self.rules).items()}
        found["STATISTICS"] = f"7'd{self.unit.statistics}"
        width = registers.ADDRESS_BITS
        places = registers.rule_parameters().items()
        return found | {key: f"{width}'d{value}" for key, value in places}

    @property
    def slot_bits(self) -> int:
        """Bits of a slot's number."""
        return max(1, (self.unit.slots - 1).bit_length())

    @property
    def memories(self) -> dict[str, str]:
        """Memory-init files, name -> text."""
        return dict(self.unit.memories(self.rules).values())


def _check_looks(accelerator: Accelerator, looks: int) -> None:
    exits, criterion = len(accelerator.heads), criteria.get(accelerator.criterion)
    if not 2 <= exits <= registers.MAX_EXITS - looks:
        raise InputError(
            f"with {looks} further looks an accelerator must have 2 to "
            f"{registers.MAX_EXITS - looks} exits, {accelerator.name} has {exits}: leave the looks "
            "out"
        )
    if criterion.carry is not None or criterion.history is not None:
        raise InputError(
            "further looks must go with a criterion that judges each image by itself, got "
            f'"{criterion.name}": leave the looks out'
        )


def describe(accelerator: Accelerator) -> RulesDescription | None:
    """The rule unit of an accelerator; None where it has no rules.

    Raises:
        InputError: rules for other images, or images that the unit does not take.
    """
    rules = accelerator.rules
    if rules is None:
        return None
    stream = accelerator.segments[0].input
    rules.check(accelerator.image_shape)
    if accelerator.image_shape[2] % stream.lanes:
        raise InputError(
            f"rules must go with beats of one pixel, those of {accelerator.name} have "
            f"{stream.lanes} values and a pixel {accelerator.image_shape[2]}: fold the first layer "
            "less, or leave the rules out"
        )
    if stream.dtype.bits != BITS or stream.dtype.signed:
        sign = "signed" if stream.dtype.signed else "unsigned"
        raise InputError(
            f"rules must go with images of {BITS} unsigned bits, {accelerator.name} takes "
            f"{stream.dtype.bits} {sign} bits: leave the rules out"
        )
    if rules.looks:
        _check_looks(accelerator, len(rules.looks))
    return RulesDescription(Unit.of(rules, lanes=stream.lanes), rules)
