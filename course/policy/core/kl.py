"""How far a policy is from its reference: three estimates of KL(π ‖ π_ref) from the policy's own samples."""

import torch
from torch import Tensor

from course.policy.core.model import Policy
from course.policy.core.rollouts import Rollouts, chosen_logprobs, next_token_logprobs


def k1(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    """log π - log π_ref of sampled tokens: unbiased for KL(π ‖ π_ref), and may be negative (Schulman 2020)."""
    return log_policy - log_reference


def k3(log_policy: Tensor, log_reference: Tensor) -> Tensor:
    """exp(log π_ref - log π) - (log π_ref - log π) - 1: unbiased too, and never negative (Schulman 2020).

    Quiet while the policies are close. Where the policy has left behind what the reference liked, a rare token's
    exp() outweighs all the others, and the mean of few samples says little.
    """
    ratio = log_reference - log_policy
    return ratio.exp() - ratio - 1


def kl_by_token(logprobs: Tensor, reference: Tensor) -> Tensor:
    """KL(π ‖ π_ref) of the next token, summed exactly over the vocabulary: (M, V) twice to (M,).

    Its sum over a sampled completion is k1 with the choice of each token averaged out, so unbiased and less noisy
    (Rao-Blackwell; Amini et al. 2025).
    """
    return (logprobs.exp() * (logprobs - reference)).sum(-1)


def kl_from_reference(policy: Policy, reference: Policy, rollouts: Rollouts) -> dict[str, float]:
    """How far the policy is from its reference, nats a completion, by three unbiased estimates on its own samples."""
    with torch.no_grad():
        ours, theirs = next_token_logprobs(policy, rollouts), next_token_logprobs(reference, rollouts)
    chosen, in_reference = chosen_logprobs(ours, rollouts), chosen_logprobs(theirs, rollouts)
    by_token = {"kl": kl_by_token(ours, theirs), "k1": k1(chosen, in_reference), "k3": k3(chosen, in_reference)}
    return {name: value.sum().item() / len(rollouts.texts) for name, value in by_token.items()}
