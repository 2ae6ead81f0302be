"""Text from a history as it is shown: names and keys may hold anything.

Responsible for one line staying one line. Not responsible for how values are written, which is each model's own.
"""


def one_line(text: str) -> str:
    """Return the text with what does not print, such as line breaks and escape sequences, as Python writes it."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)
