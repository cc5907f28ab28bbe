"""The server of the rooms: for this machine alone, and for pages of its own."""

import http.client
import os
import socket
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from explore.show import ROOMS
from explore.tests.conftest import PORT, House, start, stop
from tests.conftest import ROOT, copy_repository

POLICY = "content-security-policy"


def ask(house: House, path: str, **headers: str) -> http.client.HTTPResponse:
    """Ask for a path, with headers in the place of the usual ones."""
    where = urllib.parse.urlsplit(house.address)
    connection = http.client.HTTPConnection(str(where.hostname), where.port, timeout=20)
    connection.putrequest("GET", path, skip_host="Host" in headers)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


@pytest.mark.parametrize("path", ["/", *(f"/{name}/" for name in ROOMS)])
def test_other_hosts_and_other_origins_are_refused(house: House, path: str) -> None:
    own = house.address.removeprefix("http://")
    assert ask(house, path).status == 200
    assert ask(house, path, Origin=house.address).status == 200
    for headers in (
        {"Host": "evil.example"},
        {"Host": f"evil.example:{PORT}"},
        {"Host": ""},
        {"Host": f"{own}.evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": f"http://localhost:{PORT + 1}"},
    ):
        refused = ask(house, path, **headers)
        assert refused.status == 403, headers
        assert refused.getheader("access-control-allow-origin") is None


def test_another_sites_page_gets_no_websocket(house: House) -> None:
    address = house.address.replace("http", "ws") + "/push/ws?session_id=s_attack"
    with pytest.raises(InvalidStatus) as refused:
        connect(address, origin=Origin("http://evil.example"))
    assert refused.value.response.status_code == 403


@pytest.mark.parametrize("path", ["/", "/style.css", "/push/", "/nothing", "/docs/diagrams/goodhart.png"])
def test_every_answer_forbids_to_ask_anyone_else(house: House, path: str) -> None:
    policy = str(ask(house, path).getheader(POLICY))
    assert policy.startswith("default-src 'self';")
    addresses = {word for word in policy.replace(";", " ").split() if "/" in word}
    assert addresses == {house.address.replace("http", "ws")}, "no other server is named"


@pytest.mark.parametrize(
    "path", ["/docs/diagrams/../README.md", "/docs/diagrams/%2e%2e/%2e%2e/README.md", "/docs/diagrams//etc/passwd"]
)
def test_no_path_leads_out_of_what_is_served(house: House, path: str) -> None:
    assert ask(house, path).status == 404


def test_it_listens_on_the_loopback_address_alone(house: House) -> None:
    port = urllib.parse.urlsplit(house.address).port
    with socket.socket() as taken:  # whoever listened on every address would have this one too
        taken.bind(("127.0.0.2", port))


def test_a_taken_port_gives_the_next_and_ctrl_c_ends_it_with_a_page_open(house: House) -> None:
    second = start(house.folder, urllib.parse.urlsplit(house.address).port or 0)
    assert second.address != house.address
    with connect(second.address.replace("http", "ws") + "/push/ws?session_id=s_open") as page:
        page.recv(timeout=20)
        assert stop(second) == ""


def test_no_free_port_is_said_in_one_line(tmp_path: Path) -> None:
    taken = [socket.socket() for _ in range(20)]
    try:
        for number, each in enumerate(taken):
            each.bind(("127.0.0.1", 29_000 + number))
            each.listen()
        done = explore(ROOT, "--port", "29000")
    finally:
        for each in taken:
            each.close()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: --port: none of the 20 ports from 29000 on is free\n"


def explore(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "explore", "--no-browser", *words]
    environment = {**os.environ, **variables}
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_without_marimo_one_line_says_how_to_install_it(tmp_path: Path) -> None:
    copy_repository(tmp_path)
    block = tmp_path / "block"
    block.mkdir()
    hidden = "importlib.util.find_spec = lambda name: None if name == 'marimo' else real(name)\n"
    code = f"import importlib.util\nreal = importlib.util.find_spec\n{hidden}"
    (block / "sitecustomize.py").write_text(code, encoding="utf-8")
    done = explore(tmp_path, PYTHONPATH=f"{block}{os.pathsep}{tmp_path}")
    assert (done.returncode, done.stdout) == (2, "")
    install = "python -m pip install -c constraints.txt -e '.[policy,explore]'"
    assert done.stderr == f"error: marimo not found, which the rooms are made of. Install: {install}\n"


def test_a_room_is_at_most_150_lines() -> None:
    for name in ROOMS:
        assert len((ROOT / "explore" / f"{name}.py").read_text(encoding="utf-8").splitlines()) <= 150, name
