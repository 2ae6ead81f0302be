"""The entrance: `python -m harness` and the script `splitbrain`."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the command line and exit. Ctrl-C while it is still being loaded ends it without a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from harness.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
