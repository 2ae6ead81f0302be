"""The frontier search, on integers only: every state in which the history so far can have left the model.

One pass over calls and returns carries a set of configurations, the frontier. The source is plain Python on lists;
numba compiles the same source on arrays (`checkers.compiled`), so it uses nothing but integers, loops and indexing.

A configuration is a state, the open operations that are discharged, those of them that took place visibly, and how
often each class of crashed operations was used. Operations take place as late as they can (Lowe 2017): only at a
return, of the operation itself or of another that needs it. What keeps the set small (each is measured in
docs/checking.md):

- an observer (a read, a failed cas) is discharged as soon as a configuration agrees with it, and never branched on;
- an overwrite discharges every open overwrite just before it, unseen, which remain usable until they return;
- where the state is a text that nobody can see, the same goes for every open append;
- of two configurations with one state, one that discharged more and used fewer crashed operations stands for both;
- crashed operations of one kind are a count; of open ones of one kind, the one that must return first goes first;
- an update that nothing observed is not followed by an overwrite;
- at a return only operations on the same part of the state take place: the others commute with it, and can wait.

With a `width` the set is cut to the most frugal configurations: a survivor is then still a linearization, but an empty
set no longer a proof that there is none.
"""

from checkers.dominance import chain, covered, narrow
from checkers.search_arrays import Search
from checkers.text_trie import UNSEEN_NODE
from checkers.transitions import ILLEGAL_STATE, OBSERVER, OVERWRITE, UNKNOWN_STATE, after

LIVE = -1  # the class of an operation that returns
TOO_MUCH = 64  # times the width: with so many configurations at one return, a pass that is cut looks no further
ENOUGH = 4  # times the width: the same for so many results

# what `advance` returns, and, of the last two, `run`
FINISHED, REFUTED, WANTED, FULL, PAUSED, CRAMPED, CROWDED = 0, 1, 2, 3, 4, 5, 6


def start(s: Search) -> None:
    """Begin the pass: one configuration, before the first event."""
    now = s.now
    now.event = now.returning = now.cut = now.widest = now.worklist_size = 0
    now.open = now.observers = now.overwrites = now.hideable = 0
    for crash_class in range(now.class_count):
        s.available[crash_class] = s.used[crash_class] = 0
    s.state[0], s.parent[0] = now.initial, -1
    s.discharged[0] = s.visible[0] = s.unobserved[0] = 0
    s.frontier[0] = 0
    now.frontier_size = now.configuration_count = 1
    now.pass_begun = 1


def advance(s: Search) -> int:
    """Go on from the next event and return why it stopped; called again it resumes."""
    now = s.now
    while now.event < now.event_count:
        code = s.events[now.event]
        status = FINISHED
        if code < 0:
            status = complete(s, ~code)
        elif s.crash_class[code] == LIVE:
            status = call(s, code)
        else:
            s.available[s.crash_class[code]] += 1
        if status != FINISHED:
            return status
        now.event += 1
    return FINISHED


def call(s: Search, operation: int) -> int:
    """Give the operation a slot; an observer is discharged at once wherever the state agrees."""
    now, kind = s.now, s.kind[operation]
    flag = s.flags[kind]
    if flag == OBSERVER:
        for place in range(now.frontier_size):
            state = s.state[s.frontier[place]]
            if after(s, kind, state) == UNKNOWN_STATE:
                return want(s, kind, state)
    slot = occupy(s, now.open, operation)
    bit = 1 << slot
    now.open |= bit
    if flag == OBSERVER:
        now.observers |= bit
        for place in range(now.frontier_size):
            config = s.frontier[place]
            if after(s, kind, s.state[config]) == s.state[config]:
                s.discharged[config] |= bit
        return FINISHED
    if flag == OVERWRITE:
        now.overwrites |= bit
        now.hideable |= bit
    elif now.texts:
        now.hideable |= bit
        for place in range(now.frontier_size):
            config = s.frontier[place]
            if s.state[config] == UNSEEN_NODE:
                s.discharged[config] |= bit
    order_twins(s, slot)
    return FINISHED


def occupy(s: Search, taken: int, operation: int) -> int:
    """Give the operation the first slot that is not taken, and return it."""
    slot = 0
    while taken >> slot & 1:
        slot += 1
    s.slot_kind[slot] = s.kind[operation]
    s.slot_operation[slot] = operation
    s.slot_twins[slot] = 0
    return slot


def order_twins(s: Search, slot: int) -> None:
    """Note, of the open operations of this one's kind, which of the two has to return first."""
    deadline = s.deadline[s.slot_operation[slot]]
    for other in range(s.now.most_open):
        if s.now.open >> other & 1 and other != slot and s.slot_kind[other] == s.slot_kind[slot]:
            if s.deadline[s.slot_operation[other]] < deadline:
                s.slot_twins[slot] |= 1 << other
            else:
                s.slot_twins[other] |= 1 << slot


def complete(s: Search, operation: int) -> int:
    """Keep the configurations in which the operation is discharged, and find those that can get there."""
    now = s.now
    if now.returning == 0:
        begin_return(s, operation)
    while now.expanded < now.worklist_size:
        if now.width and (now.survivor_count >= ENOUGH * now.width or now.worklist_size >= TOO_MUCH * now.width):
            now.cut = 1
            break
        status = expand(s, s.worklist[now.expanded])
        if status != FINISHED:
            return status
        now.expanded += 1
        if now.expanded == now.worklist_size and now.sparing:
            now.sparing = 0
            if now.survivor_count:
                now.cut = 1
            else:
                now.expanded = 0
        if now.steps > now.step_limit or now.steps > now.pass_limit:
            return PAUSED
    if now.survivor_count == 0:
        return REFUTED
    settle(s)
    end_return(s)
    return FINISHED


def begin_return(s: Search, operation: int) -> None:
    """Sort the frontier into configurations that may stay and those that have to go on; some do both."""
    now = s.now
    slot = 0
    while now.open >> slot & 1 == 0 or s.slot_operation[slot] != operation:
        slot += 1
    bit = 1 << slot
    now.returning, now.part = bit, s.part[s.kind[operation]]
    now.generation += 1
    now.expanded = now.worklist_size = now.survivor_count = 0
    now.sparing = 1 if now.width and now.class_count else 0
    now.first_new = now.configuration_count
    for place in range(now.frontier_size):
        config = s.frontier[place]
        chain(s, config)
        discharged = s.discharged[config] & bit
        if discharged:
            s.survivors[now.survivor_count] = config
            now.survivor_count += 1
        if discharged == 0 or now.hideable & ~s.visible[config] & bit:
            s.worklist[now.worklist_size] = config
            now.worklist_size += 1


def expand(s: Search, config: int) -> int:
    """Take, from one configuration, every open or crashed operation that can take place next."""
    now = s.now
    discharged, visible, unobserved = s.discharged[config], s.visible[config], s.unobserved[config]
    usable = now.open & ~now.observers & ~visible & ~(discharged & ~now.hideable)
    if unobserved:
        usable &= ~now.overwrites
    slot = 0
    while usable >> slot:
        kind = s.slot_kind[slot]
        if usable >> slot & 1 and s.part[kind] == now.part:
            bit = 1 << slot
            alike = ~discharged if discharged & bit == 0 else discharged & ~visible
            if s.slot_twins[slot] & alike == 0:
                status = take(s, config, kind, slot)
                if status != FINISHED:
                    return status
        slot += 1
    if now.sparing:
        return FINISHED
    for crash_class in range(now.class_count):
        kind = s.class_kind[crash_class]
        left = s.available[crash_class] - s.used[config * now.class_count + crash_class]
        useful = not (unobserved and s.flags[kind] == OVERWRITE)
        if left > 0 and useful and s.part[kind] == now.part:
            status = take(s, config, kind, ~crash_class)
            if status != FINISHED:
                return status
    return FINISHED


def take(s: Search, config: int, kind: int, slot: int) -> int:
    """Add the configuration after an operation: the open one of that slot, or one of the crashed class ~slot."""
    now = s.now
    now.steps += 1
    before = s.state[config]
    state = after(s, kind, before)
    if state == UNKNOWN_STATE:
        return want(s, kind, before)
    if state == ILLEGAL_STATE:
        return FINISHED
    bit = 1 << slot if slot >= 0 else 0
    overwrites = s.flags[kind] == OVERWRITE
    discharged = s.discharged[config] | bit
    if overwrites:
        discharged |= now.overwrites
    if now.texts and state == UNSEEN_NODE:
        discharged |= now.hideable & ~now.overwrites
    agreeing = agree(s, state, now.observers & ~discharged)
    if agreeing < 0:
        return WANTED
    discharged |= agreeing
    observed = discharged & ~(s.discharged[config] | bit)
    if slot < 0 and observed == 0 and state == before:
        return FINISHED
    if now.configuration_count == now.capacity:
        return FULL
    child = write(s, config, slot, state, discharged)
    s.visible[child] = s.visible[config] | (bit & now.hideable)
    s.unobserved[child] = 1 if observed == 0 and (slot < 0 or overwrites) else 0
    if covered(s, child):
        return FINISHED
    now.configuration_count += 1
    chain(s, child)
    enlist(s, config, child, bit)
    return FINISHED


def write(s: Search, config: int, slot: int, state: int, discharged: int) -> int:
    """Write down the configuration that follows another by an operation, and return it. It is not counted yet."""
    classes, child = s.now.class_count, s.now.configuration_count
    s.state[child], s.discharged[child] = state, discharged
    s.parent[child], s.moment[child] = config, s.now.event
    s.via[child] = s.slot_operation[slot] if slot >= 0 else slot
    for crash_class in range(classes):
        s.used[child * classes + crash_class] = s.used[config * classes + crash_class]
    if slot < 0:
        s.used[child * classes + ~slot] += 1
    return child


def agree(s: Search, state: int, observers: int) -> int:
    """Return those of the observers that are legal in the state; -1 where the table does not know."""
    found = slot = 0
    while observers >> slot:
        if observers >> slot & 1:
            reached = after(s, s.slot_kind[slot], state)
            if reached == UNKNOWN_STATE:
                want(s, s.slot_kind[slot], state)
                return -1
            if reached == state:
                found |= 1 << slot
        slot += 1
    return found


def enlist(s: Search, config: int, child: int, bit: int) -> None:
    """File a new configuration: it may stay, or has to go on, or both, where the operation can still be seen."""
    now = s.now
    target = now.returning
    if s.discharged[config] & target:  # its parent stays too, so only seeing the operation take place is news
        stays, goes_on = bit == target, bit != target
    else:
        stays = s.discharged[child] & target != 0
        goes_on = not stays or (now.hideable & ~s.visible[child]) & target != 0
    if stays:
        s.survivors[now.survivor_count] = child
        now.survivor_count += 1
    if goes_on:
        s.worklist[now.worklist_size] = child
        now.worklist_size += 1


def settle(s: Search) -> None:
    """Make the next frontier out of the results: the slot freed, the covered ones dropped, cut to the width."""
    now = s.now
    for place in range(now.survivor_count):
        config = s.survivors[place]
        s.discharged[config] &= ~now.returning
        s.visible[config] &= ~now.returning
        s.unobserved[config] = 0
    count = now.survivor_count
    for _ in range(2):  # backwards twice: what a later one covers goes in the first pass, an earlier one in the second
        now.generation += 1
        kept = 0
        for place in range(count - 1, -1, -1):
            config = s.survivors[place]
            if not covered(s, config):
                chain(s, config)
                s.frontier[kept] = config
                kept += 1
        for place in range(kept):
            s.survivors[place] = s.frontier[place]
        count = kept
    now.frontier_size = count
    now.widest = max(now.widest, count)
    if now.width and count > now.width:
        narrow(s)


def end_return(s: Search) -> None:
    """Free the slot of the operation that returned."""
    now = s.now
    others = ~now.returning
    now.open &= others
    now.observers &= others
    now.overwrites &= others
    now.hideable &= others
    for slot in range(now.most_open):
        s.slot_twins[slot] &= others
    now.returning = 0


def want(s: Search, kind: int, state: int) -> int:
    """Note which cell of the table is missing."""
    s.now.wanted_kind, s.now.wanted_state = kind, state
    return WANTED
