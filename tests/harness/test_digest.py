"""The digest of a simulated run: the same in any process, and another as soon as anything is another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness.digest import Digest


def run_of(store: Path, seed: int, hash_seed: int) -> dict:
    """What a run with every fault prints, carried out in a process of its own."""
    words = ["run", "--env", "sim", "--nodes", "3", "--seed", str(seed), "--time-limit", "4", "--interval", "1"]
    words += ["--nemesis", "all", "--store", str(store), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "harness", *words],
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 1, 2), done.stderr
    return json.loads(done.stdout)


def test_a_seed_makes_one_digest_whatever_the_hash_seed_and_another_seed_another(tmp_path):
    first, again, other = (run_of(tmp_path, seed, hash_seed) for seed, hash_seed in ((5, 1), (5, 2), (6, 1)))
    assert first["digest"] == again["digest"] != other["digest"]
    assert msgspec.json.decode((Path(first["run"]) / "results.json").read_bytes())["digest"] == first["digest"]


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ([b"a\n", b"b\n"], [b"b\n", b"a\n"]),
        ([b"a\n"], [b"a\n", b"\n"]),
        ([], [b"\n"]),
    ],
)
def test_other_lines_or_another_order_make_another_digest(one, another):
    digests = [Digest(), Digest()]
    for digest, lines in zip(digests, (one, another), strict=True):
        for line in lines:
            digest.add(line)
    assert digests[0].text() != digests[1].text()
