"""What comes of a program that is asked to do one thing."""

from __future__ import annotations

import pytest

from mwan_hook.machine.programs import Ran, run


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("echo one; echo two", Ran("one\ntwo\n", "", 0, "two")),
        ("echo one; echo two >&2; exit 5", Ran("one\n", "/bin/sh failed with exit code 5: two", 5, "two")),
        ("exit 5", Ran("", "/bin/sh failed with exit code 5", 5, "")),
        (r"printf '\303\244\377'", Ran("ä\ufffd", "", 0, "ä\ufffd")),
    ],
)
def test_a_program_has_its_output_its_exit_code_and_its_last_line(script: str, expected: Ran) -> None:
    assert run(("/bin/sh", "-c", script), 10.0) == expected


def test_one_that_does_not_end_is_killed_and_one_that_is_not_there_is_said() -> None:
    late = "/bin/sh did not end within 0.1 s"
    assert run(("/bin/sh", "-c", "exec sleep 60"), 0.1) == Ran("", late, 124, late)
    gone = "/nowhere cannot be run: No such file or directory"
    assert run(("/nowhere",), 1.0) == Ran("", gone, 127, gone)
