"""The tables of `ex_explain` and its cycles; the RTL itself is tested in `rtl_tests/explain`."""

from __future__ import annotations

import dataclasses
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from exeunt.errors import InputError
from exeunt.explain import backward, context, engine, scales, walk
from exeunt.explain.backward import Scales
from exeunt.explain.design import SCATTER, SWEEP, WALK
from exeunt.explain.lower import lower
from exeunt.explain.program import METHODS, Program
from exeunt.explain.store import GROUP
from exeunt.explain.tables import Table, word_of
from exeunt.explain.taps import Place, Tap, place_of
from exeunt.graph import Accelerator, Integer, Stream

Made = tuple[dict[tuple[str, int], Program], dict[tuple[str, int], Scales]]


def _made(
    accelerator: Accelerator, images: np.ndarray, methods: Any, bits: int = 8, **more: Any
) -> Made:
    programs, numbers = {}, {}
    for method in methods:
        for exit in range(len(accelerator.heads)):
            made = walk.program(accelerator, exit, method)
            found = context.forward(accelerator, made, images)
            programs[method, exit] = made
            numbers[method, exit] = scales.calibrated(
                made, found, found.logits.argmax(1), bits=bits, **more
            )
    return programs, numbers


def _graph(graphs: ModuleType, name: str) -> tuple[Accelerator, np.ndarray]:
    accelerator = graphs.straight(graphs.GRAPHS[name]())
    return accelerator, graphs.frames(accelerator, count=4)


def test_the_program_says_where_each_step_ends(graphs: ModuleType) -> None:
    accelerator, images = _graph(graphs, "three exits")
    made = lower(*_made(accelerator, images, METHODS), exits=3)
    bits = made.parameters["F"]
    table = made.tables["PROGRAM_FILE"]
    pointers = table[: 3 * len(METHODS)]
    assert len(table) == made.parameters["FIELDS"]
    for place, pointer in enumerate(pointers):
        method, exit = METHODS[place // 3], place % 3
        at = pointer
        for step in made.steps[method, exit]:
            order = (SWEEP if step.sweeps else SCATTER) + WALK
            assert len(order) == step.count
            ends = [table[at + k] >> bits for k in range(step.count)]
            assert ends == [0] * (step.count - 1) + [1]
            flags = table[at + step.count - 1] & ((1 << bits) - 1)
            assert flags == step.fields["flags"]
            at += step.count
        assert step.map
    assert made.shapes[2, "saliency"] == (*accelerator.image_shape,)
    lines = made.hex("WEIGHT_FILE").splitlines()
    assert [int(x, 16) for x in lines] == list(made.tables["WEIGHT_FILE"])
    assert len({len(x) for x in lines}) == 1


def test_equal_weights_are_kept_once(graphs: ModuleType) -> None:
    accelerator, images = _graph(graphs, "three exits")
    one = lower(*_made(accelerator, images, METHODS[:1]), exits=3)
    four = lower(*_made(accelerator, images, METHODS[:4]), exits=3)
    assert one.tables["WEIGHT_FILE"] == four.tables["WEIGHT_FILE"]
    assert one.tables["ROW_FILE"] == four.tables["ROW_FILE"]
    table: Table[int] = Table()
    assert (table.place([3, 4]), table.place([5]), table.place([3, 4])) == (0, 2, 0)
    assert table.words == [3, 4, 5]


def test_lanes_lie_side_by_side() -> None:
    assert word_of([1, -1, 7], 4) == 0x7F1


def test_words_of_a_tap(graphs: ModuleType) -> None:
    """Every word against its definition, of all kinds of taps."""
    accelerator, images = _graph(graphs, "three exits")
    programs, numbers = _made(accelerator, images, METHODS)
    made = lower(programs, numbers, exits=3)
    assert {tap.kind for tap in made.taps} == {"mask", "way", "pixels", "features"}
    for tap in made.taps:
        needed = [
            key for key, steps in made.steps.items() if any(s.tap >= 0 and made.taps[s.tap] is tap
            for s in steps)
        ]  # fmt: skip
        found = context.forward(accelerator, programs[needed[0]], images)
        values = tap.values(found)
        words = tap.packed(found)
        height, width, channels = tap.shape
        assert words.shape == (len(images), tap.words)
        assert values.any()
        for (frame, y, x, c), value in np.ndenumerate(values):
            word = int(words[frame, (y * width + x) * tap.groups + c // GROUP])
            lane = word >> (tap.bits * (c % GROUP)) & ((1 << tap.bits) - 1)
            assert lane == value
            assert word >> (tap.bits * tap.lanes) == 0
        assert height * width * channels * len(images) == values.size


def test_a_word_of_seventeen_channels_has_a_second_one_beside_it() -> None:
    tap = Tap("mask", 0, Place("mvu"), (2, 2, 17), 1)
    assert (tap.lanes, tap.groups, tap.words) == (16, 2, 8)


def test_a_number_that_two_exits_have_is_of_two_places(graphs: ModuleType) -> None:
    accelerator, images = _graph(graphs, "three exits")
    programs, _ = _made(accelerator, images, METHODS[:1])
    first, second = programs["saliency", 0], programs["saliency", 1]
    behind = len(accelerator.segments[0].streams)  # head 0 and segment 1 both go on from here
    places = [place_of(program, behind) for program in (first, second)]
    assert places[0].node == accelerator.heads[0].nodes[0].name
    assert places[1].node == accelerator.segments[1].nodes[0].name
    assert place_of(first, behind - 1) == place_of(second, behind - 1)
    assert place_of(first, -1) == Place("")
    taps = [Tap("mask", behind, place, (2, 2, 8), 1) for place in places]
    assert taps[0] != taps[1]
    assert Tap("mask", 5, places[0], (2, 2, 8), 1) == taps[0]


def _literal(bits: np.ndarray, beats: int, channels: tuple[int, int], groups: int) -> int:
    """Cycle by cycle: three stages, an item in front waits until the one before it is done."""
    slots: list[bool] = []
    for number, word in enumerate(bits):
        lanes = np.flatnonzero(word)
        here = [channels[0] <= number % groups * GROUP + k <= channels[1] for k in lanes]
        slots += here or [False]
    front: list[bool | None] = [None, None, None]  # nearest to the sums last
    waiting, cycle, left, last_beat = list(slots), 0, 0, -10
    while True:
        cycle += 1
        ready = left <= 1
        if left:
            left -= 1
            last_beat = cycle
        if front[2] and not ready:
            continue
        if front[2]:
            left = beats
        front = [waiting.pop(0) if waiting else None, front[0] or None, front[1] or None]
        busy = bool(waiting) or any(x is not None for x in front) or left
        if not busy and cycle >= last_beat + 3:
            return cycle + 1


def test_cycles_of_a_walk_are_those_of_its_pipe() -> None:
    random = np.random.default_rng(0)
    for share in (0.0, 0.02, 0.1, 0.5, 1.0):
        for beats in (1, 2, 5, 40):
            for groups, channels in ((1, (0, 99)), (2, (3, 20)), (3, (0, 15))):
                bits = random.random((12 * groups, GROUP)) < share
                found = engine.walk(bits, beats, channels, groups)
                assert found == _literal(bits, beats, channels, groups), (share, beats, channels)


def test_zeros_cost_nothing_behind_a_long_row(graphs: ModuleType) -> None:
    bits = np.zeros((30, GROUP), bool)
    bits[[0, 10, 25], 3] = True
    dense = np.ones((30, GROUP), bool)
    assert engine.walk(bits, 20, (0, 99), 1) < 4 + 3 * 20 + 10
    assert engine.walk(dense, 20, (0, 99), 1) > 30 * GROUP * 20


@pytest.mark.parametrize(
    ("name", "pe", "bits", "said"),
    [
        ("three exits", 3, 8, "the lanes of an explanation engine must be a power of two, got 3"),
        ("three exits", 0, 8, "must be a power of two, got 0"),
        ("three exits", 8, 15, r"one width of up to 14 bits, got \[15\]: choose 8"),
        ("pools alone", 8, 8, "must have one max pool behind it to be explained .* got 2"),
    ],
)  # fmt: skip
def test_what_the_engine_does_not_have(
    name: str, pe: int, bits: int, said: str, graphs: ModuleType
) -> None:
    accelerator, images = _graph(graphs, name)
    made = _made(accelerator, images, ["saliency"], bits)
    with pytest.raises(InputError, match=said):
        lower(*made, exits=len(accelerator.heads), pe=pe)


def test_a_code_that_is_none_is_refused(graphs: ModuleType) -> None:
    accelerator, images = _graph(graphs, "three exits")
    made = _made(accelerator, images, ["saliency"])
    with pytest.raises(
        InputError, match="code of a heat map must be one of linear, log, levels, got 'b'"
    ):
        lower(*made, exits=3, code="b")
    assert lower(*made, exits=3).code == "log"


def test_an_image_that_is_averaged_at_once_is_refused(graphs: ModuleType) -> None:
    accelerator, images = _graph(graphs, "three exits")
    programs, numbers = _made(accelerator, images, ["saliency"])
    made = programs["saliency", 0]
    last = dataclasses.replace(made.sweeps[-1], spread=(2, 2))
    programs["saliency", 0] = dataclasses.replace(made, sweeps=(*made.sweeps[:-1], last))
    with pytest.raises(InputError, match=r"must not go to an average pool at once .* got \(2, 2\)"):
        lower(programs, numbers, exits=3)


def test_terms_too_far_apart_are_refused(graphs: ModuleType) -> None:
    accelerator, images = _graph(graphs, "three exits")
    programs, numbers = _made(accelerator, images, ["saliency"])
    chosen = numbers["saliency", 1]
    far = dataclasses.replace(chosen.sweeps[0], left=(16,))
    numbers["saliency", 1] = dataclasses.replace(chosen, sweeps=(far, *chosen.sweeps[1:]))
    with pytest.raises(InputError, match=r"must differ by up to 15 bits to be explained .* got 16"):
        lower(programs, numbers, exits=3)


def test_an_exponent_without_room_is_refused(graphs: ModuleType) -> None:
    accelerator, images = _graph(graphs, "three exits")
    programs, numbers = _made(accelerator, images, ["saliency"])
    chosen = numbers["saliency", 1]
    far = dataclasses.replace(chosen.sweeps[-1], exponent=128)
    numbers["saliency", 1] = dataclasses.replace(chosen, sweeps=(*chosen.sweeps[:-1], far))
    with pytest.raises(InputError, match="exponent of a map must be -128 to 127, got 128"):
        lower(programs, numbers, exits=3)


def test_features_with_a_sign_are_refused(graphs: ModuleType) -> None:
    accelerator, images = _graph(graphs, "three exits")
    programs, numbers = _made(accelerator, images, ["grad-cam"])
    made = programs["grad-cam", 0]
    assert made.features is not None
    number, nodes = -1, []
    for node in made.nodes:
        number += len(node.outputs)
        if number == made.features.tensor:
            stream = node.output
            signed = Stream(stream.shape, Integer(stream.dtype.bits, signed=True), stream.lanes)
            node = dataclasses.replace(node, output=signed)
        nodes.append(node)
    programs["grad-cam", 0] = dataclasses.replace(made, nodes=tuple(nodes))
    with pytest.raises(InputError, match=r"features of .* must be 0 and more .* got -8 and more"):
        lower(programs, numbers, exits=3)


def test_a_second_request_waits_for_the_first(graphs: ModuleType) -> None:
    accelerator, images = _graph(graphs, "three exits")
    programs, numbers = _made(accelerator, images, ["saliency"])
    made = lower(programs, numbers, exits=3)
    program = programs["saliency", 1]
    found = context.forward(accelerator, program, images)
    classes = found.logits.argmax(1)
    maps = backward.maps(program, numbers["saliency", 1], found, classes, streams=True)
    times = [engine.timed(made, "saliency", 1, found, maps, k) for k in range(3)]
    moves = engine.moves(times)
    alone = engine.moves(times[:1])
    assert moves.takes[0] == 0
    assert moves.gives[: len(alone.gives)] == alone.gives
    assert moves.takes[1] == times[0].fixed + times[0].values - 1 + 2
    later = engine.moves(times, [0, 100_000, 100_000])
    assert later.takes[1] == 100_000
    assert later.takes[2] - later.takes[1] == moves.takes[2] - moves.takes[1]
    packets = engine.packets(made, "saliency", 1, maps, [7, 8, 9, 10])
    assert [len(p) // 4 for p in packets][:3] == [t.words for t in times]


def test_dense_is_what_full_streams_take(graphs: ModuleType) -> None:
    """With nothing masked and nothing 0 the cycles of a map are the dense ones."""
    accelerator, images = _graph(graphs, "three exits")
    programs, numbers = _made(accelerator, images, ["saliency"])
    made = lower(programs, numbers, exits=3)
    program = programs["saliency", 2]
    found = context.forward(accelerator, program, images)
    full = dataclasses.replace(found, masks={k: np.ones_like(v) for k, v in found.masks.items()})
    maps = backward.maps(
        program, numbers["saliency", 2], full, found.logits.argmax(1), streams=True
    )
    ones = tuple(np.ones_like(s) for s in maps.streams)
    one = engine.timed(made, "saliency", 2, full, dataclasses.replace(maps, streams=ones), 0)
    assert one.fixed + one.values == engine.dense(made, "saliency", 2)
    more = engine.dense(made, "saliency", 2, pooled=False)
    steps = made.steps["saliency", 2]
    routed = [s for s in steps if s.inputs > 1]
    assert routed
    added = 0
    for step in routed:
        channels = GROUP * (step.shape[2] - 1) + step.fields["last_lane"] + 1
        added += step.shape[0] * step.shape[1] * channels * step.beats * (step.inputs - 1)
    assert more - engine.dense(made, "saliency", 2) == added
