"""TRL's GRPOTrainer itself trains π0 for two steps and logs: python -m transfer.tests.logs_by_trl FOLDER."""

import sys
from pathlib import Path
from typing import Any

import datasets
import transformers
import trl

from course.core.datasets import ExampleRow, load_dataset
from course.core.files import to_json_lines
from course.core.paths import PI0, TRAIN
from course.policy.core import tokenizer as bpe
from course.score import score

PROMPTS, GENERATIONS = 8, 4


def reward(completions: list[str], expected_answer: list[int], log_extra: Any, **_: Any) -> list[float]:
    log_extra("gold", [str(answer) for answer in expected_answer])
    pairs = zip(completions, expected_answer, strict=True)
    return [score({"expected_answer": answer}, text)["reward"] for text, answer in pairs]


def main(folder: Path) -> None:
    fast: Any = transformers.PreTrainedTokenizerFast
    processing = fast(tokenizer_object=bpe.load(PI0), eos_token=bpe.END, pad_token=bpe.END, padding_side="left")
    examples = list(load_dataset(TRAIN).examples.values())[:PROMPTS]
    rows = [ExampleRow(e["id"], e["prompt"] + bpe.ANSWER, e["expected_answer"], e["metadata"]) for e in examples]
    (folder / "asked_train.jsonl").write_bytes(to_json_lines(rows))
    made: Any = trl
    config = made.GRPOConfig(
        output_dir=str(folder),
        per_device_train_batch_size=PROMPTS // 2 * GENERATIONS,
        num_generations=GENERATIONS,
        max_completion_length=16,
        max_steps=2,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
        logging_steps=1,
        log_completions=True,
        report_to=[],
        disable_tqdm=True,
        seed=0,
    )
    trainer = made.GRPOTrainer(
        model=transformers.LlamaForCausalLM.from_pretrained(PI0),
        reward_funcs=reward,
        args=config,
        train_dataset=datasets.Dataset.from_list(
            [{"prompt": row.prompt, "expected_answer": row.expected_answer} for row in rows]
        ),
        processing_class=processing,
    )
    trainer.train()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
