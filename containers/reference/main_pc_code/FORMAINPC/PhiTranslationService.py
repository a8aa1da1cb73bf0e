"""PhiTranslationService: translates by asking a causal language model to."""

import os
import sys

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import main
from main_pc_code.common.language_service import LanguageService


class PhiTranslationService(LanguageService):
    """Any causal model that follows instructions will do; one of the Phi family is preferred."""

    default_name = "PhiTranslationService"
    default_port = 5584
    description = "Translates with a causal language model; languages are words such as English."
    capabilities = ("translation_by_prompt",)
    model_hint = "phi"
    task = "translate"


if __name__ == "__main__":
    main(PhiTranslationService)
