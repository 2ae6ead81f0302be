"""The entrance: `python -m harness` and the script `splitbrain`. Ctrl-C ends it without a traceback from the start."""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # until `main` has something better
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from harness.cli import main

if __name__ == "__main__":
    main()
