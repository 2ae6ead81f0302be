"""Which model a history is of, where nobody said: by what its operations are called, were given and gave back.

Lives here: which operations a model fits, and the rule that a guess is made only where one model fits. Where two do,
their verdicts could differ, so the user is asked. `register` and `cas-register` are one specification without a cas.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from checkers.history import History, Operation
from checkers.model import ModelError
from checkers.multi_register import are_pairs, is_transaction

Kinds = Sequence[Operation]
ASK = "name one with --model"
SHOWN = 8


def guess(operations: History | Iterable[Operation]) -> str:
    """The name of the one model that fits these operations.

    Raises ModelError, which names the option, where several fit or none. Without operations it is the register.
    """
    kinds, shapes = _few(operations)
    names = {one.f for one in shapes}
    if not names:
        return "register"
    known = [(model, fits) for model, (has, fits) in SHAPES.items() if names <= has]
    listed = _listed(names)
    if not known:
        raise ModelError(f"no model has all of {listed}; {ASK}")
    fitting = [model for model, fits in known if fits(kinds)]
    if len(fitting) == 1:
        return _register(shapes) if fitting == ["register"] else fitting[0]
    if fitting:
        raise ModelError(f"the values of {listed} fit several models, {_listed(fitting)}; {ASK}")
    raise ModelError(f"the values of {listed} do not fit {_listed(model for model, _ in known)}; {ASK}")


def _few(operations: History | Iterable[Operation]) -> tuple[Kinds, Kinds]:
    """The operations, one of each kind where these are known, and one for each name, with a version and without."""
    if not isinstance(operations, History):
        every = list(operations)
        return every, every
    if operations.columns.counted:
        return operations.columns.kinds, operations.columns.kinds
    return operations.operations, operations.columns.examples


def _register(shapes: Kinds) -> str:
    """Which register: where a reply numbers the updates, one that counts them."""
    if any(one.version is not None for one in shapes):
        return "versioned-register"
    return "cas-register" if any(one.f == "cas" for one in shapes) else "register"


def _anything(kinds: Kinds) -> bool:
    return True


def _registers_at_once(kinds: Kinds) -> bool:
    """Every value names registers."""
    for one in kinds:
        if one.f == "txn":
            fits = is_transaction(one.value) and (
                one.status != "ok" or one.result is None or is_transaction(one.result)
            )
        elif one.f == "write":
            fits = are_pairs(one.value)
        else:
            fits = one.status != "ok" or are_pairs(one.result)
        if not fits:
            return False
    return True


def _set(kinds: Kinds) -> bool:
    """Reads are collections; null is the empty one."""
    return all(one is None or isinstance(one, tuple | frozenset) for one in _results(kinds, "read"))


def _counter(kinds: Kinds) -> bool:
    """Adds are whole numbers, and reads numbers; null says nothing, unless some are numbers."""
    added = all(type(one.value) is int for one in kinds if one.f == "add")
    told = all(one.echoed or one.result is None or _is_number(one.result) for one in _ok(kinds, "add"))
    read = _results(kinds, "read")
    return added and told and (all(map(_is_number, read)) or all(one is None for one in read))


def _texts(kinds: Kinds) -> bool:
    """Gets are texts or, where nothing is appended, of the types that were put."""
    got = {type(one) for one in _results(kinds, "get")}
    appended = {type(one.value) for one in kinds if one.f == "append"}
    if appended:
        return got <= {str} and appended <= {str, int}
    return got <= {str, *(type(one.value) for one in kinds if one.f == "put")}


def _is_number(value: object) -> bool:
    """Whether the value can equal a sum of whole numbers. EDN's other numbers, of their own types, never do."""
    return type(value) in (int, float)


def _ok(kinds: Kinds, f: str) -> Iterator[Operation]:
    return (one for one in kinds if one.f == f and one.status == "ok")


def _results(kinds: Kinds, f: str) -> list[object]:
    return [one.result for one in _ok(kinds, f)]


def _listed(names: Iterable[str]) -> str:
    """The names in order, the first few of many."""
    every = [name if name.isprintable() else repr(name) for name in sorted(names)]
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return ", ".join(every[:SHOWN]) + more


SHAPES: dict[str, tuple[frozenset[str], Callable[[Kinds], bool]]] = {
    "register": (frozenset({"read", "write", "cas"}), _anything),
    "multi-register": (frozenset({"read", "write", "txn"}), _registers_at_once),
    "set": (frozenset({"add", "remove", "read"}), _set),
    "counter": (frozenset({"add", "read"}), _counter),
    "kv": (frozenset({"get", "put", "append"}), _texts),
    "queue": (frozenset({"enqueue", "dequeue"}), _anything),
    "stack": (frozenset({"push", "pop"}), _anything),
    "mutex": (frozenset({"acquire", "release"}), _anything),
}
