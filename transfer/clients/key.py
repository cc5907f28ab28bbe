"""What may be written down of where and how a server is asked: never the key, which comes from the environment."""

import os
import sys
from urllib.parse import urlsplit

from course.core.files import InputError
from transfer.clients import one_line

PLACEHOLDER = "none"  # servers on this machine want no key, and the package wants one
SHORTEST = 8  # characters; a shorter key is a placeholder too, as vLLM and Ollama are given, and may occur in any text


def api_key() -> str:
    """The key in OPENAI_API_KEY, or a placeholder. Raises InputError for one that an option holds or no header can."""
    key = os.environ.get("OPENAI_API_KEY") or PLACEHOLDER
    if not key.isascii() or not key.isprintable() or " " in key:
        raise InputError("OPENAI_API_KEY", "a key of printable ASCII without spaces is expected")
    if is_secret(key) and any(key in word for word in sys.argv):
        raise InputError("OPENAI_API_KEY", "an option holds the key, and options are written down: leave it out there")
    return key


def is_secret(key: str) -> bool:
    return len(key) >= SHORTEST


def without_key(words: object, key: str) -> str:
    """What a server said, in one line, the key struck out."""
    text = str(words)
    return one_line(text.replace(key, "[the API key]") if is_secret(key) else text)


def checked_url(url: str) -> str:
    """A base URL that may be written down. Raises InputError for one that holds a password or a key, or is no URL."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole:
        raise InputError("--base-url", "an http or https address is expected, such as http://127.0.0.1:8000/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        reason = "without user, password, `?` or `#`, for it is written down: the key belongs into OPENAI_API_KEY"
        raise InputError("--base-url", reason)
    return url.rstrip("/")
