"""Faults and kills lose no answer, and change none."""

import json
import multiprocessing
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from course.core.command_line import run_command
from transfer.ask import main
from transfer.clients import seed_of
from transfer.tests.asking import DEV, KEY, few, rows_of, typed, words_of
from transfer.tests.faults import FaultProxy
from transfer.tests.server import made_up, send, serving

KILLS, PARALLEL, SAMPLES = 50, 8, 8
QUICK = ("--back-off", 0.02, "--attempts", 12, "--parallel", PARALLEL)


def fetch(_: str, body: bytes) -> bytes:
    """The model behind the proxy: quick, and sure of its answers."""
    return made_up(json.loads(body))


def without_faults(folder: Path, dataset: Path, n: int) -> bytes:
    """What is written where nothing goes wrong."""
    with serving(lambda handler, body: send(handler, 200, fetch("", body))) as url:
        out = folder / "whole" / "answers.jsonl"
        code, _, error = typed(words_of(out, url, "--n", n, dataset=dataset))
    assert (code, error) == (0, "")
    return out.read_bytes()


def test_faults_in_a_third_of_all_calls_change_nothing(tmp_path: Path) -> None:
    dataset, out, proxy = few(tmp_path, 60), tmp_path / "answers.jsonl", FaultProxy(fetch, hang=4)
    with proxy.open() as url:
        code, _, error = typed(words_of(out, url, "--n", 2, *QUICK, "--timeout", 2, dataset=dataset))
    assert (code, error) == (0, "")
    assert out.read_bytes() == without_faults(tmp_path, dataset, 2)
    assert len(proxy.handed_over) == 120
    assert set(proxy.handed_over.values()) == {1}  # nothing was asked for again once it was answered
    assert all(proxy.spoilt[kind] for kind in proxy.KINDS)
    rows = rows_of(tmp_path / "answers.jsonl.asked")[1:]
    assert sum(row.get("attempts", 1) - 1 for row in rows) == proxy.spoilt.total() - proxy.spoilt[""]


def in_a_fork(words: list[str]) -> None:
    """The command as it is typed, in a process that had loaded its packages beforehand."""
    os.environ["OPENAI_API_KEY"] = KEY
    sys.argv = words[2:]
    run_command(main)


def grown_to(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size >= size


def test_fifty_kills_lose_nothing_and_ask_for_nothing_that_is_on_disk(tmp_path: Path) -> None:
    """A kill may strike between a server's answer and our disk: such an answer is asked for again, and no other."""
    out, journal, rng, proxy = tmp_path / "a.jsonl", tmp_path / "a.jsonl.asked", random.Random(0), FaultProxy(fetch)
    keys = {row["id"]: row["prompt"] for row in rows_of(DEV)}
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["openai", "transfer.ask"])
    began = time.monotonic()
    with proxy.open() as url:
        words = words_of(out, url, "--n", SAMPLES, *QUICK, "--timeout", 0.5)
        for _ in range(KILLS):
            kept = journal.read_bytes() if journal.exists() else b""
            lines: list[dict[str, Any]] = [json.loads(line) for line in kept.split(b"\n")[1:-1]]
            answered = {(keys[line["id"]], seed_of(0, line["sample"], line["id"])) for line in lines}
            calls_before = len(proxy.calls)
            process: Any = forks.Process(target=in_a_fork, args=(words,))
            process.start()
            size = len(kept) + rng.randrange(4000)
            while not grown_to(journal, size) and process.is_alive():
                time.sleep(0.001)
            time.sleep(rng.random() * 0.03)
            process.kill()
            process.join()
            assert process.exitcode == -9  # it was under way
            assert (journal.read_bytes() if journal.exists() else b"").startswith(kept[: kept.rfind(b"\n") + 1])
            assert answered.isdisjoint(proxy.calls[calls_before:])  # what is on disk is never asked for again
        code, _, error = typed(words)
    assert (code, error) == (0, "")
    seconds = time.monotonic() - began
    assert out.read_bytes() == without_faults(tmp_path, DEV, SAMPLES)
    assert len(proxy.handed_over) == len(keys) * SAMPLES
    lost_on_the_way = proxy.handed_over.total() - len(proxy.handed_over)
    assert lost_on_the_way <= KILLS * PARALLEL  # what was under way when a kill struck
    print(f"{KILLS} kills, {proxy.spoilt.total()} calls, {seconds:.0f} s, {lost_on_the_way} answers lost on the way")
    assert KEY.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
