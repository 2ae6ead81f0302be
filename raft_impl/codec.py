"""Types to bytes and back: commands in the log, messages between nodes, frames between clients and nodes.

On a connection everything travels in frames: a 4-byte big-endian length, then that many bytes of msgpack. The one
other place where bytes are made is the write-ahead log, whose records carry checksums.
"""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from raft_impl.types import Command, Hello, Message, Reply, Request, Status, StatusRequest

_T = TypeVar("_T")

MAX_FRAME_BYTES = 16 * 1024 * 1024

_encoder = msgspec.msgpack.Encoder()
_commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_messages: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)
_incoming: msgspec.msgpack.Decoder[Hello | Request | StatusRequest] = msgspec.msgpack.Decoder(
    Hello | Request | StatusRequest
)
_answers: msgspec.msgpack.Decoder[Reply | Status] = msgspec.msgpack.Decoder(Reply | Status)


class FrameError(Exception):
    """What came in cannot be a frame of this protocol; the connection is of no more use."""


encode: Callable[[object], bytes] = _encoder.encode
"""Return the msgpack of any value; equal values of equal types give equal bytes."""

decode_command: Callable[[bytes], Command] = _commands.decode
"""Return the command of a log entry."""


def frame(value: object) -> bytes:
    """Return the frame that carries `value`."""
    body = _encoder.encode(value)
    return len(body).to_bytes(4, "big") + body


def decode_message(body: bytes) -> Message:
    """Return a peer's message; raises FrameError."""
    return _decode(_messages, body)


def decode_incoming(body: bytes) -> Hello | Request | StatusRequest:
    """Return the first frame of any connection, or a later one of a client's; raises FrameError."""
    return _decode(_incoming, body)


def decode_answer(body: bytes) -> Reply | Status:
    """Return a node's answer to a client; raises FrameError."""
    return _decode(_answers, body)


def _decode(decoder: msgspec.msgpack.Decoder[_T], body: bytes) -> _T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FrameError(str(error)) from error


class FrameReader:
    """Cuts a stream of bytes into the bodies of frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the bodies that `data` completes; raises FrameError when a frame is too large. Linear in the input."""
        buffer = self._buffer
        buffer += data
        bodies: list[bytes] = []
        start = 0
        while len(buffer) - start >= 4:
            length = int.from_bytes(buffer[start : start + 4], "big")
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {length} bytes; at most {MAX_FRAME_BYTES} are allowed")
            if len(buffer) - start - 4 < length:
                break
            bodies.append(bytes(buffer[start + 4 : start + 4 + length]))
            start += 4 + length
        del buffer[:start]
        return bodies
