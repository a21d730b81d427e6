"""``mwan-hook doctor``: what on this machine will hurt, what it breaks, and what puts it right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mwan_hook.commands import screen
from mwan_hook.commands.following import or_defaults
from mwan_hook.commands.screen import Sentence
from mwan_hook.doctor import files
from mwan_hook.doctor import fix as doctorfix
from mwan_hook.doctor.finding import Finding, Fix, Severity, spelled
from mwan_hook.doctor.look import findings
from mwan_hook.kernel import sysctl
from mwan_hook.model import MwanError
from mwan_hook.phrases import many
from mwan_hook.say import complain
from mwan_hook.store.files import under

LABEL = 10  # columns of a label with its indent
CONFIGURATION = 2  # the exit code of a bad one
NOT_WRITTEN = "[routing] write_etc = no: --fix writes nothing; put the lines above where this machine's /etc is made"


class Fixes:
    """What ``--fix`` did, and what it could not do."""

    def __init__(self, failed: Sequence[str] = ()) -> None:
        self.files: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.sysctls: list[tuple[str, str, str]] = []  # key, old value, new value
        self.commands: list[str] = []  # still to be run
        self.failed = list(failed)


def run(root: str, fix: bool, as_json: bool) -> int:
    """Look, write if asked to and look again, print; 0 if nothing is worse than a note, 2 for a bad configuration."""
    found, good = findings(root)
    done = None
    if fix:
        writes = or_defaults(root).config.routing.write_etc  # a bad one forbids nothing; the exit code tells of it
        done = _fix(root, found) if writes else Fixes([NOT_WRITTEN])
        if done.files or done.links or done.sysctls:
            found, good = findings(root)
    if as_json:
        screen.document(_document(found, done))
    else:
        screen.tell(_lines(root, found, done))
    complain(done.failed if done else ())
    worse = any(one.severity > Severity.NOTE for one in found) or (done is not None and done.failed)
    return CONFIGURATION if not good else 1 if worse else 0


def _fix(root: str, found: Sequence[Finding]) -> Fixes:
    """Files first: a sysctl that cannot be set now will be at the next boot."""
    done = Fixes()
    fixes = doctorfix.wanted(found)
    paths = [path for fix in fixes for path in (fix.path, *(link for link, _ in fix.links)) if path]
    writing = doctorfix.written(fixes, files.there(root, paths))
    done.failed += [f"{under(root, path)} is another program's file: not touched" for path in writing.refused]
    try:
        files.write(root, writing)
    except MwanError as error:
        done.failed += str(error).splitlines()
        return done
    done.files, done.links = dict(writing.files), dict(writing.links)
    for fix in fixes:
        _set(fix, done)
        if fix.path in writing.files or any(path in writing.links for path, _ in fix.links):
            done.commands += [command for command in fix.commands if command not in done.commands]
    return done


def _set(fix: Fix, done: Fixes) -> None:
    for one in fix.sysctls:
        old = sysctl.read(one.key)
        try:
            if old is not None and old != one.value:
                sysctl.write(one.key, one.value)
                done.sysctls.append((one.key, old, one.value))
        except OSError as error:
            done.failed.append(f"{spelled(one.key)} = {one.value}: {error.strerror}; it will be set at the next boot")


# ---------------------------------------------------------------- for people


def _lines(root: str, found: Sequence[Finding], done: Fixes | None) -> Iterator[str | Sentence]:
    """What was found and what helps.  Commands and lines of files are never broken: they are there to be copied."""
    if done:
        yield from _done(root, done)
    for one in found:
        yield Sentence(f"{one.severity.word} {one.code}{f' {one.about}' if one.about else ''}: {one.what}", LABEL)
        yield _labelled("breaks", one.breaks)
        yield from _how(root, one.fix)
        yield ""
    yield Sentence(_summary(found, done), LABEL)


def _done(root: str, done: Fixes) -> Iterator[str]:
    for path, text in done.files.items():
        yield f"wrote {under(root, path)}:"
        yield from (f"    {line}" for line in text.splitlines())
    for path, target in done.links.items():
        yield f"made the link {under(root, path)} -> {target}"
    for key, old, new in done.sysctls:
        yield f"set at once: {spelled(key)} = {new} (was {old})"
    if done.commands:
        yield "still to be done by you:"
        yield from (f"    {command}" for command in done.commands)
    if done.files or done.links or done.sysctls or done.commands:
        yield ""


def _how(root: str, fix: Fix) -> Iterator[str | Sentence]:
    """What ``--fix`` would write, word for word; then what is left to the operator."""
    if fix.words:
        yield _labelled("note" if fix.written else "fix", fix.words)
    if fix.lines:
        yield _labelled("--fix", under(root, fix.path)).text
        yield from (f"              {line}" for line in (*([fix.section] if fix.section else []), *fix.lines))
    for path, target in fix.links[:1]:
        more = f" (and {len(fix.links) - 1} more)" if len(fix.links) > 1 else ""
        yield _labelled("--fix", f"{under(root, path)} -> {target}{more}").text
    for command in fix.commands:
        yield _labelled("then" if fix.written or fix.words else "run", command).text


def _labelled(label: str, text: str) -> Sentence:
    return Sentence(f"  {label + ':':<8}{text}", LABEL)


def _summary(found: Sequence[Finding], done: Fixes | None) -> str:
    counts = [(sum(one.severity is severity for one in found), severity.word) for severity in reversed(Severity)]
    words = ", ".join(many(count, word) for count, word in counts if count)
    if not words:
        return "nothing found that would hurt"
    able = sum(one.fix.written for one in found)
    more = f"; mwan-hook doctor --fix writes what helps against {able}" if able and not done else ""
    return words + more


# ---------------------------------------------------------------- for programs


def _document(found: Sequence[Finding], done: Fixes | None) -> dict[str, object]:
    """Stable; fields may be added."""
    values: dict[str, object] = {"version": 1, "findings": [_one(finding) for finding in found], "fixed": None}
    if done:
        values["fixed"] = {
            "files": {f"/{path}": text for path, text in done.files.items()},
            "links": {f"/{path}": target for path, target in done.links.items()},
            "sysctls": [{"key": spelled(key), "old": old, "new": new} for key, old, new in done.sysctls],
            "commands": done.commands,
            "failed": done.failed,
        }
    return values


def _one(finding: Finding) -> dict[str, object]:
    fix = finding.fix
    lines = [*([fix.section] if fix.section and fix.lines else []), *fix.lines]
    return {
        "code": finding.code,
        "severity": finding.severity.word,
        "about": finding.about or None,
        "what": finding.what,
        "breaks": finding.breaks,
        "fix": {
            "file": f"/{fix.path}" if fix.lines else None,
            "lines": lines,
            "links": {f"/{path}": target for path, target in fix.links},
            "sysctls": {spelled(one.key): one.value for one in fix.sysctls},
            "commands": list(fix.commands),
            "words": fix.words or None,
        },
    }
