"""Teach a model from corrections: fine-tuning with replay, behind a gate, in versions that can be undone."""

from serialread.teaching.labelled_lines import LEAST_LABELS, LabelSource, LineCutter
from serialread.teaching.lesson import Lesson, LessonOutcome, LessonProgress, teach
from serialread.teaching.model_versions import ModelVersions, undo_lesson
from serialread.teaching.promotion_gate import PairedCounts, PromotionGate
from serialread.teaching.trials import Curriculum, Trial

__all__ = [
    "LEAST_LABELS",
    "Curriculum",
    "LabelSource",
    "Lesson",
    "LessonOutcome",
    "LessonProgress",
    "LineCutter",
    "ModelVersions",
    "PairedCounts",
    "PromotionGate",
    "Trial",
    "teach",
    "undo_lesson",
]
