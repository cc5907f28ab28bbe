"""Who is asked, and how: the options, and the client that they make."""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from course.core.command_line import option
from course.core.datasets import MOST_SAMPLES, Sampling
from course.core.files import InputError
from course.datasets.describe import identity, text_of
from transfer.clients import About, Client, is_text
from transfer.clients.back_off import BackOff
from transfer.clients.endpoint import Endpoint
from transfer.clients.key import checked_url

KNOBS = ("temperature", "top_p", "max_new_tokens", "seed")
LIMITS = ("max_tokens", "max_completion_tokens")
APIS = ("chat", "completions")


@dataclass(frozen=True, kw_only=True)
class Asking:
    model: str = option(help="the model's name at the endpoint, or a model folder")
    base_url: str | None = option(None, "the endpoint, such as http://127.0.0.1:8000/v1; its key: OPENAI_API_KEY")
    n: int = option(1, "samples for each prompt", at_least=1, at_most=MOST_SAMPLES)
    temperature: float = option(1.0, "0 is greedy", at_least=0, at_most=1e6)
    top_p: float = option(1.0, "nucleus sampling; 1 keeps every token", above=0, at_most=1)
    max_new_tokens: int = option(512, "tokens of an answer", at_least=1)
    seed: int = option(0, "of every random number; each request gets a seed of its own, made from it", at_least=0)
    omit: tuple[str, ...] = option(
        (), f"what the endpoint refuses, so it is not sent: {', '.join(KNOBS)}", choices=KNOBS
    )
    limit_name: str = option("max_tokens", f"what the endpoint calls the limit: {' or '.join(LIMITS)}", choices=LIMITS)
    stop: tuple[str, ...] = option((), "texts that end an answer")
    system_prompt: Path | None = option(None, "a text file: what the model is told before each prompt")
    api: str = option("chat", "chat: the prompt is a message; completions: it is continued as it stands", choices=APIS)
    chat_template: Path | None = option(None, "a chat template for a model folder, in place of its own")
    checkpoint: Path | None = option(None, "a file whose hash identifies an endpoint's model, for example its weights")
    parallel: int = option(8, "requests at a time; of a model folder, answers in a batch", at_least=1, at_most=1024)
    attempts: int = option(6, "how often a request is sent until it has failed", at_least=1, at_most=100)
    back_off: float = option(1.0, "seconds before the second attempt, and twice as many before each next", above=0)
    timeout: float = option(120.0, "seconds that an answer may take", above=0)

    def check(self) -> None:
        folder, endpoint = "it is of a model folder; an endpoint has its own", "it is of an endpoint, see --base-url"
        if self.base_url is not None:
            checked_url(self.base_url)
            if self.chat_template is not None:
                raise InputError("--chat-template", folder)
        elif self.omit or self.checkpoint is not None:
            raise InputError("--omit" if self.omit else "--checkpoint", endpoint)
        if self.system_prompt is not None and self.api == "completions":
            raise InputError("--system-prompt", "a prompt that is continued as it stands has no place for it")
        if "" in self.stop:
            raise InputError("--stop", "an empty text stands everywhere")
        if not is_text("".join((self.model, *self.stop))):
            raise InputError("--model or --stop", "not UTF-8 text")


def sampling_of(settings: Asking) -> Sampling:
    """The knobs that were set; None for what is left to the server."""
    knobs = {name: None if name in settings.omit else getattr(settings, name) for name in KNOBS}
    request = {"stop": list(settings.stop)} if settings.stop else {}
    return Sampling(**knobs, samples_per_prompt=settings.n, request=request)


def client_of(settings: Asking, sampling: Sampling, system: str | None) -> Client:
    """Who is asked. Raises InputError."""
    if settings.base_url is not None:
        return endpoint_of(settings, sampling, system, checked_url(settings.base_url))
    from transfer.clients.local import LocalModel

    template = None if settings.chat_template is None else text_of(settings.chat_template)
    folder, plain = Path(settings.model), settings.api == "completions"
    return LocalModel(folder, sampling, plain=plain, system=system, template=template, batch=settings.parallel)


def endpoint_of(settings: Asking, sampling: Sampling, system: str | None, url: str) -> Endpoint:
    """The endpoint at a URL. Raises InputError."""
    sent = {"temperature": sampling.temperature, "top_p": sampling.top_p, settings.limit_name: sampling.max_new_tokens}
    about = About(
        policy=settings.model,
        policy_sha256=identity(settings.checkpoint, f"{settings.model} at {url}"),
        tokenizer_sha256=identity(None, "the tokenizer that the policy brings"),
        versions={"openai": openai_version()},
        request={"api": settings.api, **sampling.request},
    )
    return Endpoint(
        base_url=url,
        about=about,
        api=settings.api,
        options={**{name: value for name, value in sent.items() if value is not None}, **sampling.request},
        seed=settings.seed,
        send_seed=sampling.seed is not None,
        system_prompt=system,
        back_off=BackOff(first=settings.back_off, attempts=settings.attempts),
        timeout=settings.timeout,
        parallel=settings.parallel,
    )


def openai_version() -> str:
    """Raises InputError where the package is missing."""
    try:
        return version("openai")
    except PackageNotFoundError:
        raise InputError("openai", "missing: pip install -r transfer/requirements-ask.txt") from None
