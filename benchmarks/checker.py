"""How fast the checkers decide, as JSON: `python benchmarks/checker.py [etcd] [kv] [unique] [five] [memory]`.

etcd and kv need the public corpus (SPLITBRAIN_CORPUS). With PORCUPINE_DIR set to a folder that holds an executable
`driver` around Porcupine, the same histories go through it in the same run, with ratios. The driver reads one
JSON object a line (see `question`) and answers each with {"name", "verdict", "seconds"}; nothing here builds it.

Times are from a parsed history (or columns in memory) to the engine's verdict, loops loaded, the best of up to
`REPEATS` runs, each on a fresh copy; what reading a history leaves behind (numbers for keys and kinds, texts as bytes)
is part of it, whatever a check finds out is not. `proved` adds the replayed witness, or the explanation and the
confirmed core.
"""

import json
import os
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import numpy as np
from checker_histories import blind, never_written, register_history, stale
from msgspec import UNSET

from checkers import Budget, History, Model, check, formats, models, unique_register
from checkers.budget import Meter
from checkers.compiled import compiled
from checkers.decision import Answer
from checkers.engines import Judgement

REPEATS = 20
TIMEOUT_S = 10
ENOUGH_S = 0.5  # spent on one history, after which it is not repeated
CORPUS = Path(os.environ.get("SPLITBRAIN_CORPUS", Path(__file__).parents[2] / "shared" / "corpus")) / "porcupine"
NUMBERS = {"read": 0, "write": 1, "cas": 2, "get": 3, "put": 4, "append": 5}
VERDICTS = {Answer.LINEARIZED: "valid", Answer.REFUTED: "invalid", Answer.EXHAUSTED: "unknown"}
Row = dict[str, object]


def main() -> None:
    """Prints one JSON object with a list of rows and a summary for every family asked for."""
    families = {"etcd": etcd, "kv": kv, "unique": unique, "five": five, "memory": memory}
    json.dump({name: families[name]() for name in sys.argv[1:] or families}, sys.stdout, indent=1)
    print()


def etcd() -> Row:
    """The 102 logs of a cas register."""
    return compared(
        [(path.name, formats.read(path), "cas-register") for path in sorted(CORPUS.glob("jepsen-etcd/*.log"))]
    )


def kv() -> Row:
    """The key-value histories by key, and the two of ten clients without the split."""
    files = {path.stem: formats.read(path) for path in sorted(CORPUS.glob("kv/*.txt"))}
    by_key = compared([(name, history, "kv") for name, history in files.items()])
    whole = compared([(name, history, "kv-unsplit") for name, history in files.items() if name.startswith("c10")])
    return {"by key": by_key, "unsplit": whole}


def five() -> Row:
    """A cas register of five values: 10 to 30 clients, up to 240 crashed operations, good and spoiled."""
    kinds: dict[str, Callable[[Random, list], list]] = {  # type: ignore[type-arg]
        "good": lambda _, operations: operations,
        "never": never_written,
        "stale": stale,
    }
    histories = []
    for count in (300, 1000):
        for clients in (10, 20, 30):
            for crashed in (0, 5, 30, 100, 240):
                for name, spoil in kinds.items():
                    random = Random(count * 7 + clients * 3 + crashed)
                    operations = register_history(random, count, clients, values=5, crashed=crashed)
                    spoiled = spoil(random, operations)
                    label = f"{count} operations, {clients} clients, {crashed} crashed, {name}"
                    histories.append((label, History.of_operations(spoiled), "cas-register"))
                    histories.append((f"{label}, blind", History.of_operations(blind(spoiled)), "cas-register"))
    return compared(histories, initial=0)


def compared(histories: list[tuple[str, History, str]], initial: int | None = None) -> Row:
    """A row for every history, ours beside Porcupine's where it is at hand, and the totals."""
    asked = [(history, models.get(model, initial)) for _, history, model in histories]
    rows: list[Row] = [{"name": name} for name, _, _ in histories]
    for history, model in asked:  # loads the loops
        decided(history, model)
    for row, (history, model) in zip(rows, asked, strict=True):
        row["verdict"], row["seconds"] = repeated(decided, history, model)
        row["proved"], row["seconds proved"] = repeated(proved, history, model)
    peer = porcupine(histories, initial)
    for row in rows:
        if row["name"] in peer:
            row["porcupine"] = peer[str(row["name"])]
    return {"rows": rows, **summary(rows)}


def repeated(answer: Callable[[History, Model], str], history: History, model: Model) -> tuple[str, float]:
    """What is answered, and the best time; each time of another copy, so that nothing kept from one helps the next."""
    said, best, spent = "", float("inf"), 0.0
    for _ in range(REPEATS):
        copy = History(history.operations, history.source, history.columns.renamed())
        said, seconds = timed(lambda copy=copy: answer(copy, model))
        best, spent = min(best, seconds), spent + seconds
        if spent > ENOUGH_S:
            break
    return said, best


def decided(history: History, model: Model) -> str:
    """What the engines say, key by key until one is refuted."""
    return VERDICTS[Judgement(history, model, "auto", Meter(Budget(seconds=TIMEOUT_S)), load=True).answer]


def proved(history: History, model: Model) -> str:
    """What `check` says, which replays and confirms."""
    return check(history, model, budget=Budget(seconds=TIMEOUT_S)).verdict


def timed(action: Callable[[], "object"]) -> tuple["object", float]:
    """What the action returns, and its seconds."""
    start = time.perf_counter()
    return action(), time.perf_counter() - start


def summary(rows: list[Row]) -> Row:
    """Totals, geometric means and ratios."""
    ours = [float(str(row["seconds"])) for row in rows]
    said: Row = {
        "total": sum(ours),
        "geometric mean": statistics.geometric_mean(ours),
        "slowest": max(ours),
        "unknown": sum(row["verdict"] == "unknown" for row in rows),
        "total proved": sum(float(str(row["seconds proved"])) for row in rows),
        "slowest proved": max(float(str(row["seconds proved"])) for row in rows),
        "geometric mean proved": statistics.geometric_mean(float(str(row["seconds proved"])) for row in rows),
        "unknown proved": sum(row["proved"] == "unknown" for row in rows),
    }
    both = [(float(str(row["seconds"])), row["porcupine"]) for row in rows if "porcupine" in row]
    if both:
        peers = [float(peer["seconds"]) for _, peer in both]  # type: ignore[index]
        said["porcupine total"] = sum(peers)
        said["porcupine geometric mean"] = statistics.geometric_mean(peers)
        said["porcupine unknown"] = sum(peer["verdict"] == "unknown" for _, peer in both)  # type: ignore[index]
        said["ratio of totals"] = sum(peers) / sum(own for own, _ in both)
        said["ratio of geometric means"] = statistics.geometric_mean(peers) / statistics.geometric_mean(
            [own for own, _ in both]
        )
    return said


def porcupine(histories: list[tuple[str, History, str]], initial: int | None) -> dict[str, Row]:
    """What Porcupine says of the same histories; nothing without PORCUPINE_DIR."""
    folder = os.environ.get("PORCUPINE_DIR")
    if folder is None:
        return {}
    asked = "\n".join(question(*one, initial) for one in histories)
    answer = subprocess.run([Path(folder) / "driver"], input=asked, capture_output=True, text=True, check=True)
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    return {row["name"]: row for row in rows}


def question(name: str, history: History, model: str, initial: int | None) -> str:
    """A history as the driver reads it: values as text, moments as ranks, -1 for never."""
    operations = [
        {
            "Key": str(one.key),
            "F": NUMBERS[one.f],
            "A": str(one.value[0] if one.f == "cas" else one.value),
            "B": str(one.value[1]) if one.f == "cas" else "",
            "Out": str(one.actual if one.status == "fail" else one.result),
            "Saw": one.actual is not UNSET,
            "Status": ("ok", "fail", "info").index(one.status),
            "Call": one.call_rank,
            "Ret": one.return_rank if one.returned else -1,
        }
        for one in history
        if one.status != "fail" or one.error == "mismatch" or one.actual is not UNSET
    ]
    start = "" if model.startswith("kv") else str(initial)
    return json.dumps(
        {"Name": name, "Model": model, "Init": start, "Timeout": TIMEOUT_S, "Repeat": REPEATS, "Ops": operations}
    )


def unique() -> Row:
    """A register of unique values, from columns in memory: witness built and replayed, or core named."""
    loops = compiled()
    assert loops is not None, "this family measures the compiled loops"
    for stale_read in (False, True):  # loads all that a yes and a no take
        unique_register.decide(columns(1000, 10, 0.05, True, stale_read), loops)
    rows: list[Row] = []
    for count in (10**5, 10**6, 10**7):
        for name, parameters in unique_variants():
            given = columns(count, *parameters)
            tracemalloc.start()
            answer = unique_register.decide(given, loops)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            del answer
            answer, seconds = timed(lambda given=given: unique_register.decide(given, loops))
            held = sum(part.nbytes for part in (given.kind, given.old, given.new, given.call, given.back))
            rows.append(
                {
                    "name": f"{count} operations, {name}",
                    "verdict": "valid" if answer.witness is not None else "invalid",  # type: ignore[attr-defined]
                    "seconds": seconds,
                    "bytes an operation": round((held + peak) / count, 1),
                }
            )
    slowest = {
        count: max(r["seconds"] for r in rows if str(r["name"]).startswith(f"{count} "))
        for count in (10**5, 10**6, 10**7)
    }  # type: ignore[type-var]
    return {"rows": rows, "slowest": slowest, "most bytes an operation": max(r["bytes an operation"] for r in rows)}  # type: ignore[type-var]


def unique_variants() -> Iterator[tuple[str, tuple[int, float, bool, bool]]]:
    """10 and 50 clients, 0 and 5 % crashed, with and without cas, good and one stale read."""
    for clients in (10, 50):
        for crashed in (0.0, 0.05):
            for cas in (False, True):
                for spoiled in (False, True):
                    words = f"{clients} clients, {crashed:.0%} crashed, {'cas' if cas else 'no cas'}"
                    yield f"{words}, {'stale' if spoiled else 'good'}", (clients, crashed, cas, spoiled)


def columns(count: int, clients: int, crashed: float, cas: bool, spoiled: bool) -> unique_register.Columns:
    """A register that really was one, every write of a new value, made with numpy since Python would take longer."""
    random = np.random.default_rng(1)
    each = -(-count // clients)
    length = random.exponential(1.0, (clients, each)) + 0.01
    ends = np.cumsum(random.exponential(0.05, (clients, each)) + length, axis=1)
    call, back = (ends - length).ravel()[:count], ends.ravel()[:count]
    order = np.argsort(call)
    call, back = call[order], back[order]
    moment = call + random.random(count) * (back - call)
    luck = random.random(count)
    kind = np.where(luck < 0.5, 0, np.where(luck < (0.75 if cas else 1.0), 1, 2)).astype(np.int64)
    dead = (random.random(count) < crashed) & (kind != 0)
    never = dead & (random.random(count) < 0.5)
    kind[never] = 1
    happening = np.argsort(moment)
    updates = happening[(kind[happening] != 0) & ~never[happening]]
    written = np.zeros(count, np.int64)
    written[updates] = np.arange(1, len(updates) + 1)
    written[never] = len(updates) + 1 + np.arange(never.sum())
    before = np.searchsorted(moment[updates], moment)
    seen = np.where(before > 0, written[updates[np.maximum(before - 1, 0)]], 0)
    new = np.where(kind == 0, seen, written)
    ranks = np.empty(2 * count, np.int64)
    ranks[np.argsort(np.concatenate([call, np.where(dead, np.inf, back)]), kind="stable")] = np.arange(2 * count)
    if spoiled:
        reads = np.flatnonzero(kind == 0)
        new[reads[int(len(reads) * 0.9)]] = new[reads[10]]
    return unique_register.Columns(
        kind=kind,
        old=np.where(kind == 2, seen, 0),
        new=new,
        call=ranks[:count].copy(),
        back=np.where(dead, unique_register.NEVER, ranks[count:]),
        initial=0,
        values=int(new.max()) + 1,
    )


def memory() -> Row:
    """100,000 operations on which a search explodes: how far past its limits of time and memory it goes."""
    from checkers import Operation

    adds = [Operation(f="add", value=2**n, process=n, call_time=0, return_time=10**7 + n) for n in range(50)]
    reads = [
        Operation(f="read", result=-1 if n == 0 else 0, process=100, call_time=10 * n, return_time=10 * n + 5)
        for n in range(100_000)
    ]
    history = History.of_operations([*adds, *reads])
    result, seconds = timed(lambda: check(history, "counter", budget=Budget(seconds=3)))
    tracemalloc.start()
    limited, _ = timed(lambda: check(history, "counter", budget=Budget(bytes=100_000_000)))
    peak = tracemalloc.get_traced_memory()[1]
    return {
        "seconds of 3": seconds,
        "bytes of 100000000": peak,
        "reasons": [result.reason, limited.reason],  # type: ignore[attr-defined]
    }


if __name__ == "__main__":
    main()
