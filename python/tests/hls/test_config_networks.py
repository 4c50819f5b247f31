"""Networks of a config that people know, small: MobileNet-like, ResNet-8-like, keyword-like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from exeunt.config import tree
from exeunt.qonnx import file

MOBILE = (
    (16, 16, 3),
    """
[[model.stages]]
blocks = [
  { conv = 8, padding = 1, stride = 2 },
  { conv = 8, padding = 1, groups = 8 }, { conv = 12, kernel = 1 },
]
head = [{ pool = "average", size = "global" }]
[[model.stages]]
blocks = [{ conv = 12, padding = 1, stride = 2, groups = 12 }, { conv = 16, kernel = 1 }]
head = [{ pool = "average", size = "global" }]
""",
)
RESNET = (
    (12, 12, 3),
    """
[[model.stages]]
blocks = [
  { conv = 6, padding = 1, stride = 2 },
  { residual = [{ conv = 6, padding = 1 }, { conv = 6, padding = 1 }] },
]
head = [{ pool = "max", size = 2 }]
[[model.stages]]
blocks = [{ residual = [{ conv = 8, padding = 1, stride = 2 }, { conv = 8, padding = 1 }] }]
head = [{ pool = "average", size = "global" }]
""",
)
WORDS = (
    (25, 10, 1),
    """
[[model.stages]]
blocks = [
  { conv = 8, kernel = [10, 4], stride = [2, 1], padding = [4, 1] },
  { conv = 8, padding = [2, 1, 0, 1], groups = 8 }, { conv = 8, kernel = 1 },
]
head = [{ pool = "average", size = "global" }]
[[model.stages]]
blocks = [
  { conv = 8, kernel = [3, 1], padding = [2, 0], dilation = [2, 1], groups = 8 },
  { conv = 8, kernel = [2, 1], stride = [5, 1], groups = 4 },
]
head = [{ pool = "average", size = "global" }]
""",
)
NETWORKS = {"mobile": MOBILE, "resnet": RESNET, "words": WORDS}


def exported(name: str, folder: Path) -> Path:
    """The network with norms that have seen some images, as QONNX."""
    import torch

    from exeunt.quant.network.export import to_qonnx
    from exeunt.quant.network.model import MultiExitNetwork

    (h, w, c), stages = NETWORKS[name]
    text = (
        f'name = "n"\n[data]\ndataset = "digits"\n[model]\ninput = [{h}, {w}, {c}]\n'
        f"classes = 5\n{stages}"
    )
    torch.manual_seed(0)
    network = MultiExitNetwork(tree.parse(text).model).train()
    with torch.no_grad():
        for _ in range(40):
            network(torch.randint(0, 256, (16, c, h, w)).float())
    model = to_qonnx(network.eval(), shape=(c, h, w))
    path = folder / "model.onnx"
    path.write_bytes(file.to_model(model).SerializeToString())
    return path


@pytest.mark.parametrize(
    "name", [pytest.param("mobile", marks=pytest.mark.slow), "resnet", "words"]
)
def test_they_compile_to_what_the_file_says(name: str, through: Any, tmp_path: Path) -> None:
    shape = NETWORKS[name][0]
    _, images, _ = through.compiled(
        exported(name, tmp_path), shape, cycles=2000, frames=4, ties=True
    )
    assert len(images) == 4


@pytest.mark.sim
@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_every_image_through_the_rtl(name: str, through: Any, tmp_path: Path) -> None:
    path, shape = exported(name, tmp_path), NETWORKS[name][0]
    accelerator, images, config = through.compiled(path, shape, cycles=2000, frames=12, ties=True)
    through.simulated(accelerator, images, config, tmp_path / "run")
