"""Servers on loopback: a real one with π0 in it, and a fast one that makes up its answers from what it is asked."""

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from transfer.serve_pi0 import Settings, run

Reply = tuple[int, dict[str, str], bytes]  # status, headers, body


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler, bytes], None]) -> Iterator[str]:
    """A server in threads of this process, whose handler is a function. Yields its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer(self, self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads, request_queue_size = True, 128

        def handle_error(self, *_: Any) -> None:
            """A client that was killed is no news."""

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    """A whole answer."""
    handler.send_response(status)
    for name, value in {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **(headers or {}),
    }.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
    handler.wfile.flush()


def chat_body(content: Any, finish_reason: str = "stop", **message: Any) -> bytes:
    """The body of a chat's answer."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish_reason,
    }
    return json.dumps(
        {"id": "x", "object": "chat.completion", "choices": [choice], "usage": {"total_tokens": 3}}
    ).encode()


def made_up(body: dict[str, Any]) -> bytes:
    """An answer that depends on prompt and seed, and on nothing else."""
    name = f"{body['messages'][-1]['content']} {body['seed']}"
    return chat_body(f"Final: {int(hashlib.sha256(name.encode()).hexdigest()[:4], 16)}")


class Upstream:
    """Answers each call as `reply` says, and remembers what it was asked."""

    def __init__(self, reply: Any = made_up) -> None:
        self.reply, self.bodies, self.keys = reply, list[dict[str, Any]](), set[str | None]()

    def __call__(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.bodies.append(json.loads(body))
        self.keys.add(handler.headers["Authorization"])
        send(handler, 200, self.reply(self.bodies[-1]))


def refuse(status: int, message: str, **headers: str) -> Callable[[BaseHTTPRequestHandler, bytes], None]:
    """A handler that refuses all."""
    body = json.dumps({"error": {"message": message, "type": "x"}}).encode()
    return lambda handler, _: send(handler, status, body, headers)


@contextmanager
def transformers_serve(folder: Path) -> Iterator[tuple[str, str]]:
    """The real server with π0 in it. Yields its base URL and the model's name."""
    run(Settings(out=folder))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(folder), "--host", "127.0.0.1"]
    log = folder.with_name("serve.log")
    with log.open("wb") as said:
        server = subprocess.Popen(
            [*command, "--port", str(port), "--device", "cpu"], env=environment, stdout=said, stderr=said
        )
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                    break
                except OSError:
                    assert server.poll() is None, log.read_text()
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1", str(folder)
        finally:
            server.kill()
            server.wait()
