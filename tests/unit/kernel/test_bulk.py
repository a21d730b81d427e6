"""How many messages are put into buffers."""

from __future__ import annotations

import pytest

from mwan_hook.kernel import bulk, frames, netlink

LINE, LONG, HUGE = (frames.request(24, 0, bytes(size)) for size in (40, 4000, 9000))


class Kernel:
    """Takes everything."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, buffer: bytearray) -> None:
        self.sent.append(bytes(buffer))

    def recv(self, *_: int) -> bytes:
        raise BlockingIOError

    def close(self) -> None:
        pass


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
    monkeypatch: pytest.MonkeyPatch, messages: list[bytes], buffers: list[int]
) -> None:
    kernel = Kernel()
    monkeypatch.setattr(netlink, "connect", lambda: kernel)
    assert bulk.send(messages) == {}
    assert [len(frames.split(buffer)) for buffer in kernel.sent] == buffers
    assert [len(one) for buffer in kernel.sent for one in frames.split(buffer)] == [*map(len, messages)]
