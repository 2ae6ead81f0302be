"""A model as the engines see it: whatever it does wrong is told in one line that names model and operation.

Lives here: what is caught and what is refused. Every engine asks the guarded model, so that they all say the same. What
our own models return is in order, and is not looked at again.
"""

from collections.abc import Hashable
from dataclasses import dataclass, replace

from checkers.history import History, Operation, kind_key
from checkers.models import Illegal, Model, ModelError, State


class ModelRaisedError(ModelError):
    """What a model did wrong, before it is known where the operation, or one like it, was written down."""

    def __init__(self, model: str, did: str, operation: Operation, why: str) -> None:
        super().__init__(" ".join(f"model {model} {did} on [{operation}]: {why}".split()))
        self.model, self.did, self.operation, self.why = model, did, operation, why


def guarded(model: Model) -> Model:
    """The same model with its functions guarded; raises ModelError for an initial state without a hash."""
    if isinstance(model.step, _Step):
        return model
    try:
        _ = {model.initial}
    except TypeError as error:
        raise ModelError(f"model {model.name}: the initial state {model.initial!r}: {error}") from None
    return replace(
        model,
        step=_Step(model, ours=is_ours(model.step)),
        observes=model.observes if is_ours(model.observes) else _Observes(model),
        part=None if model.part is None else _Part(model),
    )


def located(error: ModelRaisedError, history: History) -> ModelError:
    """The error with the place in the history of the operation, or of the first one like it."""
    name, columns = kind_key(error.operation), history.columns
    one = columns.kinds[columns.names.index(name)] if name in columns.names else error.operation
    return ModelError(f"{history.where(one)}: {ModelRaisedError(error.model, error.did, one, error.why)}")


@dataclass(frozen=True, slots=True)
class _Step:
    """A model's step. Equal for equal models, so that what is known of the states of one is known of the other's."""

    model: Model
    ours: bool

    def __call__(self, state: State, operation: Operation) -> State | Illegal:
        try:
            after = self.model.step(state, operation)
            if not self.ours and not isinstance(after, Illegal):
                self._look_at(state, operation, after)
        except ModelRaisedError:
            raise
        except Exception as error:
            raise _raised(self.model, operation, error) from error
        return after

    def _look_at(self, state: State, operation: Operation, after: object) -> None:
        """Raises for what is no state, and for a look that changes the state."""
        model = self.model
        if after is Illegal or (after is None and model.initial is not None):
            did = f"gave {'None' if after is None else 'the class Illegal'} for a state"
            raise ModelRaisedError(model.name, did, operation, "give ILLEGAL where the operation cannot take place")
        _ = {after}  # which raises for a state without a hash
        if model.looks(operation) and after != state:
            why = f"{operation.f} is one of its `reads`, which change nothing"
            raise ModelRaisedError(model.name, f"went from {state!r} to {after!r}", operation, why)


@dataclass(frozen=True, slots=True)
class _Observes:
    """A model's `observes`."""

    model: Model

    def __call__(self, operation: Operation) -> bool:
        try:
            return bool(self.model.observes(operation))
        except Exception as error:
            raise _raised(self.model, operation, error) from error


@dataclass(frozen=True, slots=True)
class _Part:
    """A model's `part`."""

    model: Model

    def __call__(self, operation: Operation) -> Hashable:
        try:
            part = None if self.model.part is None else self.model.part(operation)
            _ = {part}
        except Exception as error:
            raise _raised(self.model, operation, error) from error
        return part


def _raised(model: Model, operation: Operation, error: Exception) -> ModelRaisedError:
    """What to say of something that a model raised: its own words if it meant them for us."""
    did = "stopped" if isinstance(error, ModelError) else f"raised {type(error).__name__}"
    return ModelRaisedError(model.name, did, operation, str(error))


def is_ours(function: object) -> bool:
    """Whether it belongs to a model of this package, and is not made of somebody's step."""
    return str(getattr(function, "__module__", "")).startswith("checkers.")
