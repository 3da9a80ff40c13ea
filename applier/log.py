"""What the applier tells while it works, one event a line: plain, or JSON for those who collect logs.

Results of a command go to standard output; events go to a stream of their own and never stop an apply.
"""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal, TextIO

from bundle.text import printable

Level = Literal["info", "warning", "error"]
Format = Literal["text", "json"]
Value = str | int | float | bool | None
"""What a field may hold."""


class Log:
    """Writes events to a stream.

    A line of `text` is `egressc: MESSAGE (FIELD=VALUE …)`, with the level before the message unless it is `info`, and
    without the time, which the journal adds. A line of `json` is an object with `time` (RFC 3339, UTC), `level`,
    `event`, `message` and the object `fields`.
    """

    def __init__(self, stream: TextIO, format_: Format = "text", clock: Callable[[], float] = time.time) -> None:
        self._stream = stream
        self._line = self._json if format_ == "json" else self._text
        self._clock = clock

    def event(self, level: Level, name: str, message: str, /, **fields: Value) -> None:
        """Writes one event.

        Args:
            level: How bad it is.
            name: What happened, in snake case; programs tell events apart by it, so it stays as it is.
            message: The same for people, in a sentence; text of others is welcome in it.
            fields: What programs may want to know besides.
        """
        # A disk without room or a reader who went away is no reason to leave the kernel half changed.
        with suppress(OSError):
            self._stream.write(self._line(level, name, message, fields) + "\n")
            self._stream.flush()

    @staticmethod
    def _text(level: Level, _: str, message: str, fields: dict[str, Value]) -> str:
        prefix = "" if level == "info" else f"{level}: "
        details = " ".join(f"{name}={value}" for name, value in fields.items())
        line = "; ".join(message.strip("\n").split("\n")) + (f" ({details})" if details else "")
        return f"egressc: {prefix}{printable(line)}"

    def _json(self, level: Level, name: str, message: str, fields: dict[str, Value]) -> str:
        event = {"time": _rfc3339(self._clock()), "level": level, "event": name, "message": message, "fields": fields}
        return json.dumps(event).replace("\x7f", "\\u007f")  # the one control character that JSON leaves as it is


def _rfc3339(seconds: float) -> str:
    milliseconds = int(seconds * 1000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{whole}.{milliseconds % 1000:03d}Z"
