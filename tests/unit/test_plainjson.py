"""The C halves of json alone say what json says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook import plainjson

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
NOT_JSON = ("", " ", "{", "[1,", '"', "nul", "{'a': 1}", "1 2", "{} x", "[1] [2]", '{"a":}', "\x00", '"\x01"')


@pytest.fixture(params=["the C halves", "json itself"])
def halves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if request.param == "json itself":
        monkeypatch.setattr(plainjson, "HALVES", False)
    else:
        assert plainjson.HALVES, "this interpreter has them"
    yield


@given(VALUES)
def test_it_reads_and_writes_what_json_does(value: object) -> None:
    text = json.dumps(value, separators=(",", ":"))
    assert plainjson.dumps(value) == text
    for same in (text + "\n", f" {json.dumps(value, ensure_ascii=False, indent=1)} "):
        assert plainjson.loads(same) == plainjson.loads(same.encode("utf-8", "surrogatepass")) == json.loads(same)


@pytest.mark.usefixtures("halves")
@pytest.mark.parametrize("text", NOT_JSON)
def test_what_is_not_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        plainjson.loads(text)


@pytest.mark.parametrize("text", NOT_JSON)
def test_it_is_one_where_json_was_not_imported_before(text: str) -> None:
    code = f"from mwan_hook import plainjson\ntry: plainjson.loads({text!r})\nexcept ValueError as error: print(error)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert "char" in done.stdout or "delimiter" in done.stdout


@pytest.mark.usefixtures("halves")
def test_bytes_that_are_no_utf_8_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="utf-8"):
        plainjson.loads(b'"\xff"')


@pytest.mark.usefixtures("halves")
def test_what_is_nested_too_deeply_ends_as_with_json() -> None:
    with pytest.raises(RecursionError):
        plainjson.loads("[" * 100_000)


@pytest.mark.usefixtures("halves")
def test_what_json_has_no_word_for_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="set"):
        plainjson.dumps({"a": [set()]})


@pytest.mark.usefixtures("halves")
def test_what_holds_itself_is_a_value_error() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="ircular"):
        plainjson.dumps(endless)


@pytest.mark.usefixtures("halves")
def test_reading_and_writing_are_each_others_opposite() -> None:
    value = {"a": [1, 2.5, None, True, "\u00e4\udc80"], "b": {}}
    assert plainjson.loads(plainjson.dumps(value)) == value


@pytest.mark.usefixtures("halves")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b'{"a":1,"at":{"v":1}}\n', {"v": 1}),
        (b'{"at":{"v":1}}\n{"a":[],"at":{"v":2,"w":{}}}\n', {"v": 2, "w": {}}),
        (b'orn":"}}","at":{"v":1}}\n', {"v": 1}),
        (b'{"at":{"v":1}}\n{"a":1}\n', {}),
        (b'{"at":{"v":1}}\n{"a":{"b":1}}\n', {}),
        (b'{"a":1,"at":{"v":1}}', {}),
        (b'{"a":1,"at":{"v":1}\n', {}),
        (b'{"a":1,"at":{"v":}}\n', {}),
        (b'{"a":1,"at":{"v":"\xff\xfe}}\n', {}),
        (b'{"a":1,"at":{"v":1},"b":{}}\n', {}),
        (b'{"at":' + b'{"a":' * 100_000 + b"}}\n", {}),
        (b"", {}),
    ],
)
def test_the_last_object_of_a_line_is_read_alone(text: bytes, found: object) -> None:
    assert plainjson.last_object(text, b"at") == found
