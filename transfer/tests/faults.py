"""A proxy on loopback that spoils a part of all calls, and counts the answers that it handed over whole."""

import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from transfer.tests.server import send, serving

Fetch = Callable[[str, bytes], bytes]  # path and body of a good call -> body of its answer


class FaultProxy:
    """In `rate` of all calls: 429, 500, nothing, half a body, no JSON, JSON that is no answer, or silence."""

    KINDS = ("429", "500", "closed", "half", "garbage", "no answer", "hang")

    def __init__(self, fetch: Fetch, rate: float = 0.3, seed: int = 0, hang: float = 1.0) -> None:
        self.fetch, self.rate, self.hang = fetch, rate, hang
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.calls: list[tuple[str, int]] = []  # every call that came: prompt and seed
        self.handed_over: Counter[tuple[str, int]] = Counter()
        self.spoilt: Counter[str] = Counter()

    def answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        asked = json.loads(body)
        key = (asked["messages"][-1]["content"] if "messages" in asked else asked["prompt"], asked["seed"])
        with self.lock:
            kind = self.random.choice(self.KINDS) if self.random.random() < self.rate else ""
            self.calls.append(key)
            self.spoilt[kind] += 1
        if kind:
            self.spoil(handler, kind)
        else:
            send(handler, 200, self.fetch(handler.path, body))
            with self.lock:
                self.handed_over[key] += 1

    def spoil(self, handler: BaseHTTPRequestHandler, kind: str) -> None:
        handler.close_connection = True
        if kind in ("429", "500"):
            send(
                handler, int(kind), b'{"error": {"message": "busy"}}', {"Retry-After": "0.01"} if kind == "429" else {}
            )
        elif kind == "garbage":
            send(handler, 200, b"<html>bad gateway \xff</html>")
        elif kind == "no answer":
            send(handler, 200, b'{"choices": []}')
        elif kind == "half":
            handler.send_response(200)
            handler.send_header("Content-Length", "1000")
            handler.end_headers()
            handler.wfile.write(b'{"choices": [{"mess')
        elif kind == "hang":
            time.sleep(self.hang)

    @contextmanager
    def open(self) -> Iterator[str]:
        with serving(self.answer) as url:
            yield url


def forward_to(base_url: str) -> Fetch:
    """Good calls go to a real server."""
    address = urlsplit(base_url)

    def fetch(path: str, body: bytes) -> bytes:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer: Any = connection.getresponse()
        content: bytes = answer.read()
        connection.close()
        return content

    return fetch
