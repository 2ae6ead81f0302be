"""The morning report, written beside the campaign that is over: by whoever conducts a campaign or merges its shards.

Lives here: which rows go into it, and its file. Must not live here: what it says of them (`harness.report.morning`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from harness.campaign import catalogue
from harness.campaign.directory import CampaignDirectory, campaigns
from harness.campaign.evidence import Account, account
from harness.campaign.row import Row
from harness.errors import EnvironmentFailure, UsageError
from harness.report import morning
from harness.store import replace_file


def write_morning_report(campaign: CampaignDirectory) -> None:
    """The report against the campaign before it, and all that the store knows of its cells."""
    tonight = account(campaign)
    rows, before = tonight.rows, _before(campaign, tonight)
    with catalogue.opened(campaign.store) as known:
        known.refresh()
        cells = dict.fromkeys(row.cell for row in [*rows, *before])
        history = [row for cell in cells for row in known.rows(catalogue.Filter(exactly=cell))]
    text = morning.report(campaign.name, rows, before, history, tonight.missing)
    try:
        replace_file(campaign.report, text.encode())
    except OSError as error:
        raise EnvironmentFailure(f"{campaign.report} cannot be written: {error.strerror}") from error


def _before(campaign: CampaignDirectory, tonight: Account) -> Sequence[Row]:
    """The rows of the last campaign of the same plan that can be read."""
    plan = tonight.definition.settings().name
    for earlier in reversed([one for one in campaigns(campaign.store, plan) if one.name < campaign.name]):
        with suppress(UsageError):
            return account(earlier).rows
    return []
