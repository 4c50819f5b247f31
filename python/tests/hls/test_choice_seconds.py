"""How long the choice for a board takes, of the trained networks: `-m slow -s` shows it."""

from __future__ import annotations

import time

import pytest

from exeunt.config import tree
from exeunt.hls import compile as compiler

BOUND = 40.0  # processor seconds, three times what a slow machine takes for the largest


@pytest.mark.parametrize(
    ("name", "reach"),
    [
        ("digits", (1.0, 0.5, 0.1)),
        pytest.param("mnist", (1.0, 0.06, 0.012), marks=pytest.mark.slow),
        pytest.param("cifar10-vgg", (1.0, 0.75, 0.3), marks=pytest.mark.slow),
    ],
)
def test_a_choice_takes_seconds(name: str, reach: tuple[float, ...]) -> None:
    config = tree.load(f"zoo:{name}")
    wish = {"board": "pynq-z2", "use": 0.8, "target_cycles": None}
    config = config.model_copy(update={"compile": config.compile.model_copy(update=wish)})
    assert config.model.file is not None
    network = compiler.read_network(config.model.file, config=config)
    started = time.process_time()
    made = compiler.build(network, config=config, reach=reach)
    seconds = time.process_time() - started
    print(f"{name}: {seconds:.1f} processor seconds")
    assert made.optimised is not None
    assert made.optimised["predicted"]["lut"] <= 42560
    assert seconds < BOUND
