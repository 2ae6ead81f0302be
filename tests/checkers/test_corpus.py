"""The public histories: every verdict as expected, by every engine that applies, with its proof."""

import json
from pathlib import Path

import pytest

from checkers import Budget, Verdict, check, formats, models
from checkers.budget import Meter
from checkers.decision import Answer
from checkers.replay import replay
from checkers.wing_gong import search


def expected(corpus: Path) -> dict[str, bool]:
    verdicts: dict[str, bool] = json.loads((corpus / "porcupine" / "expected.json").read_text())
    return verdicts


def test_every_verdict_is_as_expected_and_comes_with_its_proof(corpus: Path) -> None:
    for name, linearizable in expected(corpus).items():
        history = formats.read(corpus / "porcupine" / name)
        model = models.get("kv" if name.startswith("kv") else "cas-register")
        if name.endswith("c50-ok.txt") or not len(history):
            continue  # tested below
        result = check(history, model)
        assert result.verdict is (Verdict.VALID if linearizable else Verdict.INVALID), name
        for part in result.keys or (result,):
            if part.witness is not None:
                assert replay(part.witness, part.relevant, model) is None, name
            if part.violation is not None:
                window, judge = part.violation.window, part.violation.judge
                assert search(window, judge, Meter(Budget())).answer is Answer.REFUTED, name


def test_the_widest_history_is_valid(corpus: Path) -> None:
    assert check(formats.read(corpus / "porcupine" / "kv" / "c50-ok.txt"), "kv").verdict is Verdict.VALID


def test_the_empty_log_is_unknown(corpus: Path) -> None:
    history = formats.read(corpus / "porcupine" / "jepsen-etcd" / "etcd_095.log")
    assert check(history, "cas-register").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("engine", ["search"])
def test_the_search_alone_decides_the_logs(corpus: Path, engine: str) -> None:
    names = [name for name in expected(corpus) if name.startswith("jepsen") and not name.endswith("095.log")]
    for name in names[::4]:
        result = check(formats.read(corpus / "porcupine" / name), "cas-register", engine=engine)
        assert (result.verdict is Verdict.VALID) == expected(corpus)[name], name
