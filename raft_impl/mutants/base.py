"""What a mutant is: an id of the catalogue, a sentence, and the parts a node is then made of."""

import msgspec

from raft_impl.parts import Parts


class Mutant(msgspec.Struct, frozen=True):
    """A known-bad variant; `breaks` names the properties of Raft that it violates."""

    id: str
    description: str
    breaks: str
    parts: Parts
