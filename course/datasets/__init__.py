"""What an example and a completion are, how files of them are loaded, and the commands that make them.

from course.datasets import load_dataset
dataset = load_dataset(Path("data/datasets/math_dev.jsonl"))
dataset.examples["dev-0001"]["expected_answer"]
"""

from course.core.datasets import Completion, CompletionsFile, Dataset, Example, Sampling, Sidecar, load_dataset

__all__ = ["Completion", "CompletionsFile", "Dataset", "Example", "Sampling", "Sidecar", "load_dataset"]
