"""The text of a config for images of a user's own, to begin with."""

from __future__ import annotations

from dataclasses import dataclass

from exeunt.config.toml import toml

SIDE = 16  # of the map behind the first stage, at most
LEAST = 4  # side of a map that is still worth halving
HEAD = 4  # side of the map from which a head answers, about
SEEN = 200_000  # training images, over all epochs
EPOCHS = (12, 120)
FEW = 500  # validation images; with fewer, moved copies of them help
VALIDATION, TEST = 0.15, 0.2


@dataclass(frozen=True)
class Images:
    """What the images are.

    Attributes:
        dataset: for data.dataset.
        packed: a zip, not a folder.
        shape: height, width, channels.
        classes: names, in their order.
        counts: images of each half that there is ("train", "validation", "test"; "all": of none).
    """

    dataset: str
    packed: bool
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    counts: dict[str, int]

    @property
    def split(self) -> dict[str, int]:
        """About how many images are for training, validation and testing."""
        rest = self.counts.get("all", 0) + self.counts.get("train", 0)
        test = self.counts.get("test") or round(TEST * rest)
        rest -= 0 if "test" in self.counts else test
        validation = self.counts.get("validation") or round(VALIDATION * rest)
        rest -= 0 if "validation" in self.counts else validation
        return {"train": rest, "validation": validation, "test": test}


def text(name: str, images: Images) -> str:
    """A config with comments: a network of three stages that fits the images, and its training.

    The first stage halves the map until its side is at most 16, so that it is cheap; the others
    are wider. Epochs are such that about 200,000 images are seen.
    """
    height, width, channels = images.shape
    split = images.split
    seen = max(1, split["train"])
    epochs = min(max(round(SEEN / seen), EPOCHS[0]), EPOCHS[1])
    colour = "grey" if channels == 1 else "colour"
    said = ", ".join(f"{count:,} {half}" for half, count in split.items())
    lines = [
        f"# {len(images.classes)} classes of {height} x {width} {colour} images: {said}.",
        "# What is not said here has a default; `exeunt config FILE` prints every key with its",
        "# meaning.",
        f"name = {toml(name)}",
        "",
        "[data]",
        *_data(images),
        "",
        "[model]",
        f"input = {toml(images.shape)}  # height, width, channels",
        f"classes = {len(images.classes)}  # in the order of their names as text: "
        f"{_some(images.classes)}",
        "weight_bits = 4  # 2 to 8",
        "activation_bits = 4",
        "",
        *_stages(images.shape),
        "[train]",
        f"epochs = {epochs}  # passes over the training images",
        f"batch = {128 if seen >= 1280 else 32}",
        "learning_rate = 0.01",
        "weight_decay = 0.01",
        "distill = 0.5  # early exits learn from the last one too",
        f"shift = {1 if min(height, width) >= LEAST else 0}  # pixels by which images are moved at "
        "random; 0 where place matters",
        "flip = false  # true where a mirrored image is still one of its class",
        "",
        "[calibrate]",
        "drop = 0.005  # accuracy that leaving early may cost",
    ]
    if split["validation"] < FEW:
        lines.append("shift = 1  # thresholds from moved copies too, since there are few images")
    lines += [
        "",
        "[compile]",
        "# cycles per image that the first stage may take; fewer: faster and larger; in its place",
        '# board = "pynq-z2", say, makes what fills a board',
        f"target_cycles = {(4 if channels == 1 else 16) * height * width}",
    ]
    return "\n".join(lines) + "\n"


def _data(images: Images) -> list[str]:
    own = images.counts
    kind = "zip" if images.packed else "folder"
    lines = [f"dataset = {toml(images.dataset)}", f"format = {toml(kind)}  # <class>/<image>"]
    if "validation" not in own:
        lines.append(
            f"validation = {VALIDATION}  # of the training images of every class, for all choices"
        )
    if "test" not in own:
        lines.append(f"test = {TEST}  # of the images of every class, for reporting alone")
    return lines


def _stages(shape: tuple[int, int, int]) -> list[str]:
    height, width, channels = shape
    side, far = min(height, width), max(height, width)
    wide = 8 if channels == 1 else 16
    strides: list[int] = []
    while not strides or far > SIDE:
        step = 2 if side >= LEAST else 1
        if step == 1 and strides:
            break
        strides.append(step)
        side, far = -(-side // step), -(-far // step)
    first = [_conv(wide, step) for step in strides]
    lines = ["# the first stage is cheap: most images shall leave behind it", *_stage(first, side)]
    second = [_conv(2 * wide)]
    if side >= LEAST:
        second.append(_POOL)
        side //= 2
    lines += _stage(second, side)
    last = [_conv(4 * wide), _conv(4 * wide)]
    if side >= LEAST:
        last.append(_POOL)
        side //= 2
    return [*lines, "# the last exit answers what is left", *_stage(last, side)]


_POOL = '{ pool = "max", size = 2 }'


def _conv(channels: int, stride: int = 1) -> str:
    step = f", stride = {stride}" if stride > 1 else ""
    return f"{{ conv = {channels}, kernel = 3{step}, padding = 1 }}"


def _stage(blocks: list[str], side: int) -> list[str]:
    """A stage whose head begins with a pool where its map is wide; `side` is the shorter one."""
    inside = "".join(f"  {block},\n" for block in blocks)
    size = 1
    while side // (2 * size) >= HEAD:
        size *= 2
    head = f'{{ pool = "max", size = {size} }}' if size > 1 else ""
    return ["[[model.stages]]", f"blocks = [\n{inside}]", f"head = [{head}]", ""]


def _some(names: tuple[str, ...], most: int = 8) -> str:
    """Names in a comment, which is one line."""
    shown = ", ".join(" ".join(name.split()) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
