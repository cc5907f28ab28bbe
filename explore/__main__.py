"""Open the rooms in the browser: seven pages in which a knob of the course's own code is turned.

    python -m explore
    python -m explore --port 2720 --no-browser

The pages are served to this machine alone: the server listens on the loopback address, refuses a request that another
site's page makes or that comes under another name, and forbids the pages to ask anything of any other server.
"""

import contextlib
import os
import socket
import threading
import webbrowser
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import jinja2
import marimo
import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from course.core import durable
from course.core.command_line import DONE, option, parse, run_command
from course.core.display import console
from course.core.files import InputError
from course.core.paths import ROOT
from explore.show import ROOMS

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
PORTS_TRIED = 20
HEAD = """<link rel="stylesheet" href="/style.css">
<script>document.addEventListener("click", event => {
  if (!event.target.closest("[data-full-screen]")) return;
  if (document.fullscreenElement) document.exitFullscreen(); else document.documentElement.requestFullscreen();
});</script>"""
# The rooms' own scripts write scripts and styles into the page; but nothing may be asked of another server.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' {socket}; worker-src 'self' blob:; "
    "frame-src 'self' blob:; frame-ancestors 'none'; form-action 'self'; base-uri 'self'; object-src 'none'"
)


@dataclass(frozen=True, kw_only=True)
class Settings:
    port: int = option(2718, "where to listen; the next free one is taken", at_least=1, at_most=65_535 - PORTS_TRIED)
    no_browser: bool = option(False, "only print the address")


class ForThisMachine:
    """Refuses what another site's page or another name asks for, and forbids all answers to lead elsewhere."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self.app, self.names = app, {f"{name}:{port}" for name in NAMES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self.names or origin not in (None, f"http://{host}"):
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            else:
                await PlainTextResponse("refused: only pages of this server may ask it", 403)(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(
                    {
                        "content-security-policy": POLICY.format(socket=f"ws://{host}"),
                        "x-content-type-options": "nosniff",
                        "referrer-policy": "no-referrer",
                    }
                )
            await send(message)

        await self.app(scope, receive, guarded)


def house(port: int) -> ASGIApp:
    """The front page, the rooms, and the pages of the course that they link to."""
    front = jinja2.Environment(autoescape=True).from_string((HERE / "front.html").read_text(encoding="utf-8"))
    page = front.render(rooms=ROOMS)
    notebooks = marimo.create_asgi_app(quiet=True, include_code=True, html_head=HEAD)
    for name in (*ROOMS, "page"):
        notebooks = notebooks.with_app(path=f"/{name}", root=str(HERE / f"{name}.py"))

    async def answer(_: Any) -> HTMLResponse:
        return HTMLResponse(page)

    async def style(_: Any) -> FileResponse:
        return FileResponse(HERE / "style.css", media_type="text/css")

    routes = [
        Route("/", answer),
        Route("/style.css", style),
        Mount("/docs/diagrams", StaticFiles(directory=ROOT / "docs" / "diagrams")),
        Mount("/", notebooks.build()),
    ]
    return ForThisMachine(Starlette(routes=routes), port)


def listen(port: int) -> socket.socket:
    """A socket on the loopback address, at the first free port from this one on. Raises InputError."""
    for number in range(port, port + PORTS_TRIED):
        taken = socket.socket()
        if os.name != "nt":
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((HOST, number))
            taken.listen()  # from here on who asks is answered, if only when the house stands
            return taken
        except OSError:
            taken.close()
    raise InputError("--port", f"none of the {PORTS_TRIED} ports from {port} on is free")


def main() -> NoReturn:
    settings = parse("explore", "Look and play: seven rooms in the browser.", Settings)
    os.chdir(ROOT)  # the rooms' look is set in pyproject.toml, and runs are written where the commands write them
    bound = listen(settings.port)
    port = bound.getsockname()[1]
    address = f"http://{HOST}:{port}/"
    console().print(f"Seven rooms: {address}", "Ctrl-C ends it.", sep="\n")
    server = uvicorn.Server(
        uvicorn.Config(house(port), log_level="critical", timeout_graceful_shutdown=1, lifespan="off")
    )
    if not settings.no_browser:
        threading.Timer(0.5, webbrowser.open, [address]).start()
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[bound])
    durable.abandon()
    os._exit(DONE)  # Python would wait for the threads of open rooms; what they write is whole or is not there


if __name__ == "__main__":
    run_command(main)
