"""What our nft table holds for policies: sources that keep their uplink, and packets chosen by MAC address or DSCP.

nft goes through the policies in their order, where the kernel is about to route and addresses are translated already.
A packet gets the mark of its policy, or that of the policy and the uplink that its source went out by last.  Where
packets are forwarded, the uplink that they take is learned.  The sets of sources are the kernel's own: they fill and
run out without us, and a table that is made anew keeps them.
"""

from __future__ import annotations

from mwan_hook.firewall.match import interface, marking, matches
from mwan_hook.light import NamedTuple
from mwan_hook.model import Failback, Fallback, Family
from mwan_hook.policy.policies import in_family, online
from mwan_hook.policy.selectors import families
from mwan_hook.verdict.standing import is_online, unjudged

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.model import Config, Snapshot, State, Uplink
    from mwan_hook.policy.policies import BoundPolicy

MOST_SOURCES = 65536  # of a set
_IP = {Family.IPV4: "ip", Family.IPV6: "ip6"}
_TYPE = {Family.IPV4: "ipv4_addr", Family.IPV6: "ipv6_addr"}
_NAME_PART = 32  # characters


class Marked(NamedTuple):
    """All policies in their order, and what else decides about the lines of those with marks."""

    courses: tuple[BoundPolicy, ...]
    uplinks: tuple[Uplink, ...]
    config: Config
    state: State
    snapshot: Snapshot

    @property
    def own(self) -> tuple[BoundPolicy, ...]:
        """Policies with marks."""
        return tuple(course for course in self.courses if course.mark)

    @property
    def mask(self) -> int:
        """Bits that marks lie in."""
        return self.config.routing.mark_mask


def sets(made: Marked) -> list[str]:
    """Sets of sources, one for each uplink and family."""
    return [
        f"{_set_name(course, uplink, family)} {{ type {_TYPE[family]}; size {MOST_SOURCES};"
        f" flags dynamic,timeout; timeout {course.policy.sticky}s; }}"
        for course in made.own
        if course.policy.sticky
        for uplink, _ in _pairs(course)
        for family in _families(course, made)
    ]


def chains(made: Marked) -> dict[str, list[str]]:
    """Rules of every chain: first those that others lead to, then those with hooks."""
    found: dict[str, list[str]] = {}
    learned: list[str] = []
    for course in made.own:
        found[_chain("policy", course)] = list(_choosing(course, made))
        for uplink, _ in _pairs(course) if course.policy.sticky else ():
            chain = _chain("learn", course, uplink)
            found[chain] = list(_learning(course, uplink, made))
            learned.append(f"{interface('oif', uplink)} {_among(course.marks, made)} goto {chain}")
    arriving = [f"{interface('iif', uplink)} return" for uplink in made.uplinks]
    found["policies"] = [*arriving, *_walk(made, own=False)]
    if any(course.policy.marks_own for course in made.own):
        found["own"] = _walk(made, own=True)
    if learned:
        found["learning"] = learned
    return found


def _walk(made: Marked, own: bool) -> list[str]:
    lines = [f"meta mark & {made.mask:#x} != 0 return", "ct direction reply return"]
    concerned = [course for course in made.own if course.policy.marks_own or not own]
    for course in concerned:
        if course.policy.by_marks:  # a connection stays with its policy when its packets change
            lines.append(f"{_among(course.marks, made, 'ct')} goto {_chain('policy', course)}")
    for course in made.courses[: made.courses.index(concerned[-1]) + 1]:
        verdict = f"goto {_chain('policy', course)}" if course in concerned else "return"
        for family in made.snapshot.families:
            if course is concerned[-1] or not _idle(course, family, made.state):
                lines += [f"{words} {verdict}" for words in matches(course.policy, family, made.config.routing, own)]
    return lines


def _idle(course: BoundPolicy, family: Family, state: State) -> bool:
    """True if no uplink carries it and the next policy shall have its packets."""
    waits = any(unjudged(uplink, family, state) for uplink in course.uplinks if uplink.present)
    return course.policy.fallback is Fallback.DEFAULT and not waits and not online(course, family, state)


def _choosing(course: BoundPolicy, made: Marked) -> Iterator[str]:
    """The mark of a packet that is the policy's."""
    if course.policy.by_marks:
        yield f"ct mark & {made.mask:#x} == 0 {marking('ct', course.mark, made.mask)}"
    if course.policy.sticky:
        for family in _families(course, made):
            first = {uplink.name for uplink in online(course, family, made.state)[:1]}
            for uplink, mark in _pairs(course):
                # A backup lets go of sources alone, and a drained uplink gets no new connection of any.
                drained = uplink.draining and uplink not in online(course, family, made.state)
                better = in_family(course, family).better(uplink)
                if not drained and not first & {one.name for one in better}:
                    known = f"{_IP[family]} saddr @{_set_name(course, uplink, family)}"
                    yield f"{known} {marking('meta', mark, made.mask)} return"
    yield marking("meta", course.mark, made.mask)


def _learning(course: BoundPolicy, uplink: Uplink, made: Marked) -> Iterator[str]:
    """A source that leaves by this uplink: known here, held by another one, or new here.

    A connection that is pinned elsewhere than its source does not take the source along.
    """
    others = [(other, mark) for other, mark in _pairs(course) if other is not uplink]
    for family in _families(course, made):
        if uplink.draining and uplink not in online(course, family, made.state):
            continue  # what it still carries says nothing about what comes next
        source, here = f"{_IP[family]} saddr", _set_name(course, uplink, family)
        yield f"{source} @{here} update @{here} {{ {source} }} return"
        for other, mark in others:
            moved = _among((course.mark, mark), made, "meta", "!=")
            yield f"{source} @{_set_name(course, other, family)} {moved} return"
        yield f"update @{here} {{ {source} }}"
        for other, _ in others:
            yield f"delete @{_set_name(course, other, family)} {{ {source} }}"


def restoring(made: Marked) -> Iterator[str]:
    """Rules for [router] pin that give packets the mark of their connection, if that is held to an uplink."""
    for course in made.own:
        for uplink, mark in _pairs(course):
            mine = f"ct mark & {made.mask:#x} == {mark:#x}"
            if uplink.config.failback is Failback.HARD and not uplink.draining:
                for family in made.snapshot.families:
                    better = in_family(course, family).better(uplink)
                    if any(is_online(one, family, made.state) and not one.draining for one in better):
                        yield f"meta nfproto {family.value} ct direction original {mine} return"
            yield f"{mine} meta mark & {made.mask:#x} == 0 {marking('meta', mark, made.mask)}"


def leaving(made: Marked) -> Iterator[str]:
    """Rules for [router] pin that hold a policy's connection to the uplink that it takes."""
    for course in made.own:
        for uplink, mark in _pairs(course):
            chosen = f"{interface('oif', uplink)} ct direction original {_among(course.marks, made)}"
            yield f"{chosen} {marking('ct', mark, made.mask)} return"


def translating(made: Marked) -> Iterator[str]:
    """Rules that translate own packets: they chose their source before nft chose their way."""
    for course in made.own:
        for uplink in course.uplinks if course.policy.marks_own else ():
            dev = f"{interface('oif', uplink)} {_among(course.marks, made)}"
            yield f"{dev} ct direction original fib saddr type local masquerade"


def _pairs(course: BoundPolicy) -> list[tuple[Uplink, int]]:
    """Uplinks that sources or connections of the policy are held to, with the mark."""
    marks = dict(course.held)
    return [(uplink, marks[uplink.name]) for uplink in course.uplinks if uplink.name in marks]


def _families(course: BoundPolicy, made: Marked) -> list[Family]:
    return [family for family in families(course.policy) if family in made.snapshot.families]


def _among(marks: Sequence[int], made: Marked, what: str = "meta", compare: str = "==") -> str:
    found = ", ".join(f"{mark:#x}" for mark in dict.fromkeys(marks))
    return f"{what} mark & {made.mask:#x} {compare} {{ {found} }}"


def _chain(kind: str, course: BoundPolicy, uplink: Uplink | None = None) -> str:
    """A name for people; the mark makes it the only one of its kind."""
    if uplink is None:
        return f"{kind}_{_plain(course.policy.name)}_{course.mark:x}"
    return f"{kind}_{_plain(course.policy.name)}_{_plain(uplink.name)}_{dict(course.held)[uplink.name]:x}"


def _set_name(course: BoundPolicy, uplink: Uplink, family: Family) -> str:
    return f"{_chain('sticky', course, uplink)}_{course.policy.sticky}_{family.value}"


def _plain(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in name)[:_NAME_PART]
