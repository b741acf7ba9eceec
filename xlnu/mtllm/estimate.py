"""What the trainings of MT-LLM take, from the sizes of texts and models: for --plan, and right within a few times.
What the models are asked afterwards is not reckoned.
"""

import math
from collections.abc import Sequence

from xlnu.cluster.pools import TrainerPool
from xlnu.mtllm.parts import Parents
from xlnu.mtllm.recipes import Goal
from xlnu.steps import NOBODY_KNOWS, Estimate, Step
from xlnu.train.config import LoopConfig, at_most, epochs
from xlnu.transfer.estimate import LETTERS, MORE, PAIR

# Of the six operations a parameter that a training is reckoned by, two go forward, two back through what is not
# learned itself, and two to what is.
FORWARD, THROUGH = 1 / 3, 2 / 3


def of_texts(rows: int, letters: float, length: float = math.inf) -> Estimate:
    """`letters`: of one; `length`: tokens that it is cut to."""
    return Estimate(rows, round(rows * min(length, letters / LETTERS)), None)


def of_pairs(pairs: int) -> Estimate:
    return Estimate(pairs, pairs * PAIR // 2, None)


def of_translations(step: Step) -> Estimate:
    """Of what a step has."""
    given = together([step])
    return Estimate(given.rows, round(MORE * given.tokens), None)


def together(steps: Sequence[Step]) -> Estimate:
    """Of rows that are put together from theirs."""
    each = [step.estimate or NOBODY_KNOWS for step in steps]
    if not all(one.rows for one in each):
        return NOBODY_KNOWS
    return Estimate(sum(one.rows for one in each), sum(one.tokens for one in each), None)


def of_training(config: LoopConfig, goal: Goal, view: str, data: Sequence[Step], parents: Parents) -> Estimate:
    """`view`: stack, llm or encoder."""
    encoder, llm, given = parents.encoder.parameters, parents.llm.parameters, together(data)
    if encoder is None or llm is None or not given.rows:
        return NOBODY_KNOWS
    tokens = given.tokens * epochs(config, given.rows)
    each = 0.0 if view == "llm" else FORWARD * encoder
    each += 0.0 if view == "encoder" else THROUGH * llm
    each += FORWARD * llm if goal == "align" else 0.0  # the teacher, which is the LLM itself
    return Estimate(0, tokens, None, TrainerPool.role, tokens * each, at_most(config))
