"""A headless Chromium that looks at pages of files, spoken to over a pipe; and the pictures of docs/report.md.

``python -m tests.browser`` makes the pictures anew.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROGRAM = "chromium-headless-shell"
PATIENCE = 60.0  # seconds for an answer


class BrowserError(Exception):
    """The browser said no, or nothing."""


class Browser:
    """One page in one browser (https://chromedevtools.github.io/devtools-protocol/)."""

    def __init__(self, profile: str) -> None:
        self._to, write_end = os.pipe(), os.pipe()
        self._from = write_end
        self._left = b""
        self._number = 0
        self.requests: list[str] = []  # addresses that were asked for
        self._session = ""
        words = (PROGRAM, "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe")
        self._process = self._started((*words, "--no-first-run", f"--user-data-dir={profile}", "about:blank"))
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime"):
            self.ask(f"{domain}.enable")

    def _started(self, words: tuple[str, ...]) -> subprocess.Popen[bytes]:
        """Start it with its commands in descriptor 3 and its answers in 4."""
        reads, writes = self._to[0], self._from[1]
        shell = f'exec "$0" "$@" 3<&{reads} 4>&{writes}'
        process = subprocess.Popen(
            ("bash", "-c", shell, *words),
            pass_fds=(reads, writes),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(reads)
        os.close(writes)
        return process

    def ask(self, method: str, **params: object) -> dict[str, Any]:
        """The answer to a command.  Raises BrowserError."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        message = {"id": self._number, "method": method, "params": params, **session}
        os.write(self._to[1], json.dumps(message).encode() + b"\0")
        found = self._heard(lambda one: one.get("id") == self._number)
        if "error" in found:
            raise BrowserError(f"{method}: {found['error']}")
        result: dict[str, Any] = found["result"]
        return result

    def _heard(self, wanted: Any) -> dict[str, Any]:
        """The first message of this kind; what is requested meanwhile is noted."""
        until = time.monotonic() + PATIENCE
        while True:
            while b"\0" in self._left:
                raw, _, self._left = self._left.partition(b"\0")
                message: dict[str, Any] = json.loads(raw)
                if message.get("method") == "Network.requestWillBeSent":
                    self.requests.append(message["params"]["request"]["url"])
                if wanted(message):
                    return message
            ready = select.select((self._from[0],), (), (), max(0.0, until - time.monotonic()))[0]
            part = os.read(self._from[0], 1 << 20) if ready else b""
            if not part:
                raise BrowserError("the browser does not answer")
            self._left += part

    def show(self, page: Path, width: int, scheme: str = "light", media: str = "screen") -> None:
        """Open a file in a window so wide, for a reader who likes it light or dark."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", media=media, features=features)
        self.requests.clear()
        self.ask("Page.navigate", url=page.as_uri())
        self._heard(lambda one: one.get("method") == "Page.loadEventFired")

    def value(self, expression: str) -> Any:
        """What an expression of JavaScript comes to.  Raises BrowserError."""
        found = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in found:
            raise BrowserError(found["exceptionDetails"]["text"])
        return found["result"].get("value")

    def picture(self, width: int, height: int, scale: float = 1) -> bytes:
        """The upper part of the page as PNG."""
        clip = {"x": 0, "y": 0, "width": width, "height": height, "scale": scale}
        shot = self.ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(PATIENCE)
        os.close(self._to[1])
        os.close(self._from[0])


@contextmanager
def browser() -> Iterator[Browser]:
    """A browser with a profile of its own."""
    with tempfile.TemporaryDirectory(prefix="mwan-hook-browser-", ignore_cleanup_errors=True) as profile:
        found = Browser(profile)
        try:
            yield found
        finally:
            found.close()


def installed() -> bool:
    """Whether there is one; tests/run installs it."""
    return shutil.which(PROGRAM) is not None


def main() -> None:
    """Write the pictures."""
    from tests.month import page

    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    place = Path(__file__).resolve().parents[1] / "docs/pictures"
    place.mkdir(exist_ok=True)
    with browser() as one, tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "report.html")
        file.write_text(page())
        one.show(file, 1120)
        (place / "report.png").write_bytes(one.picture(1120, 740, 0.9))
        one.show(file, 360, "dark")
        (place / "report-phone.png").write_bytes(one.picture(360, 640))


if __name__ == "__main__":
    main()
