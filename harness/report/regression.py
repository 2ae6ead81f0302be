"""A run as a regression test: the text of a file for pytest.

Lives here: that text. Must not live here: reading runs, or writing files (`harness.commands.export`). The text uses
nothing but what `harness.testing` and `checkers` offer to everybody. Whatever comes from the run is in it as a literal,
or, in the docstring, as text that cannot end it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pprint import pformat

import msgspec
from msgspec import UNSET

from checkers.history import Operation
from checkers.models import Model
from checkers.result import Violation
from checkers.values import Boolean
from harness.artefact import Artefact
from harness.escape import docstring, python
from harness.nemesis.specs import format_nemesis
from harness.test import Test

_WIDTH = 100

_SIMULATED = '''"""{title}

The simulator makes the same run again from its seed: the test fails as long as the failure is there.
"""

import pytest


@pytest.mark.splitbrain(
{options})
def {name}(splitbrain_run):
    splitbrain_run.assert_valid()
'''

_RECORDED = '''"""{title}

The shortest failing window of a history that was {where}: no order
of these operations explains their answers. What was recorded stays as it is, so the assertion must fail for ever: where
it does not, the checker has changed its mind. `splitbrain replay` tries the faults again.
"""

import pytest

from checkers import Operation, models
from harness.testing import assert_linearizable

MODEL = {model}
WINDOW = [
{window}]


@pytest.mark.xfail(raises=AssertionError, strict=True, reason={reason})
def {name}():
    assert_linearizable(WINDOW, MODEL)
'''


def simulated(artefact: Artefact) -> str:
    """A test that makes the run again from its seed; it fails as long as the run does."""
    options = "".join(f"    {name}={value},\n" for name, value in _options(artefact.definition).items())
    return _SIMULATED.format(title=_title(artefact), name=_name(artefact), options=options)


def recorded(artefact: Artefact, violation: Violation) -> str:
    """A test that judges the recorded window; its answer can change with the checker only, so failing is expected."""
    where = f"recorded on {artefact.definition.environment} nodes by splitbrain {artefact.version}"
    return _RECORDED.format(
        title=_title(artefact),
        name=_name(artefact),
        where=docstring(where),
        reason=python(f"{where}, seed {artefact.seed}"),
        model=_model(violation.judge),
        window="".join(f"    {_operation(operation)},\n" for operation in violation.window),
    )


def _options(test: Test) -> Mapping[str, str]:
    """The definition in the words of the marker, as Python."""
    options: dict[str, object] = {
        "env": test.environment,
        "nodes": len(test.nodes),
        "workload": test.workload,
        "nemesis": format_nemesis(test.nemesis),
        "time_limit": test.time_limit_s,
        "rate": test.rate,
        "concurrency": test.concurrency,
        "seeds": [test.seed],
    }
    if test.mutant is not None:
        options["mutant"] = test.mutant
    if test.schedule is not None:
        del options["nemesis"]
        options["schedule"] = msgspec.to_builtins(list(test.schedule))
    return {name: _literal(value) for name, value in options.items()}


def _literal(value: object) -> str:
    if isinstance(value, str):
        return python(value)
    return pformat(value, width=_WIDTH, sort_dicts=False).replace("\n", "\n    ")


def _model(judge: Model) -> str:
    """The model that refutes the window, as Python: the weaker one that allows gaps has no name of its own."""
    name = judge.name.removeprefix("gapped-")
    return f"models.get({python(name)})" + (".gapped" if name != judge.name else "")


def _operation(operation: Operation) -> str:
    """The operation as Python, without what is as by default.

    Its times are its ranks: events are ordered by where they stand, and their times need not agree with that.
    """
    fields = {
        "process": operation.process,
        "f": operation.f,
        "key": operation.key,
        "value": _plain(operation.value),
        "result": _plain(operation.result),
        "status": operation.status,
        "version": operation.version,
        "actual": _plain(operation.actual),
        "error": operation.error,
        "call_time": operation.call_rank,
        "return_time": operation.return_rank if operation.returned else None,
    }
    usual = {**dict.fromkeys(fields), "status": "ok", "actual": UNSET, "process": -1}
    return f"Operation({', '.join(f'{name}={value!r}' for name, value in fields.items() if value != usual[name])})"


def _plain(value: object) -> object:
    """The value as its writer would have it: `freeze` makes of booleans what equals no number."""
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value.value if isinstance(value, Boolean) else value


def _title(artefact: Artefact) -> str:
    failure = artefact.failure or "a run that did not fail"
    kept = f"kept by splitbrain {artefact.version}"
    return docstring(f"{failure}: {artefact.definition.name}, seed {artefact.seed}, {kept}.")


def _name(artefact: Artefact) -> str:
    words = f"{artefact.definition.name}_seed_{artefact.seed}"
    return "test_" + re.sub(r"[^A-Za-z0-9_]+", "_", words).lower()
