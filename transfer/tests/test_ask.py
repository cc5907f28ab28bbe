"""The command: what it sends, what it keeps, and what it writes down."""

from pathlib import Path

import pytest

from course.core.datasets import load_dataset, load_sidecar
from course.core.files import InputError, sha256
from course.core.measurement import Measurement
from transfer.clients import seed_of
from transfer.clients.key import checked_url
from transfer.tests.asking import KEY, few, rows_of, typed, words_of
from transfer.tests.server import Upstream, chat_body, serving

HOSTILE = "\x1b[2J\r\nFinal: \ud800\u202e 7\x00"


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
