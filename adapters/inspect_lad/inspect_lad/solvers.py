"""Solvers: one shows a question's choices in another order in each epoch, one asks for the letter alone.

`in_orders` comes first, then `choose` or inspect_ai's own `multiple_choice`. Ask as many epochs as orders are wanted.
"""

from typing import Literal

from inspect_ai.model import GenerateConfig
from inspect_ai.solver import Generate, Solver, TaskState, solver
from inspect_ai.solver._task_state import Choices

from lad.benchmark.presentations import cyclic_shifts, random_orders
from lad.logs.base import identifiers
from lad.logs.inspect import ORDER

TEMPLATE = "{question}\n\n{choices}\n\nAnswer with the letter of the right choice alone, one of {letters}."
"""What `choose` asks. The first token of the answer is then the letter, whose probability is read."""


@solver
def in_orders(orders: Literal["cyclic", "random"] = "cyclic", seed: int = 0) -> Solver:
    """Show the choices in the order of this epoch, and write it to the sample's metadata.

    The orders of a question depend on the seed and its id alone, so that more epochs add to those that fewer give.

    Args:
        orders: cyclic, the N shifts of a random order (with N epochs, each choice once at each position), or random,
            other orders as long as there are any. Further epochs begin again.
        seed: of all orders.
    """

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        n = len(state.choices)
        if n < 2:
            raise ValueError(f"sample {state.sample_id} has {n} choices; in_orders shuffles 2 or more")
        if orders == "cyclic":
            shown = cyclic_shifts(n, (seed, "inspect", state.sample_id))
        else:
            shown = random_orders(n, state.epoch, (seed, "inspect", state.sample_id))
        order = shown[(state.epoch - 1) % len(shown)]
        state.metadata[ORDER] = list(order)
        # Each choice knows its original position, by which inspect_ai's own scorer puts them back.
        state.choices = Choices([state.choices[candidate - 1] for candidate in order])
        return state

    return solve


@solver
def choose(template: str = TEMPLATE, top_logprobs: int = 20, max_tokens: int | None = None) -> Solver:
    """Ask for the letter alone, with log-probabilities where the provider tells them.

    Args:
        template: the prompt, with {question}, {choices} and perhaps {letters}.
        top_logprobs: of how many tokens log-probabilities are asked for; OpenAI's API tells 20 at most. 0 for none, as
            some providers refuse to be asked.
        max_tokens: of the answer.

    Raises:
        ValueError: a template without {question} or {choices}.
    """
    if missing := [name for name in ("{question}", "{choices}") if name not in template]:
        raise ValueError(f"the template lacks {missing[0]}")

    async def solve(state: TaskState, generate: Generate) -> TaskState:
        letters = identifiers("uppercase", len(state.choices))
        state.user_prompt.text = template.format(
            question=state.user_prompt.text,
            choices="\n".join(f"{letter}) {one.value}" for letter, one in zip(letters, state.choices, strict=True)),
            letters=", ".join(letters),
        )
        asked = {"logprobs": True, "top_logprobs": top_logprobs} if top_logprobs else {}
        state = await generate(state, **GenerateConfig(**asked, max_tokens=max_tokens).model_dump(exclude_none=True))
        answer = state.output.completion.strip().strip("()[].*: ")[:1]
        for at, letter in enumerate(letters):
            state.choices.mark_choice(at, letter == answer)
        return state

    return solve
