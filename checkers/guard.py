"""A model as the engines see it: whatever it does wrong is told in one line that names model and operation.

Lives here: what is caught and what is refused. Every engine asks the guarded model, so that they all say the same. A
user's functions get the plain values that the user recorded; what they answer is looked at, and now and then asked
again, since a step that answers otherwise the second time can be believed in nothing. What our own models return is in
order, and is not looked at.
"""

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from typing import Any

import msgspec
from msgspec import UNSET

from checkers.history import History, Operation, kind_key
from checkers.misuse import MisuseError, hashable_instead, misuse
from checkers.model import Aspects
from checkers.models import ILLEGAL, Illegal, Model, ModelError, State
from checkers.snapshots import may_change, snapshot
from checkers.values import PLAIN, Boolean, freeze, thaw, told_apart

ALWAYS_TWICE, TWICE_EVERY = 32, 16  # so many questions are asked twice at first, then one of so many
MOST_PLAIN = 100_000  # operations whose plain form is kept
AS_RECORDED = PLAIN - {Boolean}
PROBED_KINDS, PROBES = 100, 400


class ModelRaisedError(ModelError):
    """What a model did wrong, before it is known where the operation, or one like it, was written down."""

    def __init__(self, model: str, did: str, operation: Operation, why: str) -> None:
        super().__init__(" ".join(f"model {model} {did} on [{operation}]: {why}".split()))
        self.model, self.did, self.operation, self.why = model, did, operation, why


def guarded(model: Model) -> Model:
    """The same model with its functions guarded; raises ModelError for an initial state or a step that is none."""
    if isinstance(model.step, OurStep | TheirStep):
        return model
    ours = is_ours(model.step)
    if not ours:
        _require_hash(model)
        _require_two_arguments(model)
    plain = _Plain()
    return replace(
        model,
        step=OurStep(model) if ours else TheirStep(model, plain),
        observes=model.observes if is_ours(model.observes) else _Observes(model, plain),
        part=None if model.part is None else _Part(model, plain),
        gapped=None if model.gapped is None else guarded(model.gapped),
        possible=_on_plain_operations(model.possible, plain),
        hindsight=model.hindsight if is_ours(model.hindsight) else _on_plain(model.hindsight, plain),
        touches=model.touches if is_ours(model.touches) else _touched(model.touches, plain),
        aspects=model.aspects if is_ours(model.aspects and model.aspects.seen) else _aspects(model.aspects, plain),
    )


def located(error: ModelRaisedError, history: History) -> ModelError:
    """The error with the place in the history of the operation, or of the first one like it."""
    name, columns = kind_key(error.operation), history.columns
    one = columns.kinds[columns.names.index(name)] if name in columns.names else error.operation
    return ModelError(f"{history.where(one)}: {ModelRaisedError(error.model, error.did, one, error.why)}")


def probe(model: Model, kinds: Sequence[Operation], states: Iterable[State]) -> None:
    """Asks a user's step about operations that no engine had to ask about, for what it may return that is no state.

    What it raises there is not counted against it: it may never have to answer that.
    """
    step = model.step
    if not isinstance(step, TheirStep):
        return
    asked = 0
    wanted = [kind for kind in kinds[:PROBED_KINDS] if model.relevant(kind)]
    for state in states:
        for kind in wanted:
            asked += 1
            if asked > PROBES:
                return
            step.probe(state, kind)


class _Plain:
    """Operations with the plain values that a user recorded, each made once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Operation, Operation]] = {}

    def __call__(self, operation: Operation) -> Operation:
        one = operation
        kinds = type(one.value), type(one.result), type(one.key), type(one.actual)
        if AS_RECORDED.issuperset(kinds):
            return operation
        known = self._known.get(one.call_rank)
        if known is not None and known[0] is operation:
            return known[1]
        plain = msgspec.structs.replace(
            one, value=thaw(one.value), result=thaw(one.result), key=thaw(one.key), actual=thaw(one.actual)
        )
        if len(self._known) >= MOST_PLAIN:
            self._known.clear()
        self._known[one.call_rank] = operation, plain
        return plain


@dataclass(frozen=True, slots=True)
class OurStep:
    """A step of this package. Equal for equal models, so that what is known of one's states holds for the other's."""

    model: Model

    def __call__(self, state: State, operation: Operation) -> State | Illegal:
        try:
            return self.model.step(state, operation)
        except Exception as error:
            raise _raised(self.model, operation, error) from error


class TheirStep:
    """A user's step. It equals no other: what one check found out of its states is not kept for the next."""

    def __init__(self, model: Model, plain: Callable[[Operation], Operation]) -> None:
        self.model, self._plain, self._asked = model, plain, 0
        self._initial = () if getattr(model.step, "users", False) else (model.initial,)

    def __call__(self, state: State, operation: Operation) -> State | Illegal:
        try:
            plain = self._plain(operation)
            before = snapshot(state) if may_change(state) else None
            after = self.model.step(state, plain)
            name = self._name(operation, after)
            if before is not None and snapshot(state) != before:
                raise ModelRaisedError(
                    self.model.name, "changed the state that it was given", operation, "give a new state instead"
                )
            self._asked += 1
            if self._asked <= ALWAYS_TWICE or self._asked % TWICE_EVERY == 0:
                self._ask_again(state, operation, plain, after, name)
            if isinstance(after, Illegal):
                return ILLEGAL
            self._require_unchanged(state, operation, after, name)
        except ModelRaisedError:
            raise
        except Exception as error:
            raise _raised(self.model, operation, error) from error
        return after

    def probe(self, state: State, operation: Operation) -> None:
        """Raises for an answer that is no state."""
        try:
            after = self.model.step(state, self._plain(operation))
        except MisuseError as error:
            raise _raised(self.model, operation, error) from error
        except Exception:  # noqa: BLE001 - nobody has to answer what is never asked
            return
        try:
            self._name(operation, after)
        except TypeError as error:
            raise _raised(self.model, operation, error) from error

    def _name(self, operation: Operation, after: object) -> object:
        """A name of what it answered; raises for what is no state."""
        if isinstance(after, Illegal):
            return ILLEGAL
        wrong = misuse(after, self._initial) if self._initial else None
        if wrong is not None:
            raise ModelRaisedError(self.model.name, f"gave {wrong.gave} for a state", operation, wrong.instead)
        try:
            _ = {after}
        except TypeError as error:
            instead = hashable_instead(after)
            raise TypeError(f"{error}; {instead}" if instead else str(error)) from None
        return told_apart(after)

    def _ask_again(self, state: State, operation: Operation, plain: Operation, after: object, name: object) -> None:
        """Raises for a step that answers otherwise when it is asked the same again."""
        again = self.model.step(state, plain)
        if self._name(operation, again) == name or (may_change(after) and snapshot(again) == snapshot(after)):
            return
        did = f"gave {after!r}, then {again!r} for one and the same state {state!r}"
        raise ModelRaisedError(self.model.name, did, operation, "let it depend on its two arguments alone")

    def _require_unchanged(self, state: State, operation: Operation, after: object, name: object) -> None:
        """Raises for a look that changes the state."""
        if self.model.looks(operation) and name != told_apart(state):
            why = f"{operation.f} is one of its `reads`, which change nothing"
            raise ModelRaisedError(self.model.name, f"went from {state!r} to {after!r}", operation, why)


@dataclass(frozen=True, slots=True, eq=False)
class _Observes:
    """A model's `observes`."""

    model: Model
    plain: _Plain

    def __call__(self, operation: Operation) -> bool:
        try:
            return bool(self.model.observes(self.plain(operation)))
        except Exception as error:
            raise _raised(self.model, operation, error) from error


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A model's `part`."""

    model: Model
    plain: _Plain

    def __call__(self, operation: Operation) -> Hashable:
        try:
            given = operation if is_ours(self.model.part) else self.plain(operation)
            part = None if self.model.part is None else self.model.part(given)
            _ = {part}
        except Exception as error:
            raise _raised(self.model, operation, error) from error
        return part


def _on_plain(function: Any, plain: _Plain) -> Any:  # noqa: ANN401 - it goes on as it came
    """A user's function of all operations, on plain ones."""
    return function and (lambda operations: function([plain(one) for one in operations]))


def _on_plain_operations(function: Any, plain: _Plain) -> Any:  # noqa: ANN401
    """The same where it gives a function of one operation."""
    if function is None or is_ours(function):
        return function

    def of_all(operations: Iterable[Operation]) -> Callable[[Operation], bool]:
        fits = function([plain(one) for one in operations])
        return lambda operation: bool(fits(plain(operation)))

    return of_all


def _touched(function: Any, plain: _Plain) -> Any:  # noqa: ANN401
    """A user's `touches`: values that are equal but not the same are not taken for one."""

    def touched(operation: Operation) -> tuple[State, ...] | None:
        values = function(plain(operation))
        return None if values is None else tuple(told_apart(value) for value in values)

    return function and touched


def _aspects(aspects: Aspects | None, plain: _Plain) -> Aspects | None:
    """A user's aspects, on plain operations; what their models are given is frozen again."""
    if aspects is None:
        return None
    names, model, seen = aspects

    def seen_frozen(name: Hashable, operation: Operation) -> Operation | None:
        found = seen(name, plain(operation))
        if found is None:
            return None
        actual = found.actual if found.actual is UNSET else freeze(found.actual)
        return msgspec.structs.replace(
            found, value=freeze(found.value), result=freeze(found.result), key=freeze(found.key), actual=actual
        )

    return Aspects(lambda operation: names(plain(operation)), lambda name: guarded(model(name)), seen_frozen)


def _require_hash(model: Model) -> None:
    """Raises ModelError for an initial state without a hash."""
    try:
        _ = {model.initial}
    except TypeError as error:
        raise ModelError(
            f"model {model.name}: the initial state {model.initial!r}: {error}; {hashable_instead(model.initial)}"
        ) from None


def _require_two_arguments(model: Model) -> None:
    """Raises ModelError for a step that cannot be called with a state and an operation."""
    function = getattr(model.step, "steps", model.step)
    try:
        parameters = signature(function)
    except (TypeError, ValueError):  # of some built-in functions nothing is known
        return
    try:
        parameters.bind(None, None)
    except TypeError as error:
        raise ModelError(
            f"model {model.name}: its step takes {parameters}, and is called with (state, operation): {error}"
        ) from None


def _raised(model: Model, operation: Operation, error: Exception) -> ModelRaisedError:
    """What to say of something that a model raised: its own words if it meant them for us."""
    if isinstance(error, ModelError):
        return ModelRaisedError(model.name, "stopped", operation, str(error))
    why = str(error)
    if isinstance(error, AssertionError):
        why = f"{why or 'an assertion failed'}; give ILLEGAL where the operation cannot take place"
    return ModelRaisedError(model.name, f"raised {type(error).__name__}", operation, why)


def is_ours(function: object) -> bool:
    """Whether it belongs to this package, and is not made of what a user wrote."""
    return str(getattr(function, "__module__", "")).startswith("checkers.") and not getattr(function, "users", False)
