"""The rules of an accelerator with a rule unit: on and off, others, and how often each fired."""

from __future__ import annotations

from collections.abc import Sequence

from exeunt.errors import InputError
from exeunt.registers import BY_NAME, threshold_word
from exeunt.rules import RuleSet, sentences
from exeunt.rules.unit import Unit
from exeunt.runtime.device import Device, signed


class Rules:
    """What modifies the images before the network sees them; `Accelerator.rules`.

    All of it waits for the transfers under way.
    """

    def __init__(self, device: Device, rules: RuleSet, unit: Unit) -> None:
        self._device = device
        self._rules = rules
        self._unit = unit
        self._network = rules.network

    @property
    def set(self) -> RuleSet:
        """The rules that are in the device."""
        return self._rules

    @property
    def sentences(self) -> list[str]:
        """The rules in words."""
        return sentences(self._rules)

    @property
    def enabled(self) -> bool:
        """Whether images are modified; it may be set."""
        return bool(self._device.registers["rules.enabled"])

    @enabled.setter
    def enabled(self, on: bool) -> None:
        with self._device.alone():
            self._device.registers["rules"] = int(bool(on))

    @property
    def thresholds(self) -> tuple[int, ...]:
        """Those of exit 0 after each further look, in force; they may be set, all at once."""
        words = self._device.thresholds()
        return tuple(signed(w) for w in words[self._device.description.exits - 1 : -1])

    @thresholds.setter
    def thresholds(self, values: Sequence[int]) -> None:
        looks = len(self._rules.looks)
        if len(values) != looks:
            raise InputError(
                f"thresholds must have one entry for each of {looks} further looks, got "
                f"{len(values)}; give them all."
            )
        words = self._device.thresholds()[: self._device.description.exits - 1]
        self._device.commit([*words, *map(threshold_word, values)])

    @property
    def fired(self) -> tuple[int, ...]:
        """How often each rule fired since the last reset, in the order of `sentences`."""
        return self._counts()[1:]

    @property
    def unchanged(self) -> int:
        """How many images no rule has met since the last reset."""
        return self._counts()[0]

    def _counts(self) -> tuple[int, ...]:
        found = []
        with self._device.alone():
            for rule in range(len(self._rules.every) + 1):
                self._device.registers["rule_at"] = rule
                _ = self._device.registers["rule_at"]  # its count is there two cycles later
                found.append(self._device.registers["rule_fired"])
        return tuple(found)

    def write(self, rules: RuleSet) -> None:
        """Give the device other rules; they are gone when the bitstream is loaded again.

        Raises:
            InputError: rules that the unit was not built for, or of another network.
            DeviceError: the device does not answer.
        """
        self._unit.check(rules)
        rules.check(self._unit.shape, network=self._network)
        words = self._unit.words(rules)
        fields = BY_NAME["rule_at"].fields
        with self._device.alone():
            for space, values in words.items():
                self._device.registers["rule_at"] = fields["space"].put(space)
                for value in values:
                    self._device.registers["rule_word"] = value
            self._rules = rules
        if rules.looks:
            self.thresholds = rules.thresholds
