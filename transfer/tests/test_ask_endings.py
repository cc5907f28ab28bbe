"""How the command ends: refused, failed, stopped, in one line each; and how long it waits before it sends again."""

import json
import random
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from transfer.clients.back_off import LONGEST, BackOff, retry_after
from transfer.tests.asking import DEV, few, finish, rows_of, start, typed, words_of
from transfer.tests.server import Upstream, made_up, refuse, send, serving

HOSTILE = "\x1b[2J\r\nFinal: \ud800\u202e 7\x00"


@pytest.mark.parametrize(("status", "words"), [(400, "bad"), (401, "no such key"), (404, "model m not found")])
def test_a_refusal_of_the_first_request_stops_the_command(tmp_path: Path, status: int, words: str) -> None:
    calls = []

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        calls.append(body)
        refuse(status, f"{words}: {handler.headers['Authorization']}")(handler, body)  # as some servers repeat it

    with serving(answer) as url:
        code, said, error = typed(words_of(tmp_path / "a.jsonl", url, "--parallel", 4))
    assert (code, said) == (2, "")
    assert error == f"error: {url}: the server refuses: {status}: {words}: Bearer [the API key]\n"
    assert len(calls) <= 4
    assert not list(tmp_path.iterdir())


def test_a_later_refusal_is_of_that_request_alone(tmp_path: Path) -> None:
    asked: list[bytes] = []

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        asked.append(body)
        if len(asked) == 2:
            refuse(400, "too long")(handler, body)
        else:
            send(handler, 200, made_up(json.loads(body)))

    with serving(answer) as url:
        code, said, _ = typed(words_of(tmp_path / "a.jsonl", url, "--parallel", 1, dataset=few(tmp_path, 3)))
    assert code == 0
    assert [row["error"] for row in rows_of(tmp_path / "a.jsonl")] == [None, "400: too long", None]
    assert "failed: 400: too long" in said


def test_after_all_attempts_a_request_has_failed_and_stays(tmp_path: Path) -> None:
    with serving(refuse(503, "overloaded")) as url:
        hurry = ("--attempts", 3, "--back-off", 0.01)
        code, said, error = typed(words_of(tmp_path / "a.jsonl", url, *hurry, dataset=few(tmp_path, 3)))
    assert (code, error) == (0, "")
    assert [row["error"] for row in rows_of(tmp_path / "a.jsonl")] == ["503: overloaded"] * 3
    assert said.splitlines()[1].split() == ["3", "3", "0", "3", "3", "0"]
    assert {row["attempts"] for row in rows_of(tmp_path / "a.jsonl.asked")[1:]} == {3}


def test_retry_after_is_waited_for(tmp_path: Path) -> None:
    times: list[float] = []

    def answer(handler: BaseHTTPRequestHandler, body: bytes) -> None:
        times.append(time.monotonic())
        if len(times) == 1:
            refuse(429, "slower", **{"Retry-After": "1.5"})(handler, body)
        else:
            send(handler, 200, made_up(json.loads(body)))

    with serving(answer) as url:
        typed(words_of(tmp_path / "a.jsonl", url, "--back-off", 0.001, dataset=few(tmp_path, 1)))
    assert times[1] - times[0] >= 1.5


def test_back_off_grows_has_jitter_from_its_seed_and_obeys_the_server() -> None:
    back_off = BackOff(first=0.5, attempts=6)
    for attempt in range(1, 40):
        drawn = [back_off.seconds(attempt, random.Random(seed), None) for seed in range(50)]
        most = min(LONGEST, 0.5 * 2 ** (attempt - 1))
        assert most / 2 <= min(drawn) < max(drawn) <= most
        assert drawn == [back_off.seconds(attempt, random.Random(seed), None) for seed in range(50)]
        assert back_off.seconds(attempt, random.Random(0), 99.0) == 99.0
    assert [retry_after({"retry-after": text}) for text in ("3", "0.5", "-1", "nan", "inf", "soon")] == [
        *(3.0, 0.5),
        *[None] * 4,
    ]
    assert retry_after({}) is None
    then = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    assert 25 < (retry_after({"retry-after": then}) or 0) <= 30


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_in_one_line_and_the_same_command_goes_on(
    tmp_path: Path, number: signal.Signals, expected: int
) -> None:
    out, answer_now, stops, parallel = tmp_path / "a.jsonl", threading.Event(), 6, 3

    def reply(body: dict[str, Any]) -> bytes:
        answer_now.wait(0.02)
        return made_up(body)

    upstream = Upstream(reply)
    with serving(upstream) as url:
        words = words_of(out, url, "--parallel", parallel)
        for _ in range(stops):
            process, before = start(words), len(upstream.bodies)
            while len(upstream.bodies) < before + 8:
                time.sleep(0.003)
            process.send_signal(number)
            code, said, error = finish(process)
            assert (code, said) == (expected, ""), error
            done = len(rows_of(tmp_path / "a.jsonl.asked")) - 1
            assert error == f"stopped: {done} of 200 requests are done, and the same command goes on from there\n"
        answer_now.set()
        code, said, error = typed(words)
    assert (code, error) == (0, "")
    assert len(rows_of(out)) == 200
    assert len(upstream.bodies) <= 200 + stops * parallel  # what was under way when it was stopped


def test_two_at_once_and_another_question_are_refused(tmp_path: Path) -> None:
    out, dataset, go = tmp_path / "a.jsonl", few(tmp_path, 2), threading.Event()

    def reply(body: dict[str, Any]) -> bytes:
        go.wait(60)
        return made_up(body)

    upstream = Upstream(reply)
    with serving(upstream) as url:
        first = start(words_of(out, url, dataset=dataset))
        while not upstream.bodies:
            time.sleep(0.01)
        code, _, error = typed(words_of(out, url, dataset=dataset))
        assert (code, error) == (2, f"error: {out}.asked: another process is asking into it: wait for it, or stop it\n")
        go.set()
        assert finish(first)[0] == 0
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        code, _, error = typed(words_of(out, url, "--temperature", 0.5, "--n", 2, dataset=dataset))
    assert code == 2
    assert "another question" in error
    assert "temperature was 1.0, now 0.5; samples_per_prompt was 1, now 2" in error
    assert before == {path: path.read_bytes() for path in tmp_path.iterdir()}


BAD_OPTIONS = {
    "--out": ("--out", str(DEV)),
    "--chat-template": ("--chat-template", "x"),
    "--system-prompt": ("--system-prompt", "x", "--api", "completions"),
    "--stop": ("--stop", ""),
    "--model or --stop": ("--stop", b"\xff"),
    "--omit": ("--omit", "stop"),
    "--base-url": ("--base-url", "http://user:pass@127.0.0.1/v1"),
    "--view": ("--view", "chat_message"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_options_that_do_not_go_together(tmp_path: Path, name: str) -> None:
    words = words_of(tmp_path / "a.jsonl", "http://127.0.0.1:9/v1")
    code, said, error = typed([*words, *BAD_OPTIONS[name]])  # type: ignore[list-item]  # bytes are words too
    assert (code, said, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"error: {name}: ")


def test_a_prompt_that_cannot_be_sent_is_named(tmp_path: Path) -> None:
    dataset = tmp_path / "d.jsonl"
    dataset.write_text('{"id": "a", "prompt": "\\ud800", "expected_answer": 1}\n')
    code, said, error = typed(words_of(tmp_path / "a.jsonl", "http://127.0.0.1:9/v1", dataset=dataset))
    assert (code, said) == (2, "")
    assert error == f"error: {dataset}: 'a' holds half a character (a surrogate), and cannot be sent\n"
    assert list(tmp_path.iterdir()) == [dataset]


def test_an_address_where_nobody_listens_stops_the_command(tmp_path: Path) -> None:
    hurry = ("--attempts", 3, "--back-off", 0.01)
    code, said, error = typed(words_of(tmp_path / "a.jsonl", "http://127.0.0.1:9/v1", *hurry))
    assert (code, said) == (2, "")
    assert error == "error: http://127.0.0.1:9/v1: no connection: All connection attempts failed\n"
    assert not list(tmp_path.iterdir())
