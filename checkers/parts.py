"""What parts a state has: values that come and go together, aspects that look like a register, and what can be there.

Lives here: for the models that have such parts, the functions behind `Model.possible`, `Model.touches` and
`Model.aspects`. Each says why it is sound; tests/checkers/test_parts.py holds all of them against brute force.
"""

from collections.abc import Callable, Hashable, Iterable

from msgspec.structs import replace

from checkers.history import Operation
from checkers.model import Aspects, Illegal, Model, State
from checkers.registers import register

Possible = Callable[[Operation], bool]
PUTS = frozenset({"enqueue", "push", "add"})
TAKES = frozenset({"dequeue", "pop", "read"})


def items(value: State) -> tuple[State, ...]:
    """The elements of a list; a lone one counts as a list of it, null as the empty one."""
    return value if isinstance(value, tuple) else () if value is None else (value,)


def elements(value: State) -> frozenset[State]:
    """The elements of a set, or of a list in any order."""
    return value if isinstance(value, frozenset) else frozenset(items(value))


def put_before(initial: State) -> Callable[[Iterable[Operation]], Possible]:
    """Of sets, queues and stacks: what is taken or read was there at first, or was put there by somebody."""

    def possible(operations: Iterable[Operation]) -> Possible:
        there = {*elements(initial), *(one.value for one in operations if one.f in PUTS)}

        def fits(operation: Operation) -> bool:
            if operation.status != "ok" or operation.result is None or operation.f not in TAKES:
                return True
            return there.issuperset(elements(operation.result) if operation.f == "read" else (operation.result,))

        return fits

    return possible


def said_before(initial: State) -> Callable[[Iterable[Operation]], Possible]:
    """Of texts by key: what was got is the first text, or was put, or ends with what was appended last."""

    def possible(operations: Iterable[Operation]) -> Possible:
        puts: dict[object, set[State]] = {}
        appended: dict[object, set[str]] = {}
        for one in operations:
            if one.f == "put":
                puts.setdefault(one.key, set()).add(one.value)
            elif one.f == "append":
                appended.setdefault(one.key, set()).add(str(one.value))
        tails = {key: tuple(texts) for key, texts in appended.items()}

        def fits(operation: Operation) -> bool:
            text, key = operation.result, operation.key
            if operation.f != "get" or operation.status != "ok" or text == initial or text in puts.get(key, ()):
                return True
            return isinstance(text, str) and text.endswith(tails.get(key, ()))

        return fits

    return possible


def queued(initial: State) -> Callable[[Operation], tuple[State, ...] | None]:
    """Of queues and stacks: the value that was put or taken.

    Without all operations on one value the others find what they found: the order among the rest is the same. Null is
    such a value too, whether it was taken or nothing was there. An operation that may have taken anything has to stay,
    and so have those on values that were there at first.
    """
    at_first = frozenset(items(initial))

    def touches(operation: Operation) -> tuple[State, ...] | None:
        if operation.f not in PUTS and operation.status != "ok":
            return None
        value = operation.value if operation.f in PUTS else operation.result
        return None if value in at_first else (value,)

    return touches


def of_elements(initial: State) -> Aspects:
    """Of a set: whether one element is in it. An order of all is an order for each."""

    def seen(element: Hashable, operation: Operation) -> Operation | None:
        if operation.f == "read":
            return replace(operation, result=int(element in elements(operation.result)))
        return replace(operation, f="write", value=int(operation.f == "add")) if operation.value == element else None

    return Aspects(
        names=lambda operation: (
            sorted(elements(operation.result), key=repr) if operation.f == "read" else [operation.value]
        ),
        model=lambda element: register(int(element in elements(initial))),
        seen=seen,
    )


def judge_of(model: Model, name: object) -> Model:
    """The model of one aspect, as a model of the operations as they were."""
    aspects = model.aspects
    assert aspects is not None, "asked only of models that have them"
    seen, simpler = aspects.seen, aspects.model(name)

    def step(state: State, operation: Operation) -> State | Illegal:
        found = seen(name, operation)
        return state if found is None else simpler.step(state, found)

    return Model(f"{model.name}, {name!r} only", simpler.initial, step, reads=model.reads, per_key=False)
