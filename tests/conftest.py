"""For all tests: a property is not refuted by a busy machine, and SIGINT ends what a test starts."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.lab.process import interruptible_children

# half of the examples that hypothesis draws by itself: what one run does not draw, a later one does
settings.register_profile(
    "shared machine", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("shared machine")
interruptible_children()
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # with it every start of the program would compile all of it
