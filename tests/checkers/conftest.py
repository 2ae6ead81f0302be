"""Makes `checker_oracle` importable, and finds the corpus of public histories."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The corpus folder, from SPLITBRAIN_CORPUS or beside the checkout; skips where there is none."""
    folder = Path(os.environ.get("SPLITBRAIN_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))
    if not folder.is_dir():
        pytest.skip(f"no corpus of public histories at {folder}; set SPLITBRAIN_CORPUS")
    return folder
