"""A campaign as JUnit XML, the form that every continuous integration reads.

Lives here: which outcome is which element. Must not live here: any decision.

A run is a test case, its cell the class. Invalid is a failure, a crash an error; a run that proves nothing, and a
failure that the baseline accepts, are skipped with their reason, since the form has no fourth word. What the gate asks
beside that are test cases of a suite of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from xml.etree import ElementTree

from checkers.result import Verdict
from harness.campaign.gate import Decision, Finding
from harness.campaign.row import Outcome, Row
from harness.escape import xml as _text
from harness.signature import Signature


def render(name: str, rows: Sequence[Row], decision: Decision) -> str:
    """The document."""
    known = {failure.signature for failure in decision.failures if failure.known}
    root = ElementTree.Element("testsuites", name=_text(name))
    runs = _suite(root, name, len(rows), sum(row.seconds for row in rows))
    for row in rows:
        _run(runs, row, known)
    _count(runs)
    gate = _suite(root, f"{name} gate", len(decision.findings), 0.0)
    for finding in decision.findings:
        _finding(gate, finding)
    _count(gate)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: ElementTree.Element, name: str, tests: int, seconds: float) -> ElementTree.Element:
    return ElementTree.SubElement(root, "testsuite", name=_text(name), tests=str(tests), time=f"{seconds:.3f}")


def _count(suite: ElementTree.Element) -> None:
    for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(len(suite.findall(f"testcase/{tag}"))))


def _run(suite: ElementTree.Element, row: Row, known: Collection[Signature | None]) -> None:
    name = f"seed {row.seed}" if row.job is None else f"{row.job} seed {row.seed}"
    case = ElementTree.SubElement(
        suite, "testcase", classname=_text(str(row.cell)), name=_text(name), time=f"{row.seconds:.3f}"
    )
    if row.verdict is Outcome.INVALID and row.signature in known:
        _outcome(case, "skipped", f"known: {row.signature}", "")
    elif row.verdict is Outcome.INVALID:
        _outcome(case, "failure", row.reason, str(row.signature)).text = _text(
            f"{row.reason}\n{row.run}\n{row.command}"
        )
    elif row.verdict is Outcome.CRASH:
        _outcome(case, "error", row.reason, row.ended).text = _text(f"{row.reason}\n{row.run}")
    elif row.verdict is not Outcome.VALID:
        _outcome(case, "skipped", f"{row.verdict}: {row.reason}", "")


def _finding(suite: ElementTree.Element, finding: Finding) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname="gate", name=_text(finding.check), time="0.000")
    if finding.verdict is not Verdict.VALID:
        _outcome(case, "failure", finding.reason, finding.verdict.value)


def _outcome(case: ElementTree.Element, tag: str, message: str, kind: str) -> ElementTree.Element:
    element = ElementTree.SubElement(case, tag, message=_text(message))
    if kind:
        element.set("type", _text(kind))
    return element
