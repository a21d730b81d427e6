"""The files of the configuration, parsed, validated and merged: what a run without a cache pays for."""

from __future__ import annotations

import os
from stat import S_ISCHR, S_ISDIR, S_ISREG

from mwan_hook.config import keep as configkeep
from mwan_hook.light import NamedTuple
from mwan_hook.model import ConfigError
from mwan_hook.store.files import under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from configobj import ConfigObj

    from mwan_hook.config.keep import Watch
    from mwan_hook.config.problems import Origin, Path, Problems, Source

DIRECTORY = "etc/mwan-hook"
MAIN = f"{DIRECTORY}/mwan-hook.conf"
MORE = f"{DIRECTORY}/conf.d"
_LARGEST = 1 << 20
_UNREAD = "expected `key = value` or [section]; quotes around values with a comma, a # or a quote in them"
_SYNTAX = {
    "DuplicateError": "given twice in this file",
    "NestingError": "expected at most one bracket more than the section above has, and as many closed as opened",
}


class Reading(NamedTuple):
    """All files, merged: plain values (see :mod:`mwan_hook.config.build`) and where each was set."""

    sources: tuple[Source, ...]
    plain: dict[str, Any]
    origins: dict[Path, Origin]
    warnings: tuple[str, ...]


def read(root: str, watch: Watch) -> Reading:
    """Every file parsed, validated and merged.  Raises ConfigError with all mistakes, a line each."""
    from mwan_hook.config.problems import Problems, merge

    problems = Problems()
    sources: list[Source] = []
    plain: dict[str, Any] = {}
    origins: dict[Path, Origin] = {}
    for path in _paths(root, watch, problems):
        file = _source(path, watch, problems)
        if file:
            sources.append(file)
            merge(plain, _parse(file, problems))
            origins.update({place: (path, line) for place, line in file.places.items()})
    problems.check(plain, origins)
    if problems.lines:
        raise ConfigError("\n".join(problems.lines))
    return Reading(tuple(sources), plain, origins, tuple(problems.warnings))


def mistakes(text: str) -> list[tuple[int, str]]:
    """What is wrong with the text of a whole configuration: lines (0: none of them) and words."""
    from mwan_hook.config.problems import Problems, source

    problems = Problems()
    file = source("", text)
    plain = _parse(file, problems)
    problems.check(plain, {place: ("", line) for place, line in file.places.items()})
    if len(text.encode()) > _LARGEST:
        problems.add("", 0, f"expected at most {_LARGEST >> 20} MiB")
    return problems.wrong


def piece(text: str) -> tuple[dict[str, Any], list[str]]:
    """The plain values of a few lines of a configuration, and what is wrong with each by itself."""
    from mwan_hook.config.problems import Problems, source

    problems = Problems()
    plain = _parse(source("", text), problems)
    return plain, [words for _, words in problems.wrong]


def _parse(file: Source, problems: Problems) -> dict[str, Any]:
    """The plain values of one file; what is wrong is in ``problems`` and left out."""
    from configobj import ConfigObj, ConfigObjError, flatten_errors
    from configobj.validate import Validator

    from mwan_hook.config import spec as specs
    from mwan_hook.config.problems import doubt_comments, prune

    spec = ConfigObj(list(specs.lines()), interpolation=False, list_values=False, _inspec=True)
    try:
        parsed = ConfigObj(list(file.lines), interpolation=False)
    except ConfigObjError as error:
        parsed = error.config
        for one in error.errors:
            problems.add(file.path, one.line_number, f"{one.line.strip()}: {_SYNTAX.get(type(one).__name__, _UNREAD)}")
        if any(one.line.lstrip().startswith("[") for one in error.errors):
            return {}  # what follows a bad section line stands in the wrong section
    prune(parsed, spec, file, problems)
    doubt_comments(parsed, file, problems)
    parsed.configspec = spec
    validator = Validator({name: _checked(check) for name, check in specs.checks().items()})
    results = parsed.validate(validator, preserve_errors=True)
    for sections, key, mistake in flatten_errors(parsed, results):
        if key is not None and mistake:
            holder = _section(parsed, sections)
            problems.at(file, (*sections, key), str(mistake), key=True, value=holder[key])
            del holder[key]
    return _plain(parsed)


def _section(parsed: ConfigObj, names: Iterable[str]) -> Any:
    found = parsed
    for name in names:
        found = found[name]
    return found


def _checked(check: Callable[..., object]) -> Callable[..., object]:
    """``check`` with the exception that validate collects."""
    from configobj.validate import ValidateError

    def checked(*values: object) -> object:
        try:
            return check(*values)
        except ValueError as error:
            raise ValidateError(str(error)) from None

    return checked


def _plain(parsed: ConfigObj) -> dict[str, Any]:
    """Ordinary dicts without the sections that validation made up; an empty uplink stays."""
    found = parsed.dict()
    for uplink in found["uplinks"].values():
        if not uplink["metrics"]:
            del uplink["metrics"]
    return {name: values for name, values in found.items() if values}


def fresh(root: str, keep: bool) -> dict[str, Any]:
    """What the cache holds of the files; ``keep``: write it there.  Raises ConfigError."""
    import hashlib
    import json

    from mwan_hook.config import networkfiles

    watch = configkeep.Watch()
    reading = read(root, watch)
    networks, doubts = networkfiles.read(root, watch.look)
    values = [reading.plain, [(network.name, network.match, network.values) for network in networks]]
    record = {
        "plain": reading.plain,
        "warnings": [*reading.warnings, *doubts],
        "fingerprint": hashlib.sha256(json.dumps(values).encode()).hexdigest()[:32],
        "networks": networks,
    }
    if keep:
        configkeep.write(root, record, watch)
    return record


def places(root: str) -> list[str]:
    """Directories and files of the configuration that are there."""
    more = under(root, MORE)
    found = [under(root, DIRECTORY), more, under(root, MAIN)]
    if os.access(more, os.R_OK | os.X_OK):
        found += [os.path.join(more, name) for name in os.listdir(more) if name.endswith(".conf")]
    return [place for place in found if os.path.lexists(place)]


def closed(root: str) -> list[str]:
    """Files that this user may not read."""
    wanted = {place: os.R_OK | (os.X_OK if os.path.isdir(place) else 0) for place in places(root)}
    return [place for place, mode in wanted.items() if not os.access(place, mode)]


def _paths(root: str, watch: Watch, problems: Problems) -> list[str]:
    main, more = under(root, MAIN), under(root, MORE)
    watch.look(main)
    watch.look(more)
    try:
        names = sorted(name for name in os.listdir(more) if name.endswith(".conf") and not name.startswith("."))
    except FileNotFoundError:
        names = []
    except OSError as error:
        problems.add(more, 0, f"expected a directory that can be read: {error.strerror}")
        names = []
    found = [f"{more}/{name}" for name in names]
    return [main, *found] if os.path.lexists(main) else found


def _source(path: str, watch: Watch, problems: Problems) -> Source | None:
    """The file, or a mistake in ``problems``."""
    from mwan_hook.config.problems import source

    watch.look(path)
    try:
        seen = os.stat(path)
        if not (S_ISREG(seen.st_mode) or S_ISCHR(seen.st_mode)):  # a link to /dev/null masks
            kind = "directory" if S_ISDIR(seen.st_mode) else "special file"
            problems.add(path, 0, f"expected a file, not a {kind}")
            return None
        watch.private(seen.st_mode)
        content = b""
        if S_ISREG(seen.st_mode):
            with open(path, "rb") as stream:
                content = stream.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            problems.add(path, 0, f"expected at most {_LARGEST >> 20} MiB")
            return None
        return source(path, content.decode("utf-8-sig"))
    except OSError as error:
        problems.add(path, 0, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.add(path, line, f"expected UTF-8 text, not the byte 0x{content[error.start]:02x}")
    return None
