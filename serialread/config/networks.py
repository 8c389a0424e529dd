"""The parts of a recognizer: backbone, sequence model, decoder, SIGA modules.

Every part is a tagged union, selected by ``kind``; each kind has its own settings.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from serialread.codes import CTC_CAPACITY, MAX_LENGTH
from serialread.config.section import Section

# ------------------------------------------------------------------------------------------------- backbones


class CompactTrunkConfig(Section):
    """Residual stages on cells of a few px. Channels are multiples of 32, as CPU matrix units' tiles."""

    fixed_width: ClassVar[bool] = False

    kind: Literal["compact"] = "compact"
    cell: Literal[2, 3] = 2
    """Side of a cell in crop px: 3 at 48 rows costs the same as 2 at 32 rows and keeps more detail."""
    relief: bool = True
    """Add channels of locally normalized grey and gradient magnitude: a relief has a bright and a dark
    flank."""
    channels: tuple[int, int, int] = (32, 64, 192)
    """Channels of P_0 (one row per cell), P_1 (half as many rows) and P_2 (a quarter)."""
    blocks: tuple[int, int, int] = (0, 2, 3)
    """Residual blocks of two 3x3 convolutions in each stage."""

    @property
    def column_px(self) -> int:
        """Crop px per column."""
        return 2 * self.cell


class ResnetConfig(Section):
    """The 45-layer residual network of SIGA_R; feature maps at full, half and quarter height."""

    fixed_width: ClassVar[bool] = True
    column_px: ClassVar[int] = 4

    kind: Literal["resnet"] = "resnet"
    channels: tuple[int, int, int, int, int, int] = (32, 32, 64, 128, 256, 512)
    """Channels of the first convolution (P_0) and of layers 1 to 5; P_1 follows layer 2, P_2 layer 4."""
    blocks: tuple[int, int, int, int, int, int, int] = (3, 4, 6, 6, 3, 2, 1)
    """Basic blocks of layers 1 to 7."""
    single_row: bool = True
    """Reduce the last map to one row; False ends with layer 5, for decoders that attend to the whole map
    (SEC)."""


class SvtrConfig(Section):
    """SVTR of SIGA_S; feature maps after the first stem convolution and after stages 1 and 2."""

    fixed_width: ClassVar[bool] = True
    column_px: ClassVar[int] = 4

    kind: Literal["svtr"] = "svtr"
    channels: tuple[int, int, int] = (192, 256, 512)
    """Channels of the three stages; P_0 has half of the first."""
    depths: tuple[int, int, int] = (3, 9, 9)
    """Mixing blocks per stage."""
    heads: tuple[int, int, int] = (6, 8, 16)
    """Attention heads per stage; each must divide the stage's channels."""
    local: int = Field(default=10, ge=0)
    """Number of initial blocks with local attention; the others attend globally."""
    window: tuple[int, int] = (7, 11)
    """Rows and columns of the local attention window, odd."""
    mlp_ratio: int = Field(default=4, ge=1)
    """Hidden width of a block's MLP, as a multiple of the channels."""
    drop_path: float = Field(default=0.1, ge=0, lt=1)
    """Stochastic depth of the last block; rises linearly from 0 at the first."""
    out: int = Field(default=384, ge=16)
    """Channels of a column."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "SvtrConfig":
        for channels, heads in zip(self.channels, self.heads, strict=True):
            if channels % heads:
                raise ValueError(f"heads ({heads}) must divide channels ({channels})")
        return self


class VitConfig(Section):
    """The vision transformer of SIGA_T, patches of 4 x 4 px; named as in DeiT, so that its weights load."""

    fixed_width: ClassVar[bool] = True
    column_px: ClassVar[int] = 4

    kind: Literal["vit"] = "vit"
    width: int = Field(default=768, ge=16)
    """Channels of a token."""
    depth: int = Field(default=12, ge=1)
    """Number of blocks."""
    heads: int = Field(default=12, ge=1)
    """Attention heads; must divide width."""
    map_blocks: tuple[int, int, int, int] = (2, 4, 6, 8)
    """Blocks (counted from 1) whose outputs become feature maps: three for the pyramid, one for the finer
    glyph features."""
    out: int = Field(default=512, ge=16)
    """Channels of a column."""
    pyramid: int = Field(default=128, ge=8)
    """Channels of P_1; P_2 has twice as many."""
    features: int = Field(default=256, ge=8)
    """Channels of the glyph features; a multiple of 8, like the token width."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> "VitConfig":
        if self.width % self.heads or self.width % 8 or self.features % 8:
            raise ValueError("heads must divide width; width and features must be multiples of 8")
        if max(self.map_blocks) > self.depth:
            raise ValueError(f"map_blocks {self.map_blocks} exceed the depth ({self.depth})")
        return self


BackboneConfig = Annotated[
    CompactTrunkConfig | ResnetConfig | SvtrConfig | VitConfig, Field(discriminator="kind")
]
"""From pixels to the feature maps P_0, P_1, P_2 and the last map. Another backbone is a section here, with
its ``fixed_width`` and ``column_px``, and one line in ``models.building.BACKBONES``."""


class RectifierConfig(Section):
    """TPS: a thin-plate spline through fiducial points straightens the crop; frozen, as in the papers.

    No weights are shipped: it starts as the identity, and ``pretrained`` loads a file.
    """

    points: int = Field(default=20, ge=6, multiple_of=2)
    """Fiducial points, half of them on the upper edge."""


# ------------------------------------------------------------------------------------- sequences and decoders


class MixingConfig(Section):
    """Collapse the height, then self-attention over the columns; visual only, no language model."""

    kind: Literal["mixing"] = "mixing"
    width: int = Field(default=192, ge=16, multiple_of=16)
    """Channels of a column, of a slot's glimpse and of a glyph feature."""
    blocks: int = Field(default=2, ge=0, le=8)
    """Self-attention blocks; without them a slot cannot count characters (long codes drift)."""
    heads: int = Field(default=6, ge=1)
    """Attention heads of a block; must divide width."""
    mlp_ratio: int = Field(default=2, ge=1, le=8)
    """Hidden width of a block's MLP, as a multiple of ``width``."""


class BiLstmConfig(Section):
    """Average over the height, then bidirectional LSTM layers, each followed by a linear layer."""

    kind: Literal["bilstm"] = "bilstm"
    width: int = Field(default=256, ge=16)
    """Channels of a column, and of the state in each direction."""
    layers: int = Field(default=2, ge=1, le=4)
    """Number of layers."""


class CellsConfig(Section):
    """Keep the 2D map: every cell with its position, for decoders that attend to the whole map (SEC)."""

    kind: Literal["cells"] = "cells"
    width: int = Field(default=256, ge=16, multiple_of=4)
    """Channels of a cell."""


SequenceConfig = Annotated[MixingConfig | BiLstmConfig | CellsConfig, Field(discriminator="kind")]
"""From the last map to what the decoder attends to."""


class ParallelConfig(Section):
    """All slots at once: a learned query per slot replaces the recurrent state."""

    kind: Literal["parallel"] = "parallel"
    attention: int = Field(default=32, ge=8)
    """Channels of the additive attention; it costs B x T x N x this many tanh."""
    counting: bool = True
    """Columns predict where characters start; the running count guides each slot to its position."""
    upright: bool = False
    """Predict whether the line is upright or upside-down; does not train the columns."""


class RecurrentConfig(Section):
    """One slot after the other, each conditioned on the previous character (Bahdanau attention)."""

    kind: Literal["recurrent"] = "recurrent"
    attention: int = Field(default=256, ge=8)
    """Channels of the additive attention."""
    state: int = Field(default=256, ge=8)
    """Channels of the cell's state."""
    embedding: int = Field(default=256, ge=8)
    """Channels of the previous character's embedding."""
    final_state: int = Field(default=512, ge=8)
    """Channels of the state of the decoder that reads the fused glyphs; SIGA only."""


class TransformerConfig(Section):
    """A causal Transformer decoder that attends to the map."""

    kind: Literal["transformer"] = "transformer"
    layers: int = Field(default=2, ge=1, le=6)
    """Number of layers."""
    heads: int = Field(default=8, ge=1)
    """Attention heads; must divide the sequence's width."""
    mlp_ratio: int = Field(default=2, ge=1)
    """Hidden width of a layer's MLP, as a multiple of the channels."""


class CtcConfig(Section):
    """CTC over the columns, no attention: the baseline, and a start for the other decoders."""

    kind: Literal["ctc"] = "ctc"
    outside: float = Field(default=1.0, gt=0, le=1)
    """In training, factor on the probability of a character outside its own columns, where the renderer's
    masks say which these are; 1 ignores the masks."""


class AlignedConfig(Section):
    """CTC says how many characters there are and where; the glyph branch reads each of them."""

    kind: Literal["aligned"] = "aligned"
    outside: float = Field(default=1.0, gt=0, le=1)
    """As in ``ctc``."""
    upright: bool = False
    """Predict whether the line is upright or upside-down; does not train the columns."""


DecoderConfig = Annotated[
    ParallelConfig | RecurrentConfig | TransformerConfig | CtcConfig | AlignedConfig,
    Field(discriminator="kind"),
]
"""From columns to characters."""

# --------------------------------------------------------------------------------------------- parts of SIGA

Layers = tuple[tuple[int, int], ...]
"""Kernel size and channels of consecutive convolutions."""


class CompactParts(Section):
    """Narrow pyramid with column context; a null cell for slots past the end."""

    kind: Literal["compact"] = "compact"
    pyramid: int = Field(default=64, ge=8)
    """Channels of O_2 and O_1, from which the glyph maps are predicted."""
    segmentation: int = Field(default=16, ge=8)
    """Channels of O_0, training only."""

    def mask_px(self, column_px: int) -> int:
        """Crop px per px of the segmentation S_m."""
        return column_px // 2


class PaperParts(Section):
    """The pyramid of the paper, and a recurrent layer over the slots."""

    kind: Literal["paper"] = "paper"
    top: Layers = ((1, 256), (3, 128))
    """Convolutions from P_2 to O_2; empty where P_2 is O_2."""
    middle: Layers = ((1, 128), (1, 128))
    """Convolutions from upsampled O_2 and P_1 to O_1."""
    finest: Layers = ((1, 128),)
    """Convolutions from upsampled O_1 and P_0 to O_0; training only."""
    raised: tuple[int, int] = (128, 128)
    """Channels of O_2 and O_1 after upsampling by transposed convolutions."""
    feature_kernel: Literal[0, 3] = 3
    """Convolution from feature maps to glyph features; 0 where the backbone provides these."""

    def mask_px(self, column_px: int) -> int:
        """Crop px per px of the segmentation S_m: full resolution."""
        return 1


class SigaConfig(Section):
    """The modules that SIGA adds to any backbone and to the parallel or the recurrent decoder."""

    parts: Annotated[CompactParts | PaperParts, Field(discriminator="kind")] = CompactParts()
    """Pyramid, segmentation and glyph levels."""
    glyphs: bool = True
    """GLAN: glyph features in addition to the glimpse; without them only the segmentation guides the
    attention."""
    fusion: bool = True
    """ACFM: gates fuse glimpse and glyph; without them their mean is read."""


class NetworkConfig(Section):
    """A recognizer composed of named parts."""

    rectifier: RectifierConfig | None = None
    """None reads the crop as it is."""
    backbone: BackboneConfig = CompactTrunkConfig()
    """From pixels to feature maps."""
    sequence: SequenceConfig = MixingConfig()
    """From the last map to columns."""
    decoder: DecoderConfig = ParallelConfig()
    """From columns to characters."""
    siga: SigaConfig | None = None
    """None is the plain recognizer."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of glyph features dropped before fusion, so that neither glimpse nor glyph is ignored."""

    @model_validator(mode="after")
    def _parts_fit(self) -> "NetworkConfig":
        heads = getattr(self.sequence, "heads", 1), getattr(self.decoder, "heads", 1)
        if any(self.sequence.width % h for h in heads):
            raise ValueError(f"heads must divide the sequence's width ({self.sequence.width})")
        if self.siga and not isinstance(self.decoder, ParallelConfig | RecurrentConfig | AlignedConfig):
            raise ValueError(f"siga needs an aligned, parallel or recurrent decoder, not {self.decoder.kind}")
        if isinstance(self.decoder, AlignedConfig) and (
            self.siga is None or not isinstance(self.siga.parts, CompactParts)
        ):
            raise ValueError("decoder aligned needs siga with the compact parts")
        if self.siga and isinstance(self.decoder, RecurrentConfig) and not self.siga.glyphs:
            raise ValueError("siga.glyphs: the recurrent decoder needs them")
        if isinstance(self.sequence, CellsConfig) and (
            self.siga or isinstance(self.decoder, CtcConfig | ParallelConfig | AlignedConfig)
        ):
            raise ValueError("sequence cells works with plain recurrent and transformer decoders only")
        return self

    @property
    def fixed_width(self) -> bool:
        """Whether all crops must have the same width: positions are learned or recurrent layers unrolled."""
        recurrent = isinstance(self.sequence, BiLstmConfig)
        paper = self.siga is not None and isinstance(self.siga.parts, PaperParts)
        return self.backbone.fixed_width or recurrent or paper

    @property
    def capacity(self) -> int:
        """Number of characters that the network reads at most."""
        return CTC_CAPACITY if isinstance(self.decoder, CtcConfig | AlignedConfig) else MAX_LENGTH

    @property
    def mask_px(self) -> int:
        """Crop px per px of the segmentation S_m."""
        parts = CompactParts() if self.siga is None else self.siga.parts
        return parts.mask_px(self.column_px)

    @property
    def column_px(self) -> int:
        """Crop px per column of the attention."""
        return self.backbone.column_px
