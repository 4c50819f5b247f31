"""`ex_registers` against the register map, and the map against itself."""

import pytest
from lib.bench import run_bench
from registers.corners import CORNERS

from exeunt import registers
from exeunt.errors import InputError


@pytest.mark.sim
def test_registers() -> None:
    run_bench("registers", CORNERS, "registers.registers_cocotb")


def test_map_does_not_overlap() -> None:
    seen: dict[int, str] = {}
    for register in (*registers.MAP, *registers.RULES, *registers.EXPLAIN, *registers.HOLD):
        for i in range(registers.MAX_EXITS if register.per_exit else 1):
            address = registers.address(register.name, i)
            assert address % 4 == 0
            assert address < 1 << registers.ADDRESS_BITS
            assert address not in seen, f"{register.name} overlaps {seen[address]}"
            seen[address] = register.name
        used: set[int] = set()
        for name, field in register.fields.items():
            bits = set(range(field.low, field.low + field.width))
            assert not bits & used, f"{register.name}.{name} overlaps"
            assert max(bits) < 32
            used |= bits


def test_map_as_data() -> None:
    data = registers.to_json()
    assert data["status"]["fields"]["in_flight"] == [16, 16]
    assert data["status"]["fields"]["epoch"] == [8, 8]
    assert {n for n, r in data.items() if r["counter"]} == {
        r.name for r in registers.MAP if "at the last snapshot" in r.text
    }
    assert data["threshold"]["address"] == registers.address("threshold")
    assert registers.address("taken", 3) == registers.address("taken") + 12


def test_registers_of_units_are_there_with_them() -> None:
    every, rules = set(registers.to_json()), set(registers.to_json(rules=True))
    explain = set(registers.to_json(explain=True))
    assert rules - every == {r.name for r in registers.RULES}
    assert explain - every == {r.name for r in registers.EXPLAIN}
    hold = set(registers.to_json(hold=True))
    assert hold - every == {r.name for r in registers.HOLD}
    data = registers.to_json(rules=True, explain=True, hold=True)
    assert set(data) == rules | explain | hold
    assert {n for n in hold - every if data[n]["counter"]} == {
        r.name for r in registers.HOLD if "at the last snapshot" in r.text
    }
    assert registers.hold_parameters() == {
        "A_CONTROL": 0x00C,
        "A_HOLD": 0x180,
        "A_WINDOW": 0x184,
        "A_LIMIT": 0x188,
        "A_BAND": 0x1A0,
        "A_STEP": 0x1C0,
        "A_FLOOR": 0x1E0,
        "A_CEILING": 0x200,
        "A_OFFSET": 0x220,
        "A_CHANGES": 0x240,
    }
    assert data["explain_below"]["reset"] == 0x7FFFFFFF
    assert data["explain_below"]["per_exit"]
    assert {n for n in explain - every if data[n]["counter"]} == {
        r.name for r in registers.EXPLAIN if "at the last snapshot" in r.text
    }
    assert registers.explain_parameters() == {
        "A_EVERY": 0x140,
        "A_METHOD": 0x144,
        "A_ASK": 0x148,
        "A_FORGET": 0x14C,
        "A_EXPLAINED": 0x150,
        "A_MISSED": 0x154,
        "A_UNMET": 0x158,
        "A_SLOTS": 0x15C,
        "A_BELOW": 0x160,
    }
    assert registers.BY_NAME["explain_below"].address == registers.explain_parameters()["A_BELOW"]


def test_fields() -> None:
    field = registers.Field(16, 16)
    assert field.get(field.put(0x1234) | 0xFFFF) == 0x1234


@pytest.mark.parametrize(
    ("threshold", "word"),
    [(None, 0x80000000), (0, 0), (-1, 0xFFFFFFFF), (registers.NEVER, 0x7FFFFFFF)],
)
def test_threshold_word(threshold: int | None, word: int) -> None:
    assert registers.threshold_word(threshold) == word


def test_threshold_text() -> None:
    shown = [registers.threshold_text(t) for t in (registers.NEVER, registers.ALWAYS, None, -7)]
    assert shown == ["never", "always", "always", "-7"]


def test_threshold_word_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError) as caught:
        registers.threshold_word(1 << 31)
    assert str(caught.value) == (
        "threshold must fit in 32 signed bits, got 2147483648; calibrate again or use 2147483647 "
        "for never and -2147483648 for always"
    )
