"""The tables of docs/configuration.md, from the table of keys: ``python3 -m tests.keys`` writes them anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from mwan_hook.config.keys import KEYS, MANY, Row

PAGE = Path(__file__).resolve().parents[1] / "docs/configuration.md"
_BLOCK = re.compile(r"(<!-- keys: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def written(page: str) -> str:
    """The page with its tables as they should be."""
    tables = {path[-1] if path[-1] != MANY else path[0]: table(rows) for path, rows in KEYS.items()}
    assert [block[2] for block in _BLOCK.finditer(page)] == list(tables), "a block for each section, in their order"
    return _BLOCK.sub(lambda block: block[1] + tables[block[2]] + block[3], page)


def table(rows: tuple[Row, ...]) -> str:
    """A section's keys."""
    return "".join(f"{line}\n" for line in lines(rows))


def lines(rows: tuple[Row, ...]) -> Iterator[str]:
    yield from ("| key | default | |", "|---|---|---|")
    probe = KEYS["probe",]
    for row in rows if rows == probe else [row for row in rows if row not in probe]:  # an uplink's are said at once
        default = f"`{row.default}`" if row.default else row.unset
        yield f"| `{row.name}` | {default} | {row.help} |"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
