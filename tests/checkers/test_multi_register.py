"""Several registers at once: what a transaction says, to the verdict and to the window."""

import pytest

from checkers import History, ModelError, Operation, Verdict, check, models

VALID, INVALID = Verdict.VALID, Verdict.INVALID
ENGINES = ("auto", "search", "reference")


def txn(called: object, result: object = None, status: str = "ok") -> tuple[object, object, str]:
    return called, result, status


def judged(*transactions: tuple[object, object, str], initial: object = None) -> Verdict:
    """The one verdict of all engines on transactions one after another."""
    operations = [
        Operation(
            f="txn", value=value, result=result, status=status, process=n, call_time=10 * n, return_time=10 * n + 5
        )  # type: ignore[arg-type]
        for n, (value, result, status) in enumerate(transactions)
    ]
    model = models.multi_register(initial)
    (verdict,) = {check(operations, model, engine=engine).verdict for engine in ENGINES}
    return verdict


WROTE = txn([["w", "x", 1], ["w", "y", 2]], [["w", "x", 1], ["w", "y", 2]])
CASES = {
    "it takes place at once": ([WROTE, txn([["r", "x", None]], [["r", "x", 1], ["r", "y", 2]])], VALID),
    "half of it is not there": ([WROTE, txn([["r", "x", None]], [["r", "x", 1], ["r", "y", None]])], INVALID),
    "read and write spelled out": ([txn([["write", "x", 1]]), txn([["read", "x", None]], [["read", "x", 1]])], VALID),
    "it sees its own write": ([txn([["w", "x", 1], ["r", "x", None]], [["w", "x", 1], ["r", "x", 1]])], VALID),
    "it sees no write of its own to come": (
        [txn([["r", "x", None], ["w", "x", 1]], [["r", "x", 1], ["w", "x", 1]])],
        INVALID,
    ),
    "it misses its own write": ([txn([["w", "x", 1], ["r", "x", None]], [["w", "x", 1], ["r", "x", None]])], INVALID),
    "it sees two values": ([WROTE, txn([["r", "x", None]] * 2, [["r", "x", 1], ["r", "x", None]])], INVALID),
    "null is what was never written": ([txn([["r", "x", None]], [["r", "x", None]])], VALID),
    "null is not what was written": ([WROTE, txn([["r", "x", None]], [["r", "x", None]])], INVALID),
    "a reply without a result tells nothing of its reads": ([WROTE, txn([["r", "x", 7], ["w", "x", 3]])], VALID),
    "and its writes are there": ([txn([["w", "x", 3]]), txn([["r", "x", None]], [["r", "x", 4]])], INVALID),
    "what failed was not written": (
        [txn([["w", "x", 1]], None, "fail"), txn([["r", "x", None]], [["r", "x", 1]])],
        INVALID,
    ),
    "what may have happened may be seen": (
        [txn([["r", "x", 5], ["w", "x", 1]], None, "info"), txn([["r", "x", None]], [["r", "x", 1]])],
        VALID,
    ),
    "or not": ([txn([["w", "x", 1]], None, "info"), txn([["r", "x", None]], [["r", "x", None]])], VALID),
}


@pytest.mark.parametrize("name", CASES)
def test_a_transaction(name: str) -> None:
    transactions, verdict = CASES[name]
    assert judged(*transactions) is verdict


@pytest.mark.parametrize("initial", [{"x": 0, "y": 0}, [["x", 0], ["y", 0]]])
def test_registers_begin_with_what_they_are_said_to(initial: object) -> None:
    both = [["r", "x", None], ["r", "y", None]]
    assert judged(txn(both, [["r", "x", 0], ["r", "y", 0]]), initial=initial) is VALID
    assert judged(txn(both, [["r", "x", 0], ["r", "y", None]]), initial=initial) is INVALID


def test_reads_writes_and_transactions_are_of_the_same_registers() -> None:
    operations = [
        Operation(f="write", value={"x": 1}, call_time=0, return_time=1),
        Operation(
            f="txn",
            value=[["r", "x"], ["w", "y", 2]],
            result=[["r", "x", 1], ["w", "y", 2]],
            call_time=2,
            return_time=3,
        ),
        Operation(f="read", result={"x": 1, "y": 2}, call_time=4, return_time=5),
    ]
    assert check(operations, "multi-register").verdict is VALID
    worse = [*operations, Operation(f="read", result=[["y", 1]], call_time=6, return_time=7)]
    assert check(worse, "multi-register").verdict is INVALID


@pytest.mark.parametrize(
    ("called", "result", "message"),
    [
        (
            [["append", "x", 1]],
            [["append", "x", 1]],
            "a txn is [[r, name, value], [w, name, value], ...], not (('append'",
        ),
        ([["w", "x"]], None, "a txn is [[r, name, value], [w, name, value], ...], not (('w', 'x'),)"),
        (7, 7, "a txn is [[r, name, value], [w, name, value], ...], not 7"),
        ([["w", "x", 1]], [["w", "x", 2]], "called to write [('x', 1)], but its result says [('x', 2)]"),
        ([["w", "x", 1]], [["r", "x", 1]], "called to write [('x', 1)], but its result says []"),
    ],
)
def test_what_is_no_transaction_is_refused(called: object, result: object, message: str) -> None:
    operation = Operation(f="txn", value=called, result=result, call_time=0, return_time=1)
    with pytest.raises(ModelError) as caught:
        check([operation], "multi-register")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_window_is_that_of_the_register_that_is_wrong() -> None:
    operations = [
        Operation(
            f="txn",
            value=[["w", "xy"[n % 2], n]],
            result=[["w", "xy"[n % 2], n]],
            call_time=2 * n,
            return_time=2 * n + 1,
        )
        for n in range(40)
    ]
    stale = Operation(
        f="txn", value=[["r", "x"]], result=[["r", "x", 36], ["r", "y", 39]], call_time=90, return_time=91
    )
    result = check(History.of_operations([*operations, stale]), "multi-register")
    assert result.verdict is INVALID
    assert result.violation is not None
    assert len(result.violation.window) == 3
    assert result.violation.judge.name == "multi-register, 'x' only"
