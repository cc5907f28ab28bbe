"""Every command of docs/transfer.md, typed in its order, in an empty copy of the repository."""

import re
from pathlib import Path

from tests.conftest import commands_of, copy_repository, type_in

INSTALLS = re.compile(r"python -m (venv|pip) |\. \.venv-transfer/")  # what `make transfer` has done


def test_every_command_of_the_page_runs_in_its_order(tmp_path: Path) -> None:
    clone, said = copy_repository(tmp_path), {}
    (clone / "runs").mkdir(exist_ok=True)
    try:
        for line in commands_of("docs/transfer.md"):
            if INSTALLS.match(line):
                continue
            done = type_in(clone, line)
            refused = line == "python -m course.compare runs/run_001 runs/run_002 runs/run_003"
            assert done.returncode == refused, f"{line}\n{done.stdout}{done.stderr}"
            said[line.split()[2] if line.startswith("python -m") else line] = done.stdout
    finally:
        type_in(clone, "kill $(cat runs/served/pid)")
    assert "temperature: " in said["course.compare"]
    assert "rows in 200 = rows out 200 + rows refused 0" in said["transfer.read"]
    assert "332/1600" in said["transfer.score_many"]
