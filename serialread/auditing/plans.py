"""Plans in words: how many pictures a claim needs, how many parts of a lot to look at."""

from serialread.auditing.wording import percent
from serialread.errors import RecordsError
from serialread.metrics.sampling_plans import chance_to_pass, lot_plan, pictures_needed

_ERRORS = (0, 1, 2, 3, 5, 10)


def claim_plan(target: float, confidence: float = 0.95) -> str:
    """A table of how many pictures, with how many errors, claim a rate of at least ``target`` (0..1).

    Raises:
        RecordsError: a share that is not between 0 and 1.
    """
    if not (0 < target < 1 and 0 < confidence < 1):
        raise RecordsError(
            f"plan: {target} at {confidence}: no shares between 0 and 1. Give 0.999 for 99.9 %."
        )
    better = 1 - (1 - target) / 5
    lines = [
        f"To claim at least {100 * target:g} % right, {100 * confidence:g} % confident (exact, one-sided):",
        "",
        f"errors  pictures  passes if truly {100 * better:g} % right",
    ]
    for errors in _ERRORS:
        pictures = pictures_needed(target, errors, confidence)
        lines.append(f"{errors:6}  {pictures:8,}  {percent(chance_to_pass(pictures, errors, better)):>6} %")
    return "\n".join([*lines, "", "Draw them at random, decide on a line before looking, and label by eye."])


def sampling_plan(lot: int, aql_percent: float) -> str:
    """How many parts of a lot to look at, and what the plan lets through.

    Raises:
        RecordsError: a lot or an AQL without a plan.
    """
    try:
        plan = lot_plan(lot, aql_percent)
    except ValueError as error:
        raise RecordsError(str(error)) from None
    passes, lets_by = plan.chance_to_accept(aql_percent / 100), plan.consumers_risk_share
    return "\n".join(
        [
            f"Lot of {lot:,}, AQL {aql_percent:g} % (ISO 2859-1, level II, normal, single): "
            f"letter {plan.letter}.",
            f"Look at {plan.sample:,} parts; accept the lot with {plan.accept} bad or fewer, "
            f"reject it with {plan.accept + 1} or more.",
            f"It accepts a lot with {aql_percent:g} % bad parts in {percent(passes)} % of cases, "
            f"one with {percent(lets_by)} % in 10 %.",
        ]
    )
