"""What is hidden of a URL, and that nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.config.build import build
from mwan_hook.config.targets import parse
from mwan_hook.redact import erased, hidden


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://h.example/p?key=abc", "http://h.example/p?***"),
        ("https://h.example?key=abc=word", "https://h.example?***"),
        ("http://user:word@h.example/p", "http://***@h.example/p"),
        ("http://user@h.example/p?q", "http://***@h.example/p?***"),
        ("http://h.example/p=Is it there?", "http://h.example/p=Is it there?"),
        ("http://h.example/p=a@b", "http://h.example/p=a@b"),
        ("http:///a@b?key=abc", "http:///a@b?***"),
        ("icmp://1.1.1.1", "icmp://1.1.1.1"),
        ("gateway:", "gateway:"),
        ("a?b=c", "a?b=c"),
    ],
)
def test_user_parts_and_queries_are_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert hidden(text) == shown


@given(st.text("abcdefgh123456789", min_size=12, max_size=20))
def test_no_target_is_named_with_its_query(secret: str) -> None:
    for text in (
        f"http://h.example/p?token={secret}",
        f"https://h.example/?{secret}=",
        f"http://h.example?x={secret}=TEXT",
    ):
        target = parse(text)
        assert secret not in target.name
        assert secret in target.path
        assert secret not in erased(f"Max retries exceeded with url: {target.path}", target.path)


def test_targets_that_differ_only_in_what_is_hidden_have_names_of_their_own() -> None:
    texts = ["http://h.example/p?a=1", "http://h.example/p?a=2", "icmp://1.1.1.1", "http://h.example/p?a=2"]
    names = [target.name for target in build({"probe": {"targets": texts}}).probe.targets]
    assert names[:3] == ["http://h.example/p?***", "http://h.example/p?*** #2", "icmp://1.1.1.1"]
