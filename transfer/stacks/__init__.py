"""The scorer in real stacks: one file each, to copy or to import. No scoring happens here; `batch_score` is the way."""
