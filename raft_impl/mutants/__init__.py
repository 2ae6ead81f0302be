"""Known-bad variants of this Raft, by which a test harness is judged. None is ever on unless it is asked for by id.

Each is a real bug that was once reported somewhere, made by overriding one method of one part in a file of its own.
The ids are those of the catalogue in `docs/raft.md`.
"""

from raft_impl.mutants import (
    append_not_synced,
    fixed_election_timeout,
    index_before_term,
    leader_unsynced,
    local_read,
    majority_one_short,
    no_conflict_truncation,
    no_dedupe,
    no_log_check,
    no_own_term_commit,
    no_own_term_read,
    old_round_confirms,
    previous_term_unchecked,
    reply_on_append,
    step_down_definite,
    step_down_forgets_vote,
    truncate_always,
    vote_before_sync,
    vote_forgotten,
)
from raft_impl.mutants.base import Mutant
from raft_impl.parts import UnknownMutantError

__all__ = ["MUTANTS", "Mutant", "UnknownMutantError", "find"]

_ALL = (
    vote_forgotten.MUTANT,
    vote_before_sync.MUTANT,
    step_down_forgets_vote.MUTANT,
    no_log_check.MUTANT,
    index_before_term.MUTANT,
    majority_one_short.MUTANT,
    fixed_election_timeout.MUTANT,
    previous_term_unchecked.MUTANT,
    truncate_always.MUTANT,
    no_conflict_truncation.MUTANT,
    no_own_term_commit.MUTANT,
    append_not_synced.MUTANT,
    leader_unsynced.MUTANT,
    reply_on_append.MUTANT,
    step_down_definite.MUTANT,
    no_dedupe.MUTANT,
    local_read.MUTANT,
    no_own_term_read.MUTANT,
    old_round_confirms.MUTANT,
)

MUTANTS: dict[str, Mutant] = {mutant.id: mutant for mutant in _ALL}


def find(mutant_id: str) -> Mutant:
    """Return the mutant with that id; raises UnknownMutantError."""
    if mutant_id not in MUTANTS:
        raise UnknownMutantError(f"unknown mutant {mutant_id!r}; known are {', '.join(MUTANTS)}")
    return MUTANTS[mutant_id]
