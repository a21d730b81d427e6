"""The laboratory's name server, asked by the library that the program asks with."""

from __future__ import annotations

import dns.message
import dns.opcode
import dns.rcode
import pytest

from tests.lab.isp import INTERNET4, INTERNET6
from tests.lab.names import answer


@pytest.mark.parametrize(("kind", "address"), [("A", INTERNET4[0]), ("AAAA", INTERNET6[-1]), ("MX", "")])
@pytest.mark.parametrize("edns", [False, True])
def test_any_name_has_its_two_addresses_and_nothing_else(kind: str, address: str, edns: bool) -> None:
    query = dns.message.make_query("some.example.test", kind, use_edns=0 if edns else None)
    reply = dns.message.from_wire(answer(query.to_wire()))
    assert query.is_response(reply)
    assert (reply.rcode(), [item.to_text() for rrset in reply.answer for item in rrset]) == (
        0,
        [address] * bool(address),
    )


@pytest.mark.parametrize("text", [b"", b"\0\1", b"\0" * 12, b"\0\1\1\0\0\1\0\0\0\0\0\0name without an end"])
def test_what_is_no_question_has_no_answer(text: bytes) -> None:
    with pytest.raises(ValueError):
        answer(text)


def test_what_is_no_look_up_is_refused() -> None:
    query = dns.message.make_query("some.example.test", "A")
    query.set_opcode(dns.opcode.NOTIFY)
    assert dns.message.from_wire(answer(query.to_wire())).rcode() == dns.rcode.NOTIMP
