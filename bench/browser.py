"""A headless Chromium, spoken to by the Chrome DevTools Protocol over a pair of pipes: no port, no driver, no library.

For tests of what a browser shows, and for screenshots of it. It reaches no network: a page that asks for anything is
found out by `requests`.
"""

import base64
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select
from types import TracebackType
from typing import Any, Final, Self

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_FLAGS: Final = (
    "--headless",
    "--remote-debugging-pipe",
    "--no-sandbox",  # needs what a container of a pipeline has not; the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    "about:blank",
)
_SECONDS: Final = 60
_AT_ONCE: Final = 1 << 16


class BrowserError(Exception):
    """The browser did not do what it was asked for."""


def find_browser() -> str | None:
    """Returns the path of a Chromium, None where there is none."""
    return next(filter(None, map(shutil.which, _NAMES)), None)


class Browser:
    """One Chromium with one page.

    Attributes:
        requests: Addresses that the page asked for, the page itself included.
        complaints: What it wrote to the console as a warning or an error, and what it did not catch.
    """

    def __init__(self, program: str) -> None:
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self._profile = tempfile.mkdtemp(prefix="egressc-browser-")
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        files = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
        # Chromium reads commands from descriptor 3 and answers on 4; both ends must be clear of these two numbers.
        high = [os.dup(theirs_in), os.dup(theirs_out)]
        moves = [(os.POSIX_SPAWN_DUP2, fd, number) for number, fd in zip((3, 4), high, strict=True)]
        home = {"HOME": self._profile, "XDG_CONFIG_HOME": self._profile, "XDG_CACHE_HOME": self._profile}
        self._pid = os.posix_spawn(
            program,
            [program, *_FLAGS[:-1], f"--user-data-dir={self._profile}", _FLAGS[-1]],
            {**os.environ, **home},
            file_actions=[*files, *moves],
            setpgroup=0,
        )
        for fd in (theirs_in, theirs_out, *high):
            os.close(fd)
        self._rest = b""
        self._count = 0
        self._session = ""
        self._loaded = False
        try:
            self._attach()
        except BaseException:
            self.close()
            raise

    def _attach(self) -> None:
        targets = self._call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self._session = self._call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self._call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the browser and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    def open(self, path: Path) -> None:
        """Opens a file and waits until it is loaded."""
        self.requests.clear()
        self.complaints.clear()
        self._loaded = False
        self._call("Page.navigate", url=path.resolve().as_uri())
        while not self._loaded:
            self._take()

    def run(self, script: str) -> Any:  # noqa: ANN401  # whatever the script gives
        """Evaluates an expression in the page and returns its value; waits for a promise.

        Raises:
            BrowserError: The script failed.
        """
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if fault := answer.get("exceptionDetails"):
            raise BrowserError(fault.get("exception", {}).get("description") or fault["text"])
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Presses keys by their names (`Tab`, `Enter`, `ArrowDown`), one after another; `Shift+Tab` too."""
        for name in keys:
            shift, key = name.startswith("Shift+"), name.removeprefix("Shift+")
            event = {"key": key, "code": key, "modifiers": 8 if shift else 0, "windowsVirtualKeyCode": _CODES[key]}
            text = {"text": "\r"} if key == "Enter" else {}
            self._call("Input.dispatchKeyEvent", type="keyDown", **event, **text)
            self._call("Input.dispatchKeyEvent", type="keyUp", **event)

    def type(self, text: str) -> None:
        """Types text into what has the focus."""
        self._call("Input.insertText", text=text)

    def click(self, selector: str) -> None:
        """Clicks with the mouse into the middle of an element.

        Raises:
            BrowserError: There is none, or another one lies over it.
        """
        place = self.run(f"""(() => {{
            const element = document.querySelector({json.dumps(selector)});
            if (!element) throw new Error("nothing is " + {json.dumps(selector)});
            element.scrollIntoView({{block: "center", behavior: "instant"}});
            const box = element.getBoundingClientRect();
            const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
            const top = document.elementFromPoint(x, y);
            if (!element.contains(top)) throw new Error({json.dumps(selector)} + " lies below something");
            return {{x, y}};
        }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def show_as(self, *, width: int, height: int, scheme: str = "light", media: str = "") -> None:
        """Sets the size of the page in CSS pixels, the preferred colour scheme, and the medium such as `print`.

        Waits until the page has been drawn so.
        """
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self._call("Emulation.setEmulatedMedia", media=media, features=features)
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def screenshot(self) -> bytes:
        """Returns what is to be seen, as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def _call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._count += 1
        message: dict[str, object] = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._take()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise BrowserError(f"{method}: {answer['error']['message']}")
                found: dict[str, Any] = answer["result"]
                return found

    def _take(self) -> dict[str, Any]:
        """Returns the next message, and keeps what an event tells."""
        while b"\0" not in self._rest:
            if not select([self._in], [], [], _SECONDS)[0]:
                raise BrowserError(f"the browser said nothing for {_SECONDS} seconds")
            part = os.read(self._in, _AT_ONCE)
            if not part:
                raise BrowserError("the browser has ended")
            self._rest += part
        text, _, self._rest = self._rest.partition(b"\0")
        message: dict[str, Any] = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, event: str, what: Mapping[str, Any]) -> None:
        if event == "Page.loadEventFired":
            self._loaded = True
        elif event == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif event == "Runtime.exceptionThrown":
            details = what["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif event == "Runtime.consoleAPICalled" and what["type"] in {"error", "warning", "assert"}:
            self.complaints.append(" ".join(str(item.get("value", "")) for item in what["args"]))
        elif event == "Log.entryAdded" and what["entry"]["level"] in {"error", "warning"}:
            self.complaints.append(what["entry"]["text"])


_CODES: Final = {
    "Tab": 9, "Enter": 13, "Escape": 27, "PageUp": 33, "PageDown": 34, "End": 35, "Home": 36, "ArrowUp": 38,
    "ArrowDown": 40,
}  # fmt: skip


@contextmanager
def browser() -> Iterator[Browser]:
    """Opens a Chromium for as long as it is used.

    Raises:
        BrowserError: There is none.
    """
    program = find_browser()
    if program is None:
        raise BrowserError("there is no Chromium: install it (Debian's package chromium)")
    with Browser(program) as found:
        yield found
