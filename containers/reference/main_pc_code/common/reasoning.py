"""How a problem is broken into steps, and what speaks against an answer. Pure text and exact arithmetic, no model.

What cannot be checked by rule is checked by asking twice: answers that contradict each other are not both right.
"""

import re
from fractions import Fraction

SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")
LIST_MARK = re.compile(r"^\s*(?:\d+[.)]|[-*•])\s+", re.MULTILINE)
INSTRUCTIONS = frozenset(
    "add calculate choose compare compute count decide describe divide explain find first give list multiply name next "
    "say show solve subtract sum summarise summarize tell then translate write".split()
)
NUMBER = r"-?\d{1,15}(?:\.\d{1,9})?"
EXPRESSION = rf"{NUMBER}(?:\s*[-+*/×÷]\s*{NUMBER}){{1,20}}"
CLAIM = re.compile(rf"(?<![\w.+*/×÷-])({EXPRESSION})\s*=\s*({NUMBER})(?!\.?\d)")
# Without blanks around them, a minus and a slash may belong to a date, a range or a name.
QUESTION = rf"{NUMBER}(?:(?:\s*[+*×÷]\s*|\s+[-/]\s+){NUMBER}){{1,20}}"
ASKED = re.compile(rf"(?<![\w.+*/×÷=-])({QUESTION})(?!\.?\w|\s*[-=+*/×÷])")
TERM = re.compile(rf"\s*([-+*/×÷])?\s*({NUMBER})")
WORD = re.compile(r"[^\W\d_]{3,}")
COMMON_WORDS = frozenset(
    "and are but does for from has have how its not that the then there this was what when which who why with".split()
)
MIN_AGREEMENT = 0.3  # The share of words that two answers must have in common.


def split_problem(problem: str) -> tuple[list[str], list[str]]:
    """What is given, and the steps: questions and instructions; all sentences are steps if there are none of these."""
    sentences = [part.strip() for part in SENTENCE_END.split(LIST_MARK.sub("", problem)) if part.strip()]
    steps = [sentence for sentence in sentences if _is_step(sentence)]
    return [sentence for sentence in sentences if steps and sentence not in steps], steps or sentences


def exact_value(step: str) -> Fraction | None:
    """The result of the arithmetic that a step asks for; none if it asks for something else, or for more than one."""
    found = ASKED.findall(step)
    return _evaluate(found[0]) if len(found) == 1 else None


def objections(step: str, answer: str) -> list[str]:
    """What is wrong with an answer by itself."""
    if not answer.strip():
        return ["it is empty"]
    found = [problem for claim in CLAIM.finditer(answer) if (problem := _false_claim(*claim.groups()))]
    value = exact_value(step)
    if value is not None:
        if not any(_is_rounded(value, number) for number in re.findall(NUMBER, answer)):
            found.append(f"it does not say {_shown(value)}, the exact result")
    elif _words(answer) <= _words(step):
        found.append("it says nothing that the step does not say")
    return found


def agree(first: str, second: str) -> bool:
    """Whether two answers to one question say about the same: their last numbers, or enough common words."""
    numbers = [re.findall(NUMBER, answer)[-1:] for answer in (first, second)]
    if any(numbers):
        return all(numbers) and Fraction(numbers[0][0]) == Fraction(numbers[1][0])
    one, other = _words(first), _words(second)
    return bool(one | other) and len(one & other) / len(one | other) >= MIN_AGREEMENT


def _is_step(sentence: str) -> bool:
    first = WORD.search(sentence)
    return sentence.endswith("?") or (first is not None and first.group().lower() in INSTRUCTIONS)


def _false_claim(expression: str, claimed: str) -> str | None:
    value = _evaluate(expression)
    if value is None:
        return f"{expression} has no result"
    return None if _is_rounded(value, claimed) else f"{expression} is {_shown(value)}, not {claimed}"


def _is_rounded(value: Fraction, claimed: str) -> bool:
    """Whether a number is the value, to as many decimal places as it has; without any it must be exact."""
    places = len(claimed.partition(".")[2])
    return abs(value - Fraction(claimed)) <= (Fraction(1, 2 * 10**places) if places else 0)


def _evaluate(expression: str) -> Fraction | None:
    """Products before sums, from left to right; none for a division by zero."""
    total, product = Fraction(0), Fraction(0)
    for operator, number in TERM.findall(expression):
        value = Fraction(number)
        if operator in ("*", "×"):
            product *= value
        elif operator in ("/", "÷"):
            if not value:
                return None
            product /= value
        else:
            total, product = total + product, -value if operator == "-" else value
    return total + product


def _shown(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.10g}"


def _words(text: str) -> set[str]:
    return {word.lower() for word in WORD.findall(text)} - COMMON_WORDS
