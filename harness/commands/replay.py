"""`splitbrain replay`: a recorded failure again, from its artefact or its run directory.

Lives here: arguments in, text or JSON out, the exit code. What a replay is, and what follows from it, is
`harness.replay`'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

import harness
from checkers.result import Verdict, merge
from harness import exit_codes
from harness.artefact import Artefact, OtherVersion, failure_of, read_artefact
from harness.commands.one_run import enter_namespace, execute, heal_before, print_results
from harness.commands.terminal import Terminal
from harness.environments import choose
from harness.errors import EnvironmentFailure, Interrupted, UsageError
from harness.judge import Results
from harness.replay import (
    BAD,
    CANNOT_TELL,
    GOOD,
    Difference,
    bisect_code,
    definition_of,
    first_difference,
    repeats,
    same_failure,
    tally,
)
from harness.store import RunDirectory, create
from harness.test import validated


def replay_command(
    path: Annotated[Path, typer.Argument(metavar="FILE|RUN", help="An artefact.json, or the directory of a run.")],
    times: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="How often; in the simulator with the seeds that follow.")
    ] = 1,
    env: Annotated[
        str | None, typer.Option(help="Where instead of where it was recorded: auto, docker, local or sim.")
    ] = None,
    aim_anew: Annotated[
        bool, typer.Option("--aim-anew", help="Hit whoever is the leader now, not the node that was.")
    ] = False,
    bisect: Annotated[
        bool, typer.Option("--bisect", help="Exit as git bisect run has it: 0 valid, 1 fails, 125 cannot be told.")
    ] = False,
    store: Annotated[Path, typer.Option(help="Where the replays are kept.")] = Path("store"),
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object, nothing else.")] = False,
) -> None:
    """Have a recorded run again, and say whether it fails as it did.

    In the simulator it is the same run, and its digest must come out equal. On real nodes, and wherever it was not
    recorded, the recorded faults are issued again at their times, on their nodes, and failures are counted.
    Exits with the verdict of what came out: 0 valid, 1 invalid, 2 unknown, or not the same run. With --bisect also a
    version or a machine that cannot make the run exits with 125; only a file that is no artefact still with 254.
    """
    terminal = Terminal(json)
    try:
        artefact = read_artefact(path)
    except OtherVersion as error:
        if not bisect:
            raise
        terminal.say(str(error))
        raise typer.Exit(CANNOT_TELL) from error
    recorded = path if path.is_dir() else path.parent
    replay = Replay(artefact, recorded, env or artefact.definition.environment, aim_anew, store, terminal)
    if bisect:
        raise typer.Exit(_bisected(replay, times))
    replay.prepare()
    replay.run(times)
    replay.report()
    raise typer.Exit(replay.verdict.exit_code)


@dataclass
class Replay:
    """Replays of one artefact, one after the other, and what came of them. `environment` may be `auto` at first."""

    artefact: Artefact
    recorded: Path
    environment: str
    aim_anew: bool
    store: Path
    terminal: Terminal
    runs: list[tuple[RunDirectory, Results]] = field(default_factory=list)

    def prepare(self) -> None:
        """Get ready for runs there, if need be in another process, with whose exit code this one then exits."""
        self.environment, _ = choose.choose(self.environment)
        heal_before(self.terminal)
        enter_namespace(self.environment)

    def run(self, times: int) -> None:
        """Have it again so often."""
        self._say_versions()
        for number in range(times):
            test = validated(definition_of(self.artefact, self.environment, number, self.aim_anew))
            directory = create(self.store, test.name, say=self.terminal.say)
            results = execute(test, directory, self.terminal)
            self.runs.append((directory, results))
            if times > 1:
                failure = failure_of(results)
                self.terminal.say(f"{number + 1} of {times}: {results.verdict}: {failure or results.reason}")

    def _say_versions(self) -> None:
        if self.artefact.version != harness.__version__:
            made_by = f"made by splitbrain {self.artefact.version}"
            self.terminal.say(f"{made_by}, replayed by {harness.__version__}: the run may come out another")

    @property
    def outcomes(self) -> list[Results]:
        return [results for _, results in self.runs]

    @property
    def is_repeated(self) -> bool | None:
        """Whether the first replay is the recorded run itself; None if it need not be, or if that is not known."""
        if not repeats(self.artefact, self.environment) or self.artefact.digest is None:
            return None
        return self.outcomes[0].digest == self.artefact.digest

    @property
    def verdict(self) -> Verdict:
        """Of all replays; unknown if the recorded run was to come out and did not."""
        return Verdict.UNKNOWN if self.is_repeated is False else merge(results.verdict for results in self.outcomes)

    @property
    def difference(self) -> Difference | None:
        try:
            return first_difference(self.recorded, self.runs[0][0].path) if self.is_repeated is False else None
        except OSError:  # the recorded run is there, and cannot be read
            return None

    def report(self) -> None:
        """Say what came out: of a single replay everything, of several how many failed."""
        if self.terminal.json:
            self.terminal.document(self._object())
            return
        if len(self.runs) == 1:
            directory, results = self.runs[0]
            print_results(results, directory, self.terminal)
        self.terminal.lines(self._digest_lines())
        self.terminal.verdict(self.verdict, f"{self.verdict}: {self._sentence()}")

    def _digest_lines(self) -> list[str]:
        if self.is_repeated is None:
            return []
        recorded, replayed = self.artefact.digest, self.outcomes[0].digest
        if self.is_repeated:
            return [f"digest         {recorded}, as it was recorded"]
        lines = [f"digest         {replayed}, but {recorded} was recorded by splitbrain {self.artefact.version}"]
        if (difference := self.difference) is not None:
            return [*lines, str(difference)]
        return [*lines, "where they differ first is not known: the recorded run is not there to compare"]

    def _sentence(self) -> str:
        if self.is_repeated is False:
            made_by = f"splitbrain {self.artefact.version} made it, this is {harness.__version__}"
            return f"this is not the run that was recorded: {made_by}; this one is {self.outcomes[0].verdict}"
        if len(self.runs) > 1 or not repeats(self.artefact, self.environment):
            return str(tally(self.artefact.failure, self.outcomes))
        failure = failure_of(self.outcomes[0])
        if failure is None:
            return "it does not fail" if self.artefact.failure else "it does not fail, as it did not"
        same = same_failure(self.artefact.failure, failure)
        return f"it fails {'as it did' if same else 'in another way'}: {failure}"

    def _object(self) -> dict[str, object]:
        return {
            "verdict": self.verdict,
            "environment": self.environment,
            "version": {"recorded": self.artefact.version, "replayed": harness.__version__},
            "digest": {
                "recorded": self.artefact.digest,
                "replayed": self.outcomes[0].digest,
                "equal": self.is_repeated,
            },
            "difference": self.difference,
            "tally": tally(self.artefact.failure, self.outcomes),
            "runs": [
                {
                    "run": str(directory.path),
                    "seed": results.seed,
                    "verdict": results.verdict,
                    "failure": failure_of(results),
                    "reason": results.reason,
                }
                for directory, results in self.runs
            ],
        }


def _bisected(replay: Replay, times: int) -> int:
    """The answer for `git bisect run`. A version or a machine that cannot run it, or crashes, cannot tell."""
    try:
        replay.prepare()
        replay.run(times)
    except typer.Exit as other:  # of the process that made the runs; an interruption is to end the bisection
        return other.exit_code if other.exit_code in (GOOD, BAD, exit_codes.INTERRUPTED) else CANNOT_TELL
    except (typer.Abort, Interrupted):
        raise
    except (UsageError, EnvironmentFailure) as error:
        replay.terminal.say(f"this version cannot run it here: {error}")
        return CANNOT_TELL
    except Exception as error:  # noqa: BLE001 - whatever it is, it is no verdict; git would take 255 for a reason to stop
        replay.terminal.crash(error)
        return CANNOT_TELL
    code = bisect_code(replay.artefact.failure, replay.outcomes)
    replay.terminal.lines([f"{code}: {tally(replay.artefact.failure, replay.outcomes)}"])
    return code
