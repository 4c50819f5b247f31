"""Boards as data: what is shipped, what is refused, and a board of the user's own."""

from __future__ import annotations

import pytest

from exeunt.boards import targets
from exeunt.errors import InputError

MINE = """
title = "My board"
flow = "vivado"
family = "xc7"
part = "xc7z010clg400-1"
clock_mhz = 50.0

[resources]
lut = 17600
ff = 35200
dsp = 80
bram18 = 120

[vivado]
port_bits = 64
address_bits = 32
"""


def test_shipped_boards():
    assert targets.names() == (
        "kv260",
        "pynq-z1",
        "pynq-z2",
        "ultra96-v2",
        "ulx3s-85f",
        "zcu104",
    )
    parts = {name: targets.load(name).part for name in targets.names()}
    # as in FINN's table of parts, but for the ECP5
    assert parts["pynq-z1"] == parts["pynq-z2"] == "xc7z020clg400-1"
    assert parts["zcu104"] == "xczu7ev-ffvc1156-2-e"
    assert parts["kv260"] == "xck26-sfvc784-2LV-c"
    assert parts["ultra96-v2"] == "xczu3eg-sbva484-1-i"
    for name in targets.names():
        board = targets.load(name)
        assert board.name == board.folder.name == name
        assert (board.family == "ecp5") == (board.flow == "nextpnr")


def test_own_board_is_one_folder(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "board.toml").write_text(MINE)
    board = targets.load(folder)
    assert board == targets.load(folder / "board.toml")
    assert (board.name, board.part, board.resources.lut) == ("mine", "xc7z010clg400-1", 17600)
    assert board.sensors.total == ""
    with pytest.raises(InputError, match=r"^board mine must have preset.tcl in .*, got no such"):
        board.file("preset.tcl")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("clock_mhz = 50.0", "clock = 50.0", "key 'clock' must be a known one, got 'clock': did "
         "you mean 'clock_mhz'?"),
        ("dsp = 80", "dps = 80", "key 'resources.dps' must be a known one, got 'dps': did you "
         "mean 'dsp'?"),
        ("dsp = 80", "dsp = 0", "resources.dsp must be greater than or equal to 1, got 0: "
         "change it"),
        ("lut = 17600", "", "key 'resources.lut' must be given, got nothing: add it"),
        ('"vivado"', '"quartus"', 'flow must be "vivado" or "nextpnr", got \'quartus\': change it'),
        ('"vivado"', '"nextpnr"', "flow 'nextpnr' must have a table [nextpnr], got none: "
         "change it"),
        ('"xc7"', '"ecp5"', 'flow of family "ecp5" must be "nextpnr", got "vivado": change it'),
        ("port_bits = 64", "port_bits = 48", "vivado.port_bits must be 32, 64 or 128, got 48: "
         "change it"),
        ("title", 'name = "x"\ntitle', "name must be that of its folder, got a key for it: "
         "remove the key"),
        ("title =", "title", "must be valid TOML, got "),
    ],
)  # fmt: skip
def test_refusals(tmp_path, old, new, sentence):
    path = tmp_path / "board.toml"
    assert old in MINE
    path.write_text(MINE.replace(old, new, 1))
    with pytest.raises(InputError) as error:
        targets.load(path)
    assert str(error.value).startswith(f"board {path}")
    assert sentence in str(error.value)


def test_unknown_board_names_the_known_ones():
    with pytest.raises(InputError) as error:
        targets.load("pynqz2")
    assert str(error.value) == (
        "board must be one of kv260, pynq-z1, pynq-z2, ultra96-v2, ulx3s-85f, zcu104 or a folder "
        "with a board.toml, got 'pynqz2': did you mean 'pynq-z2'?"
    )
    with pytest.raises(InputError, match=r"got '': see exeunt bitstream --help$"):
        targets.load("")
