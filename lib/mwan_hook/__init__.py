"""mwan-hook: multi-WAN for systemd-networkd machines, without a daemon."""

__version__ = "0.1.0"
