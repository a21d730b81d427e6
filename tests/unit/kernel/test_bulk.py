"""How many messages are put into buffers."""

from __future__ import annotations

import pytest

from mwan_hook.kernel import bulk, frames, netlink

LINE, LONG, HUGE = (frames.request(24, 0, bytes(size)) for size in (40, 4000, 9000))


class Kernel:
    """Takes everything; ``room``: of its socket's buffer to send, None where it gives none for answers."""

    def __init__(self, room: int | None) -> None:
        self.sent: list[bytes] = []
        self.room = room

    def setsockopt(self, *_: int) -> None:
        if self.room is None:
            raise PermissionError

    def getsockopt(self, *_: int) -> int:
        assert self.room
        return self.room

    def send(self, buffer: bytearray) -> None:
        self.sent.append(bytes(buffer))

    def recv(self, *_: int) -> bytes:
        raise BlockingIOError

    def close(self) -> None:
        pass


@pytest.mark.parametrize("room", [None, 16384, 65536])
@pytest.mark.parametrize(
    ("messages", "buffers"),
    [
        ([LINE], [1]),
        ([LINE] * 300, [146, 146, 8]),
        ([LINE] * 200 + [LONG] + [LINE] * 200, [146, 54 + 1 + 20, 146, 34]),
        ([LONG] * 5, [2, 2, 1]),
        ([LINE, HUGE, LINE, LINE], [1, 1, 2]),
        ([HUGE], [1]),
    ],
)
def test_a_long_message_does_not_part_the_others(
    monkeypatch: pytest.MonkeyPatch, messages: list[bytes], buffers: list[int], room: int | None
) -> None:
    kernel = Kernel(room)
    monkeypatch.setattr(netlink, "connect", lambda: kernel)
    assert bulk.send(messages) == {}
    assert [len(frames.split(buffer)) for buffer in kernel.sent] == buffers
    assert [len(one) for buffer in kernel.sent for one in frames.split(buffer)] == [*map(len, messages)]


def test_where_refusals_have_room_more_is_sent_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(212992)
    monkeypatch.setattr(netlink, "connect", lambda: kernel)
    assert bulk.send([LINE] * 1000) == {}
    assert [len(frames.split(buffer)) for buffer in kernel.sent] == [585, 415]
    assert bulk.send([LINE] * 146) == {}
    assert len(kernel.sent) == 3
