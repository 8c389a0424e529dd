"""What a training run is asked for: network, losses, augmentation, optimisation."""

from typing import Literal

from pydantic import Field, model_validator

from serialread.recipe.base import Section
from serialread.recipe.geometry import CropGeometry


class Network(Section):
    """Sizes of the compact SIGA. Channels are multiples of 32, the tiles of the CPUs' matrix units."""

    relief: bool = True
    """Feed locally normalised grey and gradient magnitude too: a relief has a bright and a dark flank."""
    channels: tuple[int, int, int] = (32, 64, 192)
    """Channels of P_0 (half height), P_1 (quarter) and P_2 (eighth)."""
    blocks: tuple[int, int, int] = (0, 2, 3)
    """Residual blocks of two 3x3 convolutions in each stage."""
    columns: int = Field(default=192, ge=16, multiple_of=16)
    """Channels of a column, of a slot's glimpse and of a glyph feature."""
    mixing_blocks: int = Field(default=2, ge=0, le=8)
    """Self-attention blocks over the columns; without them a slot cannot count (long codes drift)."""
    heads: int = Field(default=6, ge=1)
    """Attention heads of a mixing block."""
    mlp_ratio: int = Field(default=2, ge=1, le=8)
    """Hidden width of a mixing block's perceptron, in columns."""
    attention: int = Field(default=32, ge=8)
    """Channels of the additive attention; B x T x N x this many tanh are the price."""
    pyramid: int = Field(default=64, ge=8)
    """Channels of O_2 and O_1, on which the glyph maps are drawn."""
    segmentation: int = Field(default=16, ge=8)
    """Channels of O_0, training only."""
    dropout: float = Field(default=0.1, ge=0, lt=1)
    """Share of glyph features blanked before fusion: neither eye may blind the other."""

    @model_validator(mode="after")
    def _heads_divide(self) -> "Network":
        if self.columns % self.heads:
            raise ValueError(f"heads ({self.heads}) must divide columns ({self.columns})")
        return self


class Losses(Section):
    """Weight of each loss term, and when it acts; method: SIGA sections 3 to 7, start-up after section 15."""

    reading: float = Field(default=1.0, ge=0)
    """Cross-entropy of F, the fused slots: the reading itself."""
    fused: float = Field(default=0.5, ge=0)
    """Cross-entropy of f_1 and f_2, each."""
    glimpse: float = Field(default=0.5, ge=0)
    """Cross-entropy of g, the implicit attention alone."""
    glyph: float = Field(default=0.5, ge=0)
    """Cross-entropy of I_1 and I_2, the glyph features alone, each."""
    segment: float = Field(default=0.5, ge=0)
    """L_ins: text or background, at half resolution."""
    correlation: float = Field(default=0.5, ge=0)
    """L_cor: slots must look at different columns. It likes diffuse attention: never without L_dif."""
    difference: float = Field(default=0.1, ge=0)
    """L_dif: together the slots must cover the text."""
    glyph_maps: float = Field(default=0.5, ge=0)
    """L_seg: dice and 27-way cross-entropy of the glyph maps, each level."""
    null: float = Field(default=0.5, ge=0)
    """Slots past the end look at the null cell, the others do not."""
    dense_columns: float = Field(default=1.0, ge=0)
    """Class of every column through the shared classifier; starts the attention."""
    dense_cells: float = Field(default=0.5, ge=0)
    """Class of every cell of P_2 through the shared classifier."""
    counting: float = Field(default=0.5, ge=0)
    """Characters begin where the masks say, and as many as the text has: gives every slot its place."""
    align: float = Field(default=1.0, ge=0)
    """Attention inside the character's columns; falls to a tenth by half time."""
    ctc: float = Field(default=0.3, ge=0)
    """CTC of an auxiliary head on the columns."""
    existence: float = Field(default=0.0, ge=0)
    """SEC: which characters exist anywhere. Off where masks are known: dense_cells is its exact twin."""
    existence_pool: int = Field(default=1, ge=1)
    """Cells averaged into the probability that a character exists; 1 is the maximum."""
    threshold: float = Field(default=0.35, gt=0, lt=1)
    """A column belongs to a slot where its attention exceeds this share of the slot's peak."""
    slope: float = Field(default=20.0, gt=0)
    """Steepness of sigma in L_dif: 70 at centre 0.1 in the paper, the same product at centre 0.35."""
    glyph_labels: Literal["rendered", "attention"] = "rendered"
    """S_gt: from the rendered masks (exact), or from attention x segmentation as in the paper."""
    attention_share: float = Field(default=0.5, ge=0, le=1)
    """Share of rendered samples that get the paper's S_gt once the attention is straight."""
    ramp: tuple[float, float] = (0.2, 0.4)
    """L_cor, L_dif and attention_share grow between these shares of the run: after reading has begun."""


class Augmentation(Section):
    """Changes drawn for each sample and epoch; mild, since the generator already varies."""

    probability: float = Field(default=0.5, ge=0, le=1)
    """Share of samples that are moved, and of those whose light is changed."""
    shift: float = Field(default=0.06, ge=0, le=0.5)
    """Largest shift, of the crop's height."""
    scale: float = Field(default=0.12, ge=0, le=0.9)
    """Largest change of size, of one."""
    shear: float = Field(default=0.2, ge=0, le=1)
    """Largest sideways slant, px per px of height."""
    tilt_deg: float = Field(default=3.0, ge=0, le=45)
    """Largest turn; a long crop is turned less, so that its ends stay inside."""
    gamma: float = Field(default=0.4, ge=0, le=2)
    """Largest change of the exponent's logarithm."""
    invert: float = Field(default=0.2, ge=0, le=1)
    """Share of samples in reversed polarity: marks are dark on bright as often as bright on dark."""
    noise: float = Field(default=8.0, ge=0, le=64)
    """Largest deviation of added noise, grey levels."""
    blur_px: float = Field(default=1.0, ge=0, le=4)
    """Largest deviation of a Gaussian blur."""


class Optimisation(Section):
    """How the weights move."""

    crops: int = Field(default=2_200_000, ge=1)
    """Crops seen; steps are this divided by ``batch``."""
    batch: int = Field(default=128, ge=1)
    """Crops a step, all of one width bucket."""
    rate: float = Field(default=1.2e-3, gt=0)
    """Peak learning rate of AdamW."""
    warm_up: float = Field(default=0.04, ge=0, lt=1)
    """Share of the run in which the rate rises; afterwards it falls to zero on a cosine."""
    decay: float = Field(default=0.03, ge=0)
    """Weight decay, on matrices and kernels only."""
    clip: float = Field(default=5.0, gt=0)
    """Largest gradient norm."""
    average: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the averaged weights, which are validated, kept and exported; shorter at the start."""
    bf16: bool = True
    """bfloat16 arithmetic where it is safe; four times faster on CPUs with AMX."""
    replicas: int = Field(default=1, ge=1)
    """Threads that each learn from their part of a batch, one core each; 1 spreads each layer over the cores.
    With more than one the dropout must be 0: chance would depend on which thread comes first."""
    workers: int = Field(default=1, ge=0)
    """Processes that read and augment; 0 does it in the loop."""
    validate_crops: int = Field(default=100_000, ge=1)
    """Crops seen between two validations."""
    validation_limit: int = Field(default=4_000, ge=1)
    """Crops validated at most, evenly drawn from the validation store."""
    save_minutes: float = Field(default=5.0, gt=0)
    """Minutes between two saves of last.pt."""

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return max(1, self.crops // self.batch)


class TrainingRecipe(Section):
    """One training run."""

    name: str = "siga-compact"
    """Family of the model; its id is this and a hash of the weights."""
    seed: int = 1
    """Seed of weights, order and augmentation."""
    geometry: CropGeometry = CropGeometry()
    network: Network = Network()
    losses: Losses = Losses()
    augmentation: Augmentation = Augmentation()
    optimisation: Optimisation = Optimisation()

    @model_validator(mode="after")
    def _replicas_agree(self) -> "TrainingRecipe":
        if self.optimisation.replicas > 1 and self.network.dropout:
            raise ValueError("network.dropout must be 0 where optimisation.replicas is more than 1")
        if self.optimisation.batch % self.optimisation.replicas:
            raise ValueError("optimisation.replicas must divide optimisation.batch")
        return self
