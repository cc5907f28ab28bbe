"""RL Foundations for LLMs: one scorer, three loops, measured."""
