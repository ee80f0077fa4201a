"""The scorer: whether the answer is right, and what the metrics of position bias need to know of it."""

from inspect_ai.scorer import CORRECT, INCORRECT, NOANSWER, Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState

from inspect_lad.metrics import SHOWN, chi_squared, corrected, cramers_v, flip_rate, recall, selection_rate
from lad.logs.base import identifiers, place_among
from lad.logs.inspect import letter_logprobs


@scorer(
    metrics=[accuracy(), stderr(), flip_rate(), recall(), selection_rate(), chi_squared(), cramers_v(), corrected()]
)
def position_bias() -> Scorer:
    """Score the letter that `choose` or `multiple_choice` marked, and keep what was shown and the log-probabilities.

    Raises:
        ValueError: a sample without choices, or whose target is not one of their letters.
    """

    async def score(state: TaskState, target: Target) -> Score:
        n = len(state.choices)
        letters = identifiers("uppercase", n)
        candidate = place_among(target.text, (), letters)
        if candidate is None:
            raise ValueError(
                f"sample {state.sample_id} has target '{target.text}'; expected is one letter of its choices"
            )
        order = [choice.original_position + 1 for choice in state.choices]
        marked = [position for position, choice in enumerate(state.choices, start=1) if choice.correct]
        position = marked[0] if len(marked) == 1 else None
        target_position = order.index(candidate) + 1
        value = NOANSWER if position is None else CORRECT if position == target_position else INCORRECT
        return Score(
            value=value,
            answer="" if position is None else letters[position - 1],
            explanation=state.output.completion,
            metadata={
                SHOWN: [choice.value for choice in state.choices],
                "target_position": target_position,
                "position": position,
                "logprobs": letter_logprobs(state.output, letters),
            },
        )

    return score
