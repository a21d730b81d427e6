"""What stands in sentences."""

from __future__ import annotations

import pytest

from mwan_hook import phrases


def test_the_last_of_several_has_a_word_before_it() -> None:
    assert [phrases.listed("abc"[:count]) for count in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert phrases.either(iter("abc")) == "a, b or c"


@pytest.mark.parametrize(("count", "words"), [(0, "0 dials"), (1, "1 dial"), (2, "2 dials"), (12345, "12,345 dials")])
def test_a_number_has_its_plural(count: int, words: str) -> None:
    assert phrases.many(count, "dial") == words
