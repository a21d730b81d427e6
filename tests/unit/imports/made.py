"""A file of another program, what ``mwan-hook import`` makes of it, and the model that this is."""

from __future__ import annotations

from typing import Any, NamedTuple

from mwan_hook.config import build, read
from mwan_hook.config.problems import source
from mwan_hook.imports import kinds
from mwan_hook.model import Config, Policy, UplinkConfig


class Made(NamedTuple):
    """What came out."""

    text: str
    remarks: tuple[str, ...]
    loses: bool
    config: Config

    def uplink(self, name: str) -> UplinkConfig:
        """The uplink of this name."""
        return next(uplink for uplink in self.config.uplinks if uplink.name == name)

    def policy(self, name: str) -> Policy:
        """The policy of this name."""
        return next(policy for policy in self.config.policies if policy.name == name)

    def said(self, *words: str) -> bool:
        """Whether one remark has all these words, on stderr and at a place of the file."""
        return any(all(word in remark for word in words) for remark in self.remarks) and any(
            line.lstrip().startswith("#") and all(word in line for word in words if word[:1] != "[")
            for line in self.text.splitlines()
        )


def made(kind: str, text: str | bytes, **devices: str) -> Made:
    """Import a text; what comes out is held to be good."""
    content = text if isinstance(text, bytes) else text.encode()
    done = kinds.imported(kind, "example", content, devices)
    assert read.mistakes(done.text) == []
    return Made(*done, build.build(plain(done.text)))


def plain(text: str) -> dict[str, Any]:
    """The values of a configuration as text."""
    from mwan_hook.config.problems import Problems

    return read._parse(source("", text), Problems())
