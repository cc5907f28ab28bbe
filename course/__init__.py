"""RL Foundations for LLMs: one scorer, three loops, measured."""

import importlib.util
import sys

if missing := [
    name
    for name in ("jinja2", "matplotlib", "msgspec", "numpy", "rich", "tokenizers")
    if not importlib.util.find_spec(name)
]:
    print(
        f"error: {', '.join(missing)} not found. Activate the environment first: . .venv/bin/activate"
        "  (Windows: .venv\\Scripts\\activate); if there is none yet, README.md says how to make it.",
        file=sys.stderr,
    )
    sys.exit(2)
