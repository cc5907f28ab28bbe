"""A student's code in a process of its own, with a time limit.

A loop without end, a crash or `sys.exit` ends that process, and not the command that grades. It is no protection
against code that means harm: the process may read and write whatever its user may.
"""

import os
import subprocess
import sys
from collections.abc import Mapping

from course.core.paths import ROOT


def run_python(
    *words: object, seconds: float, folder: object = ROOT, given: str = "", environment: Mapping[str, str] | None = None
) -> tuple[bool, str, str]:
    """Run `python WORDS` in a folder, with some text as its input and some variables added to the environment.

    Returns how it ended: did it succeed, what did it print, and the ending in one line.
    """
    try:
        done = subprocess.run(
            [sys.executable, *map(str, words)],
            cwd=str(folder),
            env={**os.environ, **(environment or {})},
            input=given,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return False, "", f"not done after {seconds:g} seconds"
    shown = done.stderr.strip() or done.stdout.strip() or "it stopped the program"
    return done.returncode == 0, done.stdout, shown.splitlines()[-1]
