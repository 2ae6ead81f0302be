"""The runtime of environments with real nodes: mistakes end the run, signals cancel it, and everybody may tidy up."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from harness.environments import realtime
from harness.environments.base import CallFailed, ConnectFailed
from harness.environments.realtime import RealTimeEnvironment
from harness.errors import Interrupted

FOR_EVER_S = 60.0


class Bare(RealTimeEnvironment):
    """An environment without a cluster; its one node listens where a test says."""

    name = "bare"
    port = 1

    def address(self, node):
        return "127.0.0.1", self.port


Bare.__abstractmethods__ = frozenset()


@pytest.fixture
def environment():
    return Bare(("n1",), lambda notice: None)


def test_it_returns_what_main_returns(environment):
    async def main():
        await environment.sleep(0)
        return environment.now_ns()

    assert environment.run(main) > 0


def test_an_exception_of_a_task_ends_the_run_after_main_has_tidied_up(environment):
    tidied = []

    async def broken():
        raise LookupError("a bug")

    async def main():
        environment.spawn(broken())
        try:
            await environment.sleep(FOR_EVER_S)
        finally:
            await environment.sleep(0)
            tidied.append("main")

    with pytest.raises(LookupError, match="a bug"):
        environment.run(main)
    assert tidied == ["main"]


def test_tasks_that_break_one_after_the_other_do_not_cut_short_the_tidying_up(environment):
    """On a full disk each of several workers fails to record its operation."""
    tidied = []

    async def broken(seconds):
        await environment.sleep(seconds)
        raise LookupError(f"after {seconds} s")

    async def main():
        for seconds in (0, 0.01, 0.02):
            environment.spawn(broken(seconds))
        try:
            await environment.sleep(FOR_EVER_S)
        finally:
            await environment.sleep(0.05)
            tidied.append("main")

    with pytest.raises(LookupError, match="after 0 s"):
        environment.run(main)
    assert tidied == ["main"]


def test_what_breaks_after_a_signal_does_not_cut_short_the_tidying_up(environment):
    tidied = []

    async def broken():
        await environment.sleep(0.01)
        raise LookupError("late")

    async def main():
        environment.spawn(broken())
        os.kill(os.getpid(), signal.SIGINT)
        try:
            await environment.sleep(FOR_EVER_S)
        finally:
            await environment.sleep(0.05)
            tidied.append("main")

    with pytest.raises(LookupError, match="late"):
        environment.run(main)
    assert tidied == ["main"]


def test_an_exception_of_a_timer_ends_the_run(environment):
    async def main():
        environment.call_at(environment.now_ns(), lambda: {}["missing"])
        await environment.sleep(FOR_EVER_S)

    with pytest.raises(KeyError, match="missing"):
        environment.run(main)


def test_tasks_that_are_left_are_cancelled(environment):
    tidied = []

    async def patient():
        try:
            await environment.sleep(FOR_EVER_S)
        finally:
            tidied.append("task")

    async def main():
        environment.spawn(patient())
        await environment.sleep(0)

    environment.run(main)
    assert tidied == ["task"]


def test_nothing_is_begun_once_main_has_ended(environment):
    """Timers went on ringing while what was left was cancelled, and what they began nobody ended."""
    begun = []

    async def slow_to_end():
        try:
            await environment.sleep(FOR_EVER_S)
        finally:
            await environment.sleep(0.05)

    def begin():
        begun.append(environment.now_ns())
        environment.spawn(slow_to_end())
        environment.call_at(environment.now_ns() + 1_000_000, begin)

    async def main():
        begin()
        await environment.sleep(0.01)
        assert begun
        begun.clear()

    environment.run(main)
    assert begun == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle_of_the_teardown_does_not_cut_it_short(environment, number):
    """Nor does anything that was spawned work against it."""
    torn_down = []

    async def meddle():
        while True:
            await environment.sleep(0)
            torn_down.append("meddled")

    async def main():
        environment.spawn(meddle())
        await environment._settle()
        torn_down.clear()
        for step in range(3):
            os.kill(os.getpid(), number)
            await environment.sleep(0.01)
            torn_down.append(step)

    with pytest.raises(KeyboardInterrupt):
        environment.run(main)
    assert torn_down == [0, 1, 2]


def test_a_second_ctrl_c_does_not_wait_for_a_teardown_that_hangs(environment, monkeypatch):
    monkeypatch.setattr(realtime, "_PATIENCE_S", 0.05)
    began = []

    async def main():
        try:
            await environment.sleep(FOR_EVER_S)
        finally:
            began.append("teardown")
            await environment._settle()
            os.kill(os.getpid(), signal.SIGINT)
            await environment.sleep(FOR_EVER_S)

    async def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    async def both():
        environment.spawn(interrupt())
        await main()

    with pytest.raises(Interrupted, match="cut short: `splitbrain heal` removes what is left"):
        environment.run(both)
    assert began == ["teardown"]


def test_a_second_sigterm_is_no_impatience(environment, monkeypatch):
    """Whoever stops a service sends one to each of its processes, and then the harness sends one to its runs."""
    monkeypatch.setattr(realtime, "_PATIENCE_S", 0.0)
    torn_down = []

    async def main():
        await environment._settle()
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            await environment.sleep(0.01)
        torn_down.append("whole")

    with pytest.raises(KeyboardInterrupt):
        environment.run(main)
    assert torn_down == ["whole"]


def test_a_hangup_that_nohup_ignores_stays_ignored(environment):
    async def main():
        os.kill(os.getpid(), signal.SIGHUP)
        await environment.sleep(0)
        return "went on"

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert environment.run(main) == "went on"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_what_was_asked_of_all_nodes_may_end_after_whoever_asked(environment):
    async def slow(node):
        try:
            await environment.sleep(FOR_EVER_S)
        finally:
            return node  # noqa: B012 - as a blocking call does, which ends before it lets itself be cancelled

    async def interrupt():
        os.kill(os.getpid(), signal.SIGINT)

    async def main():
        environment.spawn(interrupt())
        await environment.on_all(["n1"], slow)

    with pytest.raises(KeyboardInterrupt):
        environment.run(main)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_cancels_main_once_and_lets_it_tidy_up_whatever_follows(environment, number):
    tidied = []

    async def main():
        os.kill(os.getpid(), number)
        try:
            await environment.sleep(FOR_EVER_S)
        finally:
            os.kill(os.getpid(), number)
            await environment.sleep(0.01)
            tidied.append("main")

    with pytest.raises(KeyboardInterrupt, match=signal.Signals(number).name):
        environment.run(main)
    assert tidied == ["main"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_what_signals_meant_before_they_mean_again(environment, number):
    def handler(number, frame):
        raise AssertionError

    before = signal.signal(number, handler)
    try:
        environment.run(lambda: asyncio.sleep(0))
        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, before)


def converse(environment, serve, talk):
    """What `talk(environment)` returns while a server answers connections by `serve(reader, writer)`."""

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        environment.port = server.sockets[0].getsockname()[1]
        async with server:
            return await talk(environment)

    return environment.run(main)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [(b"", "connection closed"), (b"\x00\x00\x00\x09cut", "connection closed"), (b"\xff\xff\xff\xff", "a frame of")],
    ids=["nothing", "half a frame", "a frame without end"],
)
def test_an_answer_that_is_none_fails_the_call_and_closes_the_connection(environment, answer, problem):
    async def serve(reader, writer):
        await reader.readexactly(4 + 5)
        writer.write(answer)
        writer.close()

    async def talk(environment):
        connection = await environment.connect("n1", 5.0)
        with pytest.raises(CallFailed, match=problem):
            await connection.call(b"hello", 5.0)
        with pytest.raises(CallFailed):
            await connection.call(b"hello", 5.0)

    converse(environment, serve, talk)


def test_silence_fails_the_call_in_time(environment):
    async def serve(reader, writer):
        await reader.read()
        writer.close()

    async def talk(environment):
        connection = await environment.connect("n1", 5.0)
        with pytest.raises(CallFailed, match="timed out"):
            await connection.call(b"hello", 0.05)

    converse(environment, serve, talk)


def test_frames_go_to_and_fro(environment):
    async def serve(reader, writer):
        for _ in range(2):
            length = await reader.readexactly(4)
            writer.write(length + await reader.readexactly(int.from_bytes(length, "big")))
        writer.close()

    async def talk(environment):
        connection = await environment.connect("n1", 5.0)
        answers = [await connection.call(frame, 5.0) for frame in (b"", b"x" * 100_000)]
        connection.close()
        connection.close()
        return [len(answer) for answer in answers]

    assert converse(environment, serve, talk) == [0, 100_000]


def test_where_nobody_listens_no_connection_is_made(environment):
    async def main():
        await environment.connect("n1", 5.0)

    with pytest.raises(ConnectFailed, match=r"n1 at 127.0.0.1:1"):
        environment.run(main)
