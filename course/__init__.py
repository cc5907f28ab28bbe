"""RL Foundations for LLMs: one scorer, three loops, measured.

`from course.score import score` needs the standard library alone; everything else says which packages it lacks.
"""

import _signal  # type: ignore[import-not-found]  # `signal` imports for so long that Ctrl-C would strike in it
import sys

if sys.argv[:1] == ["-m"]:  # Python looks a typed module up: is it one of ours, which says in one line what it lacks?
    words = zip(sys.orig_argv, sys.orig_argv[1:], strict=False)
    if next((word for flag, word in words if flag[0] + flag[-1] == "-m"), "").split(".")[0] == "course":
        if _signal.getsignal(_signal.SIGINT) == _signal.default_int_handler:
            _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # Ctrl-C while it loads: there is nothing to clean up yet
        from course import core as core
