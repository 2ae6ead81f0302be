"""What a node is made of, as classes: the sound ones, unless a mutant puts another in the place of one."""

import importlib

import msgspec

from raft_impl.core import RaftCore
from raft_impl.register import Register
from raft_impl.service import Service
from raft_impl.storage.wal import Wal


class UnknownMutantError(Exception):
    """No mutant has that id; the message lists those that exist."""


class Parts(msgspec.Struct, frozen=True):
    """The classes that `Node` puts together."""

    core: type[RaftCore] = RaftCore
    wal: type[Wal] = Wal
    register: type[Register] = Register
    service: type[Service] = Service


def parts_of(mutant: str | None) -> Parts:
    """Return the sound parts, or those of a known-bad variant; raises UnknownMutantError.

    The variants are imported only when one is asked for.
    """
    if mutant is None:
        return Parts()
    parts: Parts = importlib.import_module("raft_impl.mutants").find(mutant).parts
    return parts
