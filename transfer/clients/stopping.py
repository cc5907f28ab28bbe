"""asyncio, ended by Ctrl-C between two steps: an interrupt that is raised inside a step may be lost in a library."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from typing import Any

from course.core.command_line import STOPPING


def run_until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Like `asyncio.run`; a signal cancels the work, and is handled when all of it has ended."""
    handlers = {number: signal.getsignal(number) for name in STOPPING if (number := getattr(signal, name, None))}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    received: list[signal.Signals] = []

    async def watched() -> None:
        task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()

        def stop(number: signal.Signals) -> None:
            received.append(number)
            task.cancel()

        for number in handlers:  # Windows has no such handlers, nor has any thread but the main one
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, stop, number)
        try:
            await task
        except asyncio.CancelledError:
            if not received:
                raise

    try:
        asyncio.run(watched())
    finally:
        for number, handler in handlers.items():
            with contextlib.suppress(ValueError):
                signal.signal(number, handler)
    if received:
        signal.raise_signal(received[-1])
