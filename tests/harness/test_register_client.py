"""What a client calls ok, fail and info, for every way in which a node can answer: the soundness of the whole harness.

The cluster is a script: what each connect and each call does, in order. Time passes only in it.
"""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from checkers.history import Event
from harness.adapters.base import Definite
from harness.adapters.raft_register import RaftRegister
from harness.environments.base import CallFailed, ConnectFailed
from harness.environments.sim.loop import Loop
from harness.interpreter import Completion
from harness.worker import Worker
from harness.workloads import WORKLOADS

TIMEOUT_S = 1.0
SESSION = 77

# What a step of a script does, besides answering with a dict (the fields of a reply) or with bytes (the whole frame).
REFUSE = "no connection is made"
LOSE = "the connection is lost, at once"
SILENCE = "nothing comes before the time is up"
OTHER = "an answer to another question"

OK = {"ok": True, "value": 5, "version": 3}
MISMATCH = {"ok": False, "error": "mismatch", "definite": True, "value": 8, "version": 4}
NO_LEADER = {"ok": False, "error": "no_leader", "definite": True}
LOST_LEADERSHIP = {"ok": False, "error": "leadership_lost", "definite": False}
UNLABELLED = {"ok": False, "error": "strange"}


def redirect(node):
    return {"ok": False, "error": "not_leader", "definite": True, "leader": node}


class Script:
    """An environment of three nodes whose every answer is written down beforehand; the session opens by itself."""

    nodes = ("n1", "n2", "n3")

    def __init__(self, steps, session=None):
        self.steps = list(steps)
        self.session = [{"ok": True, "session": SESSION}] if session is None else list(session)
        self.asked: list[tuple[str, dict]] = []
        self.connects: list[str] = []
        self.open_connections = 0
        self.loop = Loop()

    def now_ns(self):
        return self.loop.now_ns

    def sleep(self, seconds):
        return self.loop.sleep(seconds)

    async def connect(self, node, timeout_s):
        assert node in self.nodes
        await self.sleep(0.001)
        steps = self.steps if not self.session else self.session
        if steps and steps[0] == REFUSE:
            steps.pop(0)
            raise ConnectFailed(f"{node}: refused")
        self.connects.append(node)
        self.open_connections += 1
        return ScriptConnection(self, node)


class ScriptConnection:
    def __init__(self, script, node):
        self.script = script
        self.node = node
        self.closed = False

    async def call(self, frame, timeout_s):
        assert not self.closed, "a connection that was given up is used again"
        script, question = self.script, msgspec.msgpack.decode(frame)
        steps = script.session if question["op"] == "open_session" else script.steps
        if question["op"] != "open_session":
            script.asked.append((self.node, question))
        await script.sleep(0.001)
        step = steps.pop(0) if steps else SILENCE
        if step == SILENCE:
            await script.sleep(timeout_s)
            raise CallFailed(f"{self.node}: timed out")
        if step in (LOSE, REFUSE):  # a connection that is there cannot be refused, only lost
            raise CallFailed(f"{self.node}: connection lost")
        if isinstance(step, bytes):
            return step
        number = question["id"] + 1 if step == OTHER else question["id"]
        return msgspec.msgpack.encode({"type": "reply", "id": number, **(OK if step == OTHER else step)})

    def close(self):
        self.script.open_connections -= not self.closed
        self.closed = True


def operation(f):
    value = {"read": None, "write": 9, "cas": [5, 9]}[f]
    return Event(index=0, time=0, type="invoke", process=0, f=f, key=1, value=value)


def carry_out(script, *operations):
    """The completions of these operations, one after the other, by one worker at n1."""
    workload = WORKLOADS["register"]
    worker = Worker(lambda: workload.client(RaftRegister(), script, "n1", TIMEOUT_S))
    completions = []

    async def main():
        for one in operations:
            begin_ns = script.now_ns()
            completions.append(await worker.handle(one))
            # A session may have to be opened first, which may take as long again.
            assert script.now_ns() - begin_ns <= 2.01e9 * TIMEOUT_S, "an operation ends within its time"
        worker.close()

    script.loop.run(main)
    assert script.open_connections == 0
    return completions


def outcome(f, *steps):
    (completion,) = carry_out(Script(steps), operation(f))
    return completion


# -- the table


DEFINITE = [
    ("nobody leads", [NO_LEADER]),
    ("redirected in circles", [redirect("n2"), redirect("n1"), redirect("n2"), redirect("n1"), OK]),
    ("redirected to whom it asked", [redirect("n1")]),
]

UNCERTAIN = [
    ("silence", [SILENCE]),
    ("connection lost, then silence", [LOSE]),
    ("an answer to another question", [OTHER]),
    ("garbage", [b"\xc1"]),
    ("an empty answer", [b""]),
    ("an answer of the wrong shape", [msgspec.msgpack.encode([1, 2])]),
    ("an answer without its number", [msgspec.msgpack.encode({"ok": True})]),
    ("an answer that is no text where one should be", [b"\x82\xa2id\x01\xa5error\xa2\xff\xfe"]),
    ("an answer nested without end", [b"\x82\xa2id\x01\xa5value" + b"\x91" * 5000]),
    ("the leader lost its office", [LOST_LEADERSHIP]),
    ("an error that does not say whether it is definite", [UNLABELLED]),
]


@pytest.mark.parametrize("f", ["write", "cas"])
@pytest.mark.parametrize(("name", "steps"), DEFINITE, ids=[name for name, _ in DEFINITE])
def test_an_update_that_certainly_did_not_happen_fails(f, name, steps):
    assert outcome(f, *steps).type == "fail"


@pytest.mark.parametrize("f", ["write", "cas"])
@pytest.mark.parametrize(("name", "steps"), UNCERTAIN, ids=[name for name, _ in UNCERTAIN])
def test_an_update_that_may_have_happened_is_info(f, name, steps):
    completion = outcome(f, *steps)
    assert completion.type == "info"
    assert completion.error


@pytest.mark.parametrize("f", ["write", "cas"])
@pytest.mark.parametrize(("name", "steps"), UNCERTAIN, ids=[name for name, _ in UNCERTAIN])
@pytest.mark.parametrize("later", [NO_LEADER, REFUSE, redirect("n2")], ids=["no leader", "refused", "redirected"])
def test_nothing_that_comes_later_makes_it_certain_that_it_did_not_happen(f, name, steps, later):
    assert outcome(f, *steps, *[later] * 400).type == "info"


@pytest.mark.parametrize(("name", "steps"), UNCERTAIN, ids=[name for name, _ in UNCERTAIN])
def test_an_uncertain_update_is_settled_under_the_same_session_and_number(name, steps):
    script = Script([*steps, {"ok": True, "version": 6}])
    assert carry_out(script, operation("write")) == [Completion("ok", version=6)]
    assert len(script.asked) == 2
    assert {(one["session"], one["sequence"]) for _, one in script.asked} == {(SESSION, 1)}
    assert script.asked[0][1]["id"] != script.asked[1][1]["id"]


@pytest.mark.parametrize(("name", "steps"), UNCERTAIN, ids=[name for name, _ in UNCERTAIN])
def test_a_mismatch_is_the_answer_to_an_uncertain_cas_as_well(name, steps):
    # The service remembers what became of this number, so the answer is that of the first attempt if that one acted.
    completion = outcome("cas", *steps, MISMATCH)
    assert completion == Completion("fail", error="mismatch", actual=8, version=4)


READ_ERRORS = [*DEFINITE, *UNCERTAIN, ("no connection", [REFUSE] * 9)]


@pytest.mark.parametrize(("name", "steps"), READ_ERRORS, ids=[name for name, _ in READ_ERRORS])
def test_a_read_without_an_answer_fails_for_it_changed_nothing(name, steps):
    completion = outcome("read", *steps)
    assert completion.type == "fail"
    assert completion.error
    assert completion.value is UNSET


@pytest.mark.parametrize(
    ("f", "reply", "expected"),
    [
        ("read", OK, Completion("ok", value=5, version=3)),
        ("read", {"ok": True, "value": None, "version": 0}, Completion("ok", value=None, version=0)),
        ("write", {"ok": True, "version": 3}, Completion("ok", version=3)),
        ("cas", {"ok": True, "version": 3}, Completion("ok", version=3)),
        ("cas", MISMATCH, Completion("fail", error="mismatch", actual=8, version=4)),
        ("cas", MISMATCH | {"value": None, "version": 0}, Completion("fail", error="mismatch", actual=None, version=0)),
    ],
)
def test_an_answer_says_what_happened(f, reply, expected):
    assert outcome(f, reply) == expected


@pytest.mark.parametrize("f", ["read", "write"])
def test_a_mismatch_answers_nothing_but_a_cas(f):
    assert outcome(f, MISMATCH).type == "fail"


# -- whom it asks


def nodes_asked(script):
    return [node for node, _ in script.asked]


@pytest.mark.parametrize("f", ["read", "write", "cas"])
def test_a_redirect_is_followed(f):
    script = Script([redirect("n3"), OK])
    assert carry_out(script, operation(f))[0].type == "ok"
    assert nodes_asked(script) == ["n1", "n3"]


@pytest.mark.parametrize("f", ["read", "write", "cas"])
def test_a_redirect_to_nobody_of_this_cluster_is_no_redirect(f):
    assert outcome(f, redirect("n99")).type == "fail"


@pytest.mark.parametrize("f", ["read", "write", "cas"])
def test_the_next_node_is_tried_when_one_cannot_be_reached_and_nothing_is_uncertain(f):
    script = Script([REFUSE, OK], session=[])
    client = RaftRegister().client(script, "n2", TIMEOUT_S)
    call = {
        "read": lambda: client.read(1),
        "write": lambda: client.write(1, 9),
        "cas": lambda: client.cas(1, 5, 9),
    }[f]
    script.loop.run(call)
    assert nodes_asked(script) == ["n3"]


def test_nobody_to_be_reached_is_definite():
    script = Script([REFUSE] * 50, session=[])
    client = RaftRegister().client(script, "n1", TIMEOUT_S)
    with pytest.raises(Definite, match="unreachable"):
        script.loop.run(lambda: client.write(1, 9))


def test_the_connections_are_kept():
    script = Script([OK, OK, OK])
    carry_out(script, *[operation("read")] * 3)
    assert script.connects == ["n1"]


@pytest.mark.parametrize("step", [LOSE, OTHER, SILENCE, b"\xc1"])
def test_a_connection_that_failed_is_not_used_again(step):
    script = Script([step, OK, OK])
    carry_out(script, operation("write"), operation("write"))
    assert len(script.connects) > 1


def test_each_update_has_a_number_of_its_own_and_reads_have_none():
    script = Script([OK] * 4)
    carry_out(script, operation("write"), operation("read"), operation("cas"), operation("write"))
    assert [question.get("sequence") for _, question in script.asked] == [1, None, 2, 3]
    assert [question.get("session") for _, question in script.asked] == [SESSION, None, SESSION, SESSION]


def test_the_question_is_that_of_the_protocol():
    script = Script([OK] * 3)
    carry_out(script, operation("write"), operation("read"), operation("cas"))
    questions = [{k: v for k, v in one.items() if k not in ("id", "session", "sequence")} for _, one in script.asked]
    assert questions == [
        {"type": "request", "op": "write", "key": "1", "value": 9},
        {"type": "request", "op": "read", "key": "1"},
        {"type": "request", "op": "cas", "key": "1", "old": 5, "new": 9},
    ]


# -- sessions and clients


@pytest.mark.parametrize("f", ["read", "write", "cas"])
@pytest.mark.parametrize(
    "session",
    [[NO_LEADER], [REFUSE] * 9, [SILENCE] * 9, [LOSE] * 900, [b"\xc1"] * 900, [LOST_LEADERSHIP] * 900, [{"ok": True}]],
    ids=["no leader", "refused", "silence", "lost", "garbage", "leadership lost", "no session in the answer"],
)
def test_without_a_session_nothing_was_done(f, session):
    script = Script([OK], session=session)
    (completion,) = carry_out(script, operation(f))
    assert completion.type == "fail"
    assert script.asked == []


def test_a_client_that_could_not_be_opened_is_opened_for_the_next_operation():
    script = Script([OK], session=[NO_LEADER, {"ok": True, "session": SESSION}])
    assert [completion.type for completion in carry_out(script, operation("write"), operation("write"))] == [
        "fail",
        "ok",
    ]


def test_after_info_there_is_a_new_session():
    script = Script(
        [SILENCE] * 5 + [{"ok": True, "version": 1}],
        session=[{"ok": True, "session": 1}, {"ok": True, "session": 2}],
    )
    first, _ = carry_out(script, operation("write"), operation("write"))
    assert first.type == "info"
    assert {question["session"] for _, question in script.asked} == {1, 2}


def test_after_ok_and_fail_the_session_goes_on():
    script = Script([OK, NO_LEADER, MISMATCH, OK])
    carry_out(script, operation("write"), operation("write"), operation("cas"), operation("write"))
    assert {question["session"] for _, question in script.asked} == {SESSION}


steps = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([REFUSE, LOSE, SILENCE, OTHER, OK, MISMATCH, NO_LEADER, LOST_LEADERSHIP, UNLABELLED]),
    st.sampled_from(["n1", "n2", "n3", "n4"]).map(redirect),
    st.fixed_dictionaries({}, optional={"ok": st.booleans(), "error": st.text(max_size=5), "definite": st.booleans()}),
)
_MAY_HAVE_ACTED = (LOSE, SILENCE, OTHER)


@given(st.sampled_from(["read", "write", "cas"]), st.lists(steps, max_size=8))
@settings(max_examples=150, deadline=None)
def test_whatever_a_cluster_says_there_is_a_completion_and_fail_is_never_said_of_what_may_have_acted(f, script_steps):
    script = Script(script_steps)
    (completion,) = carry_out(script, operation(f))
    used = script_steps[: len(script_steps) - len(script.steps)]
    doubtful = any(step in _MAY_HAVE_ACTED or isinstance(step, bytes) for step in used if not isinstance(step, dict))
    if f != "read" and doubtful and completion.error != "mismatch":
        assert completion.type in ("ok", "info")
    if completion.type == "ok":
        assert any(step == OTHER or isinstance(step, bytes | dict) for step in used)
