"""What the commands are built from: imported, never typed."""

import importlib.util
import sys

PACKAGES = ("jinja2", "matplotlib", "msgspec", "numpy", "rich", "tokenizers")


def require(packages: tuple[str, ...], advice: str) -> None:
    """Say in one line which packages are missing: a command that was typed ends, an import raises."""
    missing = [name for name in packages if not importlib.util.find_spec(name)]
    if not missing:
        return
    reason = f"{', '.join(missing)} not found{advice}"
    main = getattr(sys.modules["__main__"].__spec__, "name", "")
    if sys.argv[:1] == ["-m"] or main.split(".")[0] == "course":  # while Python looks the command up, and when it runs
        print(f"error: {reason}", file=sys.stderr)
        sys.exit(2)
    raise ModuleNotFoundError(reason)


require(
    PACKAGES,
    ". Activate the environment first: . .venv/bin/activate  (Windows: .venv\\Scripts\\activate);"
    " if there is none yet, README.md says how to make it.",
)
