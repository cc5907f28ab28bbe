"""A copy of π0 that any client can ask: `transformers serve` frames what it is sent as π0's prompts are framed.

    python -m transfer.serve_pi0 --out served/pi0

π0 continues a prompt that ends in `<|answer|>`. Its own folder does not say so: a server would send it the bare prompt,
pick the likeliest token whatever the temperature, and answer a chat with an error 500. The copy has three things more:
a chat template, a post-processor that does the same for plain prompts, and sampling from all tokens as the default.
Shape and weights are the same bytes, so both have the same identity.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tokenizers import processors

from course.core.command_line import DONE, option, parse, run_command
from course.core.display import console, typed
from course.core.files import InputError, read_bytes, to_pretty_json, write_whole
from course.core.paths import PI0
from course.core.runs import outside_of_runs

TEMPLATE = Path(__file__).with_name("pi0_chat_template.jinja")
PLAIN = ("config.json", "model.safetensors")


@dataclass(frozen=True, kw_only=True)
class Settings:
    out: Path = option(help="the folder to write; it must be new or empty")
    policy: Path = option(PI0, "a checkpoint folder of this course")

    def check(self) -> None:
        outside_of_runs(self.out)
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise InputError("--out", f"a folder that is new or empty, which {self.out} is not")


def run(settings: Settings) -> Path:
    """Write the copy. Returns its folder. Raises InputError."""
    from course.policy.core import tokenizer as bpe
    from course.policy.core.sampling import MAX_NEW_TOKENS, load_checkpoint

    _, tokenizer = load_checkpoint(settings.policy)
    answer, end = (bpe.special_id(tokenizer, token) for token in (bpe.ANSWER, bpe.END))
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {bpe.ANSWER}", pair=None, special_tokens=[(bpe.ANSWER, answer)]
    )
    described = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": bpe.END,
        "pad_token": bpe.END,
        "clean_up_tokenization_spaces": False,
        "model_input_names": ["input_ids", "attention_mask"],
        "chat_template": read_bytes(TEMPLATE).decode(),
    }
    generation = {
        "do_sample": True,
        "top_k": 0,
        "max_new_tokens": MAX_NEW_TOKENS,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    write_whole(settings.out / "tokenizer.json", tokenizer.to_str(pretty=True).encode())
    write_whole(settings.out / "tokenizer_config.json", to_pretty_json(described))
    write_whole(settings.out / "generation_config.json", to_pretty_json(generation))
    for name in PLAIN:
        shutil.copyfile(settings.policy / name, settings.out / name)
    return settings.out


def main() -> int:
    settings = parse("transfer.serve_pi0", "Write a copy of pi0 that `transformers serve` can serve.", Settings)
    folder = run(settings)
    alone = "HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1"  # no hub; and threads cost more than they save on a model this small
    serve = f"transformers serve {typed(folder.resolve())} --host 127.0.0.1 --port 8000 --device cpu"
    console().print(f"written: {folder}", f"Next: {alone} {serve}", sep="\n")
    return DONE


if __name__ == "__main__":
    run_command(main)
