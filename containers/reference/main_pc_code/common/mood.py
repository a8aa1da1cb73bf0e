"""The mathematics of a mood: valence (bad to good) and arousal (calm to excited), both from -1 to 1.

Nothing here has a state or reads a clock. Times are seconds of any clock that never goes back.
"""

import re
from typing import NamedTuple

# How much of it there is in a word: valence, arousal.
LEXICON: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("good", "nice", "fine", "thanks", "thank", "welcome", "right", "helpful"), (0.5, 0.1)),
    **dict.fromkeys(("happy", "glad", "like", "enjoy", "beautiful", "fun", "smile", "funny"), (0.7, 0.3)),
    **dict.fromkeys(("love", "great", "wonderful", "amazing", "excellent", "awesome", "hooray"), (0.9, 0.6)),
    **dict.fromkeys(("calm", "quiet", "relaxed", "peaceful", "gentle", "rest"), (0.4, -0.5)),
    **dict.fromkeys(("tired", "bored", "boring", "sleepy", "slow"), (-0.3, -0.5)),
    **dict.fromkeys(("sad", "lonely", "sorry", "miss", "lost", "cry", "disappointed"), (-0.7, -0.2)),
    **dict.fromkeys(("bad", "wrong", "problem", "broken", "fail", "failed", "ugly", "pain"), (-0.6, 0.2)),
    **dict.fromkeys(("angry", "hate", "terrible", "awful", "horrible", "stupid", "furious"), (-0.9, 0.7)),
    **dict.fromkeys(("afraid", "scared", "fear", "worried", "danger", "panic", "help"), (-0.6, 0.7)),
    **dict.fromkeys(("now", "quick", "hurry", "urgent", "wow", "surprise"), (0.0, 0.5)),
}
NEGATIONS = frozenset(("not", "no", "never", "without", "isn't", "don't", "doesn't", "didn't", "can't", "wasn't"))
NEGATION_REACH = 3  # So many words after a negation have the opposite valence.
WORD = re.compile(r"[a-z']+")

# Quieter than this, in decibels below full scale, a voice does not excite at all.
QUIET_DB = -60.0
VOICE_VALENCE, VOICE_AROUSAL, SILENCE_AROUSAL = 0.05, 0.4, -0.05


class Mood(NamedTuple):
    """What the mood was at a time; since then it has been on its way back to the baseline."""

    valence: float
    arousal: float
    at_s: float


BASELINE = (0.0, 0.0)


def decayed(mood: Mood, now_s: float, half_life_s: float) -> Mood:
    """The mood now: half of its distance to the baseline is left after each half-life."""
    left = 0.5 ** (max(0.0, now_s - mood.at_s) / half_life_s)
    valence, arousal = (
        rest + (value - rest) * left for value, rest in zip((mood.valence, mood.arousal), BASELINE, strict=True)
    )
    return Mood(valence, arousal, now_s)


def moved(mood: Mood, change: tuple[float, float]) -> Mood:
    """The mood after a change of valence and arousal, which ends at the limits."""
    return Mood(clamp(mood.valence + change[0]), clamp(mood.arousal + change[1]), mood.at_s)


def sentiment(text: str) -> tuple[float, float]:
    """The mean valence and arousal of the known words in a text; zeros if it has none."""
    found: list[tuple[float, float]] = []
    negated_words = 0
    for word in WORD.findall(text.lower().replace("’", "'")):
        if word in NEGATIONS:
            negated_words = NEGATION_REACH
            continue
        if word in LEXICON:
            valence, arousal = LEXICON[word]
            found.append((-valence if negated_words else valence, arousal))
        negated_words = max(0, negated_words - 1)
    if not found:
        return 0.0, 0.0
    return sum(valence for valence, _ in found) / len(found), sum(arousal for _, arousal in found) / len(found)


def voice_change(speaks: bool, level_db: float) -> tuple[float, float]:
    """What it does to the mood that somebody starts to speak, the more the louder, or stops."""
    if not speaks:
        return 0.0, SILENCE_AROUSAL
    loudness = max(0.0, min(1.0, 1 - level_db / QUIET_DB))
    return VOICE_VALENCE, VOICE_AROUSAL * loudness


def label(mood: Mood) -> str:
    """One word for the quarter of the plane that the mood is in; `neutral` near its middle."""
    if max(abs(mood.valence), abs(mood.arousal)) < 0.1:
        return "neutral"
    if mood.valence >= 0:
        return "excited" if mood.arousal >= 0 else "calm"
    return "tense" if mood.arousal >= 0 else "sad"


def clamp(value: float) -> float:
    return max(-1.0, min(1.0, value))
