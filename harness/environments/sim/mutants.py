"""The ids of the bugs that can be built into a node on purpose, for whoever checks an id before any node is started."""

from __future__ import annotations

from raft_impl.mutants import MUTANTS


def mutant_ids() -> tuple[str, ...]:
    """Such as Q1, in the order of the catalogue."""
    return tuple(MUTANTS)
