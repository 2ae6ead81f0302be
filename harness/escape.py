"""Text from files, written into something that has a syntax of its own.

Lives here: one function for each target, so that no text is ever taken for markup, a command or a control sequence.
Must not live here: what is written.
"""

from __future__ import annotations

import re
import shlex

_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f\ud800-\udfff]"
)
"""Characters that move the cursor, end a line, change direction, or cannot be written as UTF-8."""

_RUNNER = re.compile(r"^(\s*):(?=:)|##(?=\[)")
"""Where a CI runner that reads the output looks for commands: `::error::` at the begin of a line, `##[error]` in it."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>|#~&]|(?<=:)/(?=/)|(?<=www)\.)")
_NOT_XML = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PLAIN = re.compile(r"[A-Za-z0-9 _.:,=%+/@()-]*")


def terminal(text: str) -> str:
    r"""The text as one line of output: control characters as `\x1b`, and nothing that a CI runner acts upon."""
    shown = _CONTROL.sub(_code, text)
    return _RUNNER.sub(lambda match: f"{match[1]}\\:" if match[1] is not None else "#\\#", shown)


def lines(text: str) -> list[str]:
    """The lines of a longer text, each as `terminal` has it."""
    return [terminal(line) for line in text.splitlines()]


def short(text: str, most: int = 200) -> str:
    """The text as one line, cut if it is long."""
    shown = terminal(text[: most + 1])
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def markdown(text: str) -> str:
    """The text such that Markdown shows it as it is, in one line: no markup, HTML, entity or link."""
    return _MARKDOWN.sub(r"\\\1", _CONTROL.sub(_code, " ".join(text.split())))


def xml(text: str) -> str:
    """The text without the characters that XML 1.0 cannot hold; the writer of the document escapes the others."""
    return _NOT_XML.sub("?", text)


def github(text: str) -> str:
    """The message of a workflow command."""
    return _CONTROL.sub(_code, text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A"))


def github_property(text: str) -> str:
    """A property of a workflow command, such as its title."""
    return github(text).replace(":", "%3A").replace(",", "%2C")


def shell(text: str) -> str:
    """The text as one word of a shell command, in one line."""
    return shlex.quote(text) if _CONTROL.search(text) is None else _ansi_quoted(text)


def python(value: str) -> str:
    """The text as a Python literal."""
    return f'"{value}"' if _PLAIN.fullmatch(value) else ascii(value)


def docstring(text: str) -> str:
    """The text as one line inside of a triple-quoted Python string."""
    return terminal(text).replace("\\", "\\\\").replace('"', "'")


def _code(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _ansi_quoted(text: str) -> str:
    """As `$'...'`, which bash and zsh read; no other quoting holds a line break in one line."""
    inner = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"$'{_CONTROL.sub(_code, inner)}'"
