"""Learning that was stopped goes on: the last good weights, kept whole or not at all."""

import io
from pathlib import Path
from typing import Any

import torch

from course.core.files import InputError, write_whole
from course.policy.core.model import Policy


def save_state(path: Path, policy: Policy, optimizer: torch.optim.Optimizer, **more: Any) -> None:
    """Keep the weights, the optimizer's state, and what else is needed to go on. Raises InputError."""
    buffer = io.BytesIO()
    torch.save({"policy": policy.state_dict(), "optimizer": optimizer.state_dict(), **more}, buffer)
    write_whole(path, buffer.getvalue())


def load_state(path: Path, policy: Policy, optimizer: torch.optim.Optimizer) -> dict[str, Any] | None:
    """Put kept weights in place, and return what else was kept; None if nothing was. Raises InputError."""
    if not path.exists():
        return None
    try:
        kept = torch.load(path, weights_only=True)
        policy.load_state_dict(kept.pop("policy"))
        optimizer.load_state_dict(kept.pop("optimizer"))
        return dict(kept)
    except Exception as error:  # torch raises whatever it likes on a damaged file
        raise InputError(path, f"not a state to go on from; delete it to begin anew: {error}") from None
