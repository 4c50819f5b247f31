"""Networks by one word."""

from __future__ import annotations

import pytest

from exeunt.config import presets, tree
from exeunt.config.derived import of_file
from exeunt.errors import InputError

HEAD = """
name = "named"
[data]
dataset = "cifar10"
[model]
classes = 10
"""


def parsed(entries: str) -> tree.Model:
    return tree.parse(f"{HEAD}{entries}\n").model


def channels(stages: tuple[presets.Table, ...]) -> list[list[int]]:
    found = []
    for stage in stages:
        layers = [c for b in stage["blocks"] for c in b.get("residual", (b,))]
        found.append([c["conv"] for c in layers if "conv" in c])
    return found


def test_stages_of_a_vgg() -> None:
    made = presets.stages("vgg", 32, (32, 32, 3))
    assert channels(made) == [[32, 48], [64, 96], [96, 128, 128]]
    assert [stage["head"] for stage in made] == [
        ({"pool": "max", "size": 4},),
        ({"pool": "max", "size": 2},),
        (),
    ]


def test_stages_of_a_resnet() -> None:
    made = presets.stages("resnet8", 16, (32, 32, 3))
    assert channels(made) == [[16, 16, 16], [32, 32], [64, 64]]
    assert [stage["head"][0]["size"] for stage in made] == [8, 4, 2]


@pytest.mark.parametrize("name", presets.WIDTHS)
@pytest.mark.parametrize("shape", [(32, 32, 3), (28, 28, 1), (8, 13, 4), (96, 48, 1)])
def test_a_preset_is_the_stages_that_it_stands_for(name: str, shape: tuple[int, int, int]) -> None:
    model = parsed(f'input = {list(shape)}\npreset = "{name}"\nwidth = 6')
    assert len(model.stages) == 3
    assert model.stages[0].blocks[0].conv == 6
    assert [s.model_dump(exclude_unset=True) for s in model.stages] == list(
        presets.stages(name, 6, shape)
    )


def test_a_resolved_preset_is_read_again_and_has_the_hash_of_its_stages() -> None:
    config = tree.parse(f'{HEAD}input = [32, 32, 3]\npreset = "resnet8"\n')
    assert config.model.width is None
    again = tree.parse(tree.to_toml(config))
    assert again == config
    plain = tree.parse(tree.to_toml(config).replace('preset = "resnet8"\n', ""))
    assert plain.model.preset is None
    assert tree.hash_of(plain) == tree.hash_of(config)


def test_the_config_of_its_file_has_no_preset() -> None:
    text = f'{HEAD}input = [32, 32, 3]\npreset = "vgg"\nwidth = 8\n[train]\nstart = "a.pt"\n'
    found = of_file(tree.parse(text), "qonnx:a.onnx", name="given")
    assert tree.parse(tree.to_toml(found)) == found


REFUSED = [
    (
        'input = [7, 32, 3]\npreset = "vgg"',
        'input must have sides of at least 8 for preset = "vgg", got 7 x 32: write the stages '
        "yourself",
    ),
    ("input = [8, 8, 3]\nwidth = 8", "width must be absent without a preset, got 8"),
    (
        'input = [8, 8, 3]\npreset = "vgg"\nstages = [{ blocks = [{ conv = 3 }] }]',
        'stages must be absent or those of preset = "vgg", got others: leave out preset',
    ),
    (
        'input = [8, 8, 3]\npreset = "vgg"\nsource = "qonnx:a.onnx"',
        'preset must be absent unless source is "config", got "vgg"',
    ),
    ('input = [8, 8, 3]\npreset = "vgg16"', "preset must be"),
    ('input = [8, 8, 3]\npreset = "vgg"\nwidth = 1', "width must be"),
    ('input = [8, 8]\npreset = "vgg"', "key 'model.input[2]' must be given"),
    ('input = "large"\npreset = "vgg"', "input must"),
]


@pytest.mark.parametrize(("entries", "sentence"), REFUSED)
def test_refused_presets(entries: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        parsed(entries)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
