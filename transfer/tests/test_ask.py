"""The command: what it sends, what it keeps, what it refuses, and how it ends."""

import json
import random
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from course.core.datasets import load_dataset, load_sidecar
from course.core.files import InputError, sha256
from course.core.measurement import Measurement
from transfer.clients import seed_of
from transfer.clients.back_off import LONGEST, BackOff, retry_after
from transfer.clients.key import checked_url
from transfer.tests.asking import DEV, KEY, few, finish, rows_of, start, typed, words_of
from transfer.tests.server import chat_body, made_up, refuse, send, serving

HOSTILE = "\x1b[2J\r\nFinal: \ud800\u202e 7\x00"


class Upstream:
    """Answers each call as `reply` says, and remembers what it was asked."""

    def __init__(self, reply: Any = made_up) -> None:
        self.reply, self.bodies, self.keys = reply, list[dict[str, Any]](), set[str | None]()

    def __call__(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        self.bodies.append(json.loads(body))
        self.keys.add(handler.headers["Authorization"])
        send(handler, 200, self.reply(self.bodies[-1]))


def test_what_is_sent_and_what_is_written_down(tmp_path: Path) -> None:
    upstream, dataset, out, system = Upstream(), few(tmp_path, 5), tmp_path / "a b.jsonl", tmp_path / "system.txt"
    system.write_text("Be brief.")
    knobs = ("--n", 2, "--temperature", 0.5, "--top-p", 0.9, "--seed", 7, "--stop", "\n", "--system-prompt", system)
    with serving(upstream) as url:
        code, said, error = typed(words_of(out, url, *knobs, "--limit-name", "max_completion_tokens", dataset=dataset))
    assert (code, error) == (0, "")
    examples = load_dataset(dataset).examples
    keys = [(example, sample) for example in examples for sample in (0, 1)]
    fixed = {"model": "m", "temperature": 0.5, "top_p": 0.9, "max_completion_tokens": 16, "stop": ["\n"]}
    expected = [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": examples[example]["prompt"]},
            ],
            "seed": seed_of(7, sample, example),
            **fixed,
        }
        for example, sample in keys
    ]
    assert sorted(upstream.bodies, key=str) == sorted(expected, key=str)
    assert upstream.keys == {f"Bearer {KEY}"}
    assert [(row["id"], row["sample"]) for row in rows_of(out)] == keys  # in the order of the data set
    sidecar = load_sidecar(out)
    assert sidecar is not None
    assert (sidecar.policy, sidecar.policy_sha256) == ("m", sha256(f"m at {url}".encode()))
    assert (sidecar.system_prompt, sidecar.view) == ("Be brief.", "whole 1")
    assert sidecar.sampling.request == {"api": "chat", "stop": ["\n"]}
    measured = list(Measurement(dataset, out))  # the course reads it, and finds sidecar, prompts and samples in order
    assert len(measured) == 10
    assert said.splitlines()[-1] == f"Next: python -m course.eval --dataset {dataset} --completions '{out}'"


def test_what_a_server_refuses_can_be_left_out_and_is_not_recorded(tmp_path: Path) -> None:
    upstream, out = Upstream(lambda _: chat_body("Final: 1")), tmp_path / "a.jsonl"
    with serving(upstream) as url:
        typed(words_of(out, url, "--omit", "seed", "temperature", "--omit", "top_p", dataset=few(tmp_path, 3)))
    assert all(set(body) == {"model", "messages", "max_tokens"} for body in upstream.bodies)
    sampling = load_sidecar(out).sampling  # type: ignore[union-attr]
    assert (sampling.seed, sampling.temperature, sampling.top_p, sampling.max_new_tokens) == (None, None, None, 16)


def test_an_answer_without_a_text_is_a_failed_one_with_its_reason(tmp_path: Path) -> None:
    bodies = [
        chat_body(None, "length", reasoning_content="So far"),
        chat_body("x", refusal="I will not.\nEver."),
        chat_body(HOSTILE, "length"),
        chat_body("thinks\n\nFinal: 4"),
    ]
    dataset, out, left = few(tmp_path, 4), tmp_path / "a.jsonl", list(bodies)
    upstream = Upstream(lambda _: left.pop(0))
    with serving(upstream) as url:
        view = ("--parallel", 1, "--view", "last_line")
        code, said, error = typed(words_of(out, url, *view, dataset=dataset))
        assert (code, error) == (0, "")
        assert said.splitlines()[1].split() == ["4", "4", "2", "2", "0", "2"]
        rows = rows_of(out)
        assert [row["completion"] for row in rows] == [None, None, "Final: \ud800\u202e 7\x00", "Final: 4"]
        assert rows[0]["error"] == "no text came (finish_reason length)"
        assert rows[0]["metadata"] == {"reasoning": "So far"}
        assert rows[1]["error"] == "the model refused: I will not. Ever. (finish_reason stop)"
        assert [row["metadata"].get("whole") for row in rows[2:]] == [HOSTILE, "thinks\n\nFinal: 4"]
        assert [result.code for result in Measurement(dataset, out)][:2] == ["failed_request"] * 2
        typed(words_of(out, url, *view, dataset=dataset))
        assert len(upstream.bodies) == 4  # typed again, the command asks nothing
        left[:] = [chat_body("Final: 1"), chat_body("Final: 2")]
        _, said, _ = typed(words_of(out, url, *view, "--again", dataset=dataset))
        assert said.splitlines()[1].split() == ["4", "2", "4", "0", "0", "1"]
        assert [row["completion"] for row in rows_of(out)][:2] == ["Final: 1", "Final: 2"]
        code, said, _ = typed(words_of(out, url, dataset=dataset))  # another view of what was said asks nothing
        assert [row["completion"] for row in rows_of(out)][3] == "thinks\n\nFinal: 4"
        assert len(upstream.bodies) == 6


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


def test_the_key_is_in_the_header_and_nowhere_else(tmp_path: Path) -> None:
    escaped = "".join(f"\\u{ord(character):04x}" for character in KEY).encode()
    bodies = [chat_body(f"Final: {KEY}"), chat_body("?").replace(b"?", escaped), chat_body("1", finish_reason=KEY)]
    dataset, out = few(tmp_path, 4), tmp_path / "a.jsonl"
    bodies.append(chat_body(None, refusal=KEY))
    with serving(Upstream(lambda _: bodies.pop())) as url:
        code, said, error = typed(words_of(out, url, dataset=dataset))
        assert code == 0
        in_an_option = typed(words_of(out, url, "--stop", KEY, dataset=dataset))
    assert in_an_option[0] == 2
    assert "OPENAI_API_KEY: an option holds the key" in in_an_option[2]
    assert [row["completion"] for row in rows_of(out)] == [None] * 4
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert KEY not in said + error + "".join(in_an_option[1:]) + written.decode()


@pytest.mark.parametrize(
    "url",
    ["http://u:hunter2@h/v1", "http://h/v1?key=hunter2", "https://h/#hunter2", "hunter2", "http://", "http://[", ""],
)
def test_a_url_that_holds_a_secret_or_is_none_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InputError) as refused:
        checked_url(url)
    assert "hunter2" not in str(refused.value)


def test_ctrl_c_ends_in_one_line_and_the_same_command_goes_on(tmp_path: Path) -> None:
    out, slow = tmp_path / "a.jsonl", threading.Event()

    def reply(body: dict[str, Any]) -> bytes:
        slow.wait(0.02)
        return made_up(body)

    upstream = Upstream(reply)
    with serving(upstream) as url:
        for stops in range(1, 6):
            process = start(words_of(out, url, "--parallel", 3))
            while len(upstream.bodies) < 12 * stops:
                time.sleep(0.005)
            process.send_signal(signal.SIGINT)
            code, said, error = finish(process)
            assert (code, said) == (130, ""), error
            assert error.count("\n") == 1
            assert error.startswith("stopped: ")
            assert "of 200 requests are done, and the same command goes on from there" in error
        slow.set()
        code, said, error = typed(words_of(out, url, "--parallel", 3))
    assert (code, error) == (0, "")
    assert len(rows_of(out)) == 200
    assert len(upstream.bodies) <= 200 + 5 * 3  # what was under way when it was stopped


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


BAD_OPTIONS = {
    "--out": ("--out", str(DEV)),
    "--chat-template": ("--chat-template", "x"),
    "--system-prompt": ("--system-prompt", "x", "--api", "completions"),
    "--stop": ("--stop", ""),
    "--view": ("--view", "chat_message"),
}


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_options_that_do_not_go_together(tmp_path: Path, name: str) -> None:
    code, said, error = typed(words_of(tmp_path / "a.jsonl", "http://127.0.0.1:9/v1", *BAD_OPTIONS[name]))
    assert (code, said, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"error: {name}: ")
