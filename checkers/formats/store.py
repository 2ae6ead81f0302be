"""The history in a directory: of a run of ours, or of a test in Jepsen's store.

Lives here: the names that histories have there.
"""

from pathlib import Path

from checkers.history import HistoryError

NAMES = ("history.jsonl", "history.edn", "history.txt", "jepsen.log", "history.json")
PACKED = ("", ".gz", ".zst")
JEPSEN = "test.jepsen"


def history_in(path: Path | str) -> Path | str:
    """The history file of a directory, the first of `NAMES` that holds anything; what is no directory, as it is.

    Raises HistoryError for a directory without one.
    """
    if not isinstance(path, Path):
        return path if path == "-" else history_in(Path(path))
    if not path.is_dir():
        return path
    found = [one for name in NAMES for packed in PACKED if (one := path / f"{name}{packed}").is_file()]
    if found:
        return next((one for one in found if one.stat().st_size), found[0])
    if (path / JEPSEN).is_file():
        raise HistoryError(f"{path}: only {JEPSEN}, which is Jepsen's own format; history.edn or history.txt is read")
    raise HistoryError(f"{path}: a directory with no history; one of {', '.join(NAMES)} is looked for")
