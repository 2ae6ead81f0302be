"""The command `splitbrain`: which commands there are, and which exceptions end them with which exit code.

Must not live here: what a command does (one file each in `harness.commands`), or the numbers (`harness.exit_codes`).
"""

from __future__ import annotations

import signal
import sys
import traceback
from typing import Annotated

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
from harness.commands.replay import replay_command
from harness.commands.run import run_command
from harness.commands.runs import runs_command, show_command
from harness.commands.terminal import one_line
from harness.errors import EnvironmentFailure, UsageError

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
        print(f"splitbrain {__version__}")
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
    """Run the command line and exit. SIGTERM interrupts it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(call(sys.argv[1:]))


def call(arguments: list[str]) -> int:
    """The exit code of the command line. Exceptions are translated here, once."""
    try:
        code = app(arguments, prog_name="splitbrain", standalone_mode=False)
    except (typer.TyperException, UsageError, HistoryError) as error:
        message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
        print(f"splitbrain: {one_line(message)}", file=sys.stderr)
        return exit_codes.BAD_INPUT
    except EnvironmentFailure as failure:
        print(f"splitbrain: {failure}; nothing is proven", file=sys.stderr)
        return exit_codes.UNKNOWN
    except (KeyboardInterrupt, typer.Abort):
        print("splitbrain: interrupted; what was started has been stopped", file=sys.stderr)
        return exit_codes.INTERRUPTED
    except Exception:  # noqa: BLE001 - whatever it is, the shell must see a crash and not a verdict
        traceback.print_exc()
        print("splitbrain: crashed; this is a bug in splitbrain, or the machine failed it", file=sys.stderr)
        return exit_codes.CRASH
    return code if isinstance(code, int) else 0
