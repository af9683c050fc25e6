"""How good a pipeline is, by what is right: scores of fields and documents, confidence, comparison of runs.

An evaluation reads the results of a run and a file of right values. It starts nothing, sends nothing and
costs nothing.
"""

from agent_tasks.confidence import Confidence, signs_of
from agent_tasks.evaluation.comparators import Comparator, comparator
from agent_tasks.evaluation.rows import read_rows
from agent_tasks.evaluation.scoring import Evaluation, FieldScore, JudgedDocument, evaluate
from agent_tasks.evaluation.significance import Contrast, contrast
from agent_tasks.evaluation.threshold import Proposal, propose
from agent_tasks.evaluation.truth import RightDocument, read_truth

__all__ = [
    "Comparator",
    "Confidence",
    "Contrast",
    "Evaluation",
    "FieldScore",
    "JudgedDocument",
    "Proposal",
    "RightDocument",
    "comparator",
    "contrast",
    "evaluate",
    "propose",
    "read_rows",
    "read_truth",
    "signs_of",
]
