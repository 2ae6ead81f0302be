"""Ctrl-C, SIGTERM and SIGHUP at random moments of a run, its teardown included; is what the harness then says true?

    PYTHONPATH=tests:tests/conformance python tests/conformance/signal_sweep.py --env docker --count 40       also local

After each signal the run must have ended with its verdict or with 130, and have left no container, network, volume,
ledger or process; or it must have said that something is left, and `splitbrain heal` must remove that. Every third run
gets a second Ctrl-C, after which it may take five seconds. Prints a line for each run and a sum; exits with 1 if
anything went wrong. Responsible for the signals and the comparison; `leftovers` looks.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from leftovers import processes_naming, things_labelled

DEADLINE_S = 120.0
PATIENCE_S = 5.0
SLACK_S = 1.5
"""What a loaded machine may take beyond that, to start and end threads and processes."""

RUN_S = 1.5
VERDICTS = (0, 1, 2)
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STOPPED = "splitbrain: interrupted; what was started has been stopped"
LEFT = "splitbrain: interrupted; "


@dataclass(frozen=True)
class Shot:
    """A signal at a moment after the start of a run and, if `again_s` is given, Ctrl-C so much later."""

    moment_s: float
    number: signal.Signals
    again_s: float | None = None

    def __str__(self) -> str:
        again = "" if self.again_s is None else f", and Ctrl-C {self.again_s:.2f} s later"
        return f"{self.number.name} at {self.moment_s:5.2f} s{again}"


@dataclass(frozen=True)
class Ended:
    """How a run ended, and how long it took after the last signal."""

    code: int
    said: str
    pid: int
    seconds: float


def shoot(environment: str, directory: Path, shot: Shot, seed: int) -> Ended:
    """Make a run that gets these signals. It has ended by itself if it is over before."""
    words = ["run", "--env", environment, "--nodes", "3", "--nemesis", "partition,kill", "--interval", "0.5"]
    words += ["--time-limit", str(RUN_S), "--seed", str(seed), "--store", str(directory / "store")]
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "harness", *words],
        env=_variables(directory),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as run:
        said, last = "", time.monotonic()
        for after_s, number in ((shot.moment_s, shot.number), (shot.again_s, signal.SIGINT)):
            if after_s is None or run.poll() is not None:
                break
            try:
                run.wait(after_s)
            except subprocess.TimeoutExpired:
                run.send_signal(number)
                last = time.monotonic()
        try:
            said, _ = run.communicate(timeout=DEADLINE_S)
        finally:
            run.kill()
    return Ended(run.returncode, said, run.pid, time.monotonic() - last)


def faults(environment: str, directory: Path, shot: Shot, ended: Ended) -> list[str]:
    """What is wrong with the end of a run; nothing is left of it afterwards."""
    wrong = []
    last = (ended.said.strip().splitlines() or [""])[-1]
    left = list(_left(environment, directory, ended.pid))
    if ended.code == 130 and last == STOPPED:
        wrong += [f"said to be stopped: {thing}" for thing in left]
    elif ended.code == 130 and not (last.startswith(LEFT) and "splitbrain heal" in last):
        wrong.append(f"it does not say what it left: {last!r}")
    elif ended.code != 130:
        wrong += [f"left by a run that has ended with {ended.code}: {thing}" for thing in left]
        if ended.code not in (*VERDICTS, -shot.number):  # which it may die of before it has begun anything
            wrong.append(f"exit code {ended.code}: {last!r}")
    if "Traceback" in ended.said:
        wrong.append(f"a traceback: {ended.said}")
    if shot.again_s is not None and ended.code == 130 and ended.seconds > PATIENCE_S + SLACK_S:
        wrong.append(f"it took {ended.seconds:.1f} s after the second Ctrl-C")
    return wrong + _unhealed(environment, directory, ended, left)


def _unhealed(environment: str, directory: Path, ended: Ended, left: list[str]) -> list[str]:
    """What `heal` does not remove of what is left, or does not say."""
    command = [sys.executable, "-P", "-m", "harness", "heal"]
    done = subprocess.run(command, env=_variables(directory), capture_output=True, text=True, timeout=DEADLINE_S)
    wrong = [] if done.returncode == 0 else [f"heal: {done.stdout}{done.stderr}"]
    if not left and done.stdout != "nothing to heal\n":
        wrong.append(f"heal, where nothing was left: {done.stdout}")
    if any(thing.startswith(("container", "network", "volume")) for thing in left) and "removed " not in done.stdout:
        wrong.append(f"heal does not say what it removed: {done.stdout}")
    return wrong + [f"not healed: {thing}" for thing in _left(environment, directory, ended.pid)]


def _left(environment: str, directory: Path, pid: int) -> Iterator[str]:
    """What is there of a run."""
    yield from (f"ledger {file.name}" for file in (directory / "state" / "ledger").glob("*"))
    yield from (f"process {command}" for command in processes_naming(str(directory / "store")))
    if environment == "docker":
        yield from (f"container, network or volume {name}" for name in things_labelled({"splitbrain.pid": str(pid)}))


def _variables(directory: Path) -> dict[str, str]:
    return {**os.environ, "SPLITBRAIN_STATE": str(directory / "state"), "TMPDIR": str(directory)}


def drawn(random: Random, number: int, latest_s: float) -> Shot:
    again_s = random.uniform(0.0, 1.0) if number % 3 == 0 else None
    first = signal.SIGINT if again_s is not None else SIGNALS[number % len(SIGNALS)]
    return Shot(random.uniform(0.1, latest_s), first, again_s)


def main() -> None:
    """See the head of this file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--env", choices=["docker", "local"], required=True)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1, help="what the moments are drawn from")
    options = parser.parse_args()
    for number in SIGNALS:  # a shell in the background, or nohup, may have had them ignored
        signal.signal(number, signal.SIG_DFL)
    random, failed, ends = Random(options.seed), 0, dict[str, int]()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        whole = shoot(options.env, directory, Shot(DEADLINE_S, signal.SIGINT), 0)
        for number in range(1, options.count + 1):
            shot = drawn(random, number, whole.seconds)
            ended = shoot(options.env, directory, shot, number)
            wrong = faults(options.env, directory, shot, ended)
            last = (ended.said.strip().splitlines() or [""])[-1]
            end = {130: "stopped" if last == STOPPED else "left something"}.get(ended.code, "other")
            end = "verdict" if ended.code in VERDICTS else end
            ends[end] = ends.get(end, 0) + 1
            told = f"{shot}: {ended.code}, {end} after {ended.seconds:.1f} s; {wrong or 'right'}"
            print(f"{number}/{options.count}: {told}", flush=True)
            failed += bool(wrong)
    print(f"{options.env}: {options.count} runs of {whole.seconds:.1f} s, {ends}; wrong: {failed}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
