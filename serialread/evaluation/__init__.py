"""How accurately a model reads labelled crops: protocols, tables, attention, and two models compared."""

from serialread.evaluation.evaluated_crops import (
    PROTOCOLS,
    AttentionMatch,
    EvaluatedCrop,
    Model,
    evaluate_crops,
    labelled_samples,
)
from serialread.evaluation.model_evaluation import (
    FILES,
    AccuracyRow,
    AttentionQuality,
    EvaluationReport,
    Extras,
    ModelComparison,
    ModelEvaluation,
    ModelWithExtras,
    evaluate,
    evaluate_model,
)
from serialread.evaluation.quantization_gate import Int8Trial, quantize, try_int8

__all__ = [
    "FILES",
    "PROTOCOLS",
    "AccuracyRow",
    "AttentionMatch",
    "AttentionQuality",
    "EvaluatedCrop",
    "EvaluationReport",
    "Extras",
    "Int8Trial",
    "Model",
    "ModelComparison",
    "ModelEvaluation",
    "ModelWithExtras",
    "evaluate",
    "evaluate_crops",
    "evaluate_model",
    "labelled_samples",
    "quantize",
    "try_int8",
]
