"""What is told of dialling: words of status, mails, Prometheus."""

from __future__ import annotations

from mwan_hook.dial.words import described
from mwan_hook.model import BY_US, Activation, Mail, Notice, Phase
from mwan_hook.notify import exposition
from mwan_hook.notify.mail.book import MailQueue, recorded
from tests.unit.dial.world import two

MAIL = Mail(("root",), sendmail="/usr/sbin/sendmail")


def words(record: Activation) -> str:
    return described(record, 112.0, lambda moment: f"05:{moment:.0f}")


def test_status_says_how_far_it_is() -> None:
    assert words(Activation(Phase.IDLE, reason="fiber is online")) == "idle: fiber is online"
    assert words(Activation(Phase.DIALLING, asked_at=100.0, tries=2)) == "dialling for 12 s, try 2"
    failed = Activation(Phase.WAITING, tries=3, next_at=12.0, reason="exit code 19: wrong user or password")
    assert words(failed) == "3 failed dials (exit code 19: wrong user or password), next at 05:12"
    final = failed._replace(tries=1, final="no such unit", reason="no such unit")
    assert words(final) == "1 failed dial (no such unit), not tried again"
    assert words(Activation(Phase.LINGERING, linger_until=30.0, reason="fiber is online")).startswith(
        "kept until 05:30"
    )
    assert words(Activation(Phase.UP)) == ""


def notice(number: int, event: str, reason: str, dial_try: int = 0) -> Notice:
    return Notice(
        f"{number:020d}-0000", event, "lte", "wwan0", reason=reason, at=1e9, online=("fiber",), dial_try=dial_try
    )


def test_the_third_failed_dial_and_a_failed_exercise_are_mailed_and_a_hang_up_is_not() -> None:
    happened = [notice(number, "dial-failed", "exit code 7", number) for number in (1, 2, 3, 4)]
    happened += [notice(5, "exercise-failed", "the exercise failed: exit code 7")]
    happened += [notice(6, "offline", f"{BY_US}fiber is online"), notice(7, "hung-up", "fiber is online")]
    book = recorded(MailQueue(boot_id="x"), happened, lambda _: True, MAIL)
    assert [one.words for one in book.news] == ["3 failed dials: exit code 7", "the exercise failed: exit code 7"]
    assert book.open == ()


def test_prometheus_counts_dials_and_the_time_up() -> None:
    world = two(linger=10.0)
    world.lines["fiber"].works = False
    world.runs(20)
    up = exposition.dialled_seconds(world.records["lte"], world.now)
    assert up > 10
    world.lines["fiber"].works = True
    world.runs(30)
    record = world.records["lte"]
    assert (record.dialled, record.failed, record.hung_up) == (1, 0, 1)
    assert exposition.dialled_seconds(record, world.now) == record.seconds > up
