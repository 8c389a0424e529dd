"""From a recipe to a network. Each kind of part has one entry here and one section in ``config.networks``."""

from collections.abc import Callable, Mapping
from typing import Any, assert_never

from torch import nn

from serialread.codes import Alphabet
from serialread.config import CropGeometry, networks as config
from serialread.models.glyphs import SigaModules, aligned_modules, compact_modules
from serialread.models.layers import Backbone, MapShapes
from serialread.models.network import AlignedRecognizer, CtcRecognizer, ParallelRecognizer, Recognizer
from serialread.models.paper.backbones import Resnet, Svtr, Vit
from serialread.models.paper.decoders import (
    Aligner,
    RecurrentRecognizer,
    RecurrentSiga,
    TransformerRecognizer,
)
from serialread.models.paper.paper_parts import PositionedCells, Rectifier, RecurrentColumns, paper_modules
from serialread.models.trunk import CompactTrunk, MixedColumns

BACKBONES: Mapping[type, Callable[[Any, int, int], Backbone]] = {
    config.CompactTrunkConfig: CompactTrunk,
    config.ResnetConfig: Resnet,
    config.SvtrConfig: Svtr,
    config.VitConfig: Vit,
}
"""By section: (section, height, width) to a backbone for crops of this height and of at most this width."""

SEQUENCES: Mapping[type, Callable[[Any, int, int, int], nn.Module]] = {
    config.MixingConfig: MixedColumns,
    config.BiLstmConfig: lambda section, channels, rows, longest: RecurrentColumns(section, channels),
    config.CellsConfig: PositionedCells,
}
"""By section: (section, channels, rows, largest number of columns) to a sequence model."""

SIGA_MODULES: Mapping[type, Callable[[Any, MapShapes, int], SigaModules]] = {
    config.CompactParts: compact_modules,
    config.PaperParts: paper_modules,
}
"""By section: (section, shapes of the backbone's maps, channels of a slot) to the modules of SIGA."""


def build(network: config.NetworkConfig, geometry: CropGeometry, alphabet: Alphabet) -> Recognizer:
    """Build the recognizer that a recipe describes, with initial weights.

    Args:
        network: its parts.
        geometry: height and widths of its crops.
        alphabet: its classes, besides the end of the text.
    """
    height, width, classes = geometry.height, geometry.widths[-1], alphabet.classes
    rectifier = None if network.rectifier is None else Rectifier(network.rectifier, height, width)
    trunk = BACKBONES[type(network.backbone)](network.backbone, height, width)
    dim, siga = network.sequence.width, network.siga

    def columns() -> nn.Module:
        longest = width // network.column_px
        return SEQUENCES[type(network.sequence)](network.sequence, *trunk.shape.last, longest)

    parts = rectifier, trunk, columns()
    modules = None if siga is None else SIGA_MODULES[type(siga.parts)](siga.parts, trunk.shape, dim)
    decoder = network.decoder
    match decoder:
        case config.ParallelConfig():
            return ParallelRecognizer(
                *parts, dim, decoder, modules,
                glyphs=siga is not None and siga.glyphs, fusion=siga is not None and siga.fusion,
                dropout=network.dropout, classes=classes,
            )  # fmt: skip
        case config.RecurrentConfig() if siga is not None and modules is not None:
            aligner = Aligner(columns(), dim, decoder, classes)
            return RecurrentSiga(
                *parts, aligner, dim, decoder, modules,
                fusion=siga.fusion, dropout=network.dropout, classes=classes,
            )  # fmt: skip
        case config.RecurrentConfig():
            return RecurrentRecognizer(*parts, dim, decoder, classes)
        case config.TransformerConfig():
            return TransformerRecognizer(*parts, dim, decoder, classes)
        case config.CtcConfig():
            return CtcRecognizer(*parts, dim, decoder, classes)
        case config.AlignedConfig() if siga is not None and isinstance(siga.parts, config.CompactParts):
            return AlignedRecognizer(
                *parts, dim, decoder, aligned_modules(siga.parts, trunk.shape, dim),
                glyphs=siga.glyphs, fusion=siga.fusion, dropout=network.dropout, classes=classes,
            )  # fmt: skip
        case config.AlignedConfig():
            raise AssertionError("the recipe's check requires compact SIGA modules here")
        case _:
            assert_never(decoder)
