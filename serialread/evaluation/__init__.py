"""How accurately a model reads labelled crops: protocols, tables, attention, and two models compared."""

from serialread.evaluation.detector_gate import DetectorTrial, quantize_detector
from serialread.evaluation.evaluated_crops import (
    PROTOCOLS,
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
    ModelEvaluation,
    evaluate,
    evaluate_model,
)
from serialread.evaluation.quantization_gate import Int8Trial, quantize

__all__ = [
    "FILES",
    "PROTOCOLS",
    "AccuracyRow",
    "AttentionQuality",
    "DetectorTrial",
    "EvaluatedCrop",
    "EvaluationReport",
    "Int8Trial",
    "Model",
    "ModelEvaluation",
    "evaluate",
    "evaluate_crops",
    "evaluate_model",
    "labelled_samples",
    "quantize",
    "quantize_detector",
]
