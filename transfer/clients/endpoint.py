"""Any server that speaks OpenAI's protocol, asked through the `openai` package; what it answers is checked here.

A request is sent again after 429, 408, a 5xx, a time-out, a lost connection, or a body that is no valid answer. Any
other refusal is final: of the request, or of the command where nothing was answered yet, or key or model are refused.
So is an address where nobody listens, after all attempts.
The key comes from OPENAI_API_KEY and goes into the request's header, and nowhere else.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from course.core.files import InputError
from transfer.clients import About, Answer, Request, seed_of
from transfer.clients.back_off import PATIENCE, BackOff, retry_after
from transfer.clients.key import api_key, without_key
from transfer.clients.replies import RefusedError, TryAgainError, UnreachableError, failed, read, words_of
from transfer.clients.stopping import run_until_stopped

AGAIN, NEVER = {408, 409, 425, 429}, {401, 404}


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """An endpoint, and how it is asked. `options` are the further fields of each request, as they are sent."""

    base_url: str
    about: About
    api: str
    options: dict[str, Any]
    seed: int
    send_seed: bool
    system_prompt: str | None
    back_off: BackOff
    timeout: float
    parallel: int
    key: str = field(default_factory=api_key, repr=False)

    def answer(self, requests: Sequence[Request], record: Callable[[Answer], None], begun: bool) -> None:
        """Ask for all, `parallel` at a time; each answer is recorded as it comes. Raises InputError."""
        run_until_stopped(self.answer_all(iter(requests), record, begun))

    async def answer_all(self, requests: Iterator[Request], record: Callable[[Answer], None], begun: bool) -> None:
        from openai import AsyncOpenAI

        async def worker() -> None:
            nonlocal begun
            for request in requests:  # all workers draw from the one iterator
                try:
                    answer = await self.ask(client, request)
                    begun = begun or answer.error is None
                except RefusedError as refused:
                    if not begun or refused.status in NEVER:
                        said = "the server refuses: " if refused.status else ""
                        raise InputError(self.base_url, f"{said}{refused}") from None
                    answer = failed(request, str(refused), refused.attempts)
                record(answer)

        async with AsyncOpenAI(api_key=self.key, base_url=self.base_url, max_retries=0, timeout=self.timeout) as client:
            workers = [asyncio.ensure_future(worker()) for _ in range(self.parallel)]
            try:
                await asyncio.gather(*workers)
            finally:
                for task in workers:
                    task.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def ask(self, client: Any, request: Request) -> Answer:
        """One request, sent as often as it takes. Raises RefusedError."""
        draws = random.Random(seed_of("jitter", self.seed, request.sample, request.id))
        attempt, reason = 0, ""
        for attempt in range(1, self.back_off.attempts + 1):
            try:
                return read(await self.send(client, request), request, attempt, self.key)
            except RefusedError as refused:
                refused.attempts = attempt
                raise
            except TryAgainError as failure:
                reason, asked = str(failure), failure.asked
                if isinstance(failure, UnreachableError) and attempt == self.back_off.attempts:
                    raise RefusedError(reason, 0, attempt) from None
            if (asked or 0) > PATIENCE:
                reason = f"{reason}; the server asks to wait {asked:.0f} s"
                break
            if attempt < self.back_off.attempts:
                await asyncio.sleep(self.back_off.seconds(attempt, draws, asked))
        return failed(request, reason, attempt)

    async def send(self, client: Any, request: Request) -> bytes:
        """The body of the server's answer. Raises TryAgainError, RefusedError."""
        import httpx
        import openai

        seed = {"seed": seed_of(self.seed, request.sample, request.id)} if self.send_seed else {}
        fields = {"model": self.about.policy, **self.options, **seed}
        try:
            async with asyncio.timeout(self.timeout):  # of the whole answer: the package's own bounds each read
                if self.api == "chat":
                    create = client.chat.completions.with_raw_response.create
                    reply = await create(messages=self.messages(request.prompt), **fields)
                else:
                    reply = await client.completions.with_raw_response.create(prompt=request.prompt, **fields)
                return bytes(reply.content)
        except (TimeoutError, openai.APITimeoutError):
            raise TryAgainError(f"no answer within {self.timeout:g} s") from None
        except openai.APIStatusError as error:
            status, words = error.status_code, words_of(error.body) or error.response.reason_phrase
            reason = f"{status}: {without_key(words, self.key)}"
            if status >= 500 or status in AGAIN:
                raise TryAgainError(reason, retry_after(error.response.headers)) from None
            raise RefusedError(reason, status) from None
        except openai.OpenAIError as error:
            if isinstance(error.__cause__, httpx.ConnectError):
                raise UnreachableError(f"no connection: {without_key(error.__cause__, self.key)}") from None
            raise TryAgainError(f"connection lost: {without_key(error.__cause__ or error, self.key)}") from None

    def messages(self, prompt: str) -> list[dict[str, str]]:
        """A chat of one question."""
        system = [] if self.system_prompt is None else [{"role": "system", "content": self.system_prompt}]
        return [*system, {"role": "user", "content": prompt}]
