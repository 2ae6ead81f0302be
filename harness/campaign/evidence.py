"""What there is of a campaign, against what was planned and what was counted when it was over.

Lives here: the comparison of plan, run directories and summary. Must not live here: one run's files (`record`), or what
a gate makes of it (`gate`).

A run that was planned can be absent for one good reason: the campaign came to its end before its turn, by its budget,
and its summary does not list it. Whatever else is not there, cannot be read, or contradicts another file is `missing`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from checkers.result import Verdict, merge
from harness import untrusted
from harness.campaign.begin import jobs_in
from harness.campaign.cells import Job
from harness.campaign.directory import CampaignDirectory, Definition
from harness.campaign.expand import shard_of
from harness.campaign.record import Record, incomplete, place_of, read_record
from harness.campaign.row import Row
from harness.campaign.summary import Summary, summarise
from harness.escape import short
from harness.store import save
from harness.untrusted import BadRecord


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The rows that count, in order of time, and what is missing of the others, a sentence each.

    `records` are the runs of the rows with which nothing is wrong. `own` leaves out of `missing` the shards that were
    not merged. `over`: it has come to its end, if perhaps early, by its budget.
    """

    definition: Definition
    planned: int
    over: bool
    rows: Sequence[Row]
    records: Sequence[Record]
    own: Sequence[str]
    absent: Sequence[str]

    @property
    def missing(self) -> list[str]:
        return [*self.own, *self.absent]


def account(campaign: CampaignDirectory, ending: bool = False) -> Account:
    """The account of a campaign. `ending`: it is over now, and its summary is still to be written.

    Raises `UsageError` if its definition cannot be read.
    """
    definition = campaign.definition()
    jobs = {job.key: job for job in jobs_in(definition)}
    found = [(record, _trouble(record, definition, jobs)) for record in map(read_record, campaign.runs())]
    troubles = {record.run.name: trouble for record, trouble in found if trouble is not None}
    fitting = [record for record, trouble in found if record.ended and (trouble is None or _belongs(record, jobs))]
    troubles |= _repeated(fitting)
    over = ending or campaign.over
    if over:
        troubles |= _unended(found, troubles)
    rows = {record.run.name: record.row for record in fitting if record.row is not None}
    absent = _of_absent_parts(definition, jobs, {place_of(name)[0] for name in rows})
    own = [f"{short(name)}: {trouble}" for name, trouble in troubles.items()]
    if not ending and over:
        own += _against_summary(campaign, rows, troubles, len(jobs), absent)
    return Account(
        definition=definition,
        planned=len(jobs),
        over=over,
        rows=sorted(rows.values(), key=lambda row: (row.began, row.run)),
        records=[record for record in fitting if record.run.name not in troubles],
        own=own,
        absent=absent,
    )


def finished(campaign: CampaignDirectory, lacking: Sequence[str] = ()) -> Summary:
    """The summary of a campaign that is over, for now; saved. `lacking` is missing beside what is found so."""
    found = account(campaign, ending=True)
    summary = summarise(campaign, found.planned, found.rows, [*lacking, *found.missing])
    save(campaign.summary, summary)
    return summary


def _trouble(record: Record, definition: Definition, jobs: Mapping[str, Job]) -> str | None:
    """What is wrong with a run, beside the others: its own files, or that it does not belong here."""
    key, attempt = place_of(record.run.name)
    job, assignment = jobs.get(key), record.assignment
    if job is None:
        return "it was never planned"
    if assignment is None:
        return record.trouble
    if (assignment.campaign, assignment.job, assignment.attempt) != (definition.campaign, key, attempt):
        return "job.json is of another run"
    if (assignment.cell, assignment.seed) != (job.cell, job.seed):
        return "job.json says another cell or seed than the plan"
    return record.trouble or incomplete(record)


def _belongs(record: Record, jobs: Mapping[str, Job]) -> bool:
    """Whether the run was planned here, so that its row counts even if something is wrong with it."""
    job = jobs.get(place_of(record.run.name)[0])
    return job is not None and record.row is not None and record.row.place == (job.cell, job.seed)


def _repeated(records: Iterable[Record]) -> dict[str, str]:
    """Jobs that have ended more than once: a second attempt is made only of one that has not."""
    counts = Counter(place_of(record.run.name)[0] for record in records)
    names = (record.run.name for record in records)
    return {name: "another run of the same job has ended, too" for name in names if counts[place_of(name)[0]] > 1}


def _unended(found: Iterable[tuple[Record, str | None]], troubles: Mapping[str, str]) -> dict[str, str]:
    """Runs that were begun and have no row, although the campaign is over."""
    return {
        record.run.name: "row.json is missing"
        for record, _ in found
        if record.row is None and record.run.name not in troubles
    }


def _of_absent_parts(definition: Definition, jobs: Mapping[str, Job], made: set[str]) -> list[str]:
    """The runs of shards that were not merged."""
    if not definition.parts:
        return []
    count = max(count for _, count in definition.parts)
    absent = sorted(set(range(1, count + 1)) - {index for index, _ in definition.parts})
    lines = []
    for index in absent:
        keys = [job.key for job in shard_of(list(jobs.values()), index, count) if job.key not in made]
        lines += [f"shard {index} of {count}: {len(keys)} runs were not merged"] if keys else []
    return lines


def _against_summary(
    campaign: CampaignDirectory,
    rows: Mapping[str, Row],
    troubles: Mapping[str, str],
    planned: int,
    absent: Sequence[str],
) -> Iterator[str]:
    """Where the summary, written when the campaign was over, says something else than the runs do now."""
    try:
        summary = untrusted.load(campaign.summary, Summary)
    except BadRecord as error:
        yield f"{campaign.summary.name}: {error.reason}"
        return
    yield from (line for line in summary.missing if line not in absent)
    briefs = {brief.run.rpartition("/")[2]: brief for brief in summary.runs}
    for name, brief in briefs.items():
        row = rows.get(name)
        if row is None and name not in troubles:
            yield f"{short(name)}: summary.json has it as {short(brief.verdict)}, and it is not there"
        elif row is not None and row.verdict.value != brief.verdict:
            yield f"{short(name)}: it is {row.verdict}, and summary.json has it as {short(brief.verdict)}"
        elif row is not None and (row.seed, str(row.cell)) != (brief.seed, brief.cell):
            yield f"{short(name)}: summary.json has another cell or seed"
    yield from (
        f"{short(name)}: it is not in summary.json" for name in rows if name not in briefs and name not in troubles
    )
    yield from _sums(summary, len(briefs), planned)


def _sums(summary: Summary, runs: int, planned: int) -> Iterator[str]:
    """Where the summary contradicts itself."""
    listed = Counter(brief.verdict for brief in summary.runs)
    counts = {name: count for name, count in summary.counts.items() if count}
    if counts != dict(listed) or runs != len(summary.runs):
        said = ", ".join(f"{count} {short(name, 40)}" for name, count in counts.items()) or "none"
        yield f"summary.json counts {said}, and lists {len(summary.runs)} runs otherwise"
    verdicts = [*(Verdict.UNKNOWN for _ in summary.missing), *map(_verdict, listed)]
    if merge(verdicts) is not summary.verdict:
        yield f"summary.json says {summary.verdict}, and lists runs that are not"
    if summary.planned != planned:
        yield f"summary.json says that {summary.planned} runs were planned, and campaign.json {planned}"


def _verdict(outcome: str) -> Verdict:
    return Verdict(outcome) if outcome in list(Verdict) else Verdict.UNKNOWN
