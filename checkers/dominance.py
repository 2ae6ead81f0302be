"""Which configurations stand for others, on integers only, interpreted or compiled as the kernel is.

Of two configurations with one state, the one that discharged more and used fewer crashed operations covers the other.
Those that could cover each other meet in a bucket: a chain, which counts only if it is of this generation.
"""

from checkers.search_arrays import Search


def covered(s: Search, config: int) -> bool:
    """Whether a configuration of this generation can do all that this one can."""
    now = s.now
    place = bucket(s, config)
    if s.bucket_generation[place] != now.generation:
        return False
    other = s.bucket_head[place]
    while other >= 0:
        if s.state[other] == s.state[config]:
            discharged, visible = s.discharged[other], s.visible[other]
            unlike = (discharged ^ s.discharged[config]) | (visible ^ s.visible[config])
            better = discharged & (now.observers | (now.hideable & ~visible))
            if unlike & ~better == 0 and frugal(s, other, config):
                return True
        other = s.next_in_bucket[other]
    return False


def frugal(s: Search, first: int, second: int) -> bool:
    """Whether the first configuration used no class of crashed operations more often than the second."""
    classes = s.now.class_count
    for crash_class in range(classes):
        if s.used[first * classes + crash_class] > s.used[second * classes + crash_class]:
            return False
    return True


def chain(s: Search, config: int) -> None:
    """Add a configuration to its bucket."""
    place = bucket(s, config)
    fresh = s.bucket_generation[place] != s.now.generation
    s.next_in_bucket[config] = -1 if fresh else s.bucket_head[place]
    s.bucket_generation[place] = s.now.generation
    s.bucket_head[place] = config


def bucket(s: Search, config: int) -> int:
    """Return the bucket of all configurations with the same state and the same updates that cannot be hidden."""
    now = s.now
    strict = s.discharged[config] & ~(now.observers | now.hideable)
    mixed = (strict ^ strict >> 20 ^ strict >> 40) & 0xFFFFF
    number: int = (s.state[config] * 40503 ^ mixed * 26544357) & 2 * now.capacity - 1
    return number


def narrow(s: Search) -> None:
    """Keep the `width` configurations of the frontier that used the fewest crashed operations."""
    now = s.now
    count, kept, spent = now.frontier_size, 0, 0
    while kept < now.width:
        for place in range(count):
            config = s.frontier[place]
            total = 0
            for crash_class in range(now.class_count):
                total += s.used[config * now.class_count + crash_class]
            if total == spent and kept < now.width:
                s.survivors[kept] = config
                kept += 1
        spent += 1
    for place in range(kept):
        s.frontier[place] = s.survivors[place]
    now.frontier_size = kept
    now.cut = 1
