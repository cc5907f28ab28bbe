"""How each claim of the ledger is measured: `course.claims` is the command, data/claims/claims.toml the claims.

The measurements call what the commands call: `run(settings) -> findings`.
"""
