"""The morning report, written beside the campaign that is over: by whoever conducts a campaign or merges its shards.

Lives here: which rows go into it, and its file. Must not live here: what it says of them (`harness.report.morning`).
"""

from __future__ import annotations

from harness.campaign import catalogue
from harness.campaign.directory import CampaignDirectory, campaigns
from harness.report import morning


def write_morning_report(campaign: CampaignDirectory) -> None:
    """The report against the campaign before it, and all that the store knows of its cells."""
    plan = str(campaign.definition().plan.get("name"))
    earlier = [one for one in campaigns(campaign.store, plan) if one.name < campaign.name]
    rows, before = campaign.rows(), earlier[-1].rows() if earlier else []
    with catalogue.opened(campaign.store) as known:
        known.refresh()
        cells = dict.fromkeys(row.cell for row in [*rows, *before])
        history = [row for cell in cells for row in known.rows(catalogue.Filter(exactly=cell))]
    campaign.report.write_text(morning.report(campaign.name, rows, before, history), encoding="utf-8")
