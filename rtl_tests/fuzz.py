"""Random legal networks to RTL: every answer and cycle against the references.

`make fuzz SEEDS=20` tries QONNX files; with LOG=file it can be stopped and goes on where it was;
with SCHEDULER=... Dask's workers try them.
`python rtl_tests/fuzz.py --kind configs` trains networks of random configs; `--first 7 1` tries
seed 7 alone. A seed that ends in a sentence (exit code 2) was refused, which is no fault; a
mismatch, a cycle count that is off by more than one in a hundred, or any other exception is one.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import against_qonnx
import numpy as np
import numpy.typing as npt
import random_files
from PIL import Image

from exeunt import criteria, registers
from exeunt.config import tree
from exeunt.errors import ExeuntError, InputError
from exeunt.qonnx import seen
from exeunt.report import store
from exeunt.scheduler import Needs, Task, from_file, opened
from exeunt.simulate import apart

TOLERANCE = 0.01
IMAGES = 18  # of each class


@dataclass(frozen=True)
class Outcome:
    """What became of a seed: "ok", "refused", "mismatch", "cycles" or "error", and the details."""

    seed: int
    verdict: str
    said: str

    @property
    def fault(self) -> bool:
        """Whether something is wrong."""
        return self.verdict not in ("ok", "refused")


def text(seed: int) -> str:
    """A random config that `exeunt.config.tree` takes: one to four stages, odd maps, all bits."""
    for attempt in range(1000):
        random = np.random.default_rng([seed, attempt])
        found = _text(seed, random)
        try:
            tree.parse(found)
        except InputError:
            continue
        return found
    raise AssertionError(f"seed {seed} gives no legal config in a thousand attempts")


def _text(seed: int, random: np.random.Generator) -> str:
    def pick(*values: object) -> object:
        return values[int(random.integers(len(values)))]

    height, width = (int(v) for v in random.integers(3, 15, 2))
    channels = pick(1, 1, 3)
    stages = int(random.integers(1, 5))
    lines = [
        f'name = "fuzz{seed}"',
        "[data]", 'dataset = "set"', 'format = "folder"', "validation = 0.25", "test = 0.4",
        "[model]", f"input = [{height}, {width}, {channels}]",
        f"classes = {random.integers(2, 12)}",
        f"weight_bits = {random.integers(2, 9)}", f"activation_bits = {random.integers(2, 9)}",
    ]  # fmt: skip
    for _ in range(stages):
        blocks = [_block(random, pick) for _ in range(int(random.integers(1, 3)))]
        head = []
        if random.random() < 0.4:
            size = pick(2, 2, 3, '"global"')
            head.append(f'{{ pool = "{pick("max", "average")}", size = {size} }}')
        if random.random() < 0.3:
            head.append(f"{{ linear = {random.integers(2, 9)} }}")
        lines += ["[[model.stages]]", f"blocks = [{', '.join(blocks)}]"]
        lines += [f"head = [{', '.join(head)}]"]
    target = int(np.exp(random.uniform(0, np.log(20000))))
    lines += [
        "[train]", "epochs = 1", "batch = 16", f"seed = {seed}",
        "[compile]", _wish(seed, target),
        f"headroom = {random.uniform(1, 4):.2f}",
        f"buffer_frames = {pick(1, 2, 4)}", f"in_flight = {pick(4, 5, 8, 16)}", "baseline = false",
        "[simulate]", "processes = 1",
        *_smaller(seed),
        *_calibrate(stages, pick),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def _wish(seed: int, target: int) -> str:
    """What is asked of the folding: cycles, for every third seed what resources allow."""
    if seed % 3 != 1:
        return f"target_cycles = {target}"
    random = np.random.default_rng([7, seed])
    lut, dsp = int(np.exp(random.uniform(9, 11))), int(random.integers(0, 100))
    return f"resources = {{ lut = {lut}, dsp = {dsp} }}"


def _smaller(seed: int) -> list[str]:
    """For every third seed a table [compress]: zeros to leave out, weights to share, or both."""
    if seed % 3 != 2:
        return []
    random = np.random.default_rng([11, seed])
    size, left = int(random.integers(1, 4)), random.uniform(0.4, 0.7)
    count, kind = int(random.integers(2, 4)), int(random.integers(3))
    passes = [
        f'{{ kind = "blocks", criterion = "l1", sparsity = {1 - left:.2f}, block = {size}, '
        "epochs = 0 }",
        f'{{ kind = "sharing", criterion = "uniform", centroids = {count}, epochs = 0 }}',
    ]
    chosen = passes if kind == 2 else [passes[kind]]
    return ["[compress]", "images = 8", f"passes = [{', '.join(chosen)}]"]


def _calibrate(stages: int, pick: object) -> list[str]:
    """A legal table [calibrate]: any criterion, with what it can have."""
    assert callable(pick)
    rule = criteria.get(str(pick(*criteria.names())))
    drop, shift = pick(0, 0.02, 0.3), pick(0, 0, 1)
    kind = pick("none", "average", "probability")
    able = rule.history is None and stages > 1 and drop and not shift
    return [
        "[calibrate]", f'criterion = "{rule.name}"', f"drop = {drop}", f"shift = {shift}",
        f"per_class = {'true' if pick(True, False) and rule.by_class else 'false'}",
        f'guarantee = "{kind if able else "none"}"',
    ]  # fmt: skip


def _block(random: np.random.Generator, pick: object) -> str:
    assert callable(pick)
    if random.random() < 0.25:
        size = pick(2, 3)
        return (
            f'{{ pool = "{pick("max", "average")}", size = {size}, stride = {pick(1, 2, 3)}, '
            f"padding = {pick(0, 0, 1)} }}"
        )
    kernel = pick(1, 2, 3, 3, 4)
    assert isinstance(kernel, int)
    return (
        f"{{ conv = {random.integers(1, 9)}, kernel = {kernel}, stride = {pick(1, 1, 2, 3)}, "
        f"padding = {random.integers(0, kernel)}, weight_bits = {random.integers(2, 9)}, "
        f"activation_bits = {random.integers(2, 9)} }}"
    )


def images(folder: Path, shape: tuple[int, int, int], classes: int, seed: int) -> None:
    """A dataset of noise with a gradient of its class, as folders of PNG files."""
    random = np.random.default_rng(seed)
    height, width, channels = shape
    for label in range(classes):
        place = folder / "set" / f"c{label:02d}"
        place.mkdir(parents=True)
        slope = np.linspace(0, 255 * label / classes, width)
        for i in range(IMAGES):
            noise = random.integers(0, 256, (height, width, channels))
            pixels = ((noise + slope[:, None]) / 2).astype(np.uint8)
            Image.fromarray(pixels[..., 0] if channels == 1 else pixels).save(place / f"{i}.png")


def attempt(seed: int, folder: Path, *, simulated: bool = True) -> Outcome:
    """Seed by seed the whole way: train, calibrate, export, compile, and through the RTL.

    Thresholds are placed so that some images leave at every exit.
    """
    from exeunt.hls.compile import compile as compile_step
    from exeunt.quant.calibrate import calibrate
    from exeunt.quant.compress.step import compress
    from exeunt.quant.export import export
    from exeunt.quant.train import train
    from exeunt.simulate.run import simulate

    config = tree.parse(text(seed))
    run = folder / "run"
    try:
        images(folder, config.model.input, config.model.classes, seed)
        train(config, run, folder)
        if config.compress is not None:
            compress(config, run, folder)
        calibrate(config, run)
        export(config, run)
        _spread(run, seed)
        compile_step(config, run)
        if not simulated:
            return Outcome(seed, "ok", "compiled")
        simulate(config, run)
    except InputError as error:
        return Outcome(seed, "refused", str(error))
    except Exception:
        return Outcome(seed, "error", traceback.format_exc())
    report = store.read(run)
    found, cycles = report["simulation"], report["cycle_reference"]
    told = (
        f"{found['images']} images, {found['mismatches']} mismatches, {cycles['cycles_total']} "
        f"cycles, {cycles['cycles_predicted']} predicted, {cycles['frames_exact']} frames exact"
    )
    if found["mismatches"]:
        return Outcome(seed, "mismatch", told)
    off = abs(cycles["cycles_predicted"] - cycles["cycles_total"]) / cycles["cycles_total"]
    return Outcome(seed, "cycles" if off > TOLERANCE else "ok", told)


def attempt_file(seed: int, folder: Path, *, simulated: bool = True, frames: int = 24) -> Outcome:
    """A random QONNX file of `random_files`: read, compiled, and through the RTL.

    The file is compared with QONNX's execution node by node on the way, FINN's passes with it on
    some frames, and the integers of the file with those of the accelerator on all of them; and
    with QONNX's execution of the file as it is on some. The RTL gets its images without a pause
    first, and then with pauses on both sides and results in the order of the images.
    """
    from exeunt.hls import compile as compiler
    from exeunt.hls.back import stitch
    from exeunt.hls.front import finn_env
    from exeunt.reference import network as reference
    from exeunt.simulate import answers, bulk, verilator
    from exeunt.simulate import library as library_of

    random = np.random.default_rng([5, seed])
    try:
        finn_env.prepare()
        case = random_files.Random(seed).save(folder)
        with finn_env.quiet():
            from exeunt.hls.front import network

        found = network.read(
            case.path, shape=case.shape, preprocess=case.preprocess, outputs=case.exits
        )
        target = int(np.exp(random.uniform(0, np.log(20000))))
        built = compiler.assemble(
            f"fuzz{seed}", found.layers[0::2], found.layers[1::2],
            scales=[part.scale for part in found.parts[1::2]], cycles=[target] * found.exits,
            image=found.shape,
        )  # fmt: skip
        compiler.check_values(built.accelerator, found)
        name = str(np.random.default_rng([6, seed]).choice(criteria.names()))
        accelerator = replace(compiler.with_fifos(built.accelerator), criterion=name)
        frames = frames if target < 2000 else frames // 2
        images = network.example_images(found.shape, frames)
        different, rounded = against_qonnx.compare(case, found.integers, images[:3])
        if different:
            return Outcome(seed, "mismatch", f"the file and its integers: {different}")
        logits = reference.run(accelerator, images).logits
        for got, wanted in zip(logits, found.integers.logits(images), strict=True):
            if not np.array_equal(got, wanted):
                return Outcome(seed, "mismatch", "the accelerator and the file have other integers")
        if not simulated:
            return Outcome(seed, "ok", f"{found.exits} exits compiled, {', '.join(case.forms)}")
        limits = placed(name, logits, [part.scale for part in found.parts[1::2]], random)
        manifest = stitch.write(
            accelerator, folder / "run", thresholds=[*limits, None],
            buffer_frames=int(random.choice([1, 1, 2, 4])),
            kept_frames=int(random.choice([0, 1, 2])),
            in_flight=int(random.choice([2, 4, 16])),
        )  # fmt: skip
        options = verilator.Options(quick=True)
        library = verilator.build(manifest, options=options, cache=folder / "cache")
        answered = answers.answer(manifest, library, images, logits)
        cycles, _ = answers.check_cycles(manifest, accelerator, answered)
        halting = bulk.Settings(
            idle=random.uniform(0, 0.6), stall=random.uniform(0, 0.6), seed=seed,
            order=registers.ORDER_INPUT,
        )  # fmt: skip
        paused = answers.answer(manifest, library, images, logits, settings=halting)
        wrong = len(answered.wrong), len(paused.wrong)
        if any(wrong):
            return Outcome(seed, "mismatch", f"{wrong} of {frames} answers are wrong")
        ids = library_of.decode(paused.slices[0].trace.results)["id"]
        if not np.array_equal(ids, np.arange(frames)):
            return Outcome(seed, "mismatch", f"the results are not in order but {ids.tolist()}")
    except InputError as error:
        return Outcome(seed, "refused", str(error))
    except Exception:
        return Outcome(seed, "error", traceback.format_exc())
    told = (
        f"{found.exits} exits, {frames} images, {cycles['cycles_total']} cycles, "
        f"{cycles['cycles_predicted']} predicted, {cycles['frames_exact']} frames exact"
        f", {name}, {rounded} rounded by float32, {', '.join(case.forms)}"
    )
    return Outcome(seed, "cycles" if cycles["max_relative_error"] > TOLERANCE else "ok", told)


def _spread(run: Path, seed: int) -> None:
    """Random thresholds that let some of the images leave at every exit."""
    path = run / "exits.json"
    data, found = json.loads(path.read_text()), seen.read(run / seen.NAME)
    assert found is not None
    random = np.random.default_rng(seed)
    limits = placed(data["criterion"], found.logits, data["logit_scales"], random)
    data["thresholds"] = [*limits, None]
    path.write_text(json.dumps(data))


def placed(
    name: str,
    logits: Sequence[npt.NDArray[np.int64]],
    scales: Sequence[float],
    random: np.random.Generator,
) -> list[int]:
    """Thresholds by a criterion between the scores of images (N, classes) that get to each exit."""
    chosen: list[int] = []
    for e in range(1, len(logits)):
        left = criteria.run(name, logits[:e], [*chosen, None], scales=scales[:e])
        scores = left.scores[left.exits == e - 1]
        part = random.uniform(0.2, 0.8)
        chosen.append(int(np.quantile(scores, part)) if len(scores) else registers.NEVER)
    return chosen


def _one(task: tuple[str, int, bool]) -> Outcome:
    kind, seed, simulated = task
    with tempfile.TemporaryDirectory() as folder:
        if kind == "configs":
            return attempt(seed, Path(folder), simulated=simulated)
        return attempt_file(seed, Path(folder), simulated=simulated)


def spread(
    scheduler: str, tasks: Sequence[tuple[str, int, bool]], ended: Callable[[Outcome], None]
) -> None:
    """Try seeds on Dask's workers, which must have these files at the same place."""
    here = Path(__file__).resolve().parent
    packages = ("torch", "brevitas", "qonnx", "onnx", "onnxruntime", "finn-plus", "scipy")
    facts = (("Verilator", apart.found),)
    needs = Needs(packages, files=(("the tests of the RTL", here),), facts=facts)
    with opened(scheduler) as machines:
        machines.agree(needs)
        machines.map(
            from_file,
            [Task(f"seed {t[1]}", Path(), (here / "fuzz.py", "as_task", t)) for t in tasks],
            finished=lambda _, found: ended(Outcome(**found)),
        )


def as_task(task: tuple[str, int, bool]) -> dict[str, object]:
    """A seed, in words that any process knows."""
    return asdict(_one(task))


def main(arguments: list[str]) -> int:
    """Try seeds; 1 when one of them shows a fault."""
    parser = argparse.ArgumentParser(prog="fuzz.py", description=__doc__)
    parser.add_argument("seeds", nargs="?", type=int, default=10, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--kind", choices=("files", "configs"), default="files")
    parser.add_argument("--no-rtl", action="store_true", help="compile alone")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scheduler", default="", help="Dask's: local, tcp://... or its file")
    parser.add_argument(
        "--log", type=Path, help="a file of outcomes: what is in it is not repeated"
    )
    asked = parser.parse_args(arguments)
    seeds = range(asked.first, asked.first + asked.seeds)
    known = [o for o in logged(asked.log) if o.seed in seeds]
    done = {outcome.seed for outcome in known}
    tasks = [(asked.kind, seed, not asked.no_rtl) for seed in seeds if seed not in done]

    def ended(outcome: Outcome) -> None:
        known.append(outcome)
        if asked.log:
            with asked.log.open("a") as file:
                file.write(json.dumps(asdict(outcome)) + "\n")
        print(f"seed {outcome.seed}: {outcome.verdict}: {outcome.said}", flush=True)

    if asked.scheduler:
        try:
            spread(asked.scheduler, tasks, ended)
        except ExeuntError as error:
            print(f"fuzz.py: {error}", file=sys.stderr)
            return error.exit_code
    else:
        with multiprocessing.get_context("spawn").Pool(asked.workers) as pool:
            for outcome in pool.imap_unordered(_one, tasks):
                ended(outcome)
    print(summary(known))
    return int(any(outcome.fault for outcome in known))


def logged(path: Path | None) -> list[Outcome]:
    """The outcomes in a log; none where there is none yet."""
    if path is None or not path.exists():
        return []
    return [Outcome(**json.loads(line)) for line in path.read_text().splitlines()]


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many of each verdict, and the sentences of refusals, without names and numbers."""
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    lines = [", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))]
    said = (o.said.split(": ", 1)[-1] for o in outcomes if o.verdict == "refused")
    kinds = Counter(re.sub(r" \(node [^)]*\)", "", re.sub(r"-?\d[\d.e+-]*", "#", s)) for s in said)
    lines += [f"  {count} refused: {said}" for said, count in kinds.most_common()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
