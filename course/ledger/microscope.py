"""What the ledger measures of Loop C under the microscope: the bandit, two steps, eight actions. No PyTorch."""

import numpy as np

from course import bandit_train, kl_tradeoff_demo, select_or_learn, toy_mdp
from course.core.bandit import load_bandit, log_prob_gradient, sampled_gradients, softmax
from course.core.paths import DEV, PACK
from course.ledger.ledger import Measured, Number

UNBIASED_DRAWS = 200_000


def bandit(seed: int) -> Measured:
    """Sixty steps of REINFORCE: what moved, and which way."""
    found = bandit_train.run(bandit_train.Settings(seed=seed))
    moved = [np.sign(row.prob_after - row.prob) == np.sign(row.advantage) for row in found.log]
    values: dict[str, Number] = {
        "learned": found.summary["mean_reward_after"] - found.summary["mean_reward_before"],
        "same_sign": float(np.mean(moved)),
    }
    return Measured(values, len(found.log), "steps", bandit_train.draw(found))


def variance(seed: int) -> Measured:
    """The variance of the gradient with a running baseline, of that without: early, late, and with raised rewards."""
    rows = bandit_train.variance_table(load_bandit(DEV, PACK, None).rewards, seed)
    early, _, late, raised = (row["running"] / row["none"] for row in rows[:4])
    return Measured(
        {"early": early, "late": late, "raised": raised}, bandit_train.VARIANCE_DRAWS, "batches of 8 samples"
    )


def steadiness(seed: int) -> Measured:
    """Learners with a running baseline and without: how far on average over the steps, and how far apart early on."""
    rewards, settings = load_bandit(DEV, PACK, None).rewards, bandit_train.Settings(seed=seed)
    plain, raised = (
        {name: bandit_train.learning_curves(rewards, up, name, settings) for name in ("none", "running")}
        for up in (0.0, 1.0)
    )
    early = settings.steps // 4
    values: dict[str, Number] = {
        "faster_raised": float(raised["running"].mean() - raised["none"].mean()),
        "spread": float(plain["running"][:, early].std() / plain["none"][:, early].std()),
        "spread_raised": float(raised["running"][:, early].std() / raised["none"][:, early].std()),
    }
    return Measured(values, bandit_train.ABLATION_SEEDS, "learners")


def unbiased(seed: int) -> Measured:
    """The mean of many sampled gradients against the exact one, early on: relative to its length."""
    rewards = load_bandit(DEV, PACK, None).rewards
    theta = np.zeros(len(rewards))
    exact = softmax(theta) @ (rewards[:, None] * log_prob_gradient(softmax(theta), np.arange(len(rewards))))
    values: dict[str, Number] = {}
    for name in ("none", "running", "batch"):
        how = (name, bandit_train.ABLATION_BATCH, UNBIASED_DRAWS, np.random.default_rng(seed))
        mean = sampled_gradients(theta, rewards, *how).mean(axis=0)
        values[name] = float(np.linalg.norm(mean - exact) / np.linalg.norm(exact))
    values["batch_direction"] = float(mean @ exact / np.linalg.norm(mean) / np.linalg.norm(exact))
    return Measured(values, UNBIASED_DRAWS, "batches of 8 samples")


def two_steps(seed: int) -> Measured:
    """Two steps, one reward at the end: what the first step learns, credited in two ways."""
    found = toy_mdp.run(toy_mdp.Settings(seed=seed, seeds=5))
    first = {credit: ends.policy[:, 0, 0] for credit, ends in found.learned.items()}
    values: dict[str, Number] = {
        "by_return": float(first["return"].min()),
        "by_immediate": float(abs(first["immediate"] - 0.5).max()),
    }
    return Measured(values, found.settings.episodes, "episodes", toy_mdp.draw(found))


def leash(_: int) -> Measured:
    """Reward, KL and true value along the closed form, from a strong leash to a weak one."""
    found = kl_tradeoff_demo.run(kl_tradeoff_demo.Settings())
    rewards, kls, truth = (np.array([row[name] for row in found.sweep]) for name in ("mean_reward", "kl", "true_value"))
    values: dict[str, Number] = {
        "reward_rises": float(np.diff(rewards).min()),
        "kl_rises": float(np.diff(kls).min()),
        "truth_rises_first": float(truth.max() - truth[0]),
        "truth_falls_then": float(truth[-1] - truth.max()),
    }
    return Measured(values, len(found.sweep), "strengths of the leash", kl_tradeoff_demo.draw(found))


def two_ways(seed: int) -> Measured:
    """Selection and learning on the same bandit policy: pass@1 after each, and the draws that an answer costs."""
    found = select_or_learn.run(select_or_learn.Settings(seed=seed))
    before, selected, learned = (found.ways[way] for way in ("before", "selection", "learning"))
    values: dict[str, Number] = {
        "selection_pass_at_1": selected["pass_at_1"] - before["pass_at_1"],
        "selection_pass_at_n": selected["pass_at_n"] - before["pass_at_n"],
        "learning_pass_at_1": learned["pass_at_1"] - before["pass_at_1"],
        "selection_answers": selected["answers_right"] - before["answers_right"],
        "selection_cost": float(selected["samples_for_each_answer"]),
        "learning_cost": float(learned["samples_for_each_answer"]),
    }
    return Measured(values, select_or_learn.TRIALS, "answers", select_or_learn.draw(found))
