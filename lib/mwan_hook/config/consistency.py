"""What no single value shows: mistakes between the keys and uplinks of a configuration that builds."""

from __future__ import annotations

from mwan_hook.addresses import covers
from mwan_hook.config.build import single
from mwan_hook.config.probechecks import PAIRED, doubt, measuring_nothing, mistake, pair, probe_checks
from mwan_hook.model import Activate, Dial, Failback, Family, Nat6, Security
from mwan_hook.routing.allotting import room
from mwan_hook.routing.priorities import ALL_BITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from mwan_hook.config.probechecks import Contradiction
    from mwan_hook.model import Config, Mail, Match, UplinkConfig, Webhook

NO_PORTALS = "changes nothing: there are no portal_targets to ask"


def check(config: Config, plain: Mapping[str, Any]) -> list[Contradiction]:
    """All findings; ``plain`` tells what was written from what is a default."""
    found = [*probe_checks(config.probe, ("probe",), plain.get("probe", {}))]
    for uplink in config.uplinks:
        own = plain["uplinks"][uplink.name]
        if PAIRED & set(own):
            found += probe_checks(uplink.probe, ("uplinks", uplink.name), own)
        found += _alone(uplink, own)
        found += _dial(uplink, own)
    found += _prefixes(config)
    found += _tables(config)
    found += _marks(config)
    written = "mark_mask" in plain.get("routing", {})
    found += _room(config, written)
    found += _router(config, plain)
    found += measuring_nothing(config, plain.get("probe", {}))
    found += _portals(config, plain.get("probe", {}))
    found += _matches(config)
    found += _mail(config.mail, plain.get("mail", {}))
    found += _webhook(config.webhook, plain.get("webhook", {}))
    if config.policies:
        from mwan_hook.config import policychecks

        found += policychecks.check(config, plain["policies"], written)
    return found


def _alone(uplink: UplinkConfig, own: Mapping[str, Any]) -> Iterator[Contradiction]:
    path = ("uplinks", uplink.name)
    for key in ("table", "mark"):
        if key in own and not single(uplink.match):
            words = f"its match can mean two interfaces, and each needs a {key} of its own: omit it"
            yield mistake((*path, key), words)
    for family in Family:
        if uplink.gateway(family) and family not in uplink.families:
            words = f"{', '.join(uplink.gateway(family))} is not used: add {family.value} to families, or omit it"
            yield doubt((*path, "gateway"), words)
    if own.get("portal_interval") and not uplink.probe.portal_targets:
        yield doubt((*path, "portal_interval"), NO_PORTALS)
    if uplink.metered and "metered_interval" in own and own["metered_interval"] < uplink.probe.interval:
        yield doubt((*path, "metered_interval"), f"is shorter than interval ({uplink.probe.interval:g}), which counts")
    for key in ("quota_reset_day", "quota_warn"):
        if key in own and not uplink.quota:
            yield doubt((*path, key), "changes nothing without quota")


def _portals(config: Config, own: Mapping[str, Any]) -> Iterator[Contradiction]:
    """The interval of all of them, where none asks."""
    asked = config.probe.portal_targets or any(uplink.probe.portal_targets for uplink in config.uplinks)
    if own.get("portal_interval") and not asked:
        yield doubt(("probe", "portal_interval"), NO_PORTALS)


def _dial(uplink: UplinkConfig, own: Mapping[str, Any]) -> Iterator[Contradiction]:
    """What dials it is whole; without that nothing about dialling says anything."""
    path, dial = ("uplinks", uplink.name), uplink.dial
    if not dial:
        if own.get("activate") == Activate.ON_DEMAND.value:
            yield mistake((*path, "activate"), "expected start too: what dials it when it is needed")
        for key in Dial._fields:
            if key in own and key not in ("activate", "start"):
                yield doubt((*path, key), "changes nothing without start")
        return
    command = dial.kind == "command"
    if command and not dial.stop:
        yield mistake((*path, "start"), "expected stop too: the command that hangs up")
    if dial.stop and not command:
        words = "is for a start = command:...; anything else is hung up as it was dialled"
        yield mistake((*path, "stop"), words)
    yield from pair(path, dial, own, "retry_min", "retry_max")
    if dial.on_demand and dial.behind:
        yield doubt((*path, "activate"), "without a metric every other uplink is better")
    if not dial.on_demand:
        for key in ("activate_delay", "linger", "exercise"):
            if key in own:
                yield doubt((*path, key), "changes nothing without activate = on-demand")


def _prefixes(config: Config) -> Iterator[Contradiction]:
    """What was delegated leaves by one uplink."""
    owners: dict[str, str] = {}
    for uplink in config.uplinks:
        path = ("uplinks", uplink.name, "prefixes")
        if uplink.prefixes and not single(uplink.match):
            yield mistake(path, "its match can mean two interfaces: expected auto or no")
        for prefix in uplink.prefixes or ():
            other = next((name for wide, name in owners.items() if covers(wide, prefix) or covers(prefix, wide)), "")
            if other:
                yield mistake(path, f"{prefix} is also a prefix of uplink {other}: keep it in one of them")
            owners.setdefault(prefix, uplink.name)


def _tables(config: Config) -> Iterator[Contradiction]:
    owners = {config.routing.default_table: "the shared default ([routing] default_table)"}
    for uplink in config.uplinks:
        if uplink.table is not None:
            if uplink.table in owners:
                words = f"is also the table of {owners[uplink.table]}: expected one of its own"
                yield mistake(("uplinks", uplink.name, "table"), words)
            owners.setdefault(uplink.table, f"uplink {uplink.name}")


def _marks(config: Config) -> Iterator[Contradiction]:
    owners: list[tuple[int, int, str]] = []
    for uplink in config.uplinks:
        if uplink.mark is None:
            continue
        mask = ALL_BITS if uplink.mask is None else uplink.mask
        for mark, other, name in owners:
            if mask & other in (mask, other) and (mark ^ uplink.mark) & mask & other == 0:
                words = f"also matches packets with the mark of uplink {name}: expected one of its own"
                yield mistake(("uplinks", uplink.name, "mark"), words)
        owners.append((uplink.mark, mask, uplink.name))


def _room(config: Config, written: bool) -> Iterator[Contradiction]:
    """More uplinks than marks work all the same; a mask that is written, with ``pin``, is a mistake."""
    most = room(config.routing.mark_mask)
    wanted = sum(uplink.mark is None for uplink in config.uplinks)
    if wanted > most:
        words = f"has room for {most} marks, and {wanted} uplinks need one"
        if written and config.router.pin:
            yield mistake(("routing", "mark_mask"), f"{words}: expected more bits")
        else:
            yield doubt(("routing", "mark_mask"), f"{words}: those beyond work without, and are not pinned")


def _router(config: Config, plain: Mapping[str, Any]) -> Iterator[Contradiction]:
    """A connection's mark is kept inside mark_mask only; what changes nothing is said."""
    if config.router.own == "keep" and "own_after" in plain.get("router", {}):
        yield doubt(("router", "own_after"), "changes nothing with own = keep")
    if config.router.mss and not config.firewall:
        yield doubt(
            ("router", "mss"), "changes nothing without a table of ours: pin, masquerade, nat6 or evidence make one"
        )
    outside = ~config.routing.mark_mask
    for uplink in config.uplinks:
        if config.router.pin and uplink.mark is not None and uplink.mark & outside:
            words = f"expected a mark inside [routing] mark_mask ({config.routing.mark_mask:#x}) with [router] pin"
            yield mistake(("uplinks", uplink.name, "mark"), words)
        hard = uplink.failback is Failback.HARD and not uplink.metered  # there it is the default
        if hard and not config.router.pin and config.router.own == "keep":
            words = "changes nothing without [router] pin = yes or own = abort"
            yield doubt(("uplinks", uplink.name, "failback"), words)
        usual = "backup" if uplink.metered else "yes"
        if plain["uplinks"][uplink.name].get("mptcp", usual) != usual and not config.routing.mptcp:
            yield doubt(("uplinks", uplink.name, "mptcp"), "changes nothing without [routing] mptcp = yes")
        nat6 = config.router.nat6 if uplink.nat6 is None else uplink.nat6
        if uplink.nat6_prefix and nat6 is not Nat6.PREFIX:
            yield doubt(("uplinks", uplink.name, "nat6_prefix"), "changes nothing without nat6 = prefix")


def _matches(config: Config) -> Iterator[Contradiction]:
    owners: dict[Match, str] = {}
    for uplink in config.uplinks:
        for match in uplink.match:
            if match in owners:
                words = f"{match.glob} is matched by uplink {owners[match]} too: keep it in one of them"
                yield mistake(("uplinks", uplink.name, "match"), words)
            owners.setdefault(match, uplink.name)


def _webhook(hook: Webhook, own: Mapping[str, Any]) -> Iterator[Contradiction]:
    """A URL where there is anything else, and nothing secret in the clear."""
    if own and not hook.url:
        yield doubt(("webhook", "url"), "is missing: nothing is posted without it")
    if hook.header_file and hook.url.startswith("http:"):
        yield doubt(("webhook", "header_file"), "goes over the line for all to read: use an https URL")
    if hook.url.startswith("https:") and not hook.verify:
        yield doubt(("webhook", "verify"), "is off: any host on the way can pose as the webhook")
    yield from pair(("webhook",), hook, own, "backoff_min", "backoff_max")


def _mail(mail: Mail, own: Mapping[str, Any]) -> Iterator[Contradiction]:
    """A mailer that is whole: one way out, and a password where there is a user, in a file that only root reads."""
    if mail.smtp_host and mail.sendmail:
        yield mistake(("mail", "sendmail"), "expected smtp_host or sendmail, not both")
    if mail.to and not (mail.smtp_host or mail.sendmail):
        yield mistake(("mail", "to"), "expected smtp_host or sendmail too: mail needs a way out")
    if (mail.smtp_host or mail.sendmail) and not mail.to:
        yield doubt(("mail", "to"), "is missing: no mail is sent without it")
    for key in ("user", "password_file"):
        other = "password_file" if key == "user" else "user"
        if getattr(mail, key) and not getattr(mail, other):
            yield mistake(("mail", key), f"expected {other} too")
    if mail.sendmail and mail.user and not mail.smtp_host:
        yield doubt(("mail", "user"), "changes nothing with sendmail: omit it")
    if mail.user and mail.smtp_host and mail.security is Security.NONE:
        yield doubt(("mail", "security"), "the password goes over the line for all to read: use starttls or tls")
    yield from pair(("mail",), mail, own, "backoff_min", "backoff_max")
