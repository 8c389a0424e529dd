"""What a recognizer is put together of: backbone, sequence, decoder, parts of SIGA.

Every part is a tagged union: another kind, other knobs. The shipped network keeps the flat spelling of its
first recipe, ``Network``, which is short for one composition; whoever builds sees compositions alone.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from serialread.config.section import Section

# ------------------------------------------------------------------------------------------------- backbones


class CompactTrunk(Section):
    """Residual stages on cells of a few px. Channels are multiples of 32, tiles of CPUs' matrix units."""

    kind: Literal["compact"] = "compact"
    cell: Literal[2, 3] = 2
    """Crop px in a cell's side: 3 at 48 rows costs what 2 costs at 32, and sees what is lost there."""
    relief: bool = True
    """Feed locally normalised grey and gradient magnitude too: a relief has a bright and a dark flank."""
    channels: tuple[int, int, int] = (32, 64, 192)
    """Channels of P_0 (a row a cell), P_1 (half as many rows) and P_2 (a quarter)."""
    blocks: tuple[int, int, int] = (0, 2, 3)
    """Residual blocks of two 3x3 convolutions in each stage."""


class ResnetConfig(Section):
    """The 45-layer residual network of SIGA_R; taps at full, half and quarter height."""

    kind: Literal["resnet"] = "resnet"
    channels: tuple[int, int, int, int, int, int] = (32, 32, 64, 128, 256, 512)
    """Channels of the first convolution (P_0) and of the layers 1 to 5; P_1 after 2, P_2 after 4."""
    blocks: tuple[int, int, int, int, int, int, int] = (3, 4, 6, 6, 3, 2, 1)
    """Basic blocks of the layers 1 to 7."""
    lines: bool = True
    """Turn the last map into one row; False ends with layer 5, for decoders that look at the whole map
    (SEC)."""


class SvtrConfig(Section):
    """SVTR of SIGA_S; taps after the first stem convolution and the stages 1 and 2."""

    kind: Literal["svtr"] = "svtr"
    channels: tuple[int, int, int] = (192, 256, 512)
    """Channels of the three stages; half of the first is P_0's."""
    depths: tuple[int, int, int] = (3, 9, 9)
    """Mixing blocks of the stages."""
    heads: tuple[int, int, int] = (6, 8, 16)
    """Attention heads of the stages; each must divide the stage's channels."""
    local: int = Field(default=10, ge=0)
    """So many first blocks look at their neighbourhood alone, the others at everything."""
    window: tuple[int, int] = (7, 11)
    """Rows and columns of that neighbourhood, odd."""
    mlp_ratio: int = Field(default=4, ge=1)
    """Hidden width of a block's perceptron, in channels."""
    drop_path: float = Field(default=0.1, ge=0, lt=1)
    """Share of crops that skip the last block while learning; rises from 0 at the first."""
    out: int = Field(default=384, ge=16)
    """Channels of a column."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "SvtrConfig":
        for channels, heads in zip(self.channels, self.heads, strict=True):
            if channels % heads:
                raise ValueError(f"heads ({heads}) must divide channels ({channels})")
        return self


class VitConfig(Section):
    """The vision transformer of SIGA_T, patches of 4 x 4 px; names as DeiT's, so that its weights load."""

    kind: Literal["vit"] = "vit"
    width: int = Field(default=768, ge=16)
    """Channels of a token."""
    depth: int = Field(default=12, ge=1)
    """Blocks."""
    heads: int = Field(default=12, ge=1)
    """Attention heads; must divide width."""
    taps: tuple[int, int, int, int] = (2, 4, 6, 8)
    """Blocks (from 1) after which the pyramid looks (the first three) and the finer glyph feature (the
    last)."""
    out: int = Field(default=512, ge=16)
    """Channels of a column."""
    pyramid: int = Field(default=128, ge=8)
    """Channels of the taps once they are convolved; P_2 has twice as many."""
    features: int = Field(default=256, ge=8)
    """Channels of the glyph features; a multiple of 8, as the tokens' width."""

    @model_validator(mode="after")
    def _fits(self) -> "VitConfig":
        if self.width % self.heads or self.width % 8 or self.features % 8:
            raise ValueError("heads must divide width; width and features must be multiples of 8")
        if max(self.taps) > self.depth:
            raise ValueError(f"taps {self.taps} lie beyond the depth ({self.depth})")
        return self


Backbone = Annotated[CompactTrunk | ResnetConfig | SvtrConfig | VitConfig, Field(discriminator="kind")]
"""From pixels to taps P_0, P_1, P_2 and to columns."""


class RectifierConfig(Section):
    """TPS: a thin-plate spline through fiducial points straightens the crop; frozen, as the papers have it.

    No weights come with it: it begins as the identity, and ``pretrained`` loads a file where there is one.
    """

    points: int = Field(default=20, ge=6, multiple_of=2)
    """Fiducial points, half of them on the upper edge."""


# ------------------------------------------------------------------------------------- sequences and decoders


class MixingConfig(Section):
    """Collapse the height, then let all columns see one another; looks at pixels only, knows no language."""

    kind: Literal["mixing"] = "mixing"
    width: int = Field(default=192, ge=16, multiple_of=16)
    """Channels of a column, of a slot's glimpse and of a glyph feature."""
    blocks: int = Field(default=2, ge=0, le=8)
    """Self-attention blocks over the columns; without them a slot cannot count (long codes drift)."""
    heads: int = Field(default=6, ge=1)
    """Attention heads of a mixing block; must divide width."""
    mlp_ratio: int = Field(default=2, ge=1, le=8)
    """Hidden width of a mixing block's perceptron, in columns."""


class BiLstm(Section):
    """Average over the height, then recurrent layers both ways, each followed by a linear one."""

    kind: Literal["bilstm"] = "bilstm"
    width: int = Field(default=256, ge=16)
    """Channels of a column, and of the state in each direction."""
    layers: int = Field(default=2, ge=1, le=4)
    """Layers."""


class Cells(Section):
    """Keep the 2D map: every cell with its place, for decoders that look at the whole map (SEC)."""

    kind: Literal["cells"] = "cells"
    width: int = Field(default=256, ge=16, multiple_of=4)
    """Channels of a cell."""


Sequence = Annotated[MixingConfig | BiLstm | Cells, Field(discriminator="kind")]
"""From the last map to what the decoder looks at."""


class Parallel(Section):
    """All slots at once: an embedding of the slot replaces the recurrent state."""

    kind: Literal["parallel"] = "parallel"
    attention: int = Field(default=32, ge=8)
    """Channels of the additive attention; B x T x N x this many tanh are the price."""
    counting: bool = True
    """Columns count the beginnings of characters, which gives every slot its place."""
    upright: bool = False
    """Say whether the line lies the right way up, from the columns as they are: it teaches them nothing."""


class Recurrent(Section):
    """One slot after the other, each knowing the character before it (attention of Bahdanau)."""

    kind: Literal["recurrent"] = "recurrent"
    attention: int = Field(default=256, ge=8)
    """Channels of the additive attention."""
    state: int = Field(default=256, ge=8)
    """Channels of the cell's state."""
    embedding: int = Field(default=256, ge=8)
    """Channels of the character before."""
    final_state: int = Field(default=512, ge=8)
    """Channels of the state of the decoder that reads the fused glyphs; SIGA alone."""


class Transformer(Section):
    """Slots see the characters before them and look at the map by scaled dot products."""

    kind: Literal["transformer"] = "transformer"
    layers: int = Field(default=2, ge=1, le=6)
    """Layers."""
    heads: int = Field(default=8, ge=1)
    """Attention heads; must divide the sequence's width."""
    mlp_ratio: int = Field(default=2, ge=1)
    """Hidden width of a layer's perceptron, in channels."""


class Ctc(Section):
    """The class of every column, repeats joined (CTC); no attention: the baseline and a start for it."""

    kind: Literal["ctc"] = "ctc"


Decoder = Annotated[Parallel | Recurrent | Transformer | Ctc, Field(discriminator="kind")]
"""From columns to characters."""

# --------------------------------------------------------------------------------------------- parts of SIGA

Layers = tuple[tuple[int, int], ...]
"""Kernel size and channels of convolutions, in order."""


class CompactParts(Section):
    """Narrow pyramid, told by the columns which character is where; a null cell for slots past the end."""

    kind: Literal["compact"] = "compact"
    pyramid: int = Field(default=64, ge=8)
    """Channels of O_2 and O_1, on which the glyph maps are drawn."""
    segmentation: int = Field(default=16, ge=8)
    """Channels of O_0, training only."""


class PaperParts(Section):
    """The pyramid of the paper, and a recurrent layer over the slots."""

    kind: Literal["paper"] = "paper"
    top: Layers = ((1, 256), (3, 128))
    """Convolutions from P_2 to O_2; none where P_2 is O_2."""
    middle: Layers = ((1, 128), (1, 128))
    """Convolutions from O_2, raised, and P_1 to O_1."""
    finest: Layers = ((1, 128),)
    """Convolutions from O_1, raised, and P_0 to O_0; training only."""
    raised: tuple[int, int] = (128, 128)
    """Channels of O_2 and O_1 once raised by transposed convolutions."""
    feature_kernel: Literal[0, 3] = 3
    """Convolution that makes glyph features of the taps; 0 where the backbone gives features."""


Parts = Annotated[CompactParts | PaperParts, Field(discriminator="kind")]


class Siga(Section):
    """The parts that SIGA adds to any backbone and to the parallel or the recurrent decoder."""

    parts: Parts = CompactParts()
    """Pyramid, segmentation and glyph levels."""
    glyphs: bool = True
    """GLAN: glyph features beside the glimpse; without them the segmentation alone straightens the
    attention."""
    fusion: bool = True
    """ACFM: gates choose between glimpse and glyph; without them their mean is read."""


class Composed(Section):
    """A recognizer put together of named parts."""

    kind: Literal["composed"]
    rectifier: RectifierConfig | None = None
    """None reads the crop as it is."""
    backbone: Backbone
    """From pixels to maps."""
    sequence: Sequence
    """From maps to columns."""
    decoder: Decoder
    """From columns to characters."""
    siga: Siga | None = None
    """None is the plain recognizer."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of glyph features blanked before fusion: neither eye may blind the other."""

    @model_validator(mode="after")
    def _fits(self) -> "Composed":
        heads = getattr(self.sequence, "heads", 1), getattr(self.decoder, "heads", 1)
        if any(self.sequence.width % h for h in heads):
            raise ValueError(f"heads must divide the sequence's width ({self.sequence.width})")
        if self.siga and not isinstance(self.decoder, Parallel | Recurrent):
            raise ValueError(f"siga attaches to parallel and recurrent decoders, not to {self.decoder.kind}")
        if self.siga and isinstance(self.decoder, Recurrent) and not self.siga.glyphs:
            raise ValueError("siga.glyphs: the recurrent decoder needs them")
        if isinstance(self.sequence, Cells) and (self.siga or isinstance(self.decoder, Ctc | Parallel)):
            raise ValueError("a sequence of cells is for plain recurrent and transformer decoders")
        return self

    def composed(self) -> "Composed":
        """Itself."""
        return self

    @property
    def fixed_width(self) -> bool:
        """Whether all crops must be of one width: tokens have places, and recurrent layers are unrolled."""
        return not (
            isinstance(self.backbone, CompactTrunk) and isinstance(self.sequence, MixingConfig | Cells)
        ) or isinstance(self.siga and self.siga.parts, PaperParts)

    @property
    def mask_step(self) -> int:
        """Crop px in one px of the segmentation S_m."""
        if self.siga and isinstance(self.siga.parts, PaperParts):
            return 1
        return self.column_px // 2

    @property
    def column_px(self) -> int:
        """Crop px in one column of the attention."""
        return 2 * self.backbone.cell if isinstance(self.backbone, CompactTrunk) else 4


class Network(Section):
    """The shipped network in its first spelling: the compact trunk, all slots at once, all parts of SIGA."""

    kind: Literal["compact"] = "compact"
    cell: Literal[2, 3] = 2
    """As in ``CompactTrunk``."""
    relief: bool = True
    """As in ``CompactTrunk``."""
    channels: tuple[int, int, int] = (32, 64, 192)
    """As in ``CompactTrunk``."""
    blocks: tuple[int, int, int] = (0, 2, 3)
    """As in ``CompactTrunk``."""
    columns: int = Field(default=192, ge=16, multiple_of=16)
    """Width of ``Mixing``."""
    mixing_blocks: int = Field(default=2, ge=0, le=8)
    """As in ``Mixing``."""
    heads: int = Field(default=6, ge=1)
    """As in ``Mixing``."""
    mlp_ratio: int = Field(default=2, ge=1, le=8)
    """As in ``Mixing``."""
    attention: int = Field(default=32, ge=8)
    """As in ``Parallel``."""
    upright: bool = False
    """As in ``Parallel``."""
    pyramid: int = Field(default=64, ge=8)
    """As in ``CompactParts``."""
    segmentation: int = Field(default=16, ge=8)
    """As in ``CompactParts``."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """As in ``Composed``."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "Network":
        if self.columns % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide columns ({self.columns})")
        return self

    def composed(self) -> Composed:
        """The composition that this is short for."""
        return Composed(
            kind="composed",
            backbone=CompactTrunk(
                cell=self.cell, relief=self.relief, channels=self.channels, blocks=self.blocks
            ),
            sequence=MixingConfig(
                width=self.columns, blocks=self.mixing_blocks, heads=self.heads, mlp_ratio=self.mlp_ratio
            ),
            decoder=Parallel(attention=self.attention, upright=self.upright),
            siga=Siga(parts=CompactParts(pyramid=self.pyramid, segmentation=self.segmentation)),
            dropout=self.dropout,
        )


def _spelling(value: Any) -> str:
    """``compact`` where a network names no kind, as the first recipes do."""
    if isinstance(value, dict):
        return str(value.get("kind", "compact"))
    return str(getattr(value, "kind", "compact"))


AnyNetwork = Annotated[
    Annotated[Network, Tag("compact")] | Annotated[Composed, Tag("composed")], Discriminator(_spelling)
]
"""Either spelling."""
