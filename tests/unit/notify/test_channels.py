"""Which channels are set up."""

from __future__ import annotations

from pathlib import Path

from mwan_hook.model import Config, Mail, Prometheus, Reporting, Webhook
from mwan_hook.run.channels import CHANNELS


def test_a_channel_is_set_up_by_its_key_or_by_its_files(tmp_path: Path) -> None:
    def wanted(config: Config) -> list[str]:
        return [channel.name for channel in CHANNELS if channel.wanted(str(tmp_path), config)]

    assert wanted(Config()) == []
    assert wanted(Config(mail=Mail(to=("me@example.org",)))) == ["mail"]
    assert wanted(Config(webhook=Webhook("http://192.0.2.1/"), prometheus=Prometheus("x"))) == ["webhook", "prometheus"]
    assert wanted(Config(report=Reporting("/x.html"))) == ["report"]
    (tmp_path / "etc/mwan-hook/online.d").mkdir(parents=True)
    (tmp_path / "etc/dbus-1/system.d").mkdir(parents=True)
    (tmp_path / "etc/dbus-1/system.d/mwan-hook.conf").touch()
    assert wanted(Config()) == ["hooks", "D-Bus"]
