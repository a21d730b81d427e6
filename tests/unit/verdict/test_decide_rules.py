"""No sequence of rounds, bounces, replugs, switches and clock steps breaks the rules of the verdict."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mwan_hook.model import Connectivity, Family, FamilyState, Probe, Status, UplinkConfig
from mwan_hook.verdict import schedule
from mwan_hook.verdict.facts import PASSES, judge_facts
from tests.unit.verdict import verdicts
from tests.unit.verdict.verdicts import FULL, LIMITED, NONE, ONLINE, PORTALLED, START, probe, seen, uplink

GATEWAYS = ("192.168.7.1", "192.168.7.254")
STEPS = st.sampled_from((0.0, 0.1, 0.5, 1.0, 10.0, 14.9, 15.0, 30.0, 59.0, 60.0, 61.0, 180.0, 600.0, 3600.0))
SETTINGS = st.builds(
    probe,
    fall=st.integers(1, 4),
    rise=st.integers(1, 4),
    hysteresis_delay=st.sampled_from((0.0, 30.0, 180.0)),
    hysteresis_backoff=st.sampled_from((0.0, 60.0, 600.0)),
    latency_high=st.sampled_from((0.0, 200.0)),
    latency_low=st.sampled_from((0.0, 100.0)),
    portal_is_online=st.booleans(),
    burst_interval=st.sampled_from((0.0, 0.5)),
)


class Model:
    """The rules once more, as plain bookkeeping about one link: what was seen, not what was decided."""

    def __init__(self) -> None:
        self.good_in_a_row = 0
        self.turned_full: list[float] = []
        self.holds_until: float | None = None
        self.online_by_pass: list[float] = []


class Verdicts(RuleBasedStateMachine):
    """Drives one family as a run does: facts before every round, the clock never steps back."""

    def __init__(self) -> None:
        super().__init__()
        self.probe: Probe = probe()
        self.now = START
        self.index = 7
        self.missing = ""
        self.gateway = GATEWAYS[0]
        self.enabled = True
        self.state = FamilyState()
        self.model = Model()
        self.judged_index = 7

    @initialize(chosen=SETTINGS)
    def begin(self, chosen: Probe) -> None:
        """Some configuration."""
        self.probe = chosen

    def look(self) -> None:
        """The facts as they are now."""
        before = self.state
        now = uplink(self.probe, self.missing, self.index, self.gateway, self.enabled)
        self.state = judge_facts(before, now, Family.IPV4, self.now, self.judged_index != self.index, False)
        self.judged_index = self.index
        assert not (before.status is not ONLINE and self.state.status is ONLINE), "facts alone made it online"
        if self.missing or not self.enabled:
            assert self.state.status is not ONLINE, "a missing fact did not act at once"
        if self.missing:
            assert self.state.connectivity is NONE
            self.model.good_in_a_row = 0
        if self.state.good == 0:
            self.model.good_in_a_row = 0  # the facts may void what was seen, never add to it
        assert self.state.good == self.model.good_in_a_row

    @rule(step=STEPS)
    def time_passes(self, step: float) -> None:
        """With or without a look."""
        self.now += step

    @rule(missing=st.sampled_from(("", "no carrier", "no address")), look=st.booleans())
    def a_fact_changes(self, missing: str, look: bool) -> None:
        """Seen, or gone unseen between two runs."""
        self.missing = missing
        if look:
            self.look()

    @rule(gateway=st.sampled_from(GATEWAYS), look=st.booleans())
    def the_gateway_changes(self, gateway: str, look: bool) -> None:
        """As by a new lease."""
        self.gateway = gateway
        if look:
            self.look()

    @rule(look=st.booleans())
    def the_interface_is_plugged_in_anew(self, look: bool) -> None:
        """Another index."""
        self.index += 1
        if look:
            self.look()

    @rule(enabled=st.booleans())
    def a_hand_switches_it(self, enabled: bool) -> None:
        """Enable or disable."""
        self.enabled = enabled
        self.look()

    @rule(
        connectivity=st.sampled_from((FULL, FULL, FULL, LIMITED, PORTALLED, NONE, Connectivity.UNKNOWN)),
        latency=st.sampled_from((None, 50.0, 100.0, 150.0, 200.0, 250.0)),
        portal=st.sampled_from((None, None, None, True, False)),
    )
    def a_round_is_made(self, connectivity: Connectivity, latency: float | None, portal: bool | None) -> None:
        """Facts, then the round, then the rules."""
        self.look()
        before = self.state
        self.state = verdicts.judged_at_once(before, seen(connectivity, latency, portal), self.probe, self.now)
        if self.missing or not self.enabled:
            assert self.state == before._replace(probe_bytes=self.state.probe_bytes)
            return
        flag = before.portal if portal is None else portal
        effective = PORTALLED if portal or (flag and connectivity is FULL) else connectivity
        assert self.state.connectivity is (effective or before.connectivity)
        quality = self.quality(before, effective, latency)
        if quality is True:
            self.after_good(before)
        elif quality is False:
            self.after_bad(before)
        else:
            kept = ("status", "good", "bad", "full_at", "passes", "may_pass", "judged")
            assert all(getattr(before, name) == getattr(self.state, name) for name in kept)

    def quality(self, before: FamilyState, connectivity: Connectivity, latency: float | None) -> bool | None:
        """Good, bad, or neither."""
        high, low = self.probe.latency_high, self.probe.latency_low
        if connectivity is Connectivity.UNKNOWN:
            return None
        if connectivity is not FULL and not (connectivity is PORTALLED and self.probe.portal_is_online):
            return False
        if high == 0 or latency is None or latency < low:
            return True
        if latency > high:
            return False
        return True if low == 0 or before.may_pass or not before.judged else None

    def after_good(self, before: FamilyState) -> None:
        """The uplink may come online by a pass, or by rise good rounds and no hold in force."""
        model, now = self.model, self.now
        if model.good_in_a_row == 0:
            again = model.turned_full and now - model.turned_full[-1] < self.probe.hysteresis_backoff
            if again and before.status is not ONLINE and not before.may_pass:
                model.holds_until = now + self.probe.hysteresis_delay
            model.turned_full.append(now)
        model.good_in_a_row += 1
        if before.status is ONLINE:
            assert self.state.status is ONLINE, "a good round took it out"
        elif before.may_pass:
            assert self.state.status is ONLINE, "a pass was not honoured"
            assert self.state.passes[-1] == now
            model.online_by_pass.append(now)
        else:
            held = model.holds_until is not None and now < model.holds_until
            earned = model.good_in_a_row >= self.probe.rise
            assert (self.state.status is ONLINE) == (earned and not held)
        if self.state.status is ONLINE:
            model.holds_until = None

    def after_bad(self, before: FamilyState) -> None:
        """It never comes online, and goes after fall bad rounds in a row."""
        model = self.model
        model.good_in_a_row, model.holds_until = 0, None
        assert self.state.bad == before.bad + 1
        assert self.state.held_until is None
        assert self.state.may_pass == (before.may_pass and self.state.bad < self.probe.fall)
        if before.status is ONLINE:
            assert (self.state.status is ONLINE) == (self.state.bad < self.probe.fall)
        else:
            assert self.state.status is Status.OFFLINE

    @invariant()
    def the_state_is_consistent(self) -> None:
        """What holds at every moment."""
        state, probe_ = self.state, self.probe
        assert not (state.good and state.bad)
        assert state.held_until is None or state.held_until <= self.now + probe_.hysteresis_delay
        assert state.status is not ONLINE or (state.way and state.judged and state.held_until is None)
        assert state.status is not ONLINE or state.bad < probe_.fall
        assert state.since <= self.now
        assert not (state.may_pass or state.burst) or state.way
        recent = [at for at in self.model.online_by_pass if self.now - at < probe_.hysteresis_backoff]
        assert len(recent) <= PASSES
        assert len(state.passes) <= PASSES or not probe_.hysteresis_backoff

    @invariant()
    def a_burst_ends(self) -> None:
        """At most fall - 1 bad and rise good rounds."""
        for answers in ((FULL,), (LIMITED,), (FULL, LIMITED), (LIMITED, FULL)):
            state, now = self.state, self.now
            for number in range(self.probe.fall + self.probe.rise + 1):
                if not schedule.in_doubt(state, self.probe):
                    break
                now += 0.5
                state = verdicts.judged_at_once(state, seen(answers[number % len(answers)]), self.probe, now)
            assert not schedule.in_doubt(state, self.probe)

    @invariant()
    def nothing_is_forgotten_by_the_schedule(self) -> None:
        """All that can be probed is due an interval after the last round, and at the end of a hold, at the latest."""
        if self.state.way and self.state.status is not Status.DISABLED:
            last = self.state.probed_at if self.state.probed_at is not None else self.now
            config = UplinkConfig("fiber", probe=self.probe)
            assert schedule.due(self.state, config, last + self.probe.interval, False)
            if self.state.held_until is not None:
                assert schedule.due(self.state, config, self.state.held_until, False)


Verdicts.TestCase.settings = settings(max_examples=75, stateful_step_count=40, deadline=None)
TestVerdicts = Verdicts.TestCase
