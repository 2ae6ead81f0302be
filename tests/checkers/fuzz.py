"""Random histories against brute force, as many as wanted: `python tests/checkers/fuzz.py --count 1000000 --seed 0`.

Lives here: the loop that `make fuzz` runs. Each seed makes one history of 2 to `--size` operations: of a cas register
with few values or unique ones, crashes, failed cas of both kinds and ties in time; every eighth of a versioned register
whose replies were recorded from a real one and then, in part, falsified; every eighth of two keys with text, taken as
one; every eighth of up to four keys with text, taken apart; every eighth of a set, a queue, a stack, a counter, a lock,
several registers or a coin that nobody sees fall, in turn. Each is written down as events, with times that are equal,
missing or out of order, and read again: the order must be that of the lines or indexes. The search, the register
engine where it applies, the versions engine, the rules and what `auto` picks must agree with the oracle; a witness
must replay, a core must be refuted. Of every tenth the whole check is made: nothing may be unknown, and the window
must be refuted by the oracle. The first mismatch is printed with its seed. `--jobs` says how many processes share the
work.
"""

import argparse
import os
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from checker_oracle import (
    NAMES,
    coin,
    is_linearizable,
    keyed_text_history,
    object_history,
    register_history,
    text_history,
    versioned_history,
)
from event_files import read_again

from checkers import Budget, History, Model, Operation, Verdict, check, models
from checkers.budget import Meter
from checkers.compiled import Loops, compiled, interpreted
from checkers.decision import Answer, Decision
from checkers.engines import Judgement, decide
from checkers.replay import replay
from checkers.unique_register import columns_of
from checkers.unique_register import decide as decide_register

CAS, VERSIONED = models.cas_register(0), models.versioned_register(0)
TEXTS, KEYED, STARTED = models.get("kv-unsplit"), models.get("kv"), models.get("kv", "ab")
OBJECTS = {name: coin() if name == "coin" else models.get(name) for name in NAMES}
BATCH = 2000


def main() -> int:
    """0 if every history was judged as the oracle judges it, else 1."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--size", type=int, default=12)
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = options.parse_args()
    end = given.seed + given.count
    done: Counter[str] = Counter()
    with TemporaryDirectory() as folder, ProcessPoolExecutor(given.jobs) as pool:
        batches = [(start, min(start + BATCH, end), given.size, folder) for start in range(given.seed, end, BATCH)]
        for count, mistake in pool.map(judged, batches):
            done.update(count)
            if mistake:
                print(mistake)
                pool.shutdown(cancel_futures=True)
                return 1
            print(f"\r{done['histories']} of {given.count}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    engines = ", ".join(f"{name} {count}" for name, count in sorted(done.items()) if name != "histories")
    print(f"{done['histories']} histories from seed {given.seed} on: no mismatch ({engines})")
    return 0


def judged(batch: tuple[int, int, int, str]) -> tuple[Counter[str], str]:
    """How many histories and by which engines, and the first mistake."""
    start, end, size, folder = batch
    loops = compiled() or interpreted()
    count: Counter[str] = Counter()
    path = Path(folder) / f"{start}"
    for seed in range(start, end):
        random = Random(seed)
        history, model = made(random, seed, size)
        history, mistake = read_again(random, history, path)
        mistake = mistake or judged_wrongly(history, model, loops, count)
        if not mistake and seed % 10 == 0:
            mistake = checked_wrongly(history, model)
            count["checked"] += 1
        if mistake:
            return count, "\n  ".join([f"seed {seed}, {model.name}: {mistake}", *map(str, history)])
        count["histories"] += 1
    return count, ""


def made(random: Random, seed: int, size: int) -> tuple[History, Model]:
    """The history of a seed, and the model to judge it by."""
    count = random.randint(2, size)
    if seed % 8 == 7:
        return versioned_history(random, count), VERSIONED
    if seed % 8 == 6:
        return text_history(random, min(count, 9)), TEXTS
    if seed % 8 == 4:
        name = [*OBJECTS][seed // 8 % len(OBJECTS)]
        return object_history(random, name, min(count, 9)), OBJECTS[name]
    if seed % 8 == 5:
        model = STARTED if random.random() < 0.2 else KEYED
        return keyed_text_history(random, random.randint(2, 2 * size), str(model.initial)), model
    return register_history(random, count, unique=seed % 2 == 1, blind_cas=seed % 4 < 2), CAS


def judged_wrongly(history: History, model: Model, loops: Loops, count: Counter[str]) -> str:
    """What an engine said that brute force denies, or nothing."""
    if model.name == "kv":
        return judged_wrongly_by_key(history, model, count)
    operations = [operation for operation in history if model.relevant(operation)]
    linearizable = is_linearizable(operations, model)
    count["valid"] += linearizable
    if model.name in OBJECTS:
        count[f"{model.name}: {'valid' if linearizable else 'invalid'}"] += 1
    mistake = wrong_rules(operations, model, linearizable, count)
    if mistake:
        return mistake
    for engine in ("search", "auto"):
        decision = decide(history, model, engine, Meter(Budget()))
        count[f"{engine}: {decision.engine}"] += 1
        mistake = wrong(decision, history, operations, model, linearizable)
        if mistake:
            return f"{engine}: {mistake}"
        answer = Judgement(history, model, engine, Meter(Budget())).answer
        if operations and (answer is Answer.LINEARIZED) != linearizable:
            return f"{engine}: the answer is {answer}"
    return wrong_register(operations, linearizable, loops, count) if model is CAS else ""


def judged_wrongly_by_key(history: History, model: Model, count: Counter[str]) -> str:
    """The same of every key, also of those after one that is refuted; and of the answer for all."""
    for engine in ("search", "auto"):
        linearizable = []
        for part, decision in Judgement(history, model, engine, Meter(Budget())):
            operations = [operation for operation in part if model.relevant(operation)]
            linearizable.append(is_linearizable(operations, model))
            against = wrong_rules(operations, model, linearizable[-1], count)
            if against:
                return f"key {part.columns.keys}: {against}"
            count[f"{engine}: {decision.engine}, by key"] += 1
            mistake = wrong(decision, part, operations, model, linearizable[-1])
            if mistake:
                return f"{engine}: key {part.columns.keys}: {mistake}"
        answer = Judgement(history, model, engine, Meter(Budget())).answer
        if (answer is Answer.LINEARIZED) != all(linearizable):
            return f"{engine}: the answer is {answer}"
    count["valid"] += all(linearizable)
    return ""


def checked_wrongly(history: History, model: Model) -> str:
    """What the whole check said that brute force denies, or that it said nothing."""
    result = check(history, model)
    if not any(operation.returned and model.relevant(operation) for operation in history):
        return ""
    parts = [list(part) for part in history.by_key()] if model.per_key else [history.operations]
    linearizable = all(is_linearizable(part, model) for part in parts)
    if result.verdict is not (Verdict.VALID if linearizable else Verdict.INVALID):
        return f"check says {result.verdict}, {result.reason}"
    violation = result.violation
    shown = violation is None or not is_linearizable(violation.window, violation.judge)
    return "" if shown else "the window is linearizable"


def wrong(decision: Decision, history: History, operations: list[Operation], model: Model, linearizable: bool) -> str:
    """The mistake in a decision: its answer, its witness, or a core that holds no contradiction."""
    if (decision.answer is Answer.LINEARIZED) != linearizable:
        return f"the {decision.engine} says {decision.answer}"
    if decision.answer is Answer.LINEARIZED:
        return replay([history.operations[place] for place in decision.order], operations, model) or ""
    core = [history.operations[place] for place in sorted(decision.core)]
    judge = model.gapped if model.gapped and decision.engine == "versions" else model
    return f"the core of the {decision.engine} is linearizable" if core and is_linearizable(core, judge) else ""


def wrong_rules(operations: list[Operation], model: Model, linearizable: bool, count: Counter[str]) -> str:
    """What the rules of the model say that brute force denies: a contradiction, or that their core is one."""
    found = model.anomaly and model.anomaly(operations)
    if not found:
        count["invalid, no rule sees it"] += not linearizable
        return ""
    count["rules"] += 1
    if linearizable:
        return f"the rules say {found.sentence}"
    return "the core of the rules is linearizable" if is_linearizable(list(found.core), found.judge(model)) else ""


def wrong_register(operations: list[Operation], linearizable: bool, loops: Loops, count: Counter[str]) -> str:
    """The same of the register engine, asked also where `auto` does not; its own replay has checked the witness."""
    columns = columns_of(operations, 0, loops)
    if columns is None:
        return ""
    if isinstance(columns, int):
        return "the register engine refutes a cas that brute force allows" if linearizable else ""
    answer = decide_register(columns[0], loops)
    if not answer.applies:
        return ""
    count["register"] += 1
    if (answer.witness is not None) != linearizable:
        return f"the register engine says {answer}"
    core = [operations[columns[1][row]] for row in answer.core]
    return "the core is linearizable" if core and is_linearizable(core, CAS) else ""


if __name__ == "__main__":
    sys.exit(main())
