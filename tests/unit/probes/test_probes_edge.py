"""The edge of a probe: what one raises is said of its own target, and the others go on."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Generator

import pytest

from mwan_hook import probes
from mwan_hook.config import targets
from mwan_hook.model import NO_NEXTHOP, Connectivity, Family, Job, MwanError
from mwan_hook.probes import icmp, runner
from mwan_hook.probes.bound import ProbeAnswer, guarded

LIMITED = Connectivity.LIMITED
Wait = tuple[int, int, float]


def job(target: str) -> Job:
    """A job of an uplink that is not there."""
    return Job(
        uplink="attic",
        family=Family.IPV4,
        target=targets.parse(target),
        interface="attic0",
        index=1,
        source="127.0.0.1",
        gateway=None,
        timeout=0.2,
    )


@pytest.mark.parametrize("error", [ValueError("3 is no opcode"), RecursionError(), MemoryError(), AssertionError("x")])
@pytest.mark.parametrize("waits", [False, True])
def test_what_a_probe_raises_is_limited_with_its_words(
    monkeypatch: pytest.MonkeyPatch, error: Exception, waits: bool
) -> None:
    def probe(asked: Job, addresses: object, exchange: object) -> Generator[Wait, int, ProbeAnswer]:
        if asked.target.host == "192.0.2.66":
            if waits:
                yield nothing(), select.POLLIN, time.monotonic() + 0.05
            raise error
        yield nothing(), select.POLLIN, time.monotonic() + 0.1
        return ProbeAnswer(Connectivity.FULL, 1.0)

    monkeypatch.setattr(icmp, "probe", probe)
    bad, good = runner.run([job("icmp://192.0.2.66"), job("icmp://192.0.2.67")], root="/")
    assert bad.connectivity is LIMITED
    assert (bad.error or "").startswith(f"the probe failed: {type(error).__name__}: {error}")
    assert (good.connectivity, good.error) == (Connectivity.FULL, None)


def nothing() -> int:
    """A descriptor that nothing can be read from."""
    return os.eventfd(0)


def test_a_library_that_is_missing_fails_those_who_need_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("mwan_hook.probes.dns", "mwan_hook.probes.res"))]:
        monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(probes, name.rpartition(".")[2], raising=False)
    monkeypatch.setitem(sys.modules, "dns", None)
    asked = [job("dns://192.0.2.1/a.test"), job("tcp://named.test:80"), job("tcp://127.0.0.1:1")]
    direct, named, other = runner.run(asked, root="/")
    assert direct.connectivity is LIMITED and "ModuleNotFoundError" in (direct.error or "")
    assert named.connectivity is LIMITED and "ModuleNotFoundError" in (named.error or "")
    assert "ModuleNotFoundError" not in (other.error or "")


def test_what_a_library_says_reaches_no_terminal_as_it_is() -> None:
    def fail() -> None:
        raise KeyError("\x1b]0;x\x07\udc80\ud800" + "y" * 5000)

    answer = guarded(fail)
    assert isinstance(answer, ProbeAnswer) and answer.error is not None
    assert answer.error.isprintable() and len(answer.error) < 1000


def test_what_is_wrong_with_this_machine_is_not_said_of_a_target() -> None:
    def fail() -> None:
        raise MwanError("probing needs root")

    with pytest.raises(MwanError):
        guarded(fail)


@pytest.mark.parametrize(
    ("number", "offender", "words"),
    [
        (errno.EHOSTUNREACH, "2001:db8::2", NO_NEXTHOP),
        (errno.EHOSTUNREACH, "2001:db8::1", "host unreachable, says 2001:db8::1"),
        (errno.EACCES, "2001:db8::2", "prohibited, says 2001:db8::2"),
    ],
)
def test_only_an_address_that_is_not_found_is_the_next_hops_silence(number: int, offender: str, words: str) -> None:
    """A route or filter of this machine may refuse a packet that is under way, too."""
    token = bytes(range(12))

    class Queue:
        def recvmsg(self, *_: int) -> tuple[object, ...]:
            place = struct.pack("=HHI", socket.AF_INET6, 0, 0) + socket.inet_pton(socket.AF_INET6, offender)
            said = struct.pack("=IBBBBII", number, 3, 1, 3, 0, 0, 0) + place
            return bytes((128, 0, 0, 0)) + token, [(socket.IPPROTO_IPV6, 25, said)], 0, None

    asked = job("icmp://2001:db8::9")._replace(family=Family.IPV6, source="2001:db8::2")
    answer = icmp._unreachable(Queue(), asked, token)  # type: ignore[arg-type]
    assert answer is not None and (answer.connectivity, answer.error) == (LIMITED, words)
