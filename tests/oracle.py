"""The method in plain numpy, loop by loop from the paper's equations: what the SQL is held against.

Written from the equations, not from the SQL. Arrays are 0-based; layers and positions in the order of the table.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass
class Signals:
    """A signals table as float64 arrays: M presentations, L layers, N positions."""

    question: list[str]  # M
    rounds: np.ndarray  # M
    order: np.ndarray  # M x N, 0-based
    target: np.ndarray  # M, 0-based
    logits: np.ndarray  # M x N
    logprobs: np.ndarray  # M x N
    image: np.ndarray  # M x L x N
    delimited: np.ndarray  # M x L x N, image and delimiters

    @classmethod
    def of(cls, table: pa.Table) -> "Signals":
        def array(name):
            return np.array(table[name].to_pylist(), dtype=np.float64)

        return cls(
            question=table["question_id"].to_pylist(),
            rounds=array("round"),
            order=np.array(table["order"].to_pylist()) - 1,
            target=np.array(table["target_position"].to_pylist()) - 1,
            logits=array("identifier_logits"),
            logprobs=array("candidate_logprobs"),
            image=array("candidate_attention"),
            delimited=array("candidate_attention") + array("delimiter_attention"),
        )

    @property
    def n(self) -> int:
        return self.order.shape[1]

    @property
    def released_scores(self) -> np.ndarray:
        """Raw first-token logits up to N = 9, joint log-probabilities from N = 10."""
        return self.logits if self.n <= 9 else self.logprobs


def softmax(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


def mean_by_target(values, target, n):
    return np.array([values[target == i].mean(axis=0) for i in range(n)])


def largest_excess(log_matrix):
    """Max over i and j != i of (i, i) - (i, j)."""
    n = len(log_matrix)
    return max(log_matrix[i, i] - log_matrix[i, j] for i in range(n) for j in range(n) if j != i)


def printed_bias(calibration: Signals):
    """P_obs (eq. 1) and log P_bias (eq. 4, 5), target position x position."""
    observed = mean_by_target(np.exp(calibration.logprobs), calibration.target, calibration.n)
    return observed, np.log(observed) - np.eye(calibration.n) * largest_excess(np.log(observed))


def released_bias(calibration: Signals):
    """O and O - ideal."""
    n = calibration.n
    observed = mean_by_target(calibration.released_scores, calibration.target, n)
    k = largest_excess(observed)
    ideal = observed.mean() - k / n + k * np.eye(n)
    return observed, observed - ideal


def attention_prior(attention):
    """Eq. 7, layer x position."""
    return attention.mean(axis=0)


def pride_log_prior(calibration: Signals):
    """The authors' of PriDe: arithmetic mean over questions of each question's softmax of mean logs."""
    priors = []
    for question in sorted(set(calibration.question)):
        shifts = [m for m, name in enumerate(calibration.question) if name == question]
        priors.append(softmax(np.log(np.exp(calibration.logprobs[shifts]) + 1e-10).mean(axis=0)))
    return np.log(np.mean(priors, axis=0))


def chosen_layers(attention, k, allowed):
    """L* (eq. 8, 9) of one presentation, whose attention is layer x position."""
    return sorted(allowed, key=lambda layer: (-attention[layer].sum(), layer))[:k]


def readout(attention, k, allowed):
    return attention[chosen_layers(attention, k, allowed)].mean(axis=0)


def printed_pi(attention, prior, k, tau, allowed):
    """Eq. 11, 12 of one presentation."""
    evidence = np.mean(
        [np.log(attention[layer]) - np.log(prior[layer]) for layer in chosen_layers(attention, k, allowed)], axis=0
    )
    return softmax(tau * evidence)


def released_pi(attention, prior, k, tau, allowed):
    layers = chosen_layers(attention, k, allowed)
    return softmax(tau * (np.log(attention[layers].mean(axis=0)) - np.log(prior[layers]).mean(axis=0)))


def printed_agd(logprobs, pi, bias):
    """Eq. 13, 14 of one presentation."""
    n = len(pi)
    mixture = np.array([sum(pi[k] * np.exp(bias[k, j]) for k in range(n)) for j in range(n)])
    return logprobs - np.log(mixture)


def released_agd(scores, pi, bias):
    n = len(pi)
    return scores - np.array([sum(pi[k] * bias[k, j] for k in range(n)) for j in range(n)])


def presentations_of(signals: Signals):
    """The rows of each question, by question."""
    return {q: [m for m, name in enumerate(signals.question) if name == q] for q in sorted(set(signals.question))}


def permutation_average(signals: Signals, scores):
    """By question, the mean of `scores` (M x N) mapped back to candidates, in the order of its first round."""
    averages = {}
    for question, orders in presentations_of(signals).items():
        by_candidate = np.zeros(signals.n)
        for m in orders:
            for position, candidate in enumerate(signals.order[m]):
                by_candidate[candidate] += scores[m, position] / len(orders)
        first = min(orders, key=lambda m: signals.rounds[m])
        averages[question] = by_candidate[signals.order[first]]
    return averages


def batch_calibration(logprobs):
    """Scores, presentation x position: each probability less its mean over presentations."""
    return np.exp(logprobs) - np.exp(logprobs).mean(axis=0)


def batch_calibration_by_ratio(logprobs):
    return np.log(np.exp(logprobs) / np.exp(logprobs).mean(axis=0))


def attention_less_content_free(attention, content_free, k, allowed):
    """Of one presentation: its chosen layers' mean difference from the layers of the one without content."""
    layers = chosen_layers(attention, k, allowed)
    return np.mean([attention[layer] - content_free[layer] for layer in layers], axis=0)


def held_against(attention, against, null=None):
    """The x of one head or layer, presentations x N: as it is, on its mean's level once divided by it, or less null."""
    if against == "prior":
        prior = attention.mean(axis=0)
        return attention / prior * prior.mean()
    return attention - null if against == "null" else attention


def attention_skill(x, target, temperature=0.001):
    """found, target_share, mass and contrast of one head or layer; x is presentations x N."""
    found, share, contrast = [], [], []
    for looks, t in zip(x, target, strict=True):
        found.append(all(looks[t] > other for k, other in enumerate(looks) if k != t))
        positive = [max(value, 0) for value in looks]
        share.append(positive[t] / sum(positive) if sum(positive) else 0)
        contrast.append(softmax(looks / temperature)[t])
    return (
        np.mean(found),
        np.mean(share),
        np.mean([looks[t] for looks, t in zip(x, target, strict=True)]),
        np.mean(contrast),
    )


def best_heads(skill, measure):
    """(layer, head) of a skill by (layer, head), best first; measure 0 is found, 2 mass, 3 contrast."""
    return sorted(skill, key=lambda place: (-skill[place][measure], -skill[place][1], place))


def retrieval_heads(attention, heads, against, prior=None, null=None):
    """Scores of one presentation, whose attention is L x H x N, as are the prior and the null query's attention."""
    evidence = {
        "none": lambda h: attention[h] / attention[h].sum(),
        "prior": lambda h: np.log(attention[h]) - np.log(prior[h]),
        "null": lambda h: attention[h] - null[h],
    }[against]
    return np.mean([evidence(place) for place in heads], axis=0)


def icr(attention, null):
    """Scores of one presentation, layer x N."""
    return np.array(
        [
            sum(attention[layer, k] - null[layer, k] for layer in range(len(attention)))
            for k in range(attention.shape[1])
        ]
    )


def layers_that_found(attention, target, k, allowed):
    """The k layers, presentations x L x N, in which the target most often has the largest attention over its mean."""
    skill = {(layer, 0): attention_skill(held_against(attention[:, layer], "prior"), target) for layer in allowed}
    return [layer for layer, _ in best_heads(skill, 0)[:k]]


def majority_vote(signals: Signals):
    """By question, the candidate (0-based) with most votes, then the larger mean probability, then the lower number."""
    elected = {}
    for question, orders in presentations_of(signals).items():
        votes, probability = [0] * signals.n, [0.0] * signals.n
        for m in orders:
            votes[signals.order[m, np.argmax(signals.logprobs[m])]] += 1
            for position, candidate in enumerate(signals.order[m]):
                probability[candidate] += np.exp(signals.logprobs[m, position]) / len(orders)
        elected[question] = max(range(signals.n), key=lambda c: (votes[c], probability[c], -c))
    return elected


def fusion_profile(fitted_on: Signals):
    """c, b and the variance of the log-probabilities' profile, each target position shown equally often."""
    z = fitted_on.logprobs - fitted_on.logprobs.mean(axis=1, keepdims=True)
    n, count = fitted_on.n, len(z)
    common = z.mean(axis=0)
    bump = np.mean([z[m, t] - common[t] for m, t in enumerate(fitted_on.target)]) / (1 - 1 / n)
    residual = np.array([z[m] - common - bump * (np.eye(n)[t] - 1 / n) for m, t in enumerate(fitted_on.target)])
    freedom = max((count - 1) * (n - 1) - 1, 1)
    return common, bump, ((residual**2).sum() + n - 1) / (freedom + n - 1), residual


def fusion_term(row, fitted_on: pa.Table, table: pa.Table):
    """What the term of that row of a table FUSION says of the table's presentations, presentation x position."""
    before, now = Signals.of(fitted_on), Signals.of(table)
    n = now.n
    if row["against"] is None:
        common, bump, variance, residual = fusion_profile(before)
        z = now.logprobs - now.logprobs.mean(axis=1, keepdims=True)
        if row["term"] == "profile":
            return max(bump, 0) / variance * (z - common)
        own = [residual[before.target == i].sum(axis=0) / (sum(before.target == i) + 5) for i in range(n)]
        means = [common + bump * (np.eye(n)[i] - 1 / n) + own[i] for i in range(n)]
        return np.array([[-((one - mean) ** 2).sum() / (2 * variance) for mean in means] for one in z])
    heads, null = bool(row["heads"]), row["against"] == "null"
    middle = "" if row["row"] == "last" else f"{row['row']}_"
    name = f"head_{middle}attention" if heads else f"{middle or 'candidate_'}attention"

    def read(which, column):
        return np.array(which[column].to_pylist(), dtype=np.float64).reshape(len(which), len(which[column][0]), -1, n)

    past, present = read(fitted_on, name), read(table, name)
    if row["term"] == "mass":
        prior = attention_prior(past[:, :, 0])
        return np.log([printed_pi(one, prior, 2, 1, range(len(prior))) for one in present[:, :, 0]])
    gain = present
    if null:
        gain = present - read(table, name.replace(middle, f"null_{middle}"))
        past = past - read(fitted_on, name.replace(middle, f"null_{middle}"))
    skill = {
        place: attention_skill(past[:, *place] if null else held_against(past[:, *place], "prior"), before.target)
        for place in np.ndindex(past.shape[1:3])
    }
    best = best_heads(skill, 0)[: 8 if heads else 2]
    if null:
        means = np.mean([past[:, *place] for place in best], axis=0)
        rms = np.sqrt(((means - means.mean(axis=1, keepdims=True)) ** 2).mean())
        scores = np.mean([gain[:, *place] for place in best], axis=0)
        return (scores - scores.mean(axis=1, keepdims=True)) / rms
    prior = past.mean(axis=0)
    return np.mean([np.log(present[:, *place]) - np.log(prior[place]) for place in best], axis=0)


def fusion_objective(weights, said, target, expected, spread):
    likelihood = sum(np.log(softmax(weights @ one)[t]) for one, t in zip(said, target, strict=True))
    return likelihood - sum((weights - expected) ** 2 / (2 * spread**2))
