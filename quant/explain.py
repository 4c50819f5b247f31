"""Pictures of what the answers rest on, and how far they can be trusted: the explain step."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch import nn

from exeunt import criteria
from exeunt.config.tree import Config
from exeunt.errors import InputError
from exeunt.progress import Progress, silent
from exeunt.quant.attribution import METHODS, activations, attribute, reference_images
from exeunt.quant.attribution._captum import captum_maps
from exeunt.quant.attribution._quantus import quantus_figures, require_quantus
from exeunt.quant.attribution.faithfulness import as_figures, completeness_error, faithfulness
from exeunt.quant.calibrate import EXITS
from exeunt.quant.compress import load_network
from exeunt.quant.network.brevitas import QuantNonLinearActLayer
from exeunt.quant.network.logits import exact, logits
from exeunt.quant.train import one_thread
from exeunt.report import heatmaps, store
from exeunt.splits import SPLITS, read_split, turns

EXPLAIN = "explain.json"
FOLDER = "explain"  # pictures of test images
OWN = "explained"  # pictures of a user's own images
MAPS = "maps.npz"
SCHEMA = 1
_LAYER_IMAGES = 16  # at least, for the relevance of layers


@dataclass(frozen=True)
class _Answers:
    """What every exit says of N images, and where they leave."""

    answers: npt.NDArray[np.int64]  # (E, N)
    confidence: npt.NDArray[np.float64]  # (E, N), softmax of the answer
    left: npt.NDArray[np.int64]  # (N,)


def explain(
    config: Config,
    run_dir: Path,
    *,
    progress: Progress = silent,
    images: Sequence[str] | None = None,
    resize: bool | None = None,
) -> None:
    """Heat maps of test images, relevance of every layer, faithfulness; or of a user's images.

    Without `images` it leaves explain.json and explain/; with them pictures and a page in
    explained/ and nothing else.

    Raises:
        InputError: no trained network, an image that cannot be used, a network that the method
            has no rule for, or explain.quantus without Quantus.
    """
    with one_thread(config.data.seed):
        network = load_network(config, run_dir).eval()
        if images:
            _own_images(config, run_dir, network, images, bool(resize), progress)
        else:
            _test_images(config, run_dir, network, progress)


def _test_images(config: Config, run_dir: Path, network: nn.Module, progress: Progress) -> None:
    section = config.explain
    if section.quantus:
        require_quantus()
    test = read_split(run_dir / SPLITS, "test")
    measured = test.some(section.measured).images if section.measured else test.images[:0]
    people = read_split(run_dir / SPLITS, "validation").images
    answers = _answers(config, run_dir, network, test.images)
    count = len(answers.answers)
    chosen = _choose(answers, test.labels, section.shown)
    methods = [section.method, *(m for m in METHODS if m != section.method)]
    if not section.measured:
        methods = []
    total = count + len(methods) + 1
    shown = test.images[chosen]
    reference = reference_images(section.reference, shown, population=people)
    maps = []
    for exit in range(count):
        progress(exit, total, f"exit {exit}")
        found = attribute(section.method, network, shown, exit=exit, reference=reference)
        maps.append(found.maps.sum(3))
    heat = np.stack(maps, 1)
    progress(count, total, "layers")
    some = test.some(max(section.measured, _LAYER_IMAGES)).images
    layers = _layers(config, network, some, people)
    figures = {}
    for number, method in enumerate(methods):
        progress(count + 1 + number, total, f"faithfulness of {method}")
        found_figures = _faithfulness(method, config, network, measured, people)
        if found_figures is not None:
            figures[method] = found_figures
    pictures = _write_pictures(run_dir / FOLDER, shown, heat, [f"test{i}" for i in chosen])
    np.savez_compressed(run_dir / FOLDER / MAPS, images=shown, maps=heat.astype(np.float32))
    rows = [
        {
            "index": int(i),
            "label": int(test.labels[i]),
            "answers": answers.answers[:, i],
            "confidence": [round(float(c), 4) for c in answers.confidence[:, i]],
            "leaves": int(answers.left[i]),
            "pictures": names,
        }
        for i, names in zip(chosen, pictures, strict=True)
    ]
    found_all = {
        "schema": SCHEMA,
        "method": section.method,
        "reference": section.reference,
        "exits": count,
        "images": rows,
        "layers": layers,
        "layers_images": len(some),
        "measured": len(measured),
        "faithfulness": figures,
    }
    text = json.dumps(store.plain(found_all), indent=1, sort_keys=True)
    store.write_text(run_dir / EXPLAIN, text + "\n")
    store.update(
        run_dir,
        {
            "faithfulness": figures,
            "explanation": {
                "method": section.method,
                "reference": section.reference,
                "images": len(rows),
                "measured": len(measured),
                "layers_images": len(some),
            },
        },
    )
    progress(total, total, f"{len(rows)} test images by {section.method}, at {count} exits")


def _answers(
    config: Config, run_dir: Path, network: nn.Module, images: npt.NDArray[np.uint8]
) -> _Answers:
    """Answers of every exit, and where images leave with the thresholds of exits.json."""
    try:
        chosen = json.loads((run_dir / EXITS).read_text(encoding="utf-8"))
        thresholds, criterion = chosen["thresholds"], chosen["criterion"]
        offsets = chosen.get("offsets", ())
    except (OSError, ValueError, KeyError):
        raise InputError(
            f"{run_dir / EXITS} must hold the exit thresholds, got none: run `exeunt calibrate`"
        ) from None
    integers = exact(network, config)
    whole = integers.logits(images)
    left = criteria.run(criterion, whole, thresholds, scales=integers.scales, offsets=offsets)
    answers = np.stack([w.argmax(1) for w in whole])
    answers[left.exits, np.arange(len(images))] = left.classes
    floats = np.stack(logits(network, images)).astype(np.float64)
    powers = np.exp(floats - floats.max(2, keepdims=True))
    return _Answers(
        answers,
        (powers.max(2) / powers.sum(2)),
        left.exits,
    )


def _choose(answers: _Answers, labels: npt.NDArray[np.int64], shown: int) -> npt.NDArray[np.int64]:
    """Test images to show: of every exit as many, of different classes, right ones and wrong ones.

    A third are wrong where there are so many.
    """
    count = len(answers.answers)
    final = answers.answers[answers.left, np.arange(len(labels))]
    picked: list[int] = []
    for exit in range(count):
        share = (shown * (exit + 1)) // count - (shown * exit) // count
        here = answers.left == exit
        wrong = _mixed(np.flatnonzero(here & (final != labels)), labels)
        right = _mixed(np.flatnonzero(here & (final == labels)), labels)
        wrong = wrong[: min(share, max(1, share // 3))]
        picked += [*right[: share - len(wrong)], *wrong]
    return np.array(picked, np.int64)


def _mixed(members: npt.NDArray[np.int64], labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Some images in an order in which their classes take turns."""
    return members[np.argsort(turns(labels[members]), kind="stable")]


def _layers(
    config: Config,
    network: nn.Module,
    images: npt.NDArray[np.uint8],
    people: npt.NDArray[np.uint8],
) -> list[dict[str, Any]]:
    """For every exit and layer the mean sum of what speaks for the answer, and against it."""
    section = config.explain
    reference = reference_images(section.reference, images, population=people)
    rows: list[dict[str, Any]] = []
    outputs = logits(network, images[:1])
    for exit in range(len(outputs)):
        found = activations(section.method, network, images, exit=exit, reference=reference)
        for name, values in found.items():
            flat = values.reshape(len(values), -1).astype(np.float64)
            if flat.any():
                up, down = np.maximum(flat, 0).sum(1).mean(), np.minimum(flat, 0).sum(1).mean()
                rows.append({"exit": exit, "layer": name, "for": float(up), "against": float(down)})
    return rows


def _faithfulness(
    method: str,
    config: Config,
    network: nn.Module,
    images: npt.NDArray[np.uint8],
    people: npt.NDArray[np.uint8],
) -> dict[str, Any] | None:
    """Figures of one method at the last exit; None when it has no rule for this network."""
    reference = reference_images(config.explain.reference, images, population=people)
    try:
        figures: dict[str, Any] = as_figures(
            faithfulness(method, network, images, reference=reference)
        )
    except InputError:
        if method == config.explain.method:
            raise
        return None
    figures["images"] = len(images)
    quantized = any(isinstance(m, QuantNonLinearActLayer) for m in network.modules())
    if not quantized:  # a graph cannot run without its quantizers, nor be shuffled
        for key in ("spearman_vs_float", "top10_overlap", "randomised_spearman"):
            figures[key] = None
    if method == "deeplift" and quantized and reference.ndim == 3:
        figures["completeness_error_captum"] = _captum_error(network, images, reference)
    if config.explain.quantus and quantized:
        figures["quantus"] = quantus_figures(method, network, images, reference=reference)
    return figures


def _captum_error(
    network: nn.Module, images: npt.NDArray[np.uint8], reference: npt.NDArray[np.float32]
) -> float | None:
    found = attribute("deeplift", network, images, reference=reference)
    try:
        theirs = captum_maps(
            network, images, target=found.target, exit=found.exit, reference=reference
        )
    except Exception:  # Captum asserts what it cannot do with a user's own network
        return None
    return completeness_error(theirs, found.gap)


def _write_pictures(
    folder: Path,
    images: npt.NDArray[np.uint8],
    heat: npt.NDArray[np.floating],
    names: Sequence[str],
) -> list[list[str]]:
    """One PNG for each image and exit; the names of the files, image by image."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    files = []
    for image, maps, name in zip(images, heat, names, strict=True):
        files.append([f"{name}-exit{exit}.png" for exit in range(len(maps))])
        for one, file in zip(maps, files[-1], strict=True):
            picture = heatmaps.enlarged(heatmaps.overlay(image, one))
            Image.fromarray(picture).save(folder / file)
    return files


def _own_images(
    config: Config,
    run_dir: Path,
    network: nn.Module,
    paths: Sequence[str],
    resize: bool,
    progress: Progress,
) -> None:
    """Pictures and a page of a user's own images, in explained/."""
    section = config.explain
    progress(0, 2, f"{len(paths)} images")
    images = np.stack([read_image(Path(p), config.model.input, resize=resize) for p in paths])
    answers = _answers(config, run_dir, network, images)
    people = read_split(run_dir / SPLITS, "validation").images
    reference = reference_images(section.reference, images, population=people)
    found = [
        attribute(section.method, network, images, exit=exit, reference=reference).maps.sum(3)
        for exit in range(len(answers.answers))
    ]
    heat = np.stack(found, 1)
    names = _distinct([Path(p).stem for p in paths], heat.shape[1])
    folder = run_dir / OWN
    files = _write_pictures(folder, images, heat, names)
    rows = []
    for k, name in enumerate(names):
        original = f"{name}.png"
        Image.fromarray(heatmaps.enlarged(heatmaps.plain(images[k]))).save(folder / original)
        exits = [
            {
                "answer": int(answers.answers[e, k]),
                "confidence": f"{100 * answers.confidence[e, k]:.1f}%",
                "leaves": bool(answers.left[k] == e),
                "picture": _embedded(folder / file),
            }
            for e, file in enumerate(files[k])
        ]
        rows.append({"name": name, "picture": _embedded(folder / original), "exits": exits})
    page = _page(config.name, section.method, section.reference, rows)
    store.write_text(folder / "index.html", page)
    progress(2, 2, f"{len(paths)} images of your own by {section.method}")


def _distinct(names: Sequence[str], exits: int) -> list[str]:
    """The names, numbered where a picture of theirs would have the name of another picture."""
    taken: set[str] = set()
    out = []
    for name in names:
        tries = itertools.chain([name], (f"{name}-{n}" for n in itertools.count(2)))
        for one in tries:
            files = {f"{one}{end}".lower() for end in ("", *(f"-exit{e}" for e in range(exits)))}
            if not files & taken:
                break
        taken |= files
        out.append(one)
    return out


def _embedded(path: Path) -> str:
    import base64

    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def _page(name: str, method: str, reference: str, rows: Sequence[dict[str, Any]]) -> str:
    from importlib import resources

    import jinja2

    source = resources.files("exeunt.report").joinpath("templates/explained.html.j2")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(source.read_text(encoding="utf-8"))
    return template.render(name=name, method=method, reference=reference, rows=rows) + "\n"


def read_image(
    path: Path, shape: tuple[int, int, int], *, resize: bool = False
) -> npt.NDArray[np.uint8]:
    """A PNG or JPEG as uint8 (H, W, C) of `shape`.

    With `resize` it is scaled (bilinear) and turned to grey or colour as the network takes it;
    without, it must fit.

    Raises:
        InputError: no such file, not an image, or one that does not fit.
    """
    height, width, channels = shape
    if not path.is_file():
        raise InputError(f"image {path} must be a PNG or JPEG file, got no such file: check it")
    try:
        with Image.open(path) as opened:
            opened.load()
            image = opened.convert("RGBA") if "transparency" in opened.info else opened.copy()
    except Exception:  # Pillow's errors have no common base
        raise InputError(
            f"image {path} must be a PNG or JPEG file, got one that cannot be read: save it again"
        ) from None
    found = 1 if image.mode in ("1", "L", "I;16", "I", "F") else 3
    if channels not in (1, 3):
        raise InputError(
            f"model.input must have 1 or 3 channels to show images, got {channels}: use "
            "exeunt.quant.attribution with arrays"
        )
    if not resize and ((image.height, image.width) != (height, width) or found != channels):
        raise InputError(
            f"image {path} must be {height} x {width} x {channels} (H x W x C) as model.input "
            f"says, got {image.height} x {image.width} x {found}: crop it or add --resize"
        )
    image = image.convert("L" if channels == 1 else "RGB")
    if (image.height, image.width) != (height, width):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image, np.uint8).reshape(height, width, channels)
