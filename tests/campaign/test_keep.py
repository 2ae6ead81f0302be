"""What stays on disk: failures always, valid runs as the plan says, and every row."""

from __future__ import annotations

import json

import pytest

from harness.campaign.keep import Keeper
from harness.campaign.plan import Keep
from test_catalogue import keep as put

KILOBYTE = 1000


@pytest.fixture
def ended(tmp_path):
    """A function: the run of a row as it is when it has ended, with a history of so many kilobytes."""

    def ended(row, kilobytes=100):
        put(tmp_path, row)
        run = tmp_path / row.run
        (run / "history.jsonl").write_bytes(b"x" * kilobytes * KILOBYTE)
        (run / "n1").mkdir()
        (run / "n1" / "node.log").write_text("log")
        (run / "results.json").write_text("{}")
        return row

    return ended


def whole(tmp_path, row):
    run = tmp_path / row.run
    return (run / "history.jsonl").exists() and (run / "n1" / "node.log").exists()


def results(tmp_path, row):
    return (tmp_path / row.run / "results.json").exists()


@pytest.mark.parametrize(("valid", "kept"), [("all", 3), ("failures", 0), (2, 2), (0, 0)])
def test_of_valid_runs_the_newest_stay_whole_and_the_others_their_results(tmp_path, rows, ended, valid, kept):
    keeper = Keeper(tmp_path, Keep(valid=valid), print)
    made = rows.many(3)
    for row in made:
        for changed in keeper.ended(ended(row)):
            assert json.loads((tmp_path / changed.run / "row.json").read_text())["keeps"] == changed.keeps == "results"
    assert [whole(tmp_path, row) for row in made] == [False] * (3 - kept) + [True] * kept
    assert all(results(tmp_path, row) for row in made)


@pytest.mark.parametrize("verdict", ["invalid", "unknown", "inconclusive", "crash"])
def test_failures_keep_everything(tmp_path, rows, ended, verdict):
    keeper = Keeper(tmp_path, Keep(valid="failures", disk_mb=0.001), print)
    row = ended(rows(verdict))
    assert keeper.ended(row) == []
    assert whole(tmp_path, row)


def test_the_budget_prunes_the_oldest_valid_run_first_and_says_so(tmp_path, rows, ended):
    said = []
    keeper = Keeper(tmp_path, Keep(valid="all", disk_mb=0.35), said.append)
    bad, *good = rows("invalid"), *rows.many(4)
    for row in (bad, *good):
        keeper.ended(ended(row))
    assert [whole(tmp_path, row) for row in (bad, *good)] == [True, False, False, True, True]
    assert all("removed" in line and "oldest valid" in line for line in said)
    assert len(said) == 2


def test_where_results_are_too_much_as_well_rows_stay(tmp_path, rows, ended):
    said = []
    keeper = Keeper(tmp_path, Keep(valid="failures", disk_mb=0.0005), said.append)
    row = ended(rows())
    assert [changed.keeps for changed in keeper.ended(row)] == ["results", "row"]
    assert sorted(path.name for path in (tmp_path / row.run).iterdir()) == ["job.json", "row.json"]
    assert "never removed" in said[-1]


def test_a_campaign_that_is_resumed_goes_on_where_it_was(tmp_path, rows, ended):
    first = Keeper(tmp_path, Keep(valid=1), print)
    before = ended(rows())
    first.ended(before)
    resumed = Keeper(tmp_path, Keep(valid=1), print)
    resumed.ended(before)
    after = ended(rows())
    resumed.ended(after)
    assert [whole(tmp_path, row) for row in (before, after)] == [False, True]


def test_what_a_killed_campaign_had_begun_to_delete_is_deleted(tmp_path, rows, ended):
    """SIGKILL may come after the row says what is kept, and before anything is gone."""
    row = ended(rows(keeps="results"))
    Keeper(tmp_path, Keep(), print).ended(row)
    assert not (tmp_path / row.run / "history.jsonl").exists()
    assert results(tmp_path, row)
