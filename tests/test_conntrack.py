"""What the applier makes of answers that a kernel at hand never gives."""

import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from struct import pack
from typing import Self

import pytest

from applier import conntrack
from applier.connections import Connection
from applier.errors import KernelError

DONE, ERROR, NEW, INTERRUPTED = 3, 2, 1 << 8, 0x10
GONE = Connection("10.1.0.5", "203.0.113.10", "10.1.0.5", 0, 0, b"")


def message(kind: int, body: bytes, flags: int = 0, number: int = 0) -> bytes:
    return pack("=IHHII", 16 + len(body), kind, flags, number, 0) + body


def answer(code: int, number: int = 0) -> bytes:
    return message(ERROR, pack("=i", -code) + bytes(16), number=number)


class Link:
    """A netlink socket that gives these answers, one by one."""

    def __init__(self, answers: list[bytes | OSError], flags: int = 0) -> None:
        self._answers = answers
        self._flags = flags
        self.sent: list[bytes] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def recvmsg(self, _: int) -> tuple[bytes, list[object], int, None]:
        found = self._answers.pop(0)
        if isinstance(found, OSError):
            raise found
        return found, [], self._flags, None


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator["list[bytes | OSError]"]:
    """Answers to be given; connection tracking is loaded."""
    answers: list[bytes | OSError] = []
    monkeypatch.setattr("applier.conntrack._LOADED", tmp_path)
    monkeypatch.setattr(socket, "socket", lambda *_: Link(answers))
    yield answers
    assert answers == []


def test_a_list_that_changed_while_it_was_read_is_read_again(kernel: "list[bytes | OSError]") -> None:
    kernel += [message(DONE, bytes(4), INTERRUPTED), message(DONE, bytes(4))]

    assert list(conntrack.list_connections()) == []


def test_a_list_that_never_holds_still_is_an_error(kernel: "list[bytes | OSError]") -> None:
    kernel += [message(DONE, bytes(4), INTERRUPTED)] * 3

    with pytest.raises(KernelError, match="the list changed while it was read, 3 times"):
        list(conntrack.list_connections())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer(errno.EPERM), "list connections: Operation not permitted"),
        (answer(errno.EINVAL), "list connections: Invalid argument"),
        (message(DONE, pack("=i", -errno.ENOMEM)), "list connections: Cannot allocate memory"),
        (OSError(errno.ENOBUFS, "No buffer space available"), "list connections: No buffer space available"),
        (message(NEW, bytes((socket.AF_INET, 0, 0, 0)) + bytes(80)), "in an order that is not known"),
    ],
)
def test_what_cannot_be_listed_is_an_error(
    kernel: "list[bytes | OSError]", given: bytes | OSError, expected: str
) -> None:
    kernel.append(given)

    with pytest.raises(KernelError, match=expected):
        list(conntrack.list_connections())


def test_a_kernel_without_connection_tracking_has_no_connections(
    kernel: "list[bytes | OSError]", monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("applier.conntrack._LOADED", tmp_path / "none")
    kernel.append(answer(errno.EINVAL))

    assert list(conntrack.list_connections()) == []


def test_an_answer_that_was_cut_off_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", lambda *_: Link([bytes(16)], socket.MSG_TRUNC))

    with pytest.raises(KernelError, match="more than 65536 bytes at once"):
        list(conntrack.list_connections())


def test_entries_that_are_gone_already_are_no_error(kernel: "list[bytes | OSError]") -> None:
    kernel += [answer(errno.ENOENT, 0) + answer(errno.ENOENT, 1), answer(errno.ENOENT, 2)]

    assert conntrack.delete_connections([GONE] * 3) == 0


def test_an_entry_in_a_flowtable_is_an_error_after_all_others_are_deleted(kernel: "list[bytes | OSError]") -> None:
    kernel += [answer(errno.EBUSY, 5) + answer(0, 63), answer(0, 35)]

    with pytest.raises(KernelError, match="1 are in a flowtable"):
        conntrack.delete_connections([GONE] * 100)


def test_a_deletion_that_is_not_allowed_is_an_error(kernel: "list[bytes | OSError]") -> None:
    kernel.append(answer(errno.EPERM, 0))
    with pytest.raises(KernelError, match="delete connections: Operation not permitted"):
        conntrack.delete_connections([GONE])

    kernel.append(answer(errno.EPERM, 0))
    with pytest.raises(KernelError, match="delete connections: Operation not permitted"):
        conntrack.delete_bound_connections(1)
