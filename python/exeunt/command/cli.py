"""The command line: one command a step; heavy imports happen inside the commands."""

from __future__ import annotations

import dataclasses
import os
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from exeunt.command import group, lists, setup, surroundings
from exeunt.command.options import board as _board
from exeunt.command.options import common as _options
from exeunt.command.options import scheduler as _scheduler
from exeunt.config.methods import METHODS
from exeunt.errors import CheckFailed, ExeuntError, InputError

if TYPE_CHECKING:
    from exeunt.command.run import Context

F = TypeVar("F", bound=Callable[..., Any])


@click.group(cls=group.Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="exeunt", message="%(prog)s %(version)s")
def cli() -> None:
    """Early-exit CNNs from PyTorch to RTL that answers like its reference.

    CONFIG is a shipped config (digits, mnist, b-lenet, cifar10,
    cifar10-vgg, cifar10-resnet8), a trained network (zoo:digits,
    zoo:mnist, zoo:cifar10-vgg) or a TOML file. Exit codes: 0 good,
    1 a check failed, 2 the input is wrong, 3 a tool is missing or failed.
    """


def _context(config: str, out: str | None, data: str) -> Context:
    from exeunt.command import run
    from exeunt.config import tree

    loaded = tree.load(config)
    run_dir = Path(out) if out else run.default_out(loaded)
    return run.Context(loaded, run_dir, Path(data))


def _one(
    name: str, config: str, out: str | None, data: str, debug: bool, scheduler: str = "",
    **options: Any,
) -> Path:  # fmt: skip
    """Do one step with its progress bar; `options` are arguments that it alone has."""
    from exeunt.command import run
    from exeunt.report import store
    from exeunt.report.warnings import warnings
    from exeunt.scheduler import opened

    context = dataclasses.replace(_context(config, out, data), options=options)
    with (
        _log(context, debug) as shown,
        shown.showing(),
        opened(scheduler, tell=shown.say) as machines,
    ):
        context = dataclasses.replace(context, machines=machines)
        run.run_step(name, context, announce=shown.announce)
    for warning in warnings(store.read(context.run_dir), name):
        click.echo(f"warning: {warning}")
    return context.run_dir


def _log(context: Context, debug: bool) -> Any:
    from exeunt.command import run, screen

    if debug:
        return screen.captured(None)
    with run.locked(context.run_dir):  # refuse a foreign or used folder before writing a log there
        return screen.captured(context.run_dir / screen.LOG)


@cli.command("run")
@_options
def run_(config: str, out: str | None, data: str, debug: bool) -> None:
    """All steps whose inputs have changed, then the figures."""
    from exeunt.command import doctor, run, screen
    from exeunt.report import store
    from exeunt.report.warnings import warnings

    context = _context(config, out, data)
    doctor.check_run()
    failure: CheckFailed | None = None
    with _log(context, debug) as shown, shown.showing():
        try:
            run.run_all(context, announce=shown.announce)
        except CheckFailed as error:
            failure = error
    console = screen.Screen(sys.stdout).console
    found = store.read(context.run_dir)
    for table in screen.summary(found, run.seconds(context.run_dir)):
        console.print(table)
    for warning in warnings(found):
        console.print(f"warning: {warning}", markup=False)
    console.print(f"report: {context.run_dir / store.HTML}", markup=False)
    if failure is not None:
        raise failure


for _command in (setup.config, setup.new, setup.fetch):
    cli.add_command(_command)


def _step(name: str, text: str, left: str = "", *, spread: bool = False) -> None:
    """The command of a step; behind it what the report says of it, where it has `left` a file."""

    @_options
    @(_scheduler if spread else lambda function: function)
    def command(config: str, out: str | None, data: str, debug: bool, scheduler: str = "") -> None:
        run_dir = _one(name, config, out, data, debug, scheduler)
        if left:
            from exeunt.report import store

            for line in import_module(f"exeunt.report.{name}").lines(store.read(run_dir)):
                click.echo(line)
            click.echo(run_dir / left)

    command.__doc__ = text
    cli.command(name)(command)


_step("train", "Train the network and all its exits; resumes an interrupted training.")


@cli.command()
@_options
@click.option("--compare", is_flag=True, help="Criteria side by side over seeds, for the report.")
@click.option("--choose", is_flag=True, help="Try settings of each criterion on validation images.")
@_scheduler
def compress(
    config: str, out: str | None, data: str, debug: bool, scheduler: str, compare: bool,
    choose: bool,
) -> None:  # fmt: skip
    """Make the network smaller, as the config's [compress] says; resumes."""
    lists.only_with("--scheduler", scheduler, "--compare", compare)
    run_dir = _one(
        "compress", config, out, data, debug, scheduler, compare=compare or None,
        choose=choose or None,
    )  # fmt: skip
    if choose:
        click.echo(run_dir / "compare" / "choice.json")
    if compare:
        from exeunt.report import store
        from exeunt.report.compression import lines

        click.echo(run_dir / store.HTML)
        for line in lines(store.read(run_dir)):
            click.echo(line)


@cli.command()
@_options
@click.argument("images", nargs=-1)
@click.option("--apply", "applied", is_flag=True, help="The rules that there are, to your IMAGES.")
@click.option("--resize", is_flag=True, help="Scale images that do not fit the network.")
@click.option("--compare", is_flag=True, help="Rules beside their alternatives, for the report.")
@click.option("--seeds", default="", help="With --compare: of the networks, as in 0,1,2.")
def rules(
    config: str,
    out: str | None,
    data: str,
    debug: bool,
    images: tuple[str, ...],
    applied: bool,
    resize: bool,
    compare: bool,
    seeds: str,
) -> None:
    """Learn rules that modify images so that they leave earlier, or apply them to your IMAGES."""
    if compare and (applied or images):
        raise InputError("--compare must go without --apply and images: do one of them at a time")
    if seeds and not compare:
        raise InputError("--seeds must be given with --compare, got it alone: add --compare")
    if applied != bool(images):
        raise InputError(
            f"--apply must go with images, got {'none' if applied else 'images without it'}: write "
            "`exeunt rules CONFIG --apply IMAGE...`"
        )
    if images:
        from exeunt.quant.rules.apply import apply

        context = _context(config, out, data)
        for found in apply(context.config, context.run_dir, images, resize=resize):
            click.echo(found.text)
        return
    if resize:
        raise InputError("--resize must go with --apply, got it alone: name an image")
    from exeunt.report import compared, store
    from exeunt.report.rules import lines

    if compare:
        run_dir = _one("against", config, out, data, debug, seeds=lists.seeds(seeds))
        click.echo(run_dir / store.HTML)
        for line in compared.lines(store.read(run_dir)):
            click.echo(line)
        return
    run_dir = _one("rules", config, out, data, debug)
    for line in lines(store.read(run_dir)):
        click.echo(line)


_step("attach", "Put early exits on a trained network that has none.", "attach/config.toml")
_step(
    "search", "Try networks around this one, for the board; resumes.", "search/front.html",
    spread=True,
)  # fmt: skip


@cli.command()
@_options
@click.option("--compare", is_flag=True, help="All exit criteria side by side, for the report.")
@click.option("--criteria", "names", default="", help="With --compare: only these, as in a,b.")
@click.option("--seeds", default="", help="With --compare: of the networks, as in 0,1,2.")
@_scheduler
def calibrate(
    config: str, out: str | None, data: str, debug: bool, scheduler: str, compare: bool,
    names: str, seeds: str,
) -> None:  # fmt: skip
    """Choose the exit thresholds, in the integers that the hardware sees."""
    lists.only_with("--scheduler", scheduler, "--compare", compare)
    if not compare:
        if names or seeds:
            raise InputError(
                f"{'--criteria' if names else '--seeds'} must be given with --compare, got it "
                "alone: add --compare, or change the config"
            )
        _one("calibrate", config, out, data, debug)
        return
    chosen, given = lists.seeds(seeds), lists.criteria(names)
    run_dir = _one("compare", config, out, data, debug, scheduler, seeds=chosen, names=given)
    from exeunt.report import store
    from exeunt.report.criteria import lines

    click.echo(run_dir / store.HTML)
    for line in lines(store.read(run_dir)):
        click.echo(line)


@cli.command()
@_options
@click.argument("images", nargs=-1)
@click.option("--method", type=click.Choice(METHODS), help="Instead of explain.method.")
@click.option("--resize", is_flag=True, help="Scale images that do not fit the network.")
@click.option(
    "--quantus", is_flag=True, help="Measure the maps by Quantus too, as explain.quantus."
)
@click.option("--hardware", is_flag=True, help="Draw the maps of the accelerator itself.")
def explain(
    config: str,
    out: str | None,
    data: str,
    debug: bool,
    images: tuple[str, ...],
    method: str | None,
    resize: bool,
    quantus: bool,
    hardware: bool,
) -> None:
    """Draw what the answers rest on, for test images or your own IMAGES."""
    if config.lower().endswith((".png", ".jpg", ".jpeg")):
        config, images = "digits", (config, *images)
    if hardware:
        from exeunt.command import heatmaps

        own = heatmaps.given(_context(config, out, data), images, resize, method or quantus)
        made = _one("heatmaps", config, out, data, debug, pictures=own)
        click.echo(made / ("heatmaps" if own else "report.html"))
        return
    from exeunt.command import run

    context = dataclasses.replace(
        _context(config, out, data), options={"images": images or None, "resize": resize or None}
    )
    if images and quantus:
        raise InputError(
            f"--quantus must have test images to measure, got {len(images)} of your own: leave "
            "the flag or the images out"
        )
    given = {**({"method": method} if method else {}), **({"quantus": True} if quantus else {})}
    if given:
        section = context.config.explain.model_copy(update=given)
        changed = context.config.model_copy(update={"explain": section})
        context = dataclasses.replace(context, config=changed)
    with _log(context, debug) as shown, shown.showing():
        run.run_step("explain", context, announce=shown.announce)
    page = "explained/index.html" if images else "explain"
    click.echo(context.run_dir / page)


@cli.command()
@_options
@click.option("--pack", default="", help="Folder for a small copy and a config that runs it.")
def export(config: str, out: str | None, data: str, debug: bool, pack: str) -> None:
    """Export to one QONNX file with one output per exit."""
    _one("export", config, out, data, debug, pack=pack or None)


_step("compile", "From QONNX to RTL, exit by exit, with FINN as the compiler.")


@cli.command()
@_options
@click.option("--waves", type=click.Choice(["vcd", "fst"]), help="Write waves of one frame.")
@click.option("--frame", type=click.IntRange(min=0), help="The frame.  [default: the first]")
@_scheduler
def simulate(
    config: str, out: str | None, data: str, debug: bool, scheduler: str, waves: str | None,
    frame: int | None,
) -> None:  # fmt: skip
    """Run the test images through the RTL and compare every answer."""
    run_dir = _one("simulate", config, out, data, debug, scheduler, waves=waves or "", frame=frame)
    if waves or frame is not None:
        click.echo(run_dir / "waves" / f"frame{frame or 0}.{waves or 'vcd'}")


_step("synth", "Count LUT, FF, DSP and BRAM with Yosys.")


_step("energy", "Count toggles in the RTL; energy by block, an estimate.", "activity/activity.saif")


@cli.command()
@_options
@_board("A board's name, or the folder of your own board.")
def bitstream(config: str, out: str | None, data: str, debug: bool, board: str) -> None:
    """Make the bitstream for a board; without its tools, the project for them."""
    from exeunt.boards import targets
    from exeunt.config import tree
    from exeunt.report import store

    name = targets.load(board or tree.load(config).bitstream.board).name
    run_dir = _one(f"bitstream:{name}", config, out, data, debug, board=board)
    made = next(e for e in store.read(run_dir)["synthesis"] if e.get("board") == name)
    if made["bitstream"] is not None:
        click.echo(run_dir / made["bitstream"])
    elif made.get("next"):
        click.echo(made["next"])


@cli.command()
@_options
@_board("A board's name, or the folder of your own board.")
@click.option("--archive", default="", help="The file.  [default: <run>/deploy/<name>-<board>.zip]")
@click.option("--images", type=click.IntRange(min=0), help="Test images, 0: all.  [default: 1000]")
def deploy(
    config: str,
    out: str | None,
    data: str,
    debug: bool,
    board: str,
    archive: str,
    images: int | None,
) -> None:
    """Pack driver, network, vectors, notebook and bitstream for a board."""
    from exeunt.boards import targets
    from exeunt.config import tree
    from exeunt.deploy import step
    from exeunt.report import store

    loaded = tree.load(config)
    name = targets.load(board or loaded.bitstream.board).name
    given: dict[str, Any] = {
        "board": board or loaded.bitstream.board, "archive_path": archive, "images": images,
    }  # fmt: skip
    run_dir = _one(f"deploy:{name}", config, out, data, debug, **given)
    made = next(e for e in store.read(run_dir)["deploy"] if e["board"] == name)
    click.echo(step.path_of(loaded, run_dir, name, archive))
    if made["bitstream"] is None:
        click.echo(f"there is no bitstream in it: `exeunt bitstream --board {name}` makes one")


@cli.command()
@_options
@_board("A board that is connected, or on which this runs.")
@click.option("--simulated", is_flag=True, help="The RTL under Verilator; times in cycles.")
@click.option("--modelled", is_flag=True, help="The references in its place; times in cycles.")
@click.option("--port", default="", help="Serial port of the board.")
@click.option("--from", "file", default="", help="What bench.py wrote on the board.")
@click.option("--images", type=click.IntRange(min=0), default=0, help="Test images, 0: all.")
@click.option("--repeats", type=click.IntRange(min=1), default=3, help="Passes; the median counts.")
@click.option("--seconds", type=click.FloatRange(0.1, 600), default=2.0, help="A power reading.")
@click.option("--sweep/--no-sweep", default=True, help="Along the calibration curve.")
@click.option("--energy/--no-energy", default=None, help="Fail without it, or leave it out.")
@click.option("--watts", type=float, help="Under load, from an external meter.")
@click.option("--idle-watts", type=float, help="Idle, from an external meter.")
@click.option("--threads", type=click.IntRange(min=0), default=0, help="Of onnxruntime, 0: all.")
def bench(
    config: str,
    out: str | None,
    data: str,
    debug: bool,
    board: str,
    simulated: bool,
    modelled: bool,
    **options: Any,
) -> None:
    """Images per second, latency and energy, against the same network on this processor."""
    from exeunt.bench import step
    from exeunt.report import store

    name = step.chosen(board, simulated, modelled)
    run_dir = _one(f"bench:{name}", config, out, data, debug, board=board or name, **options)
    click.echo(step.told(run_dir, name))
    click.echo(run_dir / store.HTML)


@cli.command("report")
@_options
def report_(config: str, out: str | None, data: str, debug: bool) -> None:
    """Write report.html from what the other steps left."""
    del debug
    from exeunt.command import run
    from exeunt.report import document, store

    context = _context(config, out, data)
    if not (context.run_dir / store.JSON).exists():
        raise InputError(
            f"run folder {context.run_dir} must have a {store.JSON}, got none: "
            f"do `exeunt run {config}` first"
        )
    with run.shared(context.run_dir) as busy:
        document.write(context.run_dir)
    click.echo(context.run_dir / store.HTML)
    if busy:
        click.echo(f"in use by {busy}: what that has not finished is not in the report")


cli.add_command(setup.doctor)
cli.add_command(setup.completion)


def main(args: list[str] | None = None) -> None:
    """Entry point: runs the command line and exits with its code."""
    arguments = sys.argv[1:] if args is None else args
    sys.exit(_guarded(arguments))


def _guarded(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    try:
        cli.main(args=arguments or ["--help"], prog_name="exeunt", standalone_mode=False)
    except ExeuntError as error:
        if debug:
            traceback.print_exc()
        click.echo(f"exeunt: {error}", err=True)
        return error.exit_code
    except click.ClickException as error:
        if debug:
            traceback.print_exc()
        message = error.format_message().rstrip(".")
        click.echo(f"exeunt: {message[:1].lower()}{message[1:]}: see exeunt --help", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("exeunt: interrupted: the same command goes on from here", err=True)
        return 130
    except BrokenPipeError:  # nobody reads on, such as behind `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if debug:
            traceback.print_exc()
        sentence, code = surroundings.told(error)
        if sentence:
            click.echo(f"exeunt: {sentence}", err=True)
            return code
        kind, text = type(error).__name__, " ".join(str(error).split())[:200]
        click.echo(
            f"exeunt: this should not have happened ({kind}: {text}): "
            "add --debug for the traceback and report it",
            err=True,
        )
        return 1
    return 0


if __name__ == "__main__":
    main()
