"""Counters to a figure: nothing is lost or counted twice; periods, thresholds, and what they do to preference."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mwan_hook.config import keep
from mwan_hook.config import read as files
from mwan_hook.model import (
    Allotment,
    ConfigError,
    Mail,
    Notice,
    Policy,
    Stage,
    State,
    Traffic,
    Uplink,
    UplinkConfig,
    Usage,
)
from mwan_hook.notify import unsent
from mwan_hook.notify.mail.book import recorded
from mwan_hook.policy import policies
from mwan_hook.policy.policies import BoundPolicy
from mwan_hook.quota import usage as quota
from mwan_hook.quota import words as quotawords
from mwan_hook.quota.usage import Moment, counted, used
from mwan_hook.routing.uplinks import Inputs, bind
from mwan_hook.store import files as store_files
from mwan_hook.store import usage as stored
from tests.unit.builders import config, snapshot, uplink

BOOT = "boot"
GB = 10**9
BYTES = st.integers(0, 10**7)
Record = tuple[Usage, int, int, int]


def moment(day: str, now: float = 1000.0, stepped: bool = False) -> Moment:
    """Of a date."""
    year, month, number = map(int, day.split("-"))
    return Moment(year, month, number, now, stepped)


NOVEMBER = moment("2026-11-24")


class Counters(RuleBasedStateMachine):
    """A machine whose runs are killed, whose power is cut and whose modem is pulled, and what really went through."""

    def __init__(self) -> None:
        super().__init__()
        self.boot, self.index, self.epoch, self.counter = 0, 7, 0, 500
        self.by_epoch = {0: 500}  # bytes since a counter began
        self.today = date(2026, 11, 24)
        self.disk = self.record(None)
        self.memory: Record | None = self.disk

    def record(self, old: Record | None) -> Record:
        """Usage, what it should say, and where its reading stands among the counters."""
        now = Moment(self.today.year, self.today.month, self.today.day, 1000.0, stepped=True)
        usage = counted(old[0] if old else None, (f"{BOOT}{self.boot}", self.index, self.counter), now, 1)
        if old is None:
            return usage, 0, self.epoch, self.counter
        _, said, epoch, at = old
        return usage, said + self.counter - (at if epoch == self.epoch else 0), self.epoch, self.counter

    @rule(more=BYTES)
    def traffic(self, more: int) -> None:
        """Some bytes."""
        self.counter += more

    @rule(saved=st.booleans(), written=st.booleans())
    def run(self, saved: bool, written: bool) -> None:
        """A run that is killed before, between or after what it saves; the state is believed first."""
        made = self.record(self.memory or self.disk)
        self.memory = made if saved else self.memory
        self.disk = made if written else self.disk

    @rule(more=BYTES)
    def replug(self, more: int) -> None:
        """Another index, counters from 0."""
        self.index, self.epoch, self.counter = self.index + 1, self.epoch + 1, more

    @rule()
    def reset(self) -> None:
        """A driver that begins anew; a run sees it as long as the counter is the smaller one."""
        if self.memory and self.counter and self.memory[3] and self.memory[2] == self.epoch:
            self.epoch, self.counter = self.epoch + 1, 0
            self.memory = self.disk = self.record(self.memory)

    @rule(more=BYTES)
    def reboot(self, more: int) -> None:
        """/run is empty; the interface may have the index of another boot, or the same."""
        self.boot, self.epoch, self.counter, self.memory = self.boot + 1, self.epoch + 1, more, None

    @rule()
    def flush(self) -> None:
        """The state is gone, the boot goes on."""
        self.memory = None

    @rule(days=st.integers(-400, 400))
    def clock(self, days: int) -> None:
        """It jumps."""
        self.today = max(date(1970, 1, 1), min(date(2090, 1, 1), self.today + timedelta(days)))

    @invariant()
    def every_byte_that_a_run_could_see_is_in_some_period_once(self) -> None:
        for kept in (self.memory, self.disk):
            if kept and len(kept[0].periods) < quota.PERIODS:
                assert sum(kept[0].periods.values()) == kept[1]


TestCounters = Counters.TestCase
TestCounters.settings = settings(max_examples=75, stateful_step_count=30, deadline=None)


def test_what_went_through_before_it_was_first_counted_is_not_counted() -> None:
    usage = counted(None, (BOOT, 7, 5000), NOVEMBER, 1)
    assert used(usage) == 0
    assert used(counted(usage, (BOOT, 7, 5600), NOVEMBER, 1)) == 600


def test_an_interface_that_comes_later_is_counted_from_its_beginning() -> None:
    usage = counted(None, None, NOVEMBER, 1)
    assert used(counted(usage, (BOOT, 7, 5000), NOVEMBER, 1)) == 5000


@given(st.dates(date(1999, 1, 1), date(2100, 1, 1)), st.integers(1, 31))
def test_a_period_begins_on_the_reset_day_or_on_the_last_of_a_shorter_month(today: date, reset_day: int) -> None:
    begins = date.fromisoformat(quota.first_day(today.isoformat(), reset_day))
    ends = date.fromisoformat(quota.next_day(begins.isoformat(), reset_day))
    assert begins <= today < ends
    assert 28 <= (ends - begins).days <= 31
    for day in (begins, ends):
        assert day.day == reset_day or (day.day < reset_day and (day + timedelta(1)).day == 1)


def after(*steps: tuple[Moment, int], reset_day: int = 1) -> Usage:
    """The usage after readings of one boot."""
    usage = counted(None, (BOOT, 7, 0), steps[0][0], reset_day)
    for when, counter in steps:
        usage = counted(usage, (BOOT, 7, counter), when, reset_day)
    return usage


def test_a_new_period_begins_at_nothing_and_the_old_one_is_remembered() -> None:
    usage = after((NOVEMBER, 700), (moment("2026-12-01"), 900))
    assert (used(usage), usage.periods) == (200, {"2026-11-01": 700, "2026-12-01": 200})


def test_a_clock_that_was_not_set_books_to_the_period_that_is_known() -> None:
    usage = after((NOVEMBER, 700))
    for day in ("1970-01-01", "2025-06-01"):  # no clock at all, and one that systemd set to the day of its build
        early = counted(usage, ("boot2", 7, 100), moment(day, now=20.0), 1)
        assert (early.period, used(early)) == ("2026-11-01", 800)
    late = counted(early, ("boot2", 7, 150), moment("2026-12-02", now=60.0, stepped=True), 1)
    assert late.periods == {"2026-11-01": 800, "2026-12-01": 50}


def test_what_was_counted_before_the_date_was_known_is_of_the_period_that_it_turns_out_to_be() -> None:
    usage = after((moment("1970-01-01"), 300), (moment("2026-11-24", stepped=True), 500))
    assert (usage.period, usage.periods, usage.first) == ("2026-11-01", {"2026-11-01": 500}, "2026-11-24")


def test_a_clock_that_jumps_and_is_set_right_finds_its_period_as_it_was() -> None:
    for wrong in ("2031-05-05", "2026-03-03"):
        usage = after((NOVEMBER, 700), (moment(wrong, stepped=True), 710))
        assert used(usage) == 10
        usage = counted(usage, (BOOT, 7, 730), moment("2026-11-24", stepped=True), 1)
        assert used(usage) == 720


def test_a_clock_that_is_behind_is_believed_after_a_day() -> None:
    usage = after((moment("2031-05-05"), 700))
    behind = moment("2026-11-24", now=quota.SETTLED - 1)
    assert counted(usage, ("boot2", 7, 0), behind, 1).period == "2031-05-01"
    assert counted(usage, ("boot2", 7, 0), behind._replace(now=quota.SETTLED + 1), 1).period == "2026-11-01"


@pytest.mark.parametrize(("reset_day", "period"), [(15, "2026-11-15"), (28, "2026-10-28")])
def test_another_reset_day_takes_the_figure_along(reset_day: int, period: str) -> None:
    usage = counted(after((NOVEMBER, 700)), (BOOT, 7, 800), NOVEMBER, reset_day)
    assert (usage.period, usage.periods) == (period, {period: 800})


def test_the_years_before_the_last_are_forgotten() -> None:
    usage = after(*((moment(f"{2026 + n // 12}-{n % 12 + 1:02}-01"), 10 * n) for n in range(40)))
    assert len(usage.periods) == quota.PERIODS
    assert used(usage) == 10


# ---------------------------------------------------------------- several uplinks


def bound(*entries: UplinkConfig, names: tuple[str, ...] = ("fiber", "cable", "lte")) -> tuple[Uplink, ...]:
    """On interfaces of their names."""
    return bind(config(*entries), Inputs(snapshot(*names), State(), Allotment())).uplinks


LTE = uplink("lte", metric=50, quota=20 * GB)
FIBER, CABLE = uplink("fiber", metric=100), uplink("cable", metric=100)


def usage_of(carried: int, percent: int = 80) -> tuple[Uplink, Usage]:
    """lte's with so much carried."""
    (lte,) = bound(LTE._replace(quota_warn=percent))
    known = {"lte": Usage(BOOT, lte.index, 0, period="2026-11-01")}
    return lte, quota.advanced((lte,), known, Traffic(BOOT, {lte.index: carried}), NOVEMBER)["lte"]


@pytest.mark.parametrize(
    ("carried", "percent", "stage"),
    [
        (16 * GB - 1, 80, Stage.BELOW),
        (16 * GB, 80, Stage.WARNING),
        (20 * GB - 1, 80, Stage.WARNING),
        (20 * GB - 1, 100, Stage.BELOW),
        (20 * GB, 80, Stage.EXCEEDED),
    ],
)
def test_the_thresholds(carried: int, percent: int, stage: Stage) -> None:
    assert usage_of(carried, percent)[1].stage is stage


def test_beyond_its_quota_an_uplink_is_preferred_to_none_and_the_rest_keep_their_order() -> None:
    uplinks = bound(LTE, FIBER, CABLE._replace(quota=GB, metric=90))
    over = Usage(stage=Stage.EXCEEDED)
    made = quota.demoted(uplinks, {"lte": over, "cable": Usage(stage=Stage.WARNING)})
    assert [u.name for u in sorted(made, key=lambda u: u.metric)] == ["cable", "fiber", "lte"]
    both = quota.demoted(uplinks, {"lte": over, "cable": over})
    assert [u.name for u in sorted(both, key=lambda u: u.metric)] == ["fiber", "lte", "cable"]
    assert quota.demoted(uplinks, {"lte": Usage()}) == uplinks


def test_a_policy_takes_it_last_too() -> None:
    lte, fiber, cable = before = bound(LTE, FIBER, CABLE)
    now = quota.demoted(before, {"lte": Usage(stage=Stage.EXCEEDED)})
    courses = [((lte, cable), (fiber,)), ((lte,),)]
    listed = [BoundPolicy(Policy(""), 1400, tiers) for tiers in courses]
    voice, only = policies.reordered(listed, before, now)
    assert [[u.name for u in tier] for tier in voice.tiers] == [["cable"], ["fiber"], ["lte"]]
    assert [u.name for u in only.uplinks] == ["lte"]


def advance(uplinks: tuple[Uplink, ...], known: dict[str, Usage], carried: dict[int, int]) -> dict[str, Usage]:
    """In one boot."""
    return quota.advanced(uplinks, known, Traffic(BOOT, carried), NOVEMBER)


def stick(name: str, index: int, template: str = "stick") -> Uplink:
    """One uplink of a template."""
    (made,) = bound(LTE)
    return made._replace(config=UplinkConfig(template, quota=GB), name=f"{template}@{name}", index=index)


def test_two_sticks_of_one_section_are_counted_each_by_itself() -> None:
    one, two = stick("usb0", 7), stick("usb1", 8)
    known = advance((one, two), {}, {7: 0, 8: 0})
    known = advance((one, two), known, {7: 10, 8: 300})
    assert {name: used(usage) for name, usage in known.items()} == {"stick@usb0": 10, "stick@usb1": 300}


def test_a_renamed_interface_takes_its_figure_along() -> None:
    known = advance((stick("usb0", 7),), {}, {7: 0})
    known = advance((stick("usb0", 7),), known, {7: 400})
    gone = stick("usb0", 0)._replace(link=None)
    renamed = stick("wwan0", 7)
    earlier = {"stick@wwan0": Usage("boot0", 3, 99, period="2026-11-01", periods={"2026-11-01": 1000})}
    for before, figure in (({}, 450), (earlier, 1450)):
        found = advance((gone, renamed), {**known, **before}, {7: 450})
        assert {name: used(usage) for name, usage in found.items()} == {"stick@usb0": 0, "stick@wwan0": figure}
        again = advance((gone, renamed), found, {7: 460})
        assert used(again["stick@wwan0"]) == figure + 10


def test_an_index_of_an_earlier_boot_tells_nothing_of_a_name() -> None:
    known = {"stick@usb0": Usage("boot0", 7, 99, period="2026-11-01", periods={"2026-11-01": 1000})}
    found = advance((stick("usb0", 0)._replace(link=None), stick("wwan0", 7)), known, {7: 50})
    assert {name: used(usage) for name, usage in found.items()} == {"stick@usb0": 1000, "stick@wwan0": 0}


def test_two_interfaces_that_swap_their_names_take_their_figures_along() -> None:
    known = advance((stick("usb0", 7), stick("usb1", 8)), {}, {7: 0, 8: 0})
    known = advance((stick("usb0", 7), stick("usb1", 8)), known, {7: 10, 8: 300})
    swapped = (stick("usb0", 8), stick("usb1", 7))
    for carried in ({7: 11, 8: 300}, {7: 12, 8: 301}):
        known = advance(swapped, known, carried)
        assert [used(known[name]) for name in ("stick@usb0", "stick@usb1")] == [carried[8], carried[7]]


def test_an_interface_that_becomes_another_sections_is_counted_there_from_then_on() -> None:
    known = advance((stick("usb0", 7),), {}, {7: 0})
    known = advance((stick("usb0", 7),), known, {7: 400})
    found = advance((stick("usb0", 0)._replace(link=None), stick("usb0", 7, "other")), known, {7: 450})
    assert {name: used(usage) for name, usage in found.items()} == {"stick@usb0": 400, "other@usb0": 50}
    found = advance((stick("usb0", 7), stick("usb0", 0, "other")._replace(link=None)), found, {7: 460})
    assert {name: used(usage) for name, usage in found.items()} == {"stick@usb0": 410, "other@usb0": 50}


# ---------------------------------------------------------------- what is remembered where


def test_a_little_is_no_reason_to_save_and_a_lot_is() -> None:
    lte, before = usage_of(GB)
    for more, saved in ((0, False), (20 * GB // 1000, False), (20 * GB // 1000 + 1, True)):
        known = advance((lte,), {"lte": before}, {lte.index: GB + more})
        state = quota.quiet(State(usage=known), State(usage={"lte": before}), (lte,))
        assert (state.usage == known) is (saved or more == 0)
    busy = State(usage=advance((lte,), {"lte": before}, {lte.index: GB + 1}), errors=("else",))
    assert quota.quiet(busy, State(usage={"lte": before}), (lte,)) == busy


def test_the_disk_gets_it_by_the_hundredth_by_the_hour_and_at_every_threshold() -> None:
    _, kept = usage_of(GB)
    assert quota.overdue(None, kept, 20 * GB)
    assert not quota.overdue(kept, kept._replace(at=1e6), 20 * GB)
    for more, age, due in ((GB // 5, 0, False), (GB // 5 + 1, 0, True), (1, 3599, False), (1, 3600, True)):
        new = quota.booked(kept._replace(at=kept.at + age), more)
        assert quota.overdue(kept, new, 20 * GB) is due
    assert quota.overdue(kept, kept._replace(stage=Stage.WARNING), 20 * GB)
    assert quota.overdue(kept, kept._replace(period="2026-12-01"), 20 * GB)


def test_a_threshold_is_told_once_a_period() -> None:
    lte, below = usage_of(GB)
    _, warned = usage_of(17 * GB)

    def told(old: Usage, new: Usage) -> list[tuple[str, str]]:
        found = quotawords.transitions(State(usage={"lte": old}), State(usage={"lte": new}), (lte,), 5.0)
        return [(one.event, one.reason) for one in found]

    words = "17 GB of 20 GB used (85 %), resets on 2026-12-01"
    assert told(below, warned) == [("quota-warning", words)]
    assert told(warned, quota.booked(warned, GB)) == []
    new = advance((lte,), {"lte": warned}, {lte.index: 17 * GB})["lte"]
    december = counted(new, (BOOT, lte.index, 17 * GB), moment("2026-12-01"), 1)._replace(stage=Stage.BELOW)
    assert told(new, december) == [("quota-below", "0 B of 20 GB used (0 %), resets on 2027-01-01")]


def test_a_record_is_stored_and_read_as_it_was(tmp_path: Path) -> None:
    _, usage = usage_of(17 * GB)
    others = {f"stick@usb{number}": Usage(period=f"2026-{number % 12 + 1:02}-01") for number in range(stored.MOST)}
    stored.keep(str(tmp_path), {"lte": usage}, {"lte": 20 * GB}, now=False)
    stored.keep(str(tmp_path), others, {}, now=False)
    kept, messages = stored.load(str(tmp_path), writes=True)
    assert (len(kept.uplinks), messages) == (stored.MOST, ())
    stored.keep(str(tmp_path), {"lte": usage}, {"lte": 20 * GB}, now=False)
    kept, _ = stored.load(str(tmp_path), writes=True)
    assert (len(kept.uplinks), kept.uplinks["lte"]) == (stored.MOST, usage)
    assert "stick@usb0" not in kept.uplinks  # of the oldest period


def test_a_record_that_cannot_be_read_is_set_aside_and_begun_anew(tmp_path: Path) -> None:
    file = tmp_path / store_files.USAGE
    file.parent.mkdir(parents=True)
    file.write_text("{")
    _, usage = usage_of(17 * GB)
    [message] = stored.keep(str(tmp_path), {"lte": usage}, {"lte": 20 * GB}, now=False)
    assert file.name in message and len(list(file.parent.iterdir())) == 2
    assert stored.load(str(tmp_path), writes=True)[0].uplinks == {"lte": usage}


def test_a_threshold_waits_for_its_mail_over_the_end_of_the_process(tmp_path: Path) -> None:
    notice = Notice("00000000000000000012-0000", "quota-warning", "lte", reason="17 GB of 20 GB used", at=5.0)
    unsent.MAIL.change(str(tmp_path), lambda book: recorded(book, (notice,), lambda _: True, Mail()))
    [waiting] = unsent.MAIL.load(str(tmp_path), writes=True).news
    assert (waiting.subject, waiting.words, waiting.at) == ("lte", notice.reason, 5.0)


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "amount", "spelled"),
    [
        ("20G", 20 * GB, "20G"),
        ("20 GB", 20 * GB, "20G"),
        ("1.5T", 1500 * GB, "1500G"),
        ("20GiB", 20 << 30, "20GiB"),
        ("500m", 500 * 10**6, "500M"),
        ("0.5k", 500, "500"),
        ("123", 123, "123"),
        ("0", 0, "0"),
    ],
)
def test_amounts(text: str, amount: int, spelled: str) -> None:
    assert quotawords.amount(text) == amount
    assert quotawords.spelled(amount) == spelled
    assert quotawords.amount(spelled) == amount


@pytest.mark.parametrize(
    "text", ["", "G", "-1G", "1e9", "1..5G", "1.G", "5 apples", "20Gi B", "²G", "1" * 40, "1e3T", "G20"]
)
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="expected an amount"):
        quotawords.amount(text)


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (16_130_000_000, "16.1 GB"), (999_600_000, "1000 MB")],
)
def test_amounts_for_people(amount: int, shown: str) -> None:
    assert quotawords.shown(amount) == shown


def test_a_forecast_needs_a_day() -> None:
    assert quotawords.forecast(GB, 0.9, 29) is None
    assert quotawords.forecast(8 * GB, 8, 22) == 30 * GB


def test_mistakes_are_told_with_what_was_expected(tmp_path: Path) -> None:
    file = tmp_path / "etc/mwan-hook/mwan-hook.conf"
    file.parent.mkdir(parents=True)
    file.write_text("[uplinks]\n[[lte]]\nquota = plenty\nquota_reset_day = 32\nquota_warn = 0\n")
    with pytest.raises(ConfigError) as caught:
        files.read(str(tmp_path), keep.Watch())
    told = [line.partition("[[lte]] ")[2] for line in str(caught.value).splitlines()]
    assert told == [
        "quota = plenty: expected an amount, as in 20G, 500M or 1.5T (thousands, as carriers count), or 20GiB",
        "quota_reset_day = 32: expected a whole number from 1 to 31",
        "quota_warn = 0: expected a whole number from 1 to 100",
    ]
    file.write_text("[uplinks]\n[[lte]]\nquota_warn = 90\n")
    [warning] = files.read(str(tmp_path), keep.Watch()).warnings
    assert warning.endswith("[[lte]] quota_warn = 90: changes nothing without quota")
