"""Models as users write them, on random histories: `python tests/checkers/fuzz_models.py --count 100000 --seed 0`.

Lives here: the loop that `make fuzz-models` runs. Each seed makes a history of one of the models below, which are
written naively: results are booleans, states sets, tuples, dataclasses, numbers and booleans side by side. The verdict
must be that of brute force, which calls the step with the operations as they were recorded and shares no code with
`checkers`. Every third seed spoils the step in one of the ways that users do: then the check must end in one line that
names the model, or in the right verdict where the spoiled answer could never be asked for. The first mistake is printed
with its seed. `--jobs` says how many processes share the work.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from dataclasses import replace as with_fields
from random import Random
from typing import Any

from msgspec.structs import replace

from checkers import ILLEGAL, Model, ModelError, Operation, Verdict, check, models

BATCH = 500
ENGINES = ("auto", "auto", "search", "reference")


def contains(state: frozenset[Any], operation: Operation) -> Any:  # noqa: ANN401 - as users write it
    """A set that answers whether it holds a value."""
    if operation.f == "add":
        return state | {operation.value}
    if operation.f == "remove":
        was = operation.value in state
        return state - {operation.value} if operation.status == "info" or operation.result == was else ILLEGAL
    return state if operation.status == "info" or operation.result == (operation.value in state) else ILLEGAL


def flag(state: bool, operation: Operation) -> Any:  # noqa: ANN401
    """A boolean that is set, flipped and read."""
    if operation.f == "set":
        return operation.value
    if operation.f == "flip":
        return not state
    return state if operation.status == "info" or operation.result is state else ILLEGAL


def lock(holder: tuple[Any, ...], operation: Operation) -> Any:  # noqa: ANN401
    """A lock that says whether one got it."""
    if operation.f == "unlock":
        return ()
    got = not holder
    if operation.status != "info" and operation.result is not got:
        return ILLEGAL
    return (operation.value,) if got else holder


def mixed(state: object, operation: Operation) -> Any:  # noqa: ANN401
    """A register whose values are told apart by type: 1, 1.0, True and "1"."""
    if operation.f == "write":
        return (operation.value,)
    same = type(operation.result) is type(state[0]) and operation.result == state[0]  # type: ignore[index]
    return state if operation.status == "info" or same else ILLEGAL


def log(entries: tuple[Any, ...], operation: Operation) -> Any:  # noqa: ANN401
    """A log that is appended to and read as a list."""
    if operation.f == "append":
        return (*entries, operation.value)
    if operation.status == "info":
        return entries
    return entries if list(map(repr, operation.result)) == list(map(repr, entries)) else ILLEGAL


@dataclass(frozen=True)
class Account:
    """An account, which may be closed."""

    balance: float
    closed: Any


def account(state: Account, operation: Operation) -> Any:  # noqa: ANN401
    """An account: withdrawing says whether there was enough, and `mark` sets a field to 1 or True."""
    if operation.f == "deposit":
        return with_fields(state, balance=state.balance + operation.value)
    if operation.f == "mark":
        return with_fields(state, closed=operation.value)
    if operation.f == "marked":
        return state if operation.status == "info" or repr(operation.result) == repr(state.closed) else ILLEGAL
    enough = state.balance >= operation.value
    if operation.status != "info" and operation.result != enough:
        return ILLEGAL
    return with_fields(state, balance=state.balance - operation.value) if enough else state


def absent(pairs: frozenset[Any], operation: Operation) -> Any:  # noqa: ANN401
    """A map: `put` if absent says whether it was, `get` gives [found, value]."""
    known = dict(pairs)
    name = operation.value[0]
    if operation.f == "put":
        new = name not in known
        if operation.status != "info" and operation.result != new:
            return ILLEGAL
        return frozenset({**known, name: operation.value[1]}.items()) if new else pairs
    found = (name in known, known.get(name))
    return pairs if operation.status == "info" or operation.result == found else ILLEGAL


def lossy(state: int, operation: Operation) -> Any:  # noqa: ANN401
    """A counter that may lose an increment; nondeterministic."""
    if operation.f == "add":
        return [state, state + operation.value]
    return [state] if operation.status == "info" or operation.result == state else []


Step = Callable[[Any, Operation], Any]
Draw = Callable[[Random], Any]


@dataclass(frozen=True)
class Kind:
    """A naive model: its step, what it begins with, and for each operation how to draw an argument and a result."""

    name: str
    initial: Any
    step: Step
    draws: dict[str, tuple[Draw, Draw]]
    reads: frozenset[str] = frozenset()
    several: bool = False


def nothing(_: Random) -> None:
    return None


def one_of(*values: Any) -> Draw:  # noqa: ANN401
    return lambda random: random.choice(values)


BOOLS = one_of(True, False)
LOOSE = one_of(1, True, 1.0, 0, False, "1", None)
KINDS = [
    Kind(
        "contains", frozenset(), contains,
        {"add": (one_of(1, True, 2), nothing), "remove": (one_of(1, 2), BOOLS), "contains": (one_of(1, 2, 3), BOOLS)},
        frozenset({"contains"}),
    ),
    Kind("flag", False, flag, {"set": (BOOLS, nothing), "flip": (nothing, nothing), "read": (nothing, BOOLS)}),
    Kind("lock", (), lock, {"lock": (one_of("a", "b"), BOOLS), "unlock": (nothing, nothing)}),
    Kind("mixed", (None,), mixed, {"write": (LOOSE, nothing), "read": (nothing, LOOSE)}, frozenset({"read"})),
    Kind(
        "log", (), log,
        {"append": (LOOSE, nothing), "read": (nothing, lambda r: [LOOSE(r) for _ in range(r.randint(0, 2))])},
    ),
    Kind(
        "account", Account(0, None), account,
        {
            "deposit": (one_of(1, 2), nothing), "withdraw": (one_of(1, 2, 3), BOOLS),
            "mark": (one_of(1, True), nothing), "marked": (nothing, one_of(None, 1, True)),
        },
        frozenset({"marked"}),
    ),
    Kind(
        "absent", frozenset(), absent,
        {
            "put": (lambda r: [r.choice("xy"), r.choice([1, True])], BOOLS),
            "get": (lambda r: [r.choice("xy")], lambda r: r.choice([[False, None], [True, 1], (True, True)])),
        },
    ),
    Kind("lossy", 0, lossy, {"add": (one_of(1, 2), nothing), "read": (nothing, one_of(0, 1, 2, 3))}, several=True),
]  # fmt: skip


def history_of(kind: Kind, random: Random, size: int) -> list[Operation]:
    """What an object of that kind really answered, ties in time and crashes; some answers are drawn at random."""
    state, made = kind.initial, []
    for moment, process in sorted((random.randint(0, 2 * size), process) for process in range(size)):
        f = random.choice(sorted(kind.draws))
        argument, answer = (draw(random) for draw in kind.draws[f])
        one = Operation(
            process=process, f=f, value=argument, call_time=moment - random.randint(0, 3),
            return_time=moment + random.randint(0, 3),
        )  # fmt: skip
        if random.random() < 0.1:
            one = replace(one, status="info", return_time=None)
            after = first(kind.step(state, as_seen(one)))
            state = after if after is not ILLEGAL and random.random() < 0.5 else state
        else:
            answers = [answer] if random.random() < 0.15 else [answer, *(kind.draws[f][1](random) for _ in range(12))]
            for answer in answers:
                one = replace(one, result=answer)
                after = first(kind.step(state, as_seen(one)))
                if after is not ILLEGAL:
                    state = after
                    break
        made.append(one)
    return made


def first(after: Any) -> Any:  # noqa: ANN401
    """One of several states, or the one there is."""
    return (after[-1] if after else ILLEGAL) if isinstance(after, list) else after


def as_seen(operation: Operation) -> Operation:
    """The operation as a step gets it: lists are tuples."""
    return replace(operation, value=_tuples(operation.value), result=_tuples(operation.result))


def _tuples(value: Any) -> Any:  # noqa: ANN401
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def is_linearizable(operations: Sequence[Operation], kind: Kind) -> bool:
    """Whether some order that respects time is legal: sets of operations level by level, states told apart by repr."""
    ops = [as_seen(one) for one in operations]
    before = [
        sum(1 << n for n, one in enumerate(ops) if one.return_time is not None and one.return_time < later.call_time)
        for later in ops
    ]
    required = sum(1 << n for n, one in enumerate(ops) if one.return_time is not None)
    level = {(0, _name(kind.initial)): kind.initial}
    while level:
        after: dict[tuple[int, str], Any] = {}
        for (done, _), state in level.items():
            if done & required == required:
                return True
            for number, needed in enumerate(before):
                if not done >> number & 1 and not needed & ~done:
                    found = kind.step(state, ops[number])
                    for new in found if kind.several else [found]:
                        if new is not ILLEGAL:
                            after[done | 1 << number, _name(new)] = new
        level = after
    return False


def _name(state: Any) -> str:  # noqa: ANN401
    return repr(sorted(map(repr, state))) if isinstance(state, frozenset) else repr(state)


def _spoiled(step: Step, spoil: Callable[[Any, Any], Any]) -> Step:
    """The step with every answer changed: `spoil` is given the state and what would have been right."""

    def spoiled(state: Any, operation: Operation) -> Any:  # noqa: ANN401
        return spoil(state, step(state, operation))

    return spoiled


def _yields(state: Any, after: Any) -> Iterator[Any]:  # noqa: ANN401
    yield after


async def _waits(state: Any, after: Any) -> Any:  # noqa: ANN401
    return after


class Turn:
    """Answers otherwise each time."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, state: Any, after: Any) -> Any:  # noqa: ANN401
        self.count += 1
        return after if self.count % 3 else ILLEGAL


MISUSES: dict[str, Callable[[], Callable[[Any, Any], Any]]] = {
    "False for ILLEGAL": lambda: lambda _, after: False if after is ILLEGAL else after,
    "True for a state": lambda: lambda _, after: after if after is ILLEGAL else True,
    "None for ILLEGAL": lambda: lambda _, after: None if after is ILLEGAL else after,
    "None always": lambda: lambda *_: None,
    "as Porcupine": lambda: lambda state, after: (False, state) if after is ILLEGAL else (True, after),
    "NotImplemented": lambda: lambda _, after: NotImplemented if after is ILLEGAL else after,
    "the class": lambda: lambda _, after: type(ILLEGAL) if after is ILLEGAL else after,
    "a list": lambda: lambda _, after: after if after is ILLEGAL else [after],
    "a set": lambda: lambda _, after: after if after is ILLEGAL else {1},
    "a dict": lambda: lambda _, after: after if after is ILLEGAL else {"state": after},
    "a generator": lambda: _yields,
    "async": lambda: _waits,
    "an exception": lambda: lambda _, after: ValueError("no") if after is ILLEGAL else after,
    "not pure": Turn,
}
"""Each gives what is made of the state before and of the right answer. A generator is right where there are several."""


def misuse_of(kind: Kind, random: Random) -> str:
    """The name of a mistake that is one for this kind of model."""
    fine = {"a generator", "a list"} if kind.several else set()
    if isinstance(kind.initial, bool):
        fine |= {"False for ILLEGAL", "True for a state"}
    if kind.several:  # ILLEGAL is an empty list there
        fine |= {"False for ILLEGAL", "None for ILLEGAL", "as Porcupine", "NotImplemented", "the class", "an exception"}
        fine |= {"not pure", "True for a state", "a set", "a dict"}
    return random.choice(sorted(set(MISUSES) - fine))


def model_of(kind: Kind, step: Step) -> Model:
    """The model as a user would make it."""
    if kind.several:
        return models.nondeterministic(kind.name, [kind.initial], step, reads=kind.reads)
    return Model(kind.name, kind.initial, step, reads=kind.reads)


def mistake_of(seed: int, size: int, count: Counter[str]) -> str:
    """What was wrong with the check of the history of a seed; nothing, mostly."""
    random = Random(seed)
    kind = KINDS[seed % len(KINDS)]
    operations = history_of(kind, random, random.randint(1, size))
    right = is_linearizable(operations, kind)
    returned = any(one.return_time is not None and one.status == "ok" for one in operations)
    engine, wrong = random.choice(ENGINES), misuse_of(kind, random) if seed % 3 == 0 else ""
    step = _spoiled(kind.step, MISUSES[wrong]()) if wrong else kind.step
    try:
        verdict = check(operations, model_of(kind, step), engine=engine).verdict
    except ModelError as error:
        count["reported" if wrong else "errors"] += 1
        text = str(error)
        said = wrong and f"model {kind.name}" in text and "\n" not in text
        return "" if said else f"{wrong or 'nothing wrong'}, yet: {text}"
    if not returned:
        return "" if verdict is Verdict.UNKNOWN else f"nothing returned, yet {verdict}"
    count["valid" if right else "invalid"] += 1
    count["spoiled, not reported"] += bool(wrong)
    agrees = verdict is (Verdict.VALID if right else Verdict.INVALID)
    return "" if agrees else f"{wrong} {engine}: {verdict}, though brute force says {right}"


def judged(batch: tuple[int, int, int]) -> tuple[Counter[str], str]:
    """What came of a batch of seeds, and the first mistake."""
    start, end, size = batch
    count: Counter[str] = Counter()
    for seed in range(start, end):
        mistake = mistake_of(seed, size, count)
        if mistake:
            random = Random(seed)
            kind = KINDS[seed % len(KINDS)]
            made = history_of(kind, random, random.randint(1, size))
            return count, "\n  ".join([f"seed {seed}, {kind.name}: {mistake}", *map(repr, made)])
        count["histories"] += 1
    return count, ""


def main() -> int:
    """0 if every check said what brute force says, else 1."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=100_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--size", type=int, default=8)
    options.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = options.parse_args()
    end = given.seed + given.count
    batches = [(start, min(start + BATCH, end), given.size) for start in range(given.seed, end, BATCH)]
    done: Counter[str] = Counter()
    with ProcessPoolExecutor(given.jobs) as pool:
        for count, mistake in pool.map(judged, batches):
            done.update(count)
            if mistake:
                print(mistake)
                pool.shutdown(cancel_futures=True)
                return 1
    print(", ".join(f"{name} {number}" for name, number in sorted(done.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
