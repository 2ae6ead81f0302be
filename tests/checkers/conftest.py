"""Makes `checker_oracle` importable, finds the corpus of public histories, and has the loops in both ways to run."""

import os
import sys
from pathlib import Path

import pytest

from checkers.compiled import Loops, compiled, interpreted

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The corpus folder, from SPLITBRAIN_CORPUS or beside the checkout; skips where there is none."""
    folder = Path(os.environ.get("SPLITBRAIN_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))
    if not folder.is_dir():
        pytest.skip(f"no corpus of public histories at {folder}; set SPLITBRAIN_CORPUS")
    return folder


@pytest.fixture(params=["interpreted", "compiled"])
def loops(request: pytest.FixtureRequest) -> Loops:
    """The loops, interpreted and compiled."""
    if request.param == "interpreted":
        return interpreted()
    pytest.importorskip("numba", reason="the compiled loops need numba")
    loops = compiled()
    assert loops is not None
    return loops
