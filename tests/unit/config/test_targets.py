"""The grammar of targets: what each spelling asks, and what is refused in which words."""

from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.config.targets import RRTYPES, parse, percent_decode
from mwan_hook.model import Expect, Family, Method, Target


@pytest.mark.parametrize(
    ("text", "host", "port", "path", "expect", "body"),
    [
        ("http://h", "h", 80, "/", Expect.EMPTY, ""),
        ("http://h/", "h", 80, "/", Expect.EMPTY, ""),
        ("https://h/x", "h", 443, "/x", Expect.EMPTY, ""),
        ("HTTP://h:8080/x", "h", 8080, "/x", Expect.EMPTY, ""),
        ("http://[2001:db8::1]/x", "2001:db8::1", 80, "/x", Expect.EMPTY, ""),
        ("http://[2001:db8::1]:81/x=OK", "2001:db8::1", 81, "/x", Expect.WHOLE, "OK"),
        ("http://192.0.2.1/x=", "192.0.2.1", 80, "/x", Expect.EMPTY, ""),
        ("http://h=OK", "h", 80, "/", Expect.WHOLE, "OK"),
        ("http://h/x=OK", "h", 80, "/x", Expect.WHOLE, "OK"),
        ("http://h/x=a b", "h", 80, "/x", Expect.WHOLE, "a b"),
        ("http://h/x=a%20b", "h", 80, "/x", Expect.WHOLE, "a b"),
        ("http://h/x=a+b", "h", 80, "/x", Expect.WHOLE, "a+b"),
        ("http://h/x=100%", "h", 80, "/x", Expect.WHOLE, "100%"),
        ("http://h/x=%zz%4", "h", 80, "/x", Expect.WHOLE, "%zz%4"),
        ("http://h/x=%C3%A4", "h", 80, "/x", Expect.WHOLE, "ä"),
        ("http://h/x=%FF", "h", 80, "/x", Expect.WHOLE, "\udcff"),
        ("http://h/x=a=b", "h", 80, "/x", Expect.WHOLE, "a=b"),
        ("http://h/x=what?a=b", "h", 80, "/x", Expect.WHOLE, "what?a=b"),
        ("http://h/x=...in...", "h", 80, "/x", Expect.ANYWHERE, "in"),
        ("http://h/x=...Example%20Domain...", "h", 80, "/x", Expect.ANYWHERE, "Example Domain"),
        ("http://h/x=start...", "h", 80, "/x", Expect.PREFIX, "start"),
        ("http://h/x=...end", "h", 80, "/x", Expect.SUFFIX, "end"),
        ("http://h/x=......", "h", 80, "/x", Expect.ANYWHERE, ""),
        ("http://h/x=...", "h", 80, "/x", Expect.PREFIX, ""),
        ("http://h/x=%2E..end", "h", 80, "/x", Expect.WHOLE, "...end"),
        ("http://h/p?a=b", "h", 80, "/p?a=b", Expect.EMPTY, ""),
        ("http://h/p?a=b=OK", "h", 80, "/p?a=b", Expect.WHOLE, "OK"),
        ("http://h/p?a=b&c=d", "h", 80, "/p?a=b&c=d", Expect.EMPTY, ""),
        ("http://h/p?a=b&c=d=...OK", "h", 80, "/p?a=b&c=d", Expect.SUFFIX, "OK"),
        ("http://h/p?a&c=d", "h", 80, "/p?a&c=d", Expect.EMPTY, ""),
        ("http://h/p?a==OK", "h", 80, "/p?a=", Expect.WHOLE, "OK"),
        ("http://h/p?a=b=x&y=z=w", "h", 80, "/p?a=b", Expect.WHOLE, "x&y=z=w"),
        ("http://h?a=b=OK", "h", 80, "/?a=b", Expect.WHOLE, "OK"),
    ],
)
def test_an_http_target_is_url_and_expectation(
    text: str, host: str, port: int, path: str, expect: Expect, body: str
) -> None:
    method = Method.HTTPS if text.startswith("https") else Method.HTTP
    assert parse(text)._replace(name="") == Target(text, method, host, port, path, expect=expect, body=body)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("icmp://1.1.1.1", Target("icmp://1.1.1.1", Method.ICMP, "1.1.1.1")),
        ("icmp://2606:4700::1111", Target("icmp://2606:4700::1111", Method.ICMP, "2606:4700::1111")),
        ("icmp://[2606:4700::1111]", Target("icmp://[2606:4700::1111]", Method.ICMP, "2606:4700::1111")),
        ("tcp://h:22", Target("tcp://h:22", Method.TCP, "h", 22)),
        ("tcp://[2001:db8::1]:443", Target("tcp://[2001:db8::1]:443", Method.TCP, "2001:db8::1", 443)),
        ("ntp://9.9.9.9", Target("ntp://9.9.9.9", Method.NTP, "9.9.9.9", 123)),
        ("NTP://time.example:1123", Target("NTP://time.example:1123", Method.NTP, "time.example", 1123)),
        ("ntp://2620:fe::fe", Target("ntp://2620:fe::fe", Method.NTP, "2620:fe::fe", 123)),
        ("ntp://[2620:fe::fe]:124", Target("ntp://[2620:fe::fe]:124", Method.NTP, "2620:fe::fe", 124)),
        ("dns://9.9.9.9/example.org", Target("dns://9.9.9.9/example.org", Method.DNS, "9.9.9.9", 53, "example.org")),
        ("dns://h:5353/a.b./aaaa", Target("dns://h:5353/a.b./aaaa", Method.DNS, "h", 5353, "a.b.", "AAAA")),
        ("dns://2620:fe::fe/./NS", Target("dns://2620:fe::fe/./NS", Method.DNS, "2620:fe::fe", 53, ".", "NS")),
        ("dns://[2620:fe::fe]:54/x", Target("dns://[2620:fe::fe]:54/x", Method.DNS, "2620:fe::fe", 54, "x")),
        ("gateway:", Target("gateway:", Method.GATEWAY)),
    ],
)
def test_the_other_methods_are_read_to_the_letter(text: str, target: Target) -> None:
    assert parse(text) == target._replace(name=text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected http://HOST"),
        ("1.1.1.1", "expected http://HOST"),
        ("ftp://h/", "expected http://HOST"),
        ("http:/h/", "expected http://HOST"),
        ("gateway://1.1.1.1", "expected http://HOST"),
        ("http://", "host name or an address"),
        ("http:///x", "host name or an address"),
        ("http://u:p@h/", "no user name"),
        ("http://2001:db8::1/", "brackets around an IPv6 address"),
        ("http://[2001:db8::1/", "IPv6 address in brackets"),
        ("http://[192.0.2.1]/", "IPv6 address in brackets"),
        ("http://[fe80::1%25eth0]/", "IPv6 address in brackets"),
        ("http://1.1.1.256/", "host name or an address"),
        ("http://h:0/", "port from 1 to 65535"),
        ("http://h:/", "port from 1 to 65535"),
        ("http://h/a b=OK", "without blanks"),
        ("http://h/a#b", "write %20 and %23"),
        ("http://h/x=a\nb", "no control characters"),
        ("icmp://example.org", "IPv4 or IPv6 address"),
        ("icmp://1.1.1.1:7", "IPv4 or IPv6 address"),
        ("icmp://[1.1.1.1]", "IPv4 or IPv6 address"),
        ("tcp://h", "tcp://HOST:PORT"),
        ("tcp://2001:db8::1:443", "brackets around an IPv6 address"),
        ("tcp://h:65536", "port from 1 to 65535"),
        ("tcp://h:22/x", "port from 1 to 65535"),
        ("dns://9.9.9.9", "dns://SERVER"),
        ("ntp://", "host name or an address"),
        ("ntp://9.9.9.9/", "host name or an address"),
        ("ntp://9.9.9.9:0", "port from 1"),
        ("dns://9.9.9.9/", "dns://SERVER"),
        ("dns://9.9.9.9/a..b", "domain name"),
        ("dns://9.9.9.9/x/AAA", "record type"),
    ],
)
def test_what_is_no_target_is_refused_with_what_was_expected(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="expected") as caught:
        parse(text)
    assert words in str(caught.value)


def test_a_literal_address_applies_to_its_own_family_only() -> None:
    assert parse("icmp://[2606:4700::1111]").applies(Family.IPV6)
    assert not parse("icmp://[2606:4700::1111]").applies(Family.IPV4)
    assert parse("http://h/").applies(Family.IPV6)


NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z][a-z0-9]{0,10}){0,2}", fullmatch=True)
PATHS = st.from_regex(r"(/[A-Za-z0-9._~%-]{0,8}){1,3}", fullmatch=True)
QUERIES = st.lists(st.from_regex(r"[a-z]{1,4}=[a-z0-9%]{0,4}", fullmatch=True), min_size=1, max_size=3).map("&".join)
BODIES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
FORMS = {Expect.WHOLE: "{}", Expect.ANYWHERE: "...{}...", Expect.PREFIX: "{}...", Expect.SUFFIX: "...{}"}


@given(NAMES, st.integers(1, 65535), PATHS, st.none() | QUERIES, st.sampled_from(list(FORMS)), BODIES)
def test_a_target_put_together_comes_apart_again(
    host: str, port: int, path: str, query: str | None, expect: Expect, body: str
) -> None:
    where = path if query is None else f"{path}?{query}"
    quoted = FORMS[expect].format(quote(body, safe="").replace(".", "%2E"))
    found = parse(f"http://{host}:{port}{where}={quoted}")
    assert (found.host, found.port, found.path, found.expect, found.body) == (host, port, where, expect, body)


@given(NAMES, PATHS, QUERIES)
def test_a_query_without_expectation_expects_an_empty_body(host: str, path: str, query: str) -> None:
    found = parse(f"https://{host}{path}?{query}")
    assert (found.path, found.expect, found.body) == (f"{path}?{query}", Expect.EMPTY, "")


@given(st.ip_addresses(), st.integers(1, 65535), NAMES, st.sampled_from(sorted(RRTYPES)))
def test_every_address_can_be_a_dns_server(address: object, port: int, name: str, rrtype: str) -> None:
    text = str(address)
    shown = f"[{text}]" if ":" in text else text
    found = parse(f"dns://{shown}:{port}/{name}/{rrtype}")
    assert (found.host, found.port, found.path, found.rrtype) == (text, port, name, rrtype)
    assert parse(f"icmp://{text}").host == parse(f"icmp://{shown}").host == text


@given(st.text(max_size=40))
def test_percent_decoding_is_that_of_the_standard_library(text: str) -> None:
    if not any(0xD800 <= ord(char) < 0xE000 for char in text):
        assert percent_decode(text) == unquote(text, errors="surrogateescape")


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_a_value_error(text: str) -> None:
    try:
        assert parse(text).text == text
    except ValueError as error:
        assert "expected" in str(error)
