"""Quotas of processor time, as control groups of both versions tell of them."""

from __future__ import annotations

from pathlib import Path

from harness.agent.quota import Quota, quota


def written(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_version_1(tmp_path: Path) -> None:
    statistics = "nr_periods 31\nnr_throttled 31\nthrottled_time 2305830956\nnr_bursts 0\nburst_time 0\n"
    files = {"cpu/cpu.stat": statistics, "cpu/cpu.cfs_quota_us": "5000\n", "cpu/cpu.cfs_period_us": "100000\n"}
    assert quota(written(tmp_path, files)) == Quota(5.0, 2305)
    written(tmp_path, {"cpu/cpu.cfs_quota_us": "-1\n"})
    assert quota(tmp_path) == Quota(0.0, 2305)


def test_version_2(tmp_path: Path) -> None:
    statistics = "usage_usec 800\nuser_usec 400\nsystem_usec 400\nnr_periods 3\nnr_throttled 2\nthrottled_usec 8100\n"
    written(tmp_path, {"cpu.stat": statistics, "cpu.max": "10000 200000\n"})
    assert quota(tmp_path) == Quota(5.0, 8)
    written(tmp_path, {"cpu.max": "max 100000\n"})
    assert quota(tmp_path) == Quota(0.0, 8)


def test_where_the_kernel_keeps_none(tmp_path: Path) -> None:
    assert quota(tmp_path) is None
    assert quota(written(tmp_path, {"cpu.stat": "usage_usec 800\n", "cpu.max": "max 100000\n"})) is None
