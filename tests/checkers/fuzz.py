"""Random histories against brute force, as many as wanted: `python tests/checkers/fuzz.py --count 1000000 --seed 0`.

Lives here: the loop that `make fuzz` runs. Each seed makes one history of 1 to `--size` operations: few values or
unique ones, crashes, failed cas of both kinds, ties in time. The search and, where it applies, the register engine must
agree with the oracle; a witness must replay, a core must be refuted. The first mismatch is printed with its seed.
"""

import argparse
import sys
from random import Random

from checker_oracle import by_subsets, register_history

from checkers import Budget, History, Operation, models
from checkers.budget import Meter
from checkers.compiled import Engine, compiled, interpreted
from checkers.frontier import Frontier
from checkers.history import EVERY_KEY
from checkers.replay import replay
from checkers.state_graph import StateGraph
from checkers.unique_register import columns_of
from checkers.unique_register import decide as decide_register
from checkers.decision import Answer

MODEL = models.cas_register(0)


def main() -> int:
    """0 if every history was judged as the oracle judges it, else 1."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--size", type=int, default=8)
    given = options.parse_args()
    loops = compiled() or interpreted()
    graph = StateGraph(MODEL, loops)
    for seed in range(given.seed, given.seed + given.count):
        random = Random(seed)
        size = random.randint(1, given.size)
        history = register_history(random, size, unique=seed % 2 == 1, blind_cas=seed % 4 < 2)
        mistake = judged_wrongly(history, loops, graph)
        if mistake:
            print(f"seed {seed}: {mistake}", *history, sep="\n  ")
            return 1
    print(f"{given.count} histories from seed {given.seed} on: no mismatch")
    return 0


def judged_wrongly(history: History, loops: Engine, graph: StateGraph) -> str | None:
    """What an engine said that brute force denies, or None."""
    operations = [operation for operation in history if MODEL.relevant(operation)]
    linearizable = by_subsets(operations, MODEL)
    return wrong_search(operations, linearizable, loops, graph) or wrong_register(operations, linearizable, loops)


def wrong_search(operations: list[Operation], linearizable: bool, loops: Engine, graph: StateGraph) -> str | None:
    """The same of the frontier search."""
    columns = History(operations, "fuzz").columns
    found = Frontier(columns, graph, loops).decide(EVERY_KEY, Meter(Budget()))
    assert found is not None
    if (found.answer is Answer.LINEARIZED) != linearizable:
        return f"the search says {found.answer}"
    if found.answer is Answer.REFUTED:
        return None
    return replay([operations[place] for place in found.order], operations, MODEL)


def wrong_register(operations: list[Operation], linearizable: bool, loops: Engine) -> str | None:
    """The same of the register engine; its own replay has already checked the witness."""
    columns = columns_of(operations, 0, loops)
    if columns is None:
        return None
    if isinstance(columns, int):
        return "the register engine refutes a cas that brute force allows" if linearizable else None
    answer = decide_register(columns[0], loops)
    if not answer.applies:
        return None
    if (answer.witness is not None) != linearizable:
        return f"the register engine says {answer}"
    core = [operations[columns[1][row]] for row in answer.core]
    return "the core is linearizable" if core and by_subsets(core, MODEL) else None


if __name__ == "__main__":
    sys.exit(main())
