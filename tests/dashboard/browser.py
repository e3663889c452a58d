"""A real Chromium without a window, driven over its debugging protocol (CDP)."""

import asyncio
import json
import shutil
import subprocess
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from tests.acceptance.house import DEADLINE, until

FLAGS: Final = (
    "--headless",
    "--no-sandbox",  # refused to root, which tests in a container are run by
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--remote-debugging-port=0",
)


def program() -> str | None:
    """Chromium, as found on PATH."""
    return shutil.which("chromium")


class Browser:
    """One Chromium with a new profile in `place`, and one page of it."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._loaded = asyncio.Event()
        self.console: list[str] = []
        """What scripts threw, what the browser complained of, and the dialogues that were opened."""

    async def __aenter__(self) -> Self:
        words = [program() or "chromium", *FLAGS, f"--user-data-dir={self._place}", "about:blank"]
        with (self._place / "chromium.log").open("wb") as log:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._session = aiohttp.ClientSession()
        try:
            await self._connect()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reading.cancel()
        await asyncio.wait([self._reading])
        await self._socket.close()
        await self._end()

    async def _end(self) -> None:
        await self._session.close()
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE)

    async def _connect(self) -> None:
        """To the page's own end of the protocol."""
        told = self._place / "DevToolsActivePort"

        async def look() -> list[str]:
            assert self._process.poll() is None, (self._place / "chromium.log").read_text(errors="replace")
            return told.read_text().splitlines() if told.exists() else []

        port = (await until(look, lambda lines: len(lines) == 2))[0]
        async with self._session.get(f"http://127.0.0.1:{port}/json/list") as response:
            (page,) = [each for each in await response.json() if each["type"] == "page"]
        self._socket = await self._session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0)
        self._reading = asyncio.create_task(self._read())
        for domain in ("Page", "Runtime", "Log"):
            await self.do(f"{domain}.enable")

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message.data)
            if "id" in told:
                self._answers.pop(told["id"]).set_result(told)
            else:
                await self._note(told["method"], told["params"])

    async def _note(self, method: str, params: dict[str, Any]) -> None:
        if method == "Page.javascriptDialogOpening":
            self.console.append(f"dialogue: {params['message']}")
            await self._send("Page.handleJavaScriptDialog", accept=False)
        elif method == "Page.loadEventFired":
            self._loaded.set()
        elif method == "Runtime.exceptionThrown":
            self.console.append(f"thrown: {params['exceptionDetails']['text']}")
        elif method == "Log.entryAdded" and params["entry"]["source"] != "network":  # an answer like 401
            self.console.append(f"{params['entry']['source']}: {params['entry']['text']}")

    async def _send(self, method: str, **params: object) -> int:
        number = next(self._numbers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_json({"id": number, "method": method, "params": params})
        return number

    async def do(self, method: str, **params: object) -> Any:
        """One command of the protocol; its result."""
        async with asyncio.timeout(DEADLINE):
            answer = await self._answers[await self._send(method, **params)]
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    async def open(self, url: str) -> None:
        """Go to an address, as typed, and wait until its scripts have run."""
        self._loaded.clear()
        await self.do("Page.navigate", url=url)
        await self._load()

    async def reload(self) -> None:
        """The same page again."""
        self._loaded.clear()
        await self.do("Page.reload")
        await self._load()

    async def _load(self) -> None:
        async with asyncio.timeout(DEADLINE):
            await self._loaded.wait()

    async def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        result = await self.do("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, f"{script}: {result['exceptionDetails']}"
        return result["result"].get("value")

    async def text(self, selector: str) -> str:
        """What a reader sees of the first such element; empty where nothing is to be seen."""
        found = f"document.querySelector({json.dumps(selector)})"
        return str(await self.run(f"{found}.checkVisibility() ? {found}.innerText : ''"))

    async def sees(self, selector: str, words: str) -> str:
        """Wait until these words are to be seen in an element; all of its text."""
        return await until(lambda: self.text(selector), lambda text: words in text)

    async def type(self, text: str) -> None:
        """As from a keyboard, into whatever has the focus."""
        await self.do("Input.insertText", text=text)

    async def press(self, key: str, code: int) -> None:
        """A key that is no letter: Enter is 13, Tab is 9."""
        text = {"text": "\r"} if key == "Enter" else {}
        pressed = {"key": key, "code": key, "windowsVirtualKeyCode": code, **text}
        await self.do("Input.dispatchKeyEvent", type="keyDown", **pressed)
        await self.do("Input.dispatchKeyEvent", type="keyUp", key=key, code=key, windowsVirtualKeyCode=code)
