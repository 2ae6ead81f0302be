"""A register of millions of operations in one file, from its first byte to the verdict: seconds and peak memory.

    python benchmarks/big_history.py [--operations 5000000] [--clients 20] [--versioned] [--keys 10] [--cas] [--stale]

Writes the file (about 100 bytes an event, so that five million operations make a gigabyte), has `splitbrain check`
judge it in a process of its own, and prints JSON. Every write is of a new value, as our own workload's are.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

LENGTH = 103  # bytes of a line, made up by the error of a reply, which tells nothing


def main() -> None:
    """Writes, checks and prints."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--operations", type=int, default=5_000_000)
    options.add_argument("--clients", type=int, default=20)
    options.add_argument("--keys", type=int, default=0, help="0: operations have no key")
    options.add_argument("--versioned", action="store_true", help="replies carry versions")
    options.add_argument("--cas", action="store_true", help="a third of the updates compare first")
    options.add_argument("--crashed", type=float, default=0.001, help="share of the updates whose fate nobody knows")
    options.add_argument("--stale", action="store_true", help="one read is too old")
    options.add_argument("--keep", type=Path, help="where to leave the file")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.keep or Path(folder) / "history.jsonl"
        if not path.exists():
            with path.open("w", buffering=1 << 20) as out:
                out.writelines(lines(given))
        print(json.dumps({"operations": given.operations, "bytes": path.stat().st_size, **checked(path)}))


def checked(path: Path) -> dict[str, object]:
    """What the check said, and what it took."""
    command = [sys.executable, "-m", "harness", "check", "--json", str(path)]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1])
    assert process.stdout is not None
    said = json.loads(process.stdout.read())
    _, _, used = os.wait4(process.pid, 0)
    return {
        "verdict": said["files"][0]["verdict"],
        "engine": said["files"][0]["engine"],
        "reason": said["files"][0]["reason"],
        "seconds": round(time.perf_counter() - start, 1),
        "cpu seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak RSS, MB": round(used.ru_maxrss / 1024),
    }


def lines(given: argparse.Namespace) -> Iterator[str]:
    """The events of clients of registers that are really there."""
    random = Random(1)
    keys = [f"r{number}" for number in range(given.keys)] or [None]  # type: ignore[list-item]
    state: dict[str | None, tuple[int | None, int]] = dict.fromkeys(keys, (None, 0))
    old: dict[str | None, int | None] = dict.fromkeys(keys)
    stale_at = given.operations * 9 // 10 if given.stale else -1
    under_way: dict[int, tuple[str, str | None, object]] = {}
    processes = list(range(given.clients))
    begun = moment = written = 0
    index = 0
    while begun < given.operations or under_way:
        moment += random.randrange(1000, 90_000)
        place = random.randrange(given.clients)
        process = processes[place]
        if process not in under_way:
            if begun == given.operations:
                continue
            begun += 1
            written += 1
            key, luck = random.choice(keys), random.random()
            f, value = ("read", None) if luck < 0.5 else ("write", written)
            if given.cas and luck > 0.83:
                f, value = "cas", [state[key][0], written]  # type: ignore[assignment]
            under_way[process] = f, key, value
            yield line(index, moment, "invoke", process, f, key, value)
        else:
            f, key, argument = under_way.pop(process)
            now, version = state[key]
            end, result, more = "ok", argument, {}
            if f == "read":
                result = now
                if 0 <= stale_at <= begun and old[key] is not None:
                    result, stale_at = old[key], -1
                elif old[key] is None or begun < given.operations // 2:
                    old[key] = now
            elif f == "write" or now == argument[0]:  # type: ignore[index]
                state[key] = (argument if f == "write" else argument[1]), version + 1  # type: ignore[assignment, index]
            else:
                end, more = "fail", {"error": "mismatch", "actual": now}
            if given.versioned:
                more["version"] = state[key][1]
            if f != "read" and random.random() < given.crashed:
                end, more = "info", {"error": "timeout"}
                processes[place] += given.clients
            yield line(index, moment, end, process, f, key, result, more)
        index += 1


def line(
    index: int, moment: int, kind: str, process: int, f: str, key: str | None, value: object, more: object = None
) -> str:
    """One event, as our recorder writes it; a field that nobody knows makes up the length."""
    event = {"index": index, "time": moment, "type": kind, "process": process, "f": f, "key": key, "value": value}
    text = json.dumps({**event, **(more or {})}, separators=(",", ":"))  # type: ignore[dict-item]
    missing = LENGTH - len(text) - len(',"node":""}')
    return f'{text[:-1]},"node":"{"n" * missing}"}}\n' if missing > 0 else text + "\n"


if __name__ == "__main__":
    main()
