"""The section [compile]: kernels, clock, what is asked of the design, sizes of the controller."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from exeunt.config.layers import Natural
from exeunt.config.section import Section

UNSET = {
    "constants": 0,
    "compressed": None,
    "hold": None,
}  # younger as well, where they are not set
CYCLES = 1024  # where nothing else is asked for
YOUNG = (  # keys that are younger than the hashes of runs without them
    *("board", "resources", "use", "objective", "fps", "latency_us", "percentile"),
)


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError(f"must be a power of two from 2 to 256, got {value}")
    return value


class Resources(Section):
    """The most that the design may take, LUT as 7-series and UltraScale+ have them; unset: any.

    Attributes:
        lut: look-up tables
        dsp: multiplier blocks; 0: products in LUTs alone
        bram18: memory blocks of 18 kbit
    """

    lut: Natural | None = None
    dsp: Natural | None = None
    bram18: Natural | None = None


class Hold(Section):
    """What keeps the rate of each exit, or the latency, within limits, by thresholds that follow.

    It is built, and off until a host turns it on; then these are its limits unless it gives others.

    Attributes:
        window: decisions of an exit after which its threshold may change
        within: how far the share of images that leave at an exit may be off that of the validation
            images, absolute
        step: by which part of itself a threshold changes at once
        most: by which part of itself it changes all in all, up or down
    """

    window: Annotated[int, Field(ge=16, le=65_536)] = 128
    within: Annotated[float, Field(ge=0.0, le=1.0)] = 0.05
    step: Annotated[float, Field(gt=0.0, le=1.0)] = 0.125
    most: Annotated[float, Field(gt=0.0, le=100.0)] = 1.0


class Compile(Section):
    """From QONNX to RTL: kernels, clock, folding, sizes of the controller.

    With `board` or `resources` the folding is optimised for what fits, else it is the cheapest that
    meets `target_cycles`.

    Attributes:
        kernels: "exeunt": ours; "finn": FINN's RTL; "vitis": FINN's own IPs beside ours, with Vitis
            HLS and Vivado
        clock_mhz: clock for which figures are given
        target_cycles: cycles of a frame that the first stage may take; with board or resources
            the time between frames, as fps; unset: 1024, with these what the objective finds
        board: shipped board, or the folder of your own, that the folding is to fill; unset: none
        resources: the most that the design may take, in place of a board or of less than it has
        use: part of the board that the design may take
        objective: "throughput": most frames a second, or fewest resources for fps; "latency":
            least latency, or fewest resources for latency_us; "area": fewest LUT for the targets;
            "energy": least energy of an image, an estimate, within the targets
        fps: frames a second that are enough
        latency_us: latency that is enough, of `percentile`
        percentile: of frames that latency counts, each alone in the accelerator
        headroom: how many more frames than measured later stages are folded for; unset: as many as
            the exits of the validation images ask for, in their order
        constants: most weights of a matrix that becomes additions of its own, constant logic, where
            the folding unfolds it whole; 0: none does
        compressed: whether layers skip zeros or share weights where that is predicted to take fewer
            LUT for the same cycles; unset: if the config has [compress]
        folding: FINN folding file (JSON); unset: folded for what is asked
        buffer_frames: frames that wait for a decision, behind each exit but the last; unset: as
            many as those exits ask for
        in_flight: frames in the accelerator at once, a power of two; unset: the same
        hold: thresholds that follow a rate or a latency can be turned on; true: with all defaults;
            unset: they are not built
        baseline: whether the same network without exits is compiled and simulated too
        finn_part: device for which kernels = "vitis" makes its IPs
    """

    kernels: Literal["exeunt", "finn", "vitis"] = "exeunt"
    clock_mhz: Annotated[float, Field(ge=0.001, le=1000.0)] = 100.0
    target_cycles: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    board: str = ""
    resources: Resources | None = None
    use: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    objective: Literal["throughput", "latency", "area", "energy"] = "throughput"
    fps: Annotated[float, Field(gt=0.0, le=1e9)] | None = None
    latency_us: Annotated[float, Field(gt=0.0, le=1e9)] | None = None
    percentile: Literal[50, 95, 99] = 99
    headroom: Annotated[float, Field(ge=1.0, le=1000.0)] | None = None
    constants: Natural = 0
    compressed: bool | None = None
    folding: str | None = None
    buffer_frames: Annotated[int, Field(ge=1, le=64)] | None = None
    in_flight: Annotated[int, Field(ge=2, le=256), AfterValidator(_power_of_two)] | None = None
    hold: Hold | None = None
    baseline: bool = True
    finn_part: Annotated[str, Field(min_length=1)] = "xc7z020clg400-1"

    @field_validator("hold", mode="before")
    @classmethod
    def _switch(cls, value: Any) -> Any:
        """The words true and false."""
        return {True: {}, False: None}[value] if isinstance(value, bool) else value

    @property
    def optimised(self) -> bool:
        """Whether the folding is to fill a board or given resources."""
        return bool(self.board) or self.resources is not None

    @property
    def cycles(self) -> int:
        """Cycles between frames that are asked for, 1024 where nothing is said of them."""
        if self.target_cycles is None and self.fps is not None:
            return max(1, int(self.clock_mhz * 1e6 / self.fps))
        return CYCLES if self.target_cycles is None else self.target_cycles

    @property
    def spare(self) -> float:
        """The head room for which costs are foretold before bursts are known."""
        return 1.0 if self.headroom is None else self.headroom

    @property
    def asked(self) -> int | None:
        """Cycles between frames that an optimised folding may take at most, None for any."""
        return None if self.target_cycles is None and self.fps is None else self.cycles

    def untargeted(self) -> Compile:
        """The same without targets, where only what fits is asked."""
        if not self.optimised:
            return self
        free = dict.fromkeys(("target_cycles", "fps", "latency_us"))
        return self.model_copy(update={**free, "objective": "throughput"})

    @model_validator(mode="after")
    def _check(self) -> Compile:
        if self.constants and (self.optimised or self.kernels != "exeunt"):
            raise ValueError(
                'constants must be 0 with board or resources and with other kernels than "exeunt", '
                f"got {self.constants}"
            )
        if self.compressed and (self.optimised or self.kernels != "exeunt"):
            raise ValueError(
                "compressed must be false with board or resources and with other kernels than "
                '"exeunt", got true: leave it out'
            )
        if not self.optimised:
            self._check_plain()
        elif self.kernels != "exeunt":
            raise ValueError(
                'kernels must be "exeunt" with board or resources, since the sizes of others are '
                f'not known before synthesis, got "{self.kernels}"'
            )
        if self.resources is not None and not self.resources.model_dump(exclude_none=True):
            raise ValueError("resources must limit LUT, DSP or BRAM18, got none of them")
        if self.fps is not None and self.target_cycles is not None:
            raise ValueError(
                "fps must be absent with target_cycles, which says the same in cycles, got "
                f"{self.fps:g} beside {self.target_cycles}"
            )
        if self.objective == "area" and self.asked is None and self.latency_us is None:
            raise ValueError(
                'objective must come with fps, latency_us or target_cycles where it is "area", got '
                "none of them"
            )
        if self.objective == "throughput" and self.latency_us is not None:
            raise ValueError(
                'latency_us must go with objective "latency", "area" or "energy", got '
                f'{self.latency_us:g} with "throughput"'
            )
        return self

    def _check_plain(self) -> None:
        """Nothing that only an optimised folding could heed."""
        given: dict[str, Any] = {"fps": self.fps, "latency_us": self.latency_us}
        if self.objective != "throughput":
            given["objective"] = self.objective
        for key, value in given.items():
            if value is not None:
                raise ValueError(
                    f"{key} must come with board or resources, got {json.dumps(value)} without them"
                )


def hashed(values: dict[str, Any]) -> dict[str, Any]:
    """A dumped section as hashes take it: as ever where no board and no resources are named."""
    values = {k: v for k, v in values.items() if k not in UNSET or v != UNSET[k]}
    if values["board"] or values["resources"] is not None:
        return values
    known = {key: value for key, value in values.items() if key not in YOUNG}
    return {**known, "target_cycles": known["target_cycles"] or CYCLES}
