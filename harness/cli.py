"""The command `splitbrain`: which commands there are, and which exceptions end them with which exit code.

Must not live here: what a command does (one file each in `harness.commands`), or the numbers (`harness.exit_codes`).
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, NamedTuple

import typer

from checkers.history import HistoryError
from harness import __version__, exit_codes
from harness.commands.campaign import campaign_command
from harness.commands.check import check_command
from harness.commands.compare import compare_command
from harness.commands.demo import demo_command
from harness.commands.doctor import doctor_command
from harness.commands.export import export_command
from harness.commands.gate import gate_command
from harness.commands.heal import heal_command
from harness.commands.merge import merge_command
from harness.commands.nemesis import nemesis_command
from harness.commands.one_run import AlreadySaid
from harness.commands.replay import replay_command
from harness.commands.run import run_command
from harness.commands.runs import runs_command, show_command
from harness.commands.streams import Streams
from harness.commands.terminal import Terminal
from harness.errors import EnvironmentFailure, Interrupted, UsageError

app = typer.Typer(
    name="splitbrain",
    help="Break a replicated system on purpose, record what its clients saw, and decide whether that could have "
    "happened on a single correct copy.",
    add_completion=False,
    rich_markup_mode=None,
    epilog=f"Exit codes: {exit_codes.LEGEND}.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        Terminal().lines([f"splitbrain {__version__}"])
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and end.")
    ] = False,
) -> None:
    """Options of no command."""
    if context.invoked_subcommand is None:
        raise UsageError("no command; such as `splitbrain demo`; `splitbrain --help` lists them")


app.command("run")(run_command)
app.command("check")(check_command)
app.command("campaign")(campaign_command)
app.command("runs")(runs_command)
app.command("show")(show_command)
app.command("gate")(gate_command)
app.command("compare")(compare_command)
app.command("merge")(merge_command)
app.command("replay")(replay_command)
app.command("export")(export_command)
app.command("doctor")(doctor_command)
app.command("nemesis")(nemesis_command)
app.command("heal")(heal_command)
app.command("demo")(demo_command)


def main() -> None:
    """Run the command line and exit. SIGTERM and SIGHUP interrupt it as Ctrl-C does; nohup's SIGHUP stays ignored."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    streams = Streams()
    try:
        end = _end_of(sys.argv[1:])
    except KeyboardInterrupt:  # once more, while it was said that the command is interrupted
        end = _End(exit_codes.INTERRUPTED)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # what is left to do takes no time
    code = streams.finish(end.code, end.decided)
    if end.at_once:
        os._exit(code)
    sys.exit(code)


def call(arguments: list[str]) -> int:
    """Return the exit code of the command line."""
    return _end_of(arguments).code


class _End(NamedTuple):
    """How a command ended. `decided`: by its verdict. `at_once`: threads may hang, and are not to be waited for."""

    code: int
    decided: bool = False
    at_once: bool = False


def _end_of(arguments: list[str]) -> _End:
    """Run the command line. Exceptions are translated here, once."""
    terminal = Terminal()
    try:
        code = app(arguments, prog_name="splitbrain", standalone_mode=False)
    except (typer.TyperException, UsageError, HistoryError) as error:
        terminal.error(error.format_message() if isinstance(error, typer.TyperException) else str(error))
        return _End(exit_codes.BAD_INPUT)
    except EnvironmentFailure as failure:
        terminal.error(f"{failure}; nothing is proven")
        return _End(exit_codes.UNKNOWN)
    except Interrupted as interruption:
        terminal.error(f"interrupted; {interruption}")
        return _End(exit_codes.INTERRUPTED, at_once=True)
    except AlreadySaid:
        return _End(exit_codes.INTERRUPTED)
    except (KeyboardInterrupt, typer.Abort):
        code = exit_codes.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - whatever it is, the shell must see a crash and not a verdict
        terminal.crash(error)
        terminal.error("crashed; this is a bug in splitbrain, or the machine failed it")
        return _End(exit_codes.CRASH)
    if code == exit_codes.INTERRUPTED:  # which is what typer makes of KeyboardInterrupt
        terminal.error("interrupted; what was started has been stopped")
    # A command with a verdict ends by `typer.Exit`. So do help and version, which have none.
    return _End(code or 0, decided=code is not None and not {"--help", "--version"} & set(arguments))
