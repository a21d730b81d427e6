"""Doctor: the files that ``--fix`` writes.  Pure: findings and what is there, to what is to be there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mwan_hook.doctor.finding import Finding, Fix
from mwan_hook.light import NamedTuple

HEADER = "# Written by `mwan-hook doctor --fix`, which adds to it; uninstalling mwan-hook takes it out."


class Writing(NamedTuple):
    """What is to be written, and what is not because another program's file is there."""

    files: Mapping[str, str]  # path below --root, and the whole content
    links: Mapping[str, str]  # path, and target
    refused: tuple[str, ...]


def wanted(findings: Iterable[Finding]) -> tuple[Fix, ...]:
    """Fixes that can be written."""
    return tuple(finding.fix for finding in findings if finding.fix.written)


def written(fixes: Iterable[Fix], there: Mapping[str, str | None]) -> Writing:
    """``there``: what stands at each path now; a file without our header is another program's."""
    files: dict[str, str] = {}
    links: dict[str, str] = {}
    refused: dict[str, None] = {}
    for fix in fixes:
        for path, target in fix.links:
            if there.get(path) is None:
                links[path] = target
            else:
                refused[path] = None
        if not fix.lines:
            continue
        before = there.get(fix.path)
        if before is not None and not before.startswith(HEADER):
            refused[fix.path] = None
            continue
        files[fix.path] = _merged(files.get(fix.path, before or ""), fix)
    return Writing({path: text for path, text in files.items() if text != there.get(path)}, links, tuple(refused))


def _merged(text: str, fix: Fix) -> str:
    """Lines of before stay, but for those of the same key."""
    keys = {_key(line) for line in fix.lines}
    kept = [line for line in text.splitlines() if line and line[0] not in "#[" and _key(line) not in keys]
    return "\n".join([HEADER, *([fix.section] if fix.section else []), *kept, *fix.lines]) + "\n"


def _key(line: str) -> str:
    return line.partition("=")[0].strip()
