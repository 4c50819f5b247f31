"""Brevitas's own networks (bnn_pynq: TFC, SFC, LFC, CNV) through the command line and the RTL.

python python/tests/hls/bnn_pynq.py FOLDER NAME... [--images N]

makes each network with random weights and random batch norms, exports it with export_qonnx,
compiles and simulates it with `exeunt run`, and compares the logits of N more images, as the RTL
gives them, with QONNX's execution of the exported file. With --count it folds CNV as FINN's
examples do for a PYNQ-Z1, or for --cycles per image, and counts LUT, FF, DSP and BRAM instead.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

NAMES = tuple(
    f"{size}_{bits}"
    for size in ("TFC", "SFC", "LFC", "CNV")
    for bits in ("1W1A", "1W2A", "2W2A")
    if (size, bits) != ("LFC", "2W2A")  # which Brevitas does not have
)
CONFIG = """
name = "{name}"
[data]
dataset = "made"
[model]
source = "qonnx:{name}.onnx"
input = {shape}
classes = 10
preprocess = {{ scale = 0.00392156862745098 }}
[compile]
baseline = false
target_cycles = {cycles}
"""
# (PE, SIMD) of the nine matrices, from finn-examples, build/bnn-pynq/folding_config
FOLDED = {
    "CNV_1W1A": ((16, 3), (32, 32), (16, 32), (16, 32), (4, 32), (1, 32), (1, 4), (1, 8), (5, 1)),
    "CNV_2W2A": ((8, 3), (16, 16), (8, 16), (8, 16), (4, 8), (1, 8), (1, 2), (2, 2), (5, 1)),
}
WINDOWS = (0, 1, 3, 4, 6, 7)  # of the convolutions; 2 and 5 are of pools


def folding(name: str) -> dict[str, dict[str, int]]:
    """FINN's folding of a CNV under the names of our nodes; a window gives SIMD lanes."""
    found: dict[str, dict[str, int]] = {"Defaults": {}, "seg0_Thresholding_rtl_0": {"PE": 1}}
    for number, (pe, simd) in enumerate(FOLDED[name]):
        place = f"seg0_MVAU_rtl_{number}" if number < 6 else f"head0_MVAU_rtl_{number - 6}"
        found[place] = {"PE": pe, "SIMD": simd}
        if number < 6:
            window = f"seg0_ConvolutionInputGenerator_rtl_{WINDOWS[number]}"
            found[window] = {"SIMD": simd, "parallel_window": 0}
    return found


def shape(name: str) -> tuple[int, int, int]:
    """(H, W, C) of the images that the network takes."""
    return (32, 32, 3) if name.startswith(("CNV", "RESNET")) else (28, 28, 1)


def network(name: str, seed: int = 0) -> Any:
    """The network with random weights and batch norms that move and scale what they get."""
    import torch
    from brevitas_examples.bnn_pynq.models import model_with_cfg

    torch.manual_seed(seed)
    made, _ = model_with_cfg(name, False)
    made.eval()
    fan_in = 1
    with torch.no_grad():
        for module in made.modules():
            weight = getattr(module, "weight", None)
            if weight is None:
                continue
            if weight.ndim > 1:
                fan_in = weight[0].numel()
            elif hasattr(module, "running_var"):
                count = weight.shape
                module.running_mean.copy_(torch.randn(count) * 0.3 * fan_in**0.5)
                module.running_var.copy_(fan_in * (0.1 + torch.rand(count)))
                module.weight.copy_(torch.randn(count))
                module.bias.copy_(torch.randn(count) * 0.3)
    return made


def export(name: str, folder: Path) -> Path:
    """The network as a QONNX file, for images from 0 to 1.

    The tracer of RESNET18_4W4A stops at an assertion of Brevitas's own: Python leaves it out.
    """
    path = folder / f"{name}.onnx"
    if __debug__ and name.startswith("RESNET"):
        subprocess.run([sys.executable, "-O", __file__, str(folder), name, "--export"], check=True)
        return path
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            import torch
            from brevitas.export import export_qonnx

            height, width, channels = shape(name)
            export_qonnx(network(name), torch.zeros(1, channels, height, width), str(path))
    finally:
        logging.disable(disabled)
    return path


def pictures(size: tuple[int, int, int], count: int, seed: int = 0) -> np.ndarray:
    """Random images uint8 (N, H, W, C): smooth shapes and noise on them."""
    random = np.random.default_rng(seed)
    height, width, channels = size
    coarse = random.integers(0, 256, (count, -(-height // 4), -(-width // 4), channels))
    smooth = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    return np.clip(smooth + random.integers(-40, 41, smooth.shape), 0, 255).astype(np.uint8)


def dataset(folder: Path, size: tuple[int, int, int], each: int = 20) -> None:
    """Class folders with PNG files."""
    from PIL import Image

    for label in range(10):
        here = folder / f"class{label}"
        here.mkdir(parents=True, exist_ok=True)
        for k, image in enumerate(pictures(size, each, seed=label)):
            Image.fromarray(image[..., 0] if size[2] == 1 else image).save(here / f"{k}.png")


def executed(path: Path, images: np.ndarray) -> np.ndarray:
    """QONNX's logits (N, classes) for images uint8 (N, H, W, C), divided by 255."""
    from exeunt.hls.front import finn_env

    finn_env.prepare()
    with finn_env.quiet():
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        model = ModelWrapper(str(path)).transform(InferShapes())
        name, result = model.graph.input[0].name, model.graph.output[0].name
        return np.concatenate(
            [
                execute_onnx(model, {name: x.transpose(2, 0, 1)[None] / np.float32(255)})[result]
                for x in images
            ]
        )


def compiled(name: str, folder: Path, more: str = "", cycles: int = 0) -> Path:
    """The run folder of `exeunt run` on the exported network, with data made for it.

    `more` stands at the end of the config, behind [compile].

    Raises:
        subprocess.CalledProcessError: it did not end well.
    """
    cnv = name.startswith("CNV")
    export(name, folder)
    dataset(folder / f"data-{name}" / "made", shape(name), each=10 if cnv else 20)
    cycles = cycles or (200_000 if cnv else 4000)
    text = CONFIG.format(name=name, shape=list(shape(name)), cycles=cycles) + more
    (folder / f"{name}.toml").write_text(text)
    run = folder / f"run-{name}"
    command = [f"{sys.prefix}/bin/exeunt", "run", f"{folder}/{name}.toml"]
    subprocess.run(
        [*command, "--out", str(run), "--data", f"{folder}/data-{name}"],
        check=True,
        capture_output=True,
        text=True,
    )
    return run


def compare(name: str, folder: Path, images: int) -> dict[str, Any]:
    """Logits of the RTL against QONNX's, and what the run said."""
    from exeunt.runtime import Accelerator
    from exeunt.simulate.simulated import Simulated

    run = compiled(name, folder)
    manifest = json.loads((run / "manifest.json").read_text())
    found = pictures(shape(name), images, seed=99)
    (end,), (offset,) = manifest["exits"], manifest["logit_offsets"]
    with Accelerator(run / "manifest.json", Simulated(run)) as device:
        logits = device.logits(found, 0)
    wanted = executed(folder / f"{name}.onnx", found)
    reals = logits * end["logit_scale"] + offset
    steps = np.abs(reals - wanted).max(axis=1) / end["logit_scale"]
    report = json.loads((run / "report.json").read_text())
    return {
        "name": name,
        "images": images,
        "wrong": int((steps > 0.01).sum()),
        "answers": len(np.unique(logits.argmax(axis=1))),
        "simulation": report["simulation"]["mismatches"],
        "cycles": report["cycle_reference"]["max_relative_error"],
    }


def count(name: str, folder: Path, cycles: int = 0) -> dict[str, Any]:
    """Resources on xc7, cycles per image and of the first one, folded as FINN or for `cycles`."""
    from exeunt import manifest
    from exeunt.reference import system

    more = ""
    if not cycles:
        (folder / f"{name}.json").write_text(json.dumps(folding(name), indent=1))
        more = f'folding = "{name}.json"\n'
    run = compiled(name, folder, more + '[synth]\ntargets = ["xc7"]\n', cycles)
    command = [f"{sys.prefix}/bin/exeunt", "synth", f"{folder}/{name}.toml", "--out", str(run)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    report = json.loads((run / "report.json").read_text())
    design = manifest.read(run)
    sizes = system.Sizes.of(design.data)
    leaves = np.zeros(24, np.int64)
    found = system.predict(design.accelerator(), leaves, sizes=sizes, gives=False)
    return {
        "name": name,
        "resources": report["synthesis"][0]["resources"],
        "mismatches": report["simulation"]["mismatches"],
        "cycles_per_image": int(np.diff(found.results)[-1]),
        "cycles_of_first": int(found.results[0] - found.accepts[0]) + 1,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--images", type=int, default=0)
    parser.add_argument("--export", action="store_true", help="write the files and stop")
    parser.add_argument("--count", action="store_true", help="with Yosys, instead of the logits")
    parser.add_argument("--cycles", type=int, default=0, help="per image, not FINN's folding")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    for name in given.names:
        if given.export:
            export(name, given.folder)
            continue
        if given.count:
            print(json.dumps(count(name, given.folder, given.cycles)), flush=True)
            continue
        images = given.images or (100 if name.startswith("CNV") else 1000)
        print(json.dumps(compare(name, given.folder, images)), flush=True)


if __name__ == "__main__":
    main()
