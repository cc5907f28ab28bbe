"""Where things lie in the checkout. Imports nothing of ours."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEAL = ROOT / "course" / "seal.json"
DATA = ROOT / "data"
TRAIN, DEV, HOLDOUT = (DATA / "datasets" / f"math_{split}.jsonl" for split in ("train", "dev", "holdout"))
FROZEN, PACK = (DATA / "rollouts" / f"{name}_dev.jsonl" for name in ("frozen_rollouts", "selection_pack"))
GOLDEN = DATA / "golden"
KATA = DATA / "kata"
PI0 = DATA / "policy" / "pi0"
MERGED_DIGITS = DATA / "policy" / "merged_digits"
GOODHART_CURVE = DATA / "measured" / "goodhart_tolerant.jsonl"
NOTES = ROOT / "notes"
YOUR_EXPLOITS = NOTES / "golden_exploits.jsonl"  # the student's part of the golden gate
RUNS = Path("runs")  # below the folder where a command is typed
