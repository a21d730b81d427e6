"""Tests by several processes, forked when one has collected them: pytest -p tests.processes --processes NUMBER

pytest-xdist starts an interpreter for each of its workers, which imports and collects all tests once more, and that
takes seconds.  The order is that of the collection, file by file; a process that has run out of files takes half of
what is left to another one.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import groupby
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

import pytest

LONGEST_END = 60  # seconds that an interrupted process has to take its laboratory away


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--processes", type=int, default=1, metavar="NUMBER", help="run tests in so many processes")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run them, if there is more than one process to be."""
    many = min(session.config.getoption("processes"), len(session.items))
    if many < 2 or session.config.option.collectonly or session.testsfailed:
        return None  # pytest's own loop
    with Processes(session) as processes:
        processes.run(many)
    return True


class Teller:
    """In a forked process: tells what pytest tells."""

    def __init__(self, config: pytest.Config, line: Connection) -> None:
        self.config, self.line = config, line

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test has ended."""
        self.line.send(("report", self.config.hook.pytest_report_to_serializable(config=self.config, report=report)))

    def pytest_warning_recorded(
        self, warning_message: warnings.WarningMessage, when: str, nodeid: str, location: tuple[str, int, str] | None
    ) -> None:
        """Something has warned; the object itself may not be what can be sent, and what came before is known."""
        if when != "runtest":
            return
        warned = UserWarning(f"{warning_message.category.__name__}: {warning_message.message}")
        place = warning_message.filename, warning_message.lineno
        self.line.send(("warning", (warnings.WarningMessage(warned, UserWarning, *place), when, nodeid, location)))


class Process:
    """A forked process, with the tests that it alone will run."""

    def __init__(self, pid: int, line: Connection) -> None:
        self.pid, self.line = pid, line
        self.own: deque[pytest.Item] = deque()
        self.told: deque[pytest.Item] = deque()  # the one that runs, and the next, for whose sake fixtures stay


class Processes:
    """All of them."""

    def __init__(self, session: pytest.Session) -> None:
        self.session, self.config = session, session.config
        self.numbers = {item: number for number, item in enumerate(session.items)}
        self.files = deque(list(items) for _, items in groupby(session.items, lambda item: item.path))
        self.all: dict[Connection, Process] = {}
        self.made = 0

    def __enter__(self) -> Processes:
        # pages that all share stay shared as long as none writes there
        gc.collect()
        gc.freeze()
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.all.values():
            process.line.close()
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGINT)
        for process in self.all.values():
            os.waitpid(process.pid, 0)
        gc.unfreeze()

    def run(self, many: int) -> None:
        """Run every test."""
        for _ in range(many):
            self.start(())
        while self.all:
            for line in wait(list(self.all)):
                assert isinstance(line, Connection)
                self.hear(self.all[line])
            if self.session.shouldfail:
                raise self.session.Failed(self.session.shouldfail)
            if self.session.shouldstop:
                raise self.session.Interrupted(self.session.shouldstop)

    def start(self, own: Sequence[pytest.Item]) -> None:
        """Fork one more."""
        near, far = Pipe()
        place = self.config._tmp_path_factory.getbasetemp() / f"process{self.made}"  # type: ignore[attr-defined]
        self.made += 1
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            near.close()
            for line in self.all:
                line.close()
            work(self.session, far, place)
        far.close()
        process = self.all[near] = Process(pid, near)
        process.own.extend(own)
        self.give(process)
        self.give(process)

    def give(self, process: Process) -> None:
        """Tell it which test comes next, or that there is none."""
        if not process.own:
            process.own.extend(self.more())
        item = process.own.popleft() if process.own else None
        if item:
            process.told.append(item)
        with contextlib.suppress(BrokenPipeError):  # it has ended, which is heard next
            process.line.send(None if item is None else self.numbers[item])

    def more(self) -> Sequence[pytest.Item]:
        """A file, or half of what another one has not begun with."""
        if self.files:
            return self.files.popleft()
        richest = max(self.all.values(), key=lambda process: len(process.own), default=None)
        half = (len(richest.own) + 1) // 2 if richest else 0
        return [richest.own.pop() for _ in range(half)][::-1] if richest else ()

    def hear(self, process: Process) -> None:
        """One message."""
        try:
            kind, what = process.line.recv()
        except (EOFError, ConnectionResetError):
            self.ended(process)
            return
        if kind == "report":
            report = self.config.hook.pytest_report_from_serializable(config=self.config, data=what)
            self.config.hook.pytest_runtest_logreport(report=report)
        elif kind == "warning":
            names = ("warning_message", "when", "nodeid", "location")
            self.config.hook.pytest_warning_recorded.call_historic(kwargs=dict(zip(names, what, strict=True)))
        elif kind == "begun":
            item = process.told[0]
            self.config.hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        else:
            item = process.told.popleft()
            self.config.hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
            self.give(process)

    def ended(self, process: Process) -> None:
        """It has run all, or died of a test: then another one runs what it would have run."""
        del self.all[process.line]
        process.line.close()
        status = os.waitstatus_to_exitcode(os.waitpid(process.pid, 0)[1])
        if process.told:
            item = process.told.popleft()
            words = f"the process ended with {status} in this test"
            report = pytest.TestReport(item.nodeid, item.location, {}, "failed", words, "call")
            self.config.hook.pytest_runtest_logreport(report=report)
            self.start([*process.told, *process.own])


def work(session: pytest.Session, line: Connection, place: Any) -> None:
    """Be a process that runs what it is told to."""
    code = 1
    try:
        become(session.config, line, place)
        for item, following in pairs(session.items, line):
            line.send(("begun", None))
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            line.send(("done", None))
        code = 0
    except (EOFError, BrokenPipeError, KeyboardInterrupt):  # the end of all
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.alarm(LONGEST_END)
        session._setupstate.teardown_exact(None)
    except BaseException:  # noqa: BLE001 - nothing above this is this process's
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def pairs(items: Sequence[pytest.Item], line: Connection) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    """Each test that it is told to run, with the next one."""
    number = line.recv()
    while number is not None:
        following = line.recv()
        yield items[number], None if following is None else items[following]
        number = following


def become(config: pytest.Config, line: Connection, place: Any) -> None:
    """Have what is one process's alone: what captures output, a place for files, and no terminal."""
    config.pluginmanager.unregister(name="terminalreporter")
    config.pluginmanager.register(Teller(config, line))
    capture = config.pluginmanager.getplugin("capturemanager")
    capture.stop_global_capturing()
    capture.start_global_capturing()
    capture.suspend_global_capture()
    place.mkdir(mode=0o700)
    config._tmp_path_factory._basetemp = place  # type: ignore[attr-defined]
