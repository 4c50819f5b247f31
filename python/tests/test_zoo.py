"""The trained networks that come with the package: small, and as good as they say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.quant.calibrate import calibrate
from exeunt.quant.train import train
from exeunt.report import store

ZOO = Path(__file__).parents[2] / "zoo"
NETWORK, ALL = 400_000, 2_000_000  # bytes, config included
RIGHT = {  # on the test images: with early exits, at the end of the network
    "cifar10-vgg": (0.854, 0.857),  # of the training half as JPEG, 45,000 images: see zoo/README.md
    "digits": (0.99, 0.99),
    "mnist": (0.993, 0.9935),
}
EMBEDDED = "digits"


def test_every_network_is_small():
    sizes = {}
    for name in tree.zoo():
        sizes[name] = sum((ZOO / f"{name}{end}").stat().st_size for end in (".onnx", ".toml"))
    assert sorted(sizes) == sorted(RIGHT)
    assert max(sizes.values()) <= NETWORK, sizes
    assert sum(sizes.values()) <= ALL
    readme = (ZOO / "README.md").read_text()
    for name in sizes:
        assert f"| `{name}` |" in readme


@pytest.mark.parametrize("name", sorted(RIGHT))
def test_it_answers_as_it_says(name, tmp_path):
    data = Path(os.environ.get("EXEUNT_DATA", "data"))
    config = tree.load(f"zoo:{name}")
    if name != EMBEDDED and not (data / config.data.dataset).exists():
        pytest.skip(f"needs {config.data.dataset} in EXEUNT_DATA")
    train(config, tmp_path, data)
    calibrate(config, tmp_path)
    found = store.read(tmp_path)["accuracy"]
    early, last = RIGHT[name]
    assert found["early_exit"] >= early
    assert found["quantized_last_exit"] >= last


def test_a_run_of_it_has_a_folder_of_its_own():
    found = tree.load("zoo:digits")
    assert found.name == "zoo-digits"
    assert found.model.kind == "qonnx"
    assert found.model.file == ZOO / "digits.onnx"


def test_a_network_that_is_not_there():
    with pytest.raises(InputError) as caught:
        tree.load("zoo:digit")
    assert str(caught.value) == (
        f"a trained network must be one of {', '.join(tree.zoo())}, got 'digit': change it, or did "
        "you mean 'digits'?"
    )
