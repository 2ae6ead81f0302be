"""docs/raft.md says what the code does: its tables are those of the code, and its example runs."""

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from raft_impl.errors import ERRORS
from raft_impl.mutants import MUTANTS
from raft_impl.types import Reply, Request, Status

DOCUMENT = Path(__file__).parents[2] / "docs" / "raft.md"


@pytest.fixture(scope="module")
def text():
    return DOCUMENT.read_text()


def test_every_error_is_in_the_table(text):
    rows = [f"| `{code}` | {'yes' if kind.definite else 'no'} | {kind.sentence} |" for code, kind in ERRORS.items()]
    assert "\n".join(rows) in text


def test_every_mutant_is_in_the_table(text):
    rows = [f"| {mutant.id} | {mutant.description} | {mutant.breaks} |" for mutant in MUTANTS.values()]
    assert "\n".join(rows) in text


@pytest.mark.parametrize("frame", [Request, Reply, Status])
def test_every_field_of_a_client_frame_is_documented(text, frame):
    (protocol,) = re.findall(r"```\n(\{\"type\": \"request\".*?)```", text, re.DOTALL)
    blocks = protocol.replace("\n ", " ").split("\n\n")
    fields = ["type", *(field.encode_name for field in msgspec.structs.fields(frame))]
    assert fields in [re.findall(r'"(\w+)":', block) for block in blocks]


def test_every_option_is_an_option_of_the_command(text):
    done = subprocess.run([sys.executable, "-m", "raft_impl", "--help"], capture_output=True, text=True, timeout=20)
    for option in sorted(set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", text))):
        assert option in done.stdout, option


def test_the_example_is_valid_python(text):
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    compile(example, "docs/raft.md", "exec")
