"""YOURS, and optional: the scorer written from its specification, docs/spec.md. It stands here unwritten.

    python -m course.golden --scorer notes/my_score.py

Do not open course/score.py before you are done. Reward: 1.0 or 0.0. The `code` in `details` is None where the reward is
1.0, and otherwise says in a word of your own why it is not.
"""


def score(example: dict, completion: object) -> dict:
    """The reward of a completion, any object, of an example with its `expected_answer`."""
    return {"reward": 0.0, "details": {"code": "not_written_yet"}}
