"""Where a stack is run: the main thread, a worker thread, another process, inside a running event loop."""

import asyncio
import inspect
import os
import warnings
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

from transfer.proving.machinery import STACKS, Examples, Scored, Texts

# Libraries print bars and notices of their own, and some would ask the network for what lies here already.
QUIET = {
    "TQDM_DISABLE": "1",
    "INSPECT_DISPLAY": "none",
    "TRANSFORMERS_VERBOSITY": "error",
    "HF_HUB_OFFLINE": "1",
}


def begin(stack: str, texts: Texts, examples: Examples) -> Scored | Awaitable[Scored]:
    """What a stack makes of the texts; of an asynchronous stack, a coroutine."""
    os.environ.update(QUIET)
    return STACKS[stack].score(texts, examples)


async def awaited(made: Scored | Awaitable[Scored]) -> Scored:
    return await made if inspect.isawaitable(made) else made


def in_this_thread(stack: str, texts: Texts, examples: Examples) -> Scored:
    """Called plainly: only an asynchronous stack gets an event loop."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = begin(stack, texts, examples)
        return asyncio.run(awaited(made)) if inspect.isawaitable(made) else made


def in_event_loop(stack: str, texts: Texts, examples: Examples) -> Scored:
    """Called by a coroutine, as in a server or an asynchronous trainer."""

    async def inside() -> Scored:
        return await awaited(begin(stack, texts, examples))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return asyncio.run(inside())


def elsewhere(executor: Callable[[], Executor]) -> Callable[[str, Texts, Examples], Scored]:
    """Called plainly in the one worker of an executor."""

    def run(stack: str, texts: Texts, examples: Examples) -> Scored:
        with executor() as worker:
            return worker.submit(in_this_thread, stack, texts, examples).result()

    return run


PLACES: dict[str, Callable[[str, Texts, Examples], Scored]] = {
    "main thread": in_this_thread,
    "worker thread": elsewhere(lambda: ThreadPoolExecutor(1)),
    "another process": elsewhere(lambda: ProcessPoolExecutor(1, mp_context=get_context("spawn"))),
    "event loop": in_event_loop,
}
