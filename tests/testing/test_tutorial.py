"""The tutorial for pytest: its examples end as it says, and say what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TEXT = (Path(__file__).parents[2] / "docs" / "pytest.md").read_text()
EXAMPLES = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
HISTORY, MARKER, PROPERTY = EXAMPLES


@pytest.fixture
def tried(pytester):
    """A function: the outcome of an example in a file of its own."""

    def tried(example):
        pytester.makepyfile(example)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider")

    return tried


def test_a_history_fails_with_the_message_that_is_shown(tried):
    result = tried(HISTORY)
    result.assert_outcomes(failed=1)
    shown = re.search(r"^```\n(AssertionError: .*?)^```", TEXT, re.MULTILINE | re.DOTALL)[1]
    said = [line.removeprefix("E   ").strip() for line in result.outlines if line.startswith("E ")]
    assert [line.strip() for line in shown.splitlines()] == said[: len(shown.splitlines())]


def test_the_marked_test_passes_for_each_seed(tried):
    tried(MARKER).assert_outcomes(passed=3)


def test_and_fails_with_the_bug_that_is_named(tried):
    assert '`mutant="Q1"`' in TEXT
    result = tried(MARKER.replace("nodes=3,", 'nodes=3, mutant="Q1",'))
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["*- splitbrain -*", "run directory *", "artefact *", "to replay *", "to run again *"])


@pytest.mark.slow
def test_the_property_holds_and_with_the_bug_shrinks_to_one_fault(tried):
    tried(PROPERTY.replace("max_examples=50", "max_examples=5")).assert_outcomes(passed=1)
    broken = PROPERTY.replace("time_limit=4,", 'time_limit=4, mutant="Q1",')
    result = tried(broken.replace("deadline=None", "deadline=None, derandomize=True, database=None"))
    result.assert_outcomes(failed=1)
    # pytest's summary has it whole once more where CI is set.
    case, *_ = re.findall(r"Failing test case: .*?\n.*?\)$", result.stdout.str(), re.MULTILINE | re.DOTALL)
    assert len(re.findall(r"FaultWindow\(", case)) == 1
