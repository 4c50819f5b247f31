"""Windows with two sides, groups, dilation and residual blocks in a config."""

from __future__ import annotations

import pytest

from exeunt.config import tree
from exeunt.config.manual import manual
from exeunt.errors import InputError
from exeunt.window import Window

HEAD = """
name = "kinds"
[data]
dataset = "digits"
[model]
input = [12, 9, 2]
classes = 4
[[model.stages]]
"""


def parsed(blocks: str) -> tree.Config:
    return tree.parse(f"{HEAD}blocks = [{blocks}]\n")


def window(entries: str) -> Window:
    (block,) = parsed(f"{{ conv = 4, {entries} }}").model.stages[0].blocks
    found: Window = block.window
    return found


def test_sides_of_a_window() -> None:
    assert window("kernel = 3") == Window((3, 3), (1, 1), (0, 0, 0, 0))
    assert window("kernel = [3, 1], stride = [2, 1], padding = [1, 0]") == Window(
        (3, 1), (2, 1), (1, 0, 1, 0)
    )
    assert window("kernel = 3, padding = [0, 1, 2, 2]") == Window((3, 3), (1, 1), (0, 1, 2, 2))
    assert window("dilation = [2, 1], padding = [4, 0]") == Window(
        (3, 3), (1, 1), (4, 0, 4, 0), (2, 1)
    )


BLOCKS = (
    "{ conv = 4, kernel = [3, 1], padding = [1, 0], groups = 2 }, "
    "{ residual = [{ conv = 4, padding = 1 }, { conv = 6, stride = 2, padding = 1 }] }"
)


def test_a_config_of_every_kind_is_written_and_read_again() -> None:
    config = parsed(BLOCKS)
    assert tree.parse(tree.to_toml(config)) == config
    text = manual(config)
    assert tree.parse(text) == config
    assert "groups: parts of the channels" in text
    assert "residual: convolutions of the long way, in order (list of: Conv tables" in text


REFUSED = [
    (
        "{ conv = 4, groups = 3 }",
        "blocks[0].groups must divide the 2 channels that enter and the 4 that leave, got 3",
    ),
    (
        "{ conv = 5, groups = 2 }",
        "blocks[0].groups must divide the 2 channels that enter and the 5 that leave, got 2",
    ),
    ("{ conv = 4, groups = 0 }", "blocks[0].groups must be at least 1, got 0"),
    (
        "{ conv = 4, kernel = [3, 1], padding = 1 }",
        "blocks[0].padding must be below the window [3, 1], got [1, 1, 1, 1]",
    ),
    (
        "{ conv = 4, kernel = [13, 1] }",
        "blocks[0] must have a window within its 12 x 9 input, got [13, 1]",
    ),
    (
        "{ conv = 4, dilation = 5 }",
        "blocks[0] must have a window within its 12 x 9 input, got 11",
    ),
    (
        "{ conv = 4, kernel = [3, 3, 3] }",
        "blocks[0].kernel must be an integer or shorter: at most 2 items, got [3, 3, 3]",
    ),
    (
        "{ residual = [] }",
        "blocks[0].residual must be longer: at least 1 item, got []",
    ),
    (
        '{ residual = [{ conv = 4, padding = 1 }], shortcut = "identity" }',
        'blocks[0].shortcut must be "conv" where the long way makes 12 x 9 x 4 of 12 x 9 x 2, got '
        '"identity"',
    ),
    (
        "{ residual = [{ conv = 4, stride = 4 }, { conv = 4 }] }",
        "blocks[0].residual[1] must have a window within its 3 x 2 input, got 3",
    ),
    (
        "{ residual = [{ conv = 4 }, { conv = 4 }] }",
        "blocks[0] must have a long way whose map a 1 x 1 convolution with a stride also makes of "
        "12 x 9 x 2, got 8 x 5 x 4: pad by half the kernel",
    ),
    (
        "{ residual = [{ conv = 4, groups = 3, padding = 1 }] }",
        "blocks[0].residual[0].groups must divide the 2 channels that enter and the 4 that leave",
    ),
    (
        "{ residual = [{ conv = 2, padding = 1 }] }",
        'blocks[0].shortcut must be "conv" where the image itself would be added, got "identity"',
    ),
    (
        '{ pool = "max" }, { residual = [{ conv = 2, padding = 1 }] }',
        'blocks[1].shortcut must be "conv" where the image itself would be added, got "identity"',
    ),
    (
        '{ conv = 4 }, { residual = [{ pool = "max", size = 3 }] }',
        "blocks[1].residual[0] must be a convolution, as all of a residual block, got "
        '{ pool = "max" }: put it into a block of its own',
    ),
    (
        "{ conv = 4 }, { residual = [{ conv = 4 }, { residual = [{ conv = 4 }] }] }",
        "blocks[1].residual[1] must be a convolution, as all of a residual block, got "
        "{ residual = [{ conv = 4 }] }: put it into a block of its own",
    ),
]


def test_what_is_added_may_be_made_of_the_image() -> None:
    parsed('{ residual = [{ conv = 2, padding = 1 }], shortcut = "conv" }')
    parsed("{ conv = 2, padding = 1 }, { residual = [{ conv = 2, padding = 1 }] }")


@pytest.mark.parametrize(("blocks", "said"), REFUSED, ids=[said[:40] for _, said in REFUSED])
def test_what_cannot_be_is_refused(blocks: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        parsed(blocks)
    assert f"model.stages[0].{said}" in str(error.value)


def test_a_pass_that_does_not_know_residual_blocks_is_refused() -> None:
    text = f'{HEAD}blocks = [{BLOCKS}]\n[compress]\npasses = [{{ kind = "precision" }}]\n'
    with pytest.raises(InputError) as error:
        tree.parse(text)
    assert (
        'compress.passes[0] of kind "precision" must have stages without residual blocks, got one '
        "at model.stages[0].blocks[1]: change it"
    ) in str(error.value)
    assert tree.parse(text.replace("precision", "sharing")).compress is not None
