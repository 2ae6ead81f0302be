"""What `--nemesis` asks for: a list such as `partition:majorities-ring,clock:offset=2s,kill:leader:interval=20`.

Lives here: reading and writing such lists, and what an environment can do of them. Must not live here: what faults do.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import msgspec

from harness.environments.base import Capability
from harness.errors import UsageError
from harness.nemesis import FAULTS
from harness.nemesis.fault import Aim, Fault
from harness.nemesis.parameters import plain

ALL = "all"
NONE = "none"
_INTERVAL = "interval"
_DENSE = 4
"""How many kinds at their full pace leave a cluster time to work."""


class NemesisSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of fault. `given` is what is fixed of it: words and numbers, by what they answer.

    `interval_s`: seconds from one to the next, about. `named` is whether the user asked for just this one; what came
    with `all` may be left out where it cannot be done.
    """

    name: str
    given: Mapping[str, str | float]
    interval_s: float
    named: bool = True

    def aim(self) -> Aim:
        """The fault and its pace. One of many rests longer: all at their full pace would leave nothing to see."""
        rarity = 1.0 if self.named else max(1.0, len(FAULTS) / _DENSE)
        return Aim(FAULTS[self.name], self.given, self.interval_s, rarity)


def parse_nemesis(text: str, interval_s: float) -> tuple[NemesisSpec, ...]:
    """The faults of a list; `none` is none, `all` every kind there is. Raises `UsageError` with all that is wrong."""
    specs: list[NemesisSpec] = []
    problems: list[str] = []
    for item in [item.strip() for item in text.split(",")]:
        try:
            specs += _parse_item(item, interval_s)
        except UsageError as problem:
            problems.append(str(problem))
    names = [spec.name for spec in specs]
    problems += [f"--nemesis {name}: named twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    if problems:
        raise UsageError("; ".join(problems))
    return tuple(specs)


def _parse_item(item: str, interval_s: float) -> list[NemesisSpec]:
    if item in ("", NONE):
        return []
    name, *words = item.split(":")
    if name == ALL:
        return _parse_all(words, interval_s)
    if name not in FAULTS:
        raise UsageError(f"--nemesis {name}: there is no such fault; choose from {', '.join(FAULTS)}, {ALL}, {NONE}")
    try:
        given = _read_all(FAULTS[name], words)
    except ValueError as error:
        raise UsageError(f"--nemesis {item}: {error}") from error
    interval = given.pop(_INTERVAL, interval_s)
    assert isinstance(interval, float | int)
    return [NemesisSpec(name, given, float(interval))]


def _parse_all(words: Sequence[str], interval_s: float) -> list[NemesisSpec]:
    """Every kind of fault."""
    try:
        (interval_s,) = [_interval(word.removeprefix(f"{_INTERVAL}=")) for word in words] or [interval_s]
    except ValueError as error:
        raise UsageError(f"--nemesis {':'.join([ALL, *words])}: {ALL} takes {_INTERVAL}=SECONDS") from error
    return [NemesisSpec(fault, {}, interval_s, named=False) for fault in FAULTS]


def _read_all(fault: Fault, words: Sequence[str]) -> dict[str, str | float]:
    """What the words of an item answer. A number that belongs to a kind asks for that kind, unless one is named."""
    given: dict[str, str | float] = {}
    for word in words:
        key, answer = _read(fault, word)
        if key in given:
            raise ValueError(f"{key} is said twice")
        given[key] = answer
    implied = [fault.kind_of[key] for key in given if key in fault.kind_of]
    if implied:
        given.setdefault("kind", implied[0])
    if objection := fault.objection(given):
        raise ValueError(objection)
    return given


def _read(fault: Fault, word: str) -> tuple[str, str | float]:
    """The question that a word answers, and the answer."""
    key, separator, text = word.partition("=")
    if not separator:
        question = next((question for question, words in fault.choices.items() if word in words), None)
        if question is None:
            raise ValueError(f"{word} says nothing here; {_usage(fault)}")
        return question, word
    if key == _INTERVAL:
        return key, _interval(text)
    if key not in fault.parameters:
        raise ValueError(f"{key} is no parameter; {_usage(fault)}")
    return key, fault.parameters[key].read(text)


def _interval(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise ValueError(f"interval={text}: give a number of seconds greater than 0")
    return seconds


def _usage(fault: Fault) -> str:
    """What an item of this fault may say."""
    words = [f"{question} {'|'.join(words)}" for question, words in fault.choices.items()]
    numbers = [f"{name}={parameter.example}" for name, parameter in fault.parameters.items()]
    return f"{fault.name} takes {', '.join([*words, *numbers, 'interval=SECONDS'])}"


def format_nemesis(specs: Sequence[NemesisSpec]) -> str:
    """The list that `parse_nemesis` reads back."""
    if specs and not any(spec.named for spec in specs):
        return f"{ALL}:{_INTERVAL}={plain(specs[0].interval_s)}"
    return ",".join(map(_format, specs)) or NONE


def _format(spec: NemesisSpec) -> str:
    parameters = FAULTS[spec.name].parameters
    words = [
        f"{name}={parameters[name].write(value)}" if isinstance(value, float | int) else value
        for name, value in spec.given.items()
    ]
    return ":".join([spec.name, *words, f"{_INTERVAL}={plain(spec.interval_s)}"])


def possible(
    specs: Sequence[NemesisSpec], capabilities: Collection[Capability], environment: str
) -> tuple[tuple[Aim, ...], dict[str, str]]:
    """What can be done of the faults here; and what is skipped, with the reason.

    A fault of several kinds is narrowed to those that can be done. Raises `UsageError` for one that was named and
    cannot be done at all; of what came with `all` it is skipped.
    """
    aims: list[Aim] = []
    skipped: dict[str, str] = {}
    for spec in specs:
        aim = spec.aim()
        lacking = {kind: need for kind, need in _needs(aim).items() if need not in capabilities}
        kinds = tuple(kind for kind in _needs(aim) if kind not in lacking)
        if lacking and spec.named and (not kinds or "kind" in spec.given):
            (need, *_) = lacking.values()
            raise UsageError(f"--nemesis {_format(spec)}: {environment} cannot do that here: it lacks {need}")
        for kind, need in lacking.items():
            skipped[f"{spec.name}:{kind}" if kind else spec.name] = f"{environment} lacks {need} here"
        if kinds:
            aims.append(replace(aim, kinds=kinds))
    return tuple(aims), skipped


def _needs(aim: Aim) -> Mapping[str, Capability]:
    """What each of the kinds needs that the aim may draw; without kinds, what the fault needs, under an empty word.

    Numbers of other kinds that go with one that was given need what those kinds need.
    """
    needed, given = aim.fault.needed, aim.given.get("kind")
    return {kind: need for kind, need in needed.items() if given in (None, kind) or kind in aim.given}
