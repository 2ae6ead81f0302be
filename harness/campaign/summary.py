"""What a campaign comes to: the object that it ends with.

Lives here: summing up what the directories say. Must not live here: making runs, or words for people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from checkers.result import Verdict, merge
from harness.campaign.directory import CampaignDirectory
from harness.campaign.row import Row, counts_of
from harness.untrusted import Count, Integer


class Brief(msgspec.Struct, frozen=True):
    """A run as the summary has it."""

    run: str
    env: str
    seed: Integer | None
    verdict: str
    signature: str | None
    seconds: float
    cell: str
    ended: str


class Summary(msgspec.Struct, frozen=True):
    """The object that a campaign ends with. `planned` runs were to be made; fewer were if a budget ended it.

    `missing` names what was made and cannot be read, or contradicts itself: then the verdict is not valid.
    """

    campaign: str
    verdict: Verdict
    counts: Mapping[str, Count]
    planned: Count
    runs: Sequence[Brief]
    missing: Sequence[str] = ()


def summarise(campaign: CampaignDirectory, planned: int, rows: Sequence[Row], missing: Sequence[str] = ()) -> Summary:
    """The summary of the rows that count. No rows are `unknown`, as is a run that says nothing."""
    unknown = [Verdict.UNKNOWN] if missing else []
    return Summary(
        campaign=str(campaign.path),
        verdict=merge([*unknown, *(row.verdict.verdict for row in rows)]),
        counts=counts_of(rows),
        planned=planned,
        runs=[
            Brief(
                run=str(campaign.store / row.run),
                env=row.cell.env,
                seed=row.seed,
                verdict=row.verdict.value,
                signature=None if row.signature is None else str(row.signature),
                seconds=row.seconds,
                cell=str(row.cell),
                ended=row.ended,
            )
            for row in rows
        ],
        missing=list(missing),
    )
