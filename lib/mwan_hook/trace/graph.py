"""A trace as a Mermaid flowchart."""

from __future__ import annotations

from mwan_hook.trace import words
from mwan_hook.trace.compare import agree, shares

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mwan_hook.trace.values import KernelAnswer, Trace
    from mwan_hook.trace.words import Names

STYLES = (
    "classDef passed fill:#f4f4f4,stroke:#bbb,color:#777",
    "classDef asked fill:#fff8e1,stroke:#c90",
    "classDef taken fill:#e3f4e3,stroke:#2a7d2a,stroke-width:2px",
    "classDef refused fill:#fde8e8,stroke:#b00020,stroke-width:2px",
)


def mermaid(done: Trace, answer: KernelAnswer | None, names: Names) -> Iterator[str]:
    """Line by line: the question, every rule in order, the route, its legs, and the kernel's word."""
    yield "flowchart TD"
    yield f"  question([{_text(words.question(done.question, names))}])"
    last, edge = "question", ""
    for number, step in enumerate(done.steps):
        yield f"  r{number}[{_text(f'{step.rule.priority} {words.rule(step.rule, names)}')}]:::{step.kind}"
        yield f"  {last} -->{edge} r{number}"
        said = words.found(step, names) or [step.why]
        last, edge = f"r{number}", f"|{_text(said[-1])}|"
    yield from _result(done, names, last, edge)
    if answer:
        same = agree(done.outcome, answer)
        word = f"kernel {'agrees' if same else 'DIFFERS'}: {words.kernel(answer, names)}"
        yield f"  kernel[/{_text(word)}/]:::{'taken' if same else 'refused'}"
        yield "  result -.- kernel"
    yield from (f"  {style}" for style in STYLES)


def _result(done: Trace, names: Names, last: str, edge: str) -> Iterator[str]:
    outcome = done.outcome
    kind = "refused" if outcome.error else "taken"
    yield f"  result[({_text(words.result(outcome, names)[0])})]:::{kind}"
    yield f"  {last} ==>{edge} result"
    if outcome.error:
        return
    for number, (leg, share) in enumerate(zip(outcome.legs, shares(outcome), strict=True)):
        way = words.leg(leg, names)
        uplink = names.uplink(leg.index)
        yield f"  leg{number}([{_text(f'{way}, {uplink}' if uplink else way)}]):::taken"
        yield f"  result ==>|{_text(f'{share:.0%}')}| leg{number}"


def _text(text: str) -> str:
    """Quoted; Mermaid knows entities with a # of its own, and nothing else escapes."""
    special = '#&<>"`\\[]{}|'
    return '"' + "".join(f"#{ord(char)};" if char in special or not char.isprintable() else char for char in text) + '"'
