"""Ending sockets by a kernel that refuses; what one that can does is in tests/netns/test_sockets.py."""

from __future__ import annotations

from errno import ENOENT, EOPNOTSUPP, EPERM

import pytest

from mwan_hook.kernel import sockets
from mwan_hook.model import TCP, Socket

FIRST, SECOND, THIRD = (Socket(2, TCP, 1, "192.0.2.1", 40000 + n, "198.51.100.1", 443) for n in (1, 2, 3))


@pytest.mark.parametrize(
    ("codes", "able", "expected"),
    [
        ((0, ENOENT, 0), True, ((FIRST, THIRD), "", "")),
        ((0, EOPNOTSUPP, 0), True, ((FIRST, THIRD), "", "")),  # it is in TIME_WAIT meanwhile
        ((0, EOPNOTSUPP, 0), False, ((FIRST,), sockets.UNABLE, "")),
        ((0, EPERM, 0), True, ((FIRST,), "", "ending a socket of 192.0.2.1: Operation not permitted")),
    ],
)
def test_what_is_refused(
    monkeypatch: pytest.MonkeyPatch, codes: tuple[int, ...], able: bool, expected: tuple[object, ...]
) -> None:
    answers = iter(codes)
    monkeypatch.setattr(sockets, "_destroyed", lambda *_: next(answers))
    monkeypatch.setattr(sockets, "unable", lambda: "" if able else sockets.UNABLE)
    ended = sockets.destroy((FIRST, SECOND, THIRD), float("inf"))
    assert (ended.sockets, ended.unable, ended.failed) == expected
