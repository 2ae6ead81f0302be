"""The versions engine: a register that numbers its updates tells the order itself.

Lives here: two readings of the versions in the replies. If they contradict real time or each other, a pair of
operations shows it. Else sorting by version gives the one order there can be, up to updates that crashed; if that
replays, it is a linearization. What neither settles is left to the search. A reply that leaves out the value (UNSET)
agrees with every value. O(n log n).
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import UNSET

from checkers.history import Operation
from checkers.models import State, cas_argument
from checkers.wording import shown


class Contradiction(NamedTuple):
    """Two operations, in order of their returns, whose replies cannot both be true, and why."""

    first: Operation
    second: Operation
    sentence: str


def contradiction(operations: Sequence[Operation]) -> Contradiction | None:
    """A pair whose versions run against real time, or two values or two updates of one version; else None."""
    told = [one for one in operations if one.version is not None and one.returned]
    return _against_time(told) or _two_values(told)


def _against_time(told: Sequence[Operation]) -> Contradiction | None:
    """A pair of which the first returned before the second was called, but had the later version."""
    returns = sorted(told, key=lambda one: one.return_rank)
    newest: Operation | None = None
    place = 0
    for second in sorted(told, key=lambda one: one.call_rank):
        while place < len(returns) and returns[place].return_rank < second.call_rank:
            if newest is None or _order(returns[place]) > _order(newest):
                newest = returns[place]
            place += 1
        if newest is not None and _order(newest) > _order(second):
            return Contradiction(newest, second, _backwards(newest, second))
    return None


def _backwards(first: Operation, second: Operation) -> str:
    """How the version of the second, which was called after the first had returned, is too old."""
    if first.version != second.version:
        return f"the version went backwards: [{first}] had returned version {first.version} before it was called"
    return f"it reports making version {second.version}, which [{first}] had already seen before it was called"


def _two_values(told: Sequence[Operation]) -> Contradiction | None:
    """A pair that saw two values of one version, or that both made it."""
    first: dict[int | None, Operation] = {}
    maker: dict[int | None, Operation] = {}
    for one in told:
        if value_after(one) is not UNSET:
            other = first.setdefault(one.version, one)
            if value_after(other) != value_after(one):
                return _in_order(other, one, "version {} has two values: see [{}]")
        if _updates(one) and maker.setdefault(one.version, one) is not one:
            return _in_order(maker[one.version], one, "lost update: version {} was also made by [{}]")
    return None


def impossible(operation: Operation, initial: State) -> str:
    """Why a reply cannot be true by itself, given the initial value; empty if that is not known."""
    one = operation
    if one.version is None:
        return ""
    if one.f == "cas" and one.status == "fail" and one.actual == cas_argument(one)[0]:
        return "it failed, though it saw the very value that it compared with"
    if _updates(one) and one.version < 1:
        return f"an update makes version 1 at least, not {one.version}"
    if one.version == 0:
        return f"version 0 is the initial value, {shown(initial)}"
    if one.f == "cas" and _updates(one) and one.version == 1:
        return f"it made version 1, so what it replaced was the initial value, {shown(initial)}"
    return ""


def _in_order(one: Operation, other: Operation, sentence: str) -> Contradiction:
    first, second = sorted((one, other), key=lambda operation: operation.return_rank)
    return Contradiction(first, second, sentence.format(second.version, first))


def sorted_by_version(operations: Sequence[Operation]) -> list[Operation] | None:
    """The operations by version, crashed updates put where one is missing; None if a version is left without one.

    A candidate only: it has to be replayed.
    """
    if any(one.returned and one.version is None for one in operations):
        return None
    told = sorted((one for one in operations if one.returned), key=lambda one: (*_order(one), one.call_rank))
    crashed = [one for one in operations if not one.returned]
    seen = {_value_before(one) for one in told}
    crashed.sort(
        key=lambda one: (value_after(one) in seen, one.call_rank)
    )  # what somebody saw is kept for where it was
    order: list[Operation] = []
    version = 0
    value: object = UNSET
    for one in told:
        assert one.version is not None
        before = one.version - 1 if _updates(one) else one.version
        while version < before:
            wanted = _value_before(one) if version + 1 == before else UNSET
            missing = _taken(crashed, wanted, value)
            if missing is None:
                return None
            order.append(missing)
            version, value = version + 1, value_after(missing)
        order.append(one)
        after = value_after(one)
        version, value = one.version, value if after is UNSET else after
    return order


def _taken(crashed: list[Operation], wanted: object, value: object) -> Operation | None:
    """The first crashed update that leads to the value wanted (UNSET: any) and, if a cas, replaces what there is."""
    for one in crashed:
        fits = one.f == "write" or value is UNSET or cas_argument(one)[0] == value
        if fits and wanted in (UNSET, value_after(one)):
            crashed.remove(one)
            return one
    return None


def value_after(operation: Operation) -> State:
    """The value that the register had just after the operation; UNSET for a failed cas that did not say what it saw."""
    value: State = operation.value
    if operation.f == "read":
        value = operation.result
    elif operation.f == "cas":
        value = operation.actual if operation.status == "fail" else cas_argument(operation)[1]
    return value


def _value_before(operation: Operation) -> object:
    """The value that the register had just before the operation took place; UNSET for a write, which does not say."""
    if operation.f == "cas" and operation.status != "fail":
        return cas_argument(operation)[0]
    return UNSET if operation.f == "write" else value_after(operation)


def _updates(operation: Operation) -> bool:
    return operation.f != "read" and operation.status != "fail"


def _order(operation: Operation) -> tuple[int, bool]:
    """Versions first; of one version the update, then those that saw it."""
    assert operation.version is not None
    return operation.version, not _updates(operation)
