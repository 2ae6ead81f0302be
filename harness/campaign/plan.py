"""The plan of a campaign: what is to be run, how much of it, what is kept, and what must hold.

Lives here: the model, and what is wrong with a bad one, all of it at once. Must not live here: where
a plan comes from (`load`), or what it amounts to (`expand`).

It is checked by pydantic, whose JSON schema `splitbrain campaign --schema` prints.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    PositiveInt,
    field_validator,
    model_validator,
)
from pydantic_core.core_schema import CoreSchema, no_info_after_validator_function

from harness import defaults
from harness.campaign.thresholds import parse_threshold
from harness.environments.choose import ENVIRONMENTS
from harness.environments.sim.mutants import mutant_ids
from harness.environments.ssh import SshEnvironment
from harness.environments.ssh_hosts import EXAMPLE
from harness.errors import UsageError
from harness.escape import short
from harness.nemesis.specs import parse_nemesis
from harness.test import (
    LAST_SEED,
    LEAST_INTERVAL_S,
    MOST_NODES,
    MOST_OPERATIONS,
    MOST_RATE,
    MOST_SECONDS,
    parse_concurrency,
)
from harness.workloads import WORKLOADS

SSH = SshEnvironment.name
SOUND = "none"
"""The value of the axis `mutant` that builds no bug in."""

MOST_RUNS = 1_000_000
"""Of one campaign, which keeps jobs and rows in memory: a million jobs take 180 MB, as many rows 2 GB (measured)."""


MOST_PLANNED = 10_000_000_000_000
"""Operations of one campaign: ten million a run, if there are a million runs."""


class _OneOf:
    """One of these words; a validator, and what the JSON schema says of it."""

    def __init__(self, what: str, allowed: tuple[str, ...]) -> None:
        self._what = what
        self._allowed = allowed

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(core), "enum": list(self._allowed)}

    def _checked(self, value: str) -> str:
        if value not in self._allowed:
            raise ValueError(f"{short(value)} is no {self._what}; choose from {', '.join(self._allowed)}")
        return value


def _nemesis(value: str) -> str:
    try:
        specs = parse_nemesis(value, 1.0)
    except UsageError as error:
        raise ValueError(str(error).replace("--nemesis ", "")) from error
    if any(not LEAST_INTERVAL_S <= spec.interval_s <= MOST_SECONDS for spec in specs):
        raise ValueError(f"{short(value)}: an interval is from {LEAST_INTERVAL_S:g} to {MOST_SECONDS:g} s")
    return value


def _concurrency(value: str) -> str:
    try:
        parse_concurrency(value, 1)
    except UsageError as error:
        raise ValueError(str(error).removeprefix("--concurrency ")) from error
    return value


def _threshold(value: str) -> str:
    parse_threshold(value)
    return value


def _kept(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        return int(value)
    if value in ("all", "failures") or (isinstance(value, int) and 0 <= value <= LAST_SEED):
        return value
    raise ValueError(f"must be all, failures, or of how many runs everything, not {short(repr(value))}")


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


class _AloneToo:
    """Says in the JSON schema of a list that one item may stand without it, and none twice."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        array = handler(core)
        return {"anyOf": [array["items"], {**array, "uniqueItems": True}]}


def _no_twins(values: list[object]) -> list[object]:
    twins = [value for value in dict.fromkeys(values) if values.count(value) > 1]
    if twins:
        raise ValueError(f"{short(', '.join(map(str, twins)))} stands there twice")
    return values


Positive = Annotated[float, Field(gt=0, lt=math.inf)]
Rate = Annotated[float, Field(gt=0, le=MOST_RATE)]
Duration = Annotated[float, Field(gt=0, le=MOST_SECONDS)]
Interval = Annotated[float, Field(gt=0, ge=LEAST_INTERVAL_S, le=MOST_SECONDS)]
Nodes = Annotated[int, Field(gt=0, le=MOST_NODES)]
Number = Annotated[int, Field(gt=0, le=LAST_SEED)]
Least = Annotated[int, Field(ge=0, le=LAST_SEED)]
Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, int) else value, json_schema_input_type=str | int),
]
Env = Annotated[str, _OneOf("environment", ("auto", *ENVIRONMENTS))]
Workload = Annotated[str, _OneOf("workload", tuple(WORKLOADS))]
Mutant = Annotated[str, _OneOf("mutant", (SOUND, *mutant_ids()))]
Nemesis = Annotated[str, AfterValidator(_nemesis)]
Concurrency = Annotated[Text, AfterValidator(_concurrency)]
_AXIS = (BeforeValidator(_listed), AfterValidator(_no_twins), Field(min_length=1), _AloneToo())


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_values(cls, value: object) -> object:
        """No setting is one, and none is a number."""
        found = next((item for item in (value if isinstance(value, list) else [value]) if isinstance(item, bool)), None)
        if found is not None:
            raise ValueError(f"{str(found).lower()} is a truth value, and no setting is one; give a number or a text")
        return value


class Axes(_Strict):
    """Every combination of these is a cell. One value may stand without its list."""

    env: Annotated[list[Env], *_AXIS] = ["sim"]
    nodes: Annotated[list[Nodes], *_AXIS] = [defaults.NODES]
    workload: Annotated[list[Workload], *_AXIS] = [defaults.WORKLOAD]
    nemesis: Annotated[list[Nemesis], *_AXIS] = [defaults.NEMESIS]
    concurrency: Annotated[list[Concurrency], *_AXIS] = [defaults.CONCURRENCY]
    rate: Annotated[list[Rate], *_AXIS] = [defaults.RATE]
    interval: Annotated[list[Interval], *_AXIS] = [defaults.INTERVAL_S]
    mutant: Annotated[list[Mutant], *_AXIS] = [SOUND]


_SEEDS = {"count": "integer", "range": "string", "fresh": "integer"}
"""The settings of `seeds`, of which there is one, and what that is in JSON."""


class Seeds(_Strict):
    """The seeds that every cell gets: exactly one of these."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [name], "properties": {name: {"type": kind}}} for name, kind in _SEEDS.items()]
        }
    )

    count: PositiveInt | None = None
    """1, 2, 3 and so on."""
    range: str | None = None
    """Such as `1..100`, both ends included."""
    fresh: PositiveInt | None = None
    """That many, drawn when the campaign begins, and recorded; what failed before is run again first."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Seeds:
        given = [name for name in _SEEDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(_SEEDS)}, not {' and '.join(given) or 'none'}")
        if self.range is not None:
            self.bounds()
        return self

    def bounds(self) -> tuple[int, int]:
        """The first and the last seed of the range. Raises ValueError if it is none."""
        match = re.fullmatch(r"([0-9]{1,40})\.\.([0-9]{1,40})", self.range or "")
        if match is None or int(match[1]) > int(match[2]):
            raise ValueError(
                f"range {short(self.range or '')}: give FIRST..LAST, such as 1..100, with at least one seed in it"
            )
        if int(match[2]) > LAST_SEED:
            raise ValueError(f"range {self.range}: the last seed that there can be is {LAST_SEED}")
        return int(match[1]), int(match[2])

    @property
    def number(self) -> int:
        """How many seeds that is."""
        first, last = self.bounds() if self.range is not None else (1, self.count or self.fresh or 0)
        return last - first + 1


class Budget(_Strict):
    """When no more runs are begun. Those under way are finished."""

    wall_s: Duration | None = None
    runs: Number | None = None


class Limits(_Strict):
    """On each run. `wall_s` is by default the time limit of the test and five minutes."""

    wall_s: Duration | None = None
    memory_mb: Annotated[int, Field(ge=256, le=1 << 30)] = 8192


class Keep(_Strict):
    """What stays on disk of valid runs: `all`, `failures` (nothing but their results), or of how many everything."""

    valid: Annotated[Literal["all", "failures"] | Least, BeforeValidator(_kept)] = "failures"
    disk_mb: Positive | None = None
    """The oldest valid runs are pruned as soon as the campaign takes more."""


class Coverage(_Strict):
    """What must have been exercised, or the gate is not passed."""

    faults: Least = 1
    """How often each kind of fault that a cell asks for must be attested in it."""
    operations: Least = 1
    leader_changes: Least = 0
    minority_leader_cuts: Least = 0
    majority_leader_cuts: Least = 0


class Gate(_Strict):
    """What must hold of the runs. Rates are shares of one: 0.01 is one in a hundred."""

    max_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """The failure rate that the evidence must exclude."""
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    max_unknown: Share = 0.05
    max_inconclusive: Share = 0.1
    coverage: Coverage = Coverage()
    thresholds: list[Annotated[str, AfterValidator(_threshold)]] = []


class Plan(_Strict):
    """A campaign, whole."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$")] = "campaign"
    axes: Axes = Axes()
    seeds: Seeds
    hosts: str | None = None
    """The machines of `ssh`, as for `splitbrain run`: a file, or a list."""
    time_limit_s: Duration = defaults.TIME_LIMIT_S
    budget: Budget = Budget()
    limits: Limits = Limits()
    jobs: Annotated[int, Field(gt=0, le=10_000)] = 1
    keep: Keep = Keep()
    gate: Gate = Gate()

    @model_validator(mode="after")
    def _machines_for_ssh(self) -> Plan:
        if (SSH in self.axes.env) != (self.hosts is not None):
            wrong = "only ssh has machines; leave it out" if self.hosts else f"missing; for example hosts = {EXAMPLE!r}"
            raise ValueError(f"hosts: {wrong}, or choose other environments")
        return self

    @model_validator(mode="after")
    def _not_too_many(self) -> Plan:
        cells = math.prod(len(values) for _, values in self.axes)
        if cells * self.seeds.number > MOST_RUNS:
            many = f"{cells} cells under {self.seeds.number} seeds are more than {MOST_RUNS} runs"
            fewer = f"give at most {max(MOST_RUNS // cells, 1)} seeds, or begin several campaigns"
            raise ValueError(f"seeds: {many}, the most that a campaign can have; {fewer}")
        return self

    @model_validator(mode="after")
    def _not_too_much(self) -> Plan:
        fastest = max(self.axes.rate) * self.time_limit_s
        if fastest > MOST_OPERATIONS:
            each = f"{max(self.axes.rate):g} operations a second over {self.time_limit_s:g} s"
            raise ValueError(f"axes.rate: {each} are {fastest:.3g}, and a run has at most {MOST_OPERATIONS:g}")
        others = math.prod(len(values) for name, values in self.axes if name != "rate")
        total = others * self.seeds.number * sum(self.axes.rate) * self.time_limit_s
        if total > MOST_PLANNED:
            raise ValueError(
                f"seeds: the whole plan makes {total:.3g} operations, and a campaign at most {MOST_PLANNED:g}; "
                "give fewer seeds, cells or seconds, or a lower rate"
            )
        return self

    @property
    def at_a_time(self) -> int:
        """How many runs are under way at once. Machines are not shared: with ssh it is one, whatever `jobs` says."""
        return 1 if SSH in self.axes.env else self.jobs

    @property
    def run_wall_s(self) -> float:
        """How long one run may take."""
        return self.limits.wall_s or self.time_limit_s + 300.0
