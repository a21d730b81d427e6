"""A trace as a picture: a Mermaid flowchart, or SVG with rules on the left, what their tables say on the right.

One narrow column would do, but people read a route beside the rule that led to it.  Nothing but text, boxes and lines,
so no library is needed; every name is escaped.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from mwan_hook.light import NamedTuple
from mwan_hook.markup import escaped
from mwan_hook.model import MwanError
from mwan_hook.trace import words
from mwan_hook.trace.compare import agree, shares
from mwan_hook.trace.values import KernelAnswer, Outcome, Step, Trace
from mwan_hook.trace.words import Names

WIDTH, MARGIN, LINE, PAD, GAP = 1120, 20, 18, 9, 12
LEFT, RIGHT = 500, 540  # widths of the columns
COLUMNS = (60, 66)  # letters that fit into them
WIDE = 130  # and into both
COLOURS = {  # filling, border, letters
    "passed": ("#f7f7f7", "#cccccc", "#777777"),
    "asked": ("#fff8e1", "#cc9900", "#222222"),
    "taken": ("#e3f4e3", "#2a7d2a", "#222222"),
    "refused": ("#fde8e8", "#b00020", "#222222"),
    "plain": ("#ffffff", "#ffffff", "#222222"),
}
STYLE = "text{font:13px 'DejaVu Sans Mono',monospace}.bold{font-weight:bold}"
MARKER = (
    '<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0 L10 5 L0 10 z" fill="#555555"/></marker>'
)
CLASSES = (
    "classDef passed fill:#f4f4f4,stroke:#bbb,color:#777",
    "classDef asked fill:#fff8e1,stroke:#c90",
    "classDef taken fill:#e3f4e3,stroke:#2a7d2a,stroke-width:2px",
    "classDef refused fill:#fde8e8,stroke:#b00020,stroke-width:2px",
)


def mermaid(done: Trace, answer: KernelAnswer | None, names: Names) -> Iterator[str]:
    """Line by line: the question, every rule in order, the route, its legs, and the kernel's word."""
    yield "flowchart TD"
    yield f"  question([{_quoted(words.question(done.question, names))}])"
    last, edge = "question", ""
    for number, step in enumerate(done.steps):
        yield f"  r{number}[{_quoted(f'{step.rule.priority} {words.rule(step.rule, names)}')}]:::{step.kind}"
        yield f"  {last} -->{edge} r{number}"
        said = words.found(step, names) or [step.why]
        last, edge = f"r{number}", f"|{_quoted(said[-1])}|"
    yield from _end(done, names, last, edge)
    if answer:
        kind, word = _kernel(done, answer, names)
        yield f"  kernel[/{_quoted(word)}/]:::{kind}"
        yield "  result -.- kernel"
    yield from (f"  {style}" for style in CLASSES)


def _end(done: Trace, names: Names, last: str, edge: str) -> Iterator[str]:
    outcome = done.outcome
    kind = "refused" if outcome.error else "taken"
    yield f"  result[({_quoted(words.result(outcome, names)[0])})]:::{kind}"
    yield f"  {last} ==>{edge} result"
    if outcome.error:
        return
    for number, (leg, share) in enumerate(zip(outcome.legs, shares(outcome), strict=True)):
        way = words.leg(leg, names)
        uplink = names.uplink(leg.index)
        yield f"  leg{number}([{_quoted(f'{way}, {uplink}' if uplink else way)}]):::taken"
        yield f"  result ==>|{_quoted(f'{share:.0%}')}| leg{number}"


def _kernel(done: Trace, answer: KernelAnswer, names: Names) -> tuple[str, str]:
    """How the kernel's answer is shown, and what it says."""
    same = agree(done.outcome, answer)
    return "taken" if same else "refused", f"kernel {'agrees' if same else 'DIFFERS'}: {words.kernel(answer, names)}"


def _quoted(text: str) -> str:
    """Quoted; Mermaid knows entities with a # of its own, and nothing else escapes."""
    special = '#&<>"`\\[]{}|'
    return '"' + "".join(f"#{ord(char)};" if char in special or not char.isprintable() else char for char in text) + '"'


class Box(NamedTuple):
    """A frame with lines of text; the first is bold."""

    kind: str
    lines: tuple[str, ...]

    @property
    def height(self) -> int:
        """The height in pixels."""
        return LINE * len(self.lines) + 2 * PAD


def write(path: str, done: Trace, answer: KernelAnswer | None, names: Names) -> None:
    """Write the picture."""
    try:
        with open(path, "w", encoding="utf-8", errors="replace") as file:
            file.write(svg(done, answer, names))
    except OSError as error:
        raise MwanError(f"cannot write {path}: {error.strerror}") from error


def svg(done: Trace, answer: KernelAnswer | None, names: Names) -> str:
    """The document."""
    parts: list[str] = []
    y = _box(parts, MARGIN, MARGIN, WIDTH - 2 * MARGIN, _wide("plain", words.question(done.question, names)))
    for step in done.steps:
        y = _row(parts, y + GAP, step, names)
    if done.beyond:
        text = f"{len(done.beyond)} more not reached, from {done.beyond[0].priority} on"
        y = _box(parts, MARGIN, y + GAP, LEFT, Box("passed", (text,)))
    y = _result(parts, y + 2 * GAP, done.outcome, names)
    if answer:
        y = _box(parts, MARGIN, y + 2 * GAP, WIDTH - 2 * MARGIN, _wide(*_kernel(done, answer, names)))
    height = y + MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">'
    title = f"<title>{escaped(words.question(done.question, names))}</title>"
    ground = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n".join([head, title, f"<style>{STYLE}</style><defs>{MARKER}</defs>", ground, *parts, "</svg>", ""])


def _wide(kind: str, text: str) -> Box:
    return Box(kind, tuple(_wrapped(text, WIDE)))


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, subsequent_indent="  ") or [""]


def _row(parts: list[str], y: int, step: Step, names: Names) -> int:
    """A rule and, where it was asked, its table; returns the lower edge."""
    head = _wrapped(f"{step.rule.priority} {words.rule(step.rule, names)}", COLUMNS[0])
    bottom = _box(parts, MARGIN, y, LEFT, Box(step.kind, (*head, *_wrapped(step.why, COLUMNS[0]))), bold=len(head))
    found = [part for line in words.found(step, names) for part in _wrapped(line, COLUMNS[1])]
    if not found:
        return bottom
    middle = y + PAD + LINE // 2
    parts.append(_line(MARGIN + LEFT, middle, WIDTH - MARGIN - RIGHT, middle))
    return max(bottom, _box(parts, WIDTH - MARGIN - RIGHT, y, RIGHT, Box(step.kind, tuple(found)), bold=0))


def _result(parts: list[str], y: int, outcome: Outcome, names: Names) -> int:
    kind = "refused" if outcome.error else "taken"
    text = f"result: {words.result(outcome, names)[0]}"
    bottom = _box(parts, MARGIN, y, WIDTH - 2 * MARGIN, _wide(kind, text))
    if outcome.error or not outcome.legs:
        return bottom
    return _legs(parts, bottom, outcome, names)


def _legs(parts: list[str], top: int, outcome: Outcome, names: Names) -> int:
    """One box a leg, three in a row, with a bar as long as its share."""
    count = min(3, len(outcome.legs))
    width = (WIDTH - 2 * MARGIN - GAP * (count - 1)) // count
    edge = top
    for number, (leg, share) in enumerate(zip(outcome.legs, shares(outcome), strict=True)):
        if number % count == 0:
            start = edge + 3 * GAP
        x = MARGIN + number % count * (width + GAP)
        uplink = names.uplink(leg.index) or "no uplink"
        lines = [part for line in (uplink, words.leg(leg, names)) for part in _wrapped(line, width // 9)]
        bottom = _box(parts, x, start, width, Box("taken", (f"{share:.0%} of the flows", *lines)))
        bar = max(2, round((width - 2) * share))
        parts.append(f'<rect x="{x + 1}" y="{bottom - 5}" width="{bar}" height="4" fill="#2a7d2a"/>')
        parts.append(_line(x + width // 2, start - 3 * GAP, x + width // 2, start))
        edge = max(edge, bottom)
    return edge


def _box(parts: list[str], x: int, y: int, width: int, box: Box, bold: int = 1) -> int:
    """Draw; returns the lower edge."""
    fill, border, letters = COLOURS[box.kind]
    parts.append(
        f'<rect x="{x}" y="{y}" width="{width}" height="{box.height}" rx="5" fill="{fill}" stroke="{border}"/>'
    )
    parts.extend(_texts(x, y, letters, box.lines, bold))
    return y + box.height


def _texts(x: int, y: int, colour: str, lines: Sequence[str], bold: int) -> Iterator[str]:
    for number, line in enumerate(lines):
        weight = ' class="bold"' if number < bold else ""
        place = f'x="{x + 10}" y="{y + PAD + LINE * number + 13}"'
        yield f'<text {place} fill="{colour}"{weight} xml:space="preserve">{escaped(line)}</text>'


def _line(x1: int, y1: int, x2: int, y2: int) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#555555" marker-end="url(#tip)"/>'
