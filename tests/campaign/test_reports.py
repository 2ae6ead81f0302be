"""Reports: read by readers that others have written, within the limits of those who show them."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import junitparser
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from checkers.result import Verdict
from harness.campaign.baseline import Baseline, Known, read
from harness.campaign.compare import compare
from harness.campaign.gate import Decision, decide
from harness.campaign.plan import Gate
from harness.report import gate, github, junit, markdown, morning
from harness.signature import Signature
from night import BROKEN, SEEN_BROKEN, SHORT, STALE, Rows, figures, summary

NASTY = 'a | b <script> & "c" \x00\x1b[31m `d` *e*\nf \ud800'.encode("utf-8", "replace").decode() + "\x00\x1b"


class _Text(HTMLParser):
    """The cells of the tables of a page, and its headings."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.headings: list[str] = []
        self._into: list[str] | None = None

    def handle_starttag(self, tag, attributes):
        self._into = {"td": self.cells, "th": self.cells, "h1": self.headings, "h2": self.headings}.get(tag, self._into)
        if tag in ("td", "th", "h1", "h2"):
            self._into.append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th", "h1", "h2"):
            self._into = None

    def handle_data(self, data):
        if self._into is not None:
            self._into[-1] += data


def page(text):
    """What a reader of Markdown makes of it."""
    reader = _Text()
    reader.feed(MarkdownIt("commonmark").enable("table").render(text))
    return reader


def mixed(rows, reason="it is invalid"):
    return [
        *rows.many(3),
        *rows.many(4, "invalid", reason=reason),
        rows("invalid", signature=Signature("recovery", "a < b | c")),
        rows("crash", ended="out of time", reason=reason),
        rows("unknown"),
        rows("inconclusive"),
    ]


# -- JUnit


def test_junit_is_read_by_a_public_reader_and_says_the_same(rows, tmp_path):
    night = mixed(rows, NASTY)
    (tmp_path / "junit.xml").write_text(junit.render("night", night, decide(night, Gate(), {STALE})), encoding="utf-8")
    runs, asked = junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (runs.tests, runs.failures, runs.errors, runs.skipped) == (11, 1, 1, 6)
    results = [case.result[0] if case.result else None for case in runs]
    assert sum(isinstance(result, junitparser.Failure) for result in results) == 1
    assert (
        sum(isinstance(result, junitparser.Skipped) and result.message.startswith("known: ") for result in results) == 4
    )
    (failure,) = [result for result in results if isinstance(result, junitparser.Failure)]
    assert failure.type == "recovery: a < b | c"
    assert asked.failures == sum(
        finding.verdict != Verdict.VALID for finding in decide(night, Gate(), {STALE}).findings
    )


@given(st.text())
def test_junit_is_well_formed_whatever_a_run_says(text):
    night = [Rows()("invalid", reason=text, command=text, run=text)]
    junitparser.JUnitXml.fromstring(junit.render("night", night, decide(night, Gate())).encode("utf-8", "replace"))


# -- Markdown


def test_the_gate_s_report_is_a_page_with_a_row_for_each_failure(rows):
    night = mixed(rows)
    found = page(gate.decision_report("night", decide(night, Gate())))
    assert found.headings == ["night: gate not passed (invalid)", "Failures", "Asked"]
    assert str(STALE) in found.cells
    assert "recovery: a < b | c" in found.cells


@given(st.text().filter(lambda text: text.strip()))
def test_whatever_a_failure_is_called_it_stays_in_its_cell(text):
    table = page("\n".join(markdown.table(["head", "other"], [[text, "end"]])))
    assert len(table.cells) == 4
    assert table.cells[-1] == "end"


def test_the_morning_report_has_what_is_new_known_gone_slower_and_flaky(rows):
    lost = Signature("linearizable", "no order explains it", "read after write")
    gone = Signature("recovery", "not healthy")
    last = [*rows.many(5, version="1.0"), rows("invalid", signature=gone, seed=90), rows("invalid")]
    tonight = [
        *rows.many(5, version="1.1", statistics=figures(p99_ms=100.0)),
        *rows.many(2, "invalid", version="1.1"),
        rows("invalid", signature=lost, version="1.1"),
        rows(seed=90),
    ]
    text = morning.report("night", tonight, last, [*last, *tonight])
    sections = dict(part.split("\n", 1) for part in text.split("\n## ")[1:])
    assert list(sections) == ["New failures", "Known failures", "Gone", "Slower", "Flaky"]
    assert str(lost) in sections["New failures"]
    assert "1.1 (good: 1.0)" in page(sections["New failures"]).cells
    assert str(STALE) in sections["Known failures"]
    assert str(gone) in sections["Gone"]
    assert {"p99", "20", "100"} <= set(page(sections["Slower"]).cells)
    assert "1 of 1 runs that were made again ended otherwise (100.0 %)" in sections["Flaky"]


def test_a_quiet_night_is_said_to_be_one(rows):
    night = rows.many(3)
    assert "No new failure." in morning.report("night", night, [], night)


def test_two_campaigns_side_by_side(rows):
    text = morning.comparison_report("a", "b", compare(rows.many(2), [rows(), rows("invalid")]))
    assert page(text).cells[:6] == ["runs", "before", "after", "valid", "2", "1"]
    assert str(STALE) in page(text).cells


# -- GitHub


def test_there_are_ten_annotations_at_most_the_worst_first(rows):
    kinds = [Signature("linearizable", f"rule {number}") for number in range(12)]
    night = [*rows.many(3, "invalid"), *(rows("invalid", signature=kind) for kind in kinds), *rows.many(9, "unknown")]
    lines = github.error_commands(decide(night, Gate()))
    assert len(lines) == 10
    assert lines[0].startswith("::error title=3 x linearizable%3A a version goes back (read)::")


def test_an_annotation_is_one_line_whatever_it_says(rows):
    (line, *_) = github.error_commands(decide([rows("invalid", reason="50 %\nand\r::error::x")], Gate()))
    assert "\n" not in line
    assert "\r" not in line
    assert "50 %25%0Aand%0D" in line


def test_a_failure_that_is_known_is_no_error(rows):
    assert github.error_commands(decide([*rows.many(3), *rows.many(3, "invalid")], Gate(), {STALE})) == []


@pytest.mark.parametrize("letter", ["x", "ü", "漢"])
def test_a_summary_is_under_a_mebibyte_and_ends_with_a_whole_line(letter):
    short = github.step_summary(f"{letter}\n")
    long = github.step_summary(f"{letter * 100}\n" * 20_000)
    assert short == f"{letter}\n"
    assert len(long.encode()) < 1 << 20
    assert long.endswith(github._CUT)
    assert set(long.removesuffix(github._CUT).splitlines()) == {letter * 100}


# -- the command


@pytest.fixture
def broken(splitbrain):
    """A campaign in which every run shows one bug."""
    return summary(splitbrain("campaign", *BROKEN, "--seeds", f"{SEEN_BROKEN}..{SEEN_BROKEN + 1}", "--json")[1])[
        "campaign"
    ]


def test_a_gate_writes_the_reports_that_it_is_asked_for(splitbrain, broken):
    code, out, err = splitbrain("gate", broken, "--report", "junit,json,markdown", "--json")
    assert code == 1
    assert [Path(line.removeprefix("wrote ")).name for line in err.splitlines()] == [
        "junit.xml",
        "gate.json",
        "gate.md",
    ]
    document = json.loads((Path(broken) / "gate.json").read_text())
    jsonschema.validate(document, msgspec.json.schema(Decision))
    assert document["verdict"] == "invalid"
    assert summary(out)["failures"] == document["failures"]
    junitparser.JUnitXml.fromfile(str(Path(broken) / "junit.xml"))
    assert "gate not passed" in page((Path(broken) / "gate.md").read_text()).headings[0]


def test_a_baseline_is_written_accepted_and_said(splitbrain, broken):
    assert splitbrain("gate", broken, "--write-baseline", "known.json")[0] == 1
    code, out, _ = splitbrain("gate", broken, "--baseline", "known.json")
    assert "2 known failures (1 in the baseline)" in out
    assert code == 0
    assert out.splitlines()[-1].startswith(f"gate passed: {Path(broken).name}: nothing is known of the failure rate")


def test_a_baseline_that_is_written_anew_keeps_what_was_known_with_its_notes(splitbrain, broken, tmp_path):
    old = [Known(STALE, "issue 7"), Known(Signature("recovery", "liveness"), "issue 8")]
    (tmp_path / "known.json").write_bytes(msgspec.json.encode(Baseline(1, old)))
    code, _, err = splitbrain("gate", broken, "--baseline", "known.json", "--write-baseline", "new.json")
    assert code == 0
    assert "accepted from now on: 2" in err
    assert read(tmp_path / "new.json").failures == old


def test_a_baseline_that_cannot_be_written_is_one_line(splitbrain, broken):
    code, out, err = splitbrain("gate", broken, "--write-baseline", "absent/known.json")
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert "--write-baseline absent/known.json" in err
    assert "name a file that can be written" in err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", "not a baseline"),
        ("{}", "not a baseline"),
        ("nonsense", "not a baseline"),
        ('{"baseline": 9, "version": "7.0"}', "made by splitbrain 7.0 (schema 9), and this one knows schema 1"),
        (None, "No such file"),
    ],
)
def test_a_baseline_that_is_not_one_is_one_line(splitbrain, tmp_path, content, said):
    splitbrain("campaign", *SHORT, "--seeds", "1")
    if content is not None:
        (tmp_path / "known.json").write_text(content)
    code, out, err = splitbrain("gate", "campaign", "--baseline", "known.json")
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert said in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--report", "pdf"), ["pdf", "junit, json, markdown"]),
        (("--threshold", "p9<1"), ["p9<1", "p99<500ms"]),
        (("--max-rate", "2"), ["gate.max_rate", "less than 1"]),
        (("--confidence", "0"), ["gate.confidence"]),
        (("--faults", "-1"), ["gate.coverage.faults"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_options_of_a_gate_are_one_line(splitbrain, options, said):
    splitbrain("campaign", *SHORT, "--seeds", "1")
    code, out, err = splitbrain("gate", "campaign", *options)
    assert (code, out, err.count("\n")) == (254, "", 1)
    assert all(word in err for word in said), err


def test_on_github_it_annotates_and_fills_the_summary(splitbrain, broken, monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    code, out, err = splitbrain("gate", broken, "--json")
    assert code == 1
    assert summary(out)["verdict"] == "invalid"
    assert err.startswith("::error title=2 x linearizable%3A")
    assert "gate not passed" in (tmp_path / "summary.md").read_text()


def test_a_summary_that_cannot_be_written_is_said_and_changes_no_decision(splitbrain, monkeypatch):
    splitbrain("campaign", *SHORT, "--seeds", "1")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "/proc/nowhere/summary.md")
    code, out, err = splitbrain("gate", "campaign", "--json")
    assert (code, summary(out)["verdict"]) == (0, "valid")
    assert (
        err == "splitbrain: GITHUB_STEP_SUMMARY /proc/nowhere/summary.md cannot be written: No such file or directory\n"
    )


def test_two_campaigns_are_compared(splitbrain, broken):
    sound = summary(splitbrain("campaign", *BROKEN[:-1], "none", "--seeds", "4..5", "--json")[1])["campaign"]
    code, out, _ = splitbrain("compare", sound, broken)
    assert code == 1
    assert "## New failures" in out
    code, out, _ = splitbrain("compare", broken, sound, "--json")
    assert code == 0
    assert [one["count"] for one in summary(out)["not_run"]] == [2], "another cell: nothing says that it is gone"


def test_one_run_is_one_screen(splitbrain, broken):
    found = summary(splitbrain("runs", "--verdict", "invalid", "--json")[1])["runs"]
    code, out, _ = splitbrain("show", found[0]["run"])
    assert code == 0
    assert len(out.splitlines()) <= 40
    for word in ("verdict        invalid: ", "signature      linearizable: ", "faults         ", "latency        p50 "):
        assert word in out
    assert f"to run again   {found[0]['command']}" in out
    assert summary(splitbrain("show", found[0]["run"], "--json")[1]) == found[0]
