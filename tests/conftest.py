"""For all tests: a property is not refuted by a busy machine, and SIGINT ends what a test starts."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.lab.process import interruptible_children

settings.register_profile("shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared machine")
interruptible_children()
