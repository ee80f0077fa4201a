"""The contracts: every table that passes between two stages, described once.

Each table is a list of columns with type, meaning and the rules that a reader may rely on. `lad.parquet` reads, checks
and writes such tables.
"""

from typing import Final

from lad.contracts.benchmark import EMBEDDINGS as EMBEDDINGS
from lad.contracts.benchmark import IMAGES as IMAGES
from lad.contracts.benchmark import LISTS as LISTS
from lad.contracts.benchmark import PRESENTATIONS as PRESENTATIONS
from lad.contracts.benchmark import QUESTIONS as QUESTIONS
from lad.contracts.calibration import ATTENTION_PRIOR as ATTENTION_PRIOR
from lad.contracts.calibration import ATTENTION_SKILL as ATTENTION_SKILL
from lad.contracts.calibration import FUSION as FUSION
from lad.contracts.calibration import POSITION_BIAS as POSITION_BIAS
from lad.contracts.calibration import POSITION_PRIOR as POSITION_PRIOR
from lad.contracts.contract import Column as Column
from lad.contracts.contract import Contract as Contract
from lad.contracts.contract import Keep as Keep
from lad.contracts.evaluation import CHOICES as CHOICES
from lad.contracts.evaluation import COMPARISONS as COMPARISONS
from lad.contracts.evaluation import DIFFERENCES as DIFFERENCES
from lad.contracts.evaluation import METRICS as METRICS
from lad.contracts.evaluation import PREDICTIONS as PREDICTIONS
from lad.contracts.evaluation import RANKINGS as RANKINGS
from lad.contracts.signals import BY_HEAD as BY_HEAD
from lad.contracts.signals import BY_LAYER as BY_LAYER
from lad.contracts.signals import GENERATIONS as GENERATIONS
from lad.contracts.signals import SIGNALS as SIGNALS

CONTRACTS: Final = {
    contract.name: contract
    for contract in (
        *(IMAGES, EMBEDDINGS, LISTS, QUESTIONS, PRESENTATIONS, SIGNALS, GENERATIONS),
        *(POSITION_BIAS, ATTENTION_PRIOR, POSITION_PRIOR, ATTENTION_SKILL, FUSION, PREDICTIONS, METRICS, DIFFERENCES),
        *(COMPARISONS, CHOICES, RANKINGS),
    )
}
