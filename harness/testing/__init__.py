"""What a test of yours may use: histories judged, runs made, and failures that say how to have them again.

    from harness.testing import assert_linearizable, simulate

    assert_linearizable(operations, "register")
    simulate(seed=1, nodes=3, nemesis="partition", time_limit=5).assert_valid()

For pytest there are the marker `splitbrain` and the fixture `splitbrain_run` (`harness.pytest_plugin`), for hypothesis
`harness.testing.strategies`.
"""

from harness.nemesis.script import FaultWindow
from harness.testing.definition import define
from harness.testing.linearizable import assert_linearizable
from harness.testing.run import Run, run_test, simulate

__all__ = ["FaultWindow", "Run", "assert_linearizable", "define", "run_test", "simulate"]
