"""[compile]: what is asked of the design, and what of it does not go together."""

from __future__ import annotations

from pathlib import Path

import pytest

from exeunt.config import tree
from exeunt.config.compile import CYCLES
from exeunt.errors import InputError

BASE = """
name = "tiny"
[data]
dataset = "digits"
[model]
input = [8, 8, 1]
classes = 10
[[model.stages]]
blocks = [{ conv = 8, kernel = 3 }]
[compile]
"""
TWO = BASE.replace("[compile]", "[[model.stages]]\nblocks = [{ conv = 8, kernel = 3 }]\n[compile]")


def parsed(text: str) -> tree.Compile:
    return tree.parse(BASE + text).compile


def test_nothing_changes_for_runs_without_a_board() -> None:
    """Hashes as they were before there were boards, so that nothing is done again."""
    known = {
        "digits": "964e4d4407d989a753dc45654053c49dd4e1ba6f9f55cd553987acf3cb5b0bb7",
        "mnist": "70f1b711c4303e447fe8201e0db59802bef56765cffd62783dde11cdaf7821c9",
        "zoo:mnist": "200aa97d7034d84cfd5d0e8da1b9c94aff6225d9b09faa57405a937e38c111d3",
    }
    fixed = {"headroom": 1.5, "buffer_frames": 4, "in_flight": 16}  # now found where they are unset
    for name, was in known.items():
        config = tree.load(name)
        same = config.model_copy(update={"compile": config.compile.model_copy(update=fixed)})
        assert tree.hash_of(same) == was
        assert tree.hash_of(config) != was
        assert tree.hash_of(config, "data", "model", "train") == tree.hash_of(
            same, "data", "model", "train"
        )
    plain = tree.parse(BASE)
    same = tree.parse(BASE + "target_cycles = 1024\nuse = 0.5")
    assert tree.hash_of(plain) == tree.hash_of(same)
    assert plain.compile.cycles == CYCLES == 1024
    assert plain.compile.asked is None
    assert not plain.compile.optimised


def test_thresholds_that_follow() -> None:
    plain = tree.parse(BASE)
    assert plain.compile.hold is None
    assert tree.hash_of(plain) == tree.hash_of(tree.parse(BASE + "hold = false"))
    found = tree.parse(TWO + "hold = true").compile.hold
    assert found is not None
    assert (found.window, found.within, found.step, found.most) == (128, 0.05, 0.125, 1.0)
    other = tree.parse(TWO + "hold = { window = 64 }")
    assert other.compile.hold is not None
    assert other.compile.hold.window == 64
    hashes = {tree.hash_of(tree.parse(TWO + text), "compile") for text in (
        "", "hold = true", "hold = { window = 64 }")}  # fmt: skip
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            BASE + "hold = true",
            "compile.hold must be absent for a network of one exit, which no image leaves early, "
            "got one",
        ),
        (
            TWO.replace("[compile]", "[rules]\nlooks = 1\n[compile]\nhold = true"),
            "compile.hold must go without further looks, got rules.looks = 1",
        ),
        (
            TWO.replace(
                "[compile]", '[calibrate]\ncriterion = "exclusion"\n[compile]\nhold = true'
            ),
            "compile.hold must go with a criterion whose images carry on nothing that depends on "
            'thresholds, got "exclusion"',
        ),
    ],
)  # fmt: skip
def test_where_thresholds_cannot_follow(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as told:
        tree.parse(text)
    assert sentence in str(told.value)


def test_with_a_board_every_wish_counts() -> None:
    base = 'board = "pynq-z2"\n'
    texts = ("", "use = 0.5", "resources = { dsp = 3 }", "fps = 100.0", "target_cycles = 1024",
             'objective = "latency"', 'objective = "latency"\npercentile = 50')  # fmt: skip
    hashes = {tree.hash_of(tree.parse(BASE + base + text), "compile") for text in texts}
    assert len(hashes) == len(texts)
    assert parsed(base + "fps = 1000.0\nclock_mhz = 50.0").cycles == 50_000
    assert parsed(base + "fps = 1000.0").asked == 100_000
    assert parsed(base + "target_cycles = 77").asked == 77
    assert parsed(base).asked is None
    assert parsed("resources = { lut = 5 }").optimised


def test_a_board_of_the_users_is_beside_the_config(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(BASE + 'board = "./mine"\n')
    assert Path(tree.load(path).compile.board) == tmp_path / "mine"
    path.write_text(BASE + 'board = "pynq-z2"\n')
    (tmp_path / "pynq-z2").mkdir()
    assert tree.load(path).compile.board == "pynq-z2"


def test_it_survives_a_round_trip() -> None:
    made = tree.parse(BASE + 'board = "pynq-z2"\nresources = { lut = 9 }\nfps = 3.0')
    assert tree.parse(tree.to_toml(made)) == made


def test_without_targets_only_what_fits_is_asked() -> None:
    wish = parsed('board = "pynq-z2"\nobjective = "area"\nfps = 9.0\nlatency_us = 3.0')
    free = wish.untargeted()
    assert (free.objective, free.fps, free.latency_us, free.asked) == ("throughput",) + (None,) * 3
    assert free.board == "pynq-z2"
    plain = parsed("target_cycles = 5")
    assert plain.untargeted() == plain


def test_energy_needs_no_target() -> None:
    free = parsed('board = "pynq-z2"\nobjective = "energy"')
    assert (free.objective, free.asked) == ("energy", None)
    both = parsed('board = "pynq-z2"\nobjective = "energy"\nfps = 9.0\nlatency_us = 3.0')
    assert both.untargeted().objective == "throughput"


REFUSED = [
    (
        'board = "pynq-z2"\nfps = 3.0\ntarget_cycles = 5',
        "compile.fps must be absent with target_cycles, which says the same in cycles, got 3 "
        "beside 5: change it",
    ),
    (
        "fps = 3.0",
        "compile.fps must come with board or resources, got 3.0 without them: change it",
    ),
    (
        "latency_us = 3.0",
        "compile.latency_us must come with board or resources, got 3.0 without them: change it",
    ),
    (
        'objective = "area"',
        'compile.objective must come with board or resources, got "area" without them: change it',
    ),
    (
        "resources = {}",
        "compile.resources must limit LUT, DSP or BRAM18, got none of them: change it",
    ),
    (
        "resources = { bram = 3 }",
        "key 'compile.resources.bram' must be a known one, got 'bram': did you mean 'bram18'?",
    ),
    (
        "resources = { dsp = -1 }",
        "compile.resources.dsp must be at least 0, got -1: change it",
    ),
    (
        'board = "pynq-z2"\nkernels = "finn"',
        'compile.kernels must be "exeunt" with board or resources, since the sizes of others are '
        'not known before synthesis, got "finn": change it',
    ),
    (
        'objective = "energy"',
        'compile.objective must come with board or resources, got "energy" without them: change it',
    ),
    (
        'board = "pynq-z2"\nobjective = "energie"',
        'compile.objective must be "throughput", "latency", "area" or "energy", got "energie": '
        'did you mean "energy"?',
    ),
    (
        'board = "pynq-z2"\nobjective = "area"',
        'compile.objective must come with fps, latency_us or target_cycles where it is "area", got '
        "none of them: change it",
    ),
    (
        'board = "pynq-z2"\nlatency_us = 3.0',
        'compile.latency_us must go with objective "latency", "area" or "energy", got 3 with '
        '"throughput": change it',
    ),
    ('board = "pynq-z2"\nuse = 1.5', "compile.use must be at most 1, got 1.5: change it"),
    ('board = "pynq-z2"\nuse = 0.0', "compile.use must be above 0, got 0.0: change it"),
    (
        'board = "pynq-z2"\npercentile = 90',
        "compile.percentile must be 50, 95 or 99, got 90: change it",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_what_does_not_go_together(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as error:
        parsed(text)
    assert str(error.value) == f"config config: {sentence}"


def test_kernels_of_compressed_networks_are_asked_for_or_follow_the_compression() -> None:
    assert parsed("").compressed is None
    assert parsed("compressed = true").compressed
    plain = tree.parse(BASE)
    asked = {tree.hash_of(tree.parse(BASE + text), "compile") for text in (
        "", "compressed = true", "compressed = false", "constants = 9")}  # fmt: skip
    assert len(asked) == 4
    assert tree.hash_of(plain, "compile") in asked
    for other in ('board = "pynq-z2"', "resources = { lut = 9 }", 'kernels = "finn"'):
        with pytest.raises(InputError, match="compressed must be false with board or resources"):
            parsed(f"{other}\ncompressed = true")
        assert not parsed(f"{other}\ncompressed = false").compressed
