"""Short runnable examples of the scorer in each stack: python -m transfer.examples.trl_grpo, and so on."""
