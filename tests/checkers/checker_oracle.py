"""The dumb oracles, and random histories that try everything odd. Shares no code with the engines."""

from collections.abc import Sequence
from itertools import permutations
from random import Random

from msgspec.structs import replace

from checkers import ILLEGAL, History, Model, Operation, models


def by_permutations(operations: Sequence[Operation], model: Model) -> bool:
    """Whether any permutation of the returned and of some of the others is a linearization. Up to 6 operations."""
    relevant = [operation for operation in operations if model.relevant(operation)]
    required = {operation for operation in relevant if operation.returned}
    return any(
        required <= set(order) and _keeps_real_time(order) and _legal(order, model)
        for size in range(len(required), len(relevant) + 1)
        for order in permutations(relevant, size)
    )


def _keeps_real_time(order: Sequence[Operation]) -> bool:
    return not any(
        after.return_rank < before.call_rank for place, before in enumerate(order) for after in order[place + 1 :]
    )


def _legal(order: Sequence[Operation], model: Model) -> bool:
    state = model.initial
    for operation in order:
        state = model.step(state, operation)
        if state is ILLEGAL:
            return False
    return True


def by_subsets(operations: Sequence[Operation], model: Model) -> bool:
    """The same by filling in, for each set of operations, every state that some order of them reaches. Up to 12."""
    relevant = [operation for operation in operations if model.relevant(operation)]
    count = len(relevant)
    required = sum(1 << number for number, operation in enumerate(relevant) if operation.returned)
    before = [
        sum(1 << other for other in range(count) if relevant[other].return_rank < operation.call_rank)
        for operation in relevant
    ]
    states: list[set[object]] = [set() for _ in range(1 << count)]
    states[0].add(model.initial)
    for chosen in range(1 << count):
        if states[chosen] and chosen & required == required:
            return True
        for number in range(count):
            if chosen >> number & 1 or before[number] & ~chosen:
                continue
            after = {model.step(state, relevant[number]) for state in states[chosen]}
            states[chosen | 1 << number] |= after - {ILLEGAL}
    return False


def is_linearizable(operations: Sequence[Operation], model: Model) -> bool:
    """The same again for the fuzz test: level by level, only the sets of operations that some legal order reaches."""
    relevant = [operation for operation in operations if model.relevant(operation)]
    required = sum(1 << number for number, operation in enumerate(relevant) if operation.returned)
    before = [
        sum(1 << other for other, one in enumerate(relevant) if one.return_rank < operation.call_rank)
        for operation in relevant
    ]
    level: set[tuple[int, object]] = {(0, model.initial)}
    step = model.step
    while level:
        after: set[tuple[int, object]] = set()
        for chosen, state in level:
            if chosen & required == required:
                return True
            for number, needed in enumerate(before):
                if not chosen >> number & 1 and not needed & ~chosen:
                    next_state = step(state, relevant[number])
                    if next_state is not ILLEGAL:
                        after.add((chosen | 1 << number, next_state))
        level = after
    return False


def text_history(random: Random, size: int) -> History:
    """Two keys with text that begins empty: `put`, `append` and `get` of short texts, with crashes."""
    operations = []
    for process in range(size):
        f, call = random.choice(["get", "get", "put", "append", "append"]), random.randint(0, 2 * size)
        value = None if f == "get" else random.choice("ab")
        result = random.choice(["", "a", "b", "ab", "ba", "aa"]) if f == "get" else None
        operations.append(
            Operation(
                process=process, f=f, key=random.choice("xy"), value=value, result=result, call_time=call,
                return_time=call + random.randint(0, size), status="info" if random.random() < 1 / 8 else "ok",
            )
        )  # fmt: skip
    return History.of_operations(operations)


def keyed_text_history(random: Random, size: int, initial: str = "") -> History:
    """What one to four keys with text really answered, ties in time and crashes; then a reply or two falsified, mostly.

    What is written may be empty, longer than a byte, of one character in many bytes, half a character, or no text.
    """
    keys = "wxyz"[: random.randint(1, 4)]
    texts: dict[str, str] = dict.fromkeys(keys, initial)
    said = random.choice([["a", "b"], ["a", "ab", "", "é"], ["\ud83d", "\ude00", "a"], ["a", 1]])
    operations = []
    for moment, process in sorted((random.randint(0, 2 * size), process) for process in range(size)):
        f, key = random.choice(["get", "get", "put", "append", "append"]), random.choice(keys)
        value = random.choice(said) if f != "put" else str(random.choice(said))
        operation = Operation(
            process=process, f=f, key=key, value=None if f == "get" else value,
            call_time=moment - random.randint(0, 4), return_time=moment + random.randint(0, 4),
        )  # fmt: skip
        happened = random.random() < 0.9
        if happened and f != "get":
            texts[key] = str(value) if f == "put" else f"{texts[key]}{value}"
        if not happened or random.random() < 0.1:
            operation = replace(operation, status=random.choice(["info", "fail"]) if not happened else "info")
        elif f == "get":
            seen = texts[key] if random.random() < 0.8 else random.choice([texts[random.choice(keys)], "a", "ab", ""])
            operation = replace(operation, result=seen)
        elif random.random() < 0.5:
            operation = replace(operation, result=value)
        operations.append(operation)
    return History.of_operations(operations)


def versioned_history(random: Random, size: int) -> History:
    """What a versioned register really answered, with crashes; then a reply or two of it falsified, mostly."""
    moments = sorted((random.randint(0, 2 * size), process) for process in range(size))
    value, version, operations = 0, 0, []
    for moment, process in moments:
        f = random.choice(["read", "write", "cas"])
        small = random.randint(0, 2)
        argument = {"read": None, "write": small, "cas": (random.choice([value, small]), random.randint(0, 2))}[f]
        operation = Operation(
            process=process, f=f, value=argument,
            call_time=moment - random.randint(0, 3), return_time=moment + random.randint(0, 3),
        )  # fmt: skip
        hit = f == "write" or (f == "cas" and argument[0] == value)
        happened = random.random() < 0.9
        if hit and happened:
            value, version = small if f == "write" else argument[1], version + 1
        if not happened or random.random() < 0.1:
            operation = replace(operation, status="info")
        elif f == "cas" and not hit:
            operation = replace(operation, status="fail", error="mismatch", actual=value, version=version)
        else:
            operation = replace(operation, result=value if f == "read" else None, version=version)
        operations.append(operation)
    return History.of_operations([_falsified(random, one) for one in operations])


NAMES = {
    "set": ["add", "add", "remove", "read"],
    "queue": ["enqueue", "dequeue"],
    "stack": ["push", "pop"],
    "counter": ["add", "read"],
    "mutex": ["acquire", "release"],
    "multi-register": ["write", "read", "txn"],
    "coin": ["flip", "read", "read"],
}


def coin() -> Model:
    """A coin that nobody sees fall: `flip` it, `read` its side."""

    def steps(side: object, operation: Operation) -> list[object]:
        if operation.f == "flip":
            return [0, 1]
        return [side] if operation.status != "ok" or operation.result == side else []

    return models.nondeterministic("coin", [0], steps, reads=frozenset({"read"}))  # type: ignore[arg-type]


def object_history(random: Random, name: str, size: int) -> History:
    """What a real object of that model answered, ties in time and crashes; then a reply or two falsified, mostly."""
    thing: list[object] = []
    operations = []
    for moment, process in sorted((random.randint(0, 2 * size), process) for process in range(size)):
        f, small = (
            random.choice(NAMES[name]),
            random.choice([0, 1, 2, None] if name in ("queue", "stack") else [0, 1, 2]),
        )
        argument: object = small if f in ("add", "remove", "enqueue", "push") else None
        if f == "write":
            argument = tuple((register, random.randint(0, 2)) for register in random.choice(["x", "y", "xy"]))
        if f == "txn":
            chosen = [(random.choice("rw"), random.choice("xy")) for _ in range(random.randint(1, 3))]
            argument = tuple((do, register, random.randint(0, 2) if do == "w" else None) for do, register in chosen)
        operation = Operation(
            process=process, f=f, value=argument,
            call_time=moment - random.randint(0, 4), return_time=moment + random.randint(0, 4),
        )  # fmt: skip
        possible = f not in ("acquire", "release") or (f == "release") == bool(thing)
        happened = (possible or random.random() < 0.1) and random.random() < 0.9
        result = _done(random, thing, name, f, argument) if happened else None
        if not happened or random.random() < 0.1:
            operation = replace(operation, status=random.choice(["info", "fail"]) if not happened else "info")
        else:
            operation = replace(operation, result=_another(random, name, result) if random.random() < 0.2 else result)
        operations.append(operation)
    return History.of_operations(operations)


def _done(random: Random, thing: list[object], name: str, f: str, argument: object) -> object:
    """Does it to the thing, a list whatever it is; what it answers."""
    if f in ("enqueue", "push"):
        thing.append(argument)
    elif f in ("dequeue", "pop"):
        return thing.pop(0 if f == "dequeue" else -1) if thing else None
    elif f == "read" and name == "counter":
        return len(thing)
    elif f == "read" and name == "coin":
        return thing[-1] if thing else 0
    elif f == "txn":
        return tuple(_micro(thing, *each) for each in argument)  # type: ignore[attr-defined]
    elif f == "read" and name == "multi-register":
        return tuple((register, dict(thing).get(register)) for register in random.choice(["x", "xy"]))  # type: ignore[call-overload]
    elif f == "read":
        return random.choice([tuple, frozenset])(thing)  # type: ignore[operator]
    elif f == "add" and name == "counter":
        thing.extend([0] * int(str(argument)))
        return len(thing) if random.random() < 0.5 else None
    elif f == "add":
        thing[:] = {*thing, argument}
    elif f == "remove":
        thing[:] = {*thing} - {argument}
    elif f == "acquire":
        thing.append(True)
    elif f == "release":
        thing.clear()
    elif f == "flip":
        thing.append(random.randint(0, 1))
    else:
        thing.extend(argument)  # type: ignore[arg-type]
    return None


def _micro(thing: list[object], f: str, register: object, value: object) -> tuple[object, ...]:
    """Does one step of a transaction; the step with what it read."""
    if f == "w":
        thing.append((register, value))
    return f, register, dict(thing).get(register)  # type: ignore[call-overload]


def _another(random: Random, name: str, result: object) -> object:
    """Another answer of the same shape, or the same."""
    if isinstance(result, tuple) and name == "multi-register":
        if len(result[0]) == 3:
            return tuple((f, register, random.randint(0, 2) if f == "r" else held) for f, register, held in result)
        return tuple((register, random.choice([None, 0, 1, 2])) for register, _ in result)
    if isinstance(result, tuple | frozenset):
        return frozenset(random.sample([0, 1, 2], random.randint(0, 3)))
    return result if result is None and name not in ("queue", "stack") else random.choice([0, 1, 2, 3])


def _falsified(random: Random, operation: Operation) -> Operation:
    """The operation with a reply that may be another one, or without a version."""
    luck = random.random()
    if operation.version is None or luck > 0.12:
        return operation
    if luck < 0.04:
        return replace(operation, version=max(0, operation.version + random.choice([-1, 1])))
    if luck < 0.08 and operation.f == "read":
        return replace(operation, result=random.randint(0, 2))
    return replace(operation, version=None)


def register_history(random: Random, size: int, *, unique: bool = False, blind_cas: bool = True) -> History:
    """A cas-register history of that many operations: few values, ties in time, crashes, failed cas of both kinds.

    With `unique` every value written is new, and reads see values that were written, mostly.
    """
    span = random.randint(1, 3 * size)
    written = [0]
    operations = []
    for process in range(size):
        call = random.randint(0, span)
        f = random.choice(["read", "write", "cas"])
        new = len(written) if unique else random.randint(0, 3)
        old = random.choice(written) if unique else random.randint(0, 3)
        argument = {"read": None, "write": new, "cas": (old, new)}[f]
        if f != "read":
            written.append(new)
        operation = Operation(
            process=process, f=f, value=argument, call_time=call, return_time=call + random.randint(0, span // 2)
        )
        operations.append((operation, random.random()))
    return History.of_operations([_completed(random, one, luck, written, blind_cas) for one, luck in operations])


def _completed(random: Random, operation: Operation, luck: float, values: list[int], blind_cas: bool) -> Operation:
    """The operation with an outcome: unknown in one case of six, else ok or, if a cas, failed in one of two ways."""
    if luck < 1 / 6:
        return replace(operation, status="info")
    if operation.f == "read":
        return replace(operation, result=random.choice(values))
    if operation.f == "write" or luck < 3 / 4:
        return operation
    if blind_cas and luck > 7 / 8:
        return replace(operation, status="fail", error="mismatch")
    return replace(operation, status="fail", error="mismatch", actual=random.choice(values))
