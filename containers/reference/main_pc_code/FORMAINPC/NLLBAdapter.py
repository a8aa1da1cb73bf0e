"""NLLBAdapter: translates with a model that was trained for nothing else."""

import os
import sys

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import main
from main_pc_code.common.language_service import LanguageService
from main_pc_code.common.model_folder import SEQ2SEQ


class NLLBAdapter(LanguageService):
    """Needs a model of the NLLB family, whose languages are codes such as `eng_Latn`."""

    default_name = "NLLBAdapter"
    default_port = 5581
    description = "Translates with an NLLB model; languages are codes such as eng_Latn."
    capabilities = ("translation",)
    model_kind = SEQ2SEQ
    model_hint = "nllb"
    task = "translate"


if __name__ == "__main__":
    main(NLLBAdapter)
