"""From a recipe to a network: every kind of part in its place."""

from typing import assert_never

from torch import nn

from serialread.codes import Alphabet
from serialread.config import CropGeometry
from serialread.config import networks as kinds
from serialread.models.column_layers import sequence
from serialread.models.columnar import CtcRecognizer
from serialread.models.feature_maps import Backbone
from serialread.models.network import ParallelRecognizer, Recognizer
from serialread.models.rectifier import Rectifier
from serialread.models.recurrent import Aligner, RecurrentRecognizer, RecurrentSiga
from serialread.models.resnet import Resnet
from serialread.models.svtr import Svtr
from serialread.models.transformer import TransformerRecognizer
from serialread.models.trunk import Trunk
from serialread.models.vit import Vit


def build(network: kinds.AnyNetwork, geometry: CropGeometry, alphabet: Alphabet) -> Recognizer:
    """The recognizer that a recipe describes, with fresh weights."""
    parts, classes = network.composed(), alphabet.classes
    height, width = geometry.height, geometry.widths[-1]
    rectifier = None if parts.rectifier is None else Rectifier(parts.rectifier, height, width)
    trunk = _backbone(parts.backbone, height, width)
    dim = parts.sequence.width

    def columns() -> nn.Module:
        return sequence(parts.sequence, trunk.shape.last, width // parts.column_px)

    match parts.decoder:
        case kinds.Parallel():
            return ParallelRecognizer(
                rectifier, trunk, columns(), dim, parts.decoder, parts.siga, parts.dropout, classes
            )
        case kinds.Recurrent() if parts.siga is not None:
            aligner = Aligner(columns(), dim, parts.decoder, classes)
            return RecurrentSiga(
                rectifier, trunk, columns(), aligner, dim, parts.decoder, parts.siga, parts.dropout, classes
            )
        case kinds.Recurrent():
            return RecurrentRecognizer(rectifier, trunk, columns(), dim, parts.decoder, classes)
        case kinds.Transformer():
            return TransformerRecognizer(rectifier, trunk, columns(), dim, parts.decoder, classes)
        case kinds.Ctc():
            return CtcRecognizer(rectifier, trunk, columns(), dim, classes)
        case _:
            assert_never(parts.decoder)


def _backbone(knobs: kinds.Backbone, height: int, width: int) -> Backbone:
    match knobs:
        case kinds.CompactTrunk():
            return Trunk(knobs.channels, knobs.blocks, knobs.relief, knobs.cell, height)
        case kinds.ResnetConfig():
            return Resnet(knobs, height)
        case kinds.SvtrConfig():
            return Svtr(knobs, height, width)
        case kinds.VitConfig():
            return Vit(knobs, height, width)
        case _:
            assert_never(knobs)
