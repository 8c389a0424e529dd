"""What a training run is asked for: network, losses, augmentation, optimisation."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from serialread.codes import PRINTABLE
from serialread.config.crop_geometry import CropGeometry
from serialread.config.networks import AnyNetwork, Network
from serialread.config.section import Section


class PaperBands(Section):
    """The paper's thresholds on interpolated attention, given for 32 columns and scaled to N (32 / N).

    They mean something only where every crop has as many columns: where the aspect is let go.
    """

    threshold: float = Field(default=0.05, gt=0, lt=1)
    """delta: a column belongs to a slot whose attention exceeds this."""
    centre: float = Field(default=0.1, gt=0, lt=1)
    """c of sigma in L_dif; 0.08 at 40 columns is the same."""
    slope: float = Field(default=70.0, gt=0)
    """k of sigma; it grows with N, so that k times c stays."""
    cell: float = Field(default=0.4, gt=0, lt=1)
    """Share of a cell that S_m must fill to make it text."""


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
    existence_pooling: Literal["top", "noisy_or"] = "top"
    """``top`` averages the most certain cells; ``noisy_or`` joins all, which saturates on large maps
    (256 cells of 0.005 already give 0.72)."""
    existence_positives: float = Field(default=1.0, gt=0)
    """Weight of characters that exist against those that do not: a text has about 5 of 36."""
    aligner: float = Field(default=1.0, ge=0)
    """Cross-entropy of the decoder whose attention makes the pseudo-labels, where it is one of its own."""
    upright: float = Field(default=1.0, ge=0)
    """Which of two ways up a line lies: an eighth of the crops, as they are and turned over."""
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
    calm: tuple[float, float] = (1.0, 1.0)
    """From this share of the run on, L_cor and L_dif weigh this many times as much: 0.125 and 0.3 in
    SIGA_R."""
    paper_bands: PaperBands | None = None
    """None measures attention in shares of each slot's peak, as crops that keep their aspect need."""
    disagreement: float = Field(default=1.0, gt=0, le=1)
    """L_ins leaves out pictures of which more disagrees with the self-supervised mask: 0.69 throws away
    masks of reversed polarity, as the paper's code does."""
    disagreement_from: float = Field(default=0.125, ge=0, le=1)
    """Share of the run from which it does."""
    binary_text: bool = False
    """L_cel in the paper's form, text against background, instead of one class a character (its code's)."""
    slot_weights: tuple[float, ...] = ()
    """Weights of the slots 1, 2, ... in L_cel, 1 beyond the last; SIGA_S weighs the middle ones up to
    2.86."""


class Rendered(Section):
    """The renderer's masks: exact, one a character; only rendered samples have them."""

    kind: Literal["rendered"] = "rendered"


class TwoMeans(Section):
    """The paper's: two clusters of grey, and the one that owns most of the border is the ground."""

    kind: Literal["two_means"] = "two_means"


class ReliefClusters(Section):
    """Two clusters of local energy, for marks whose grooves have a bright and a dark flank."""

    kind: Literal["relief"] = "relief"
    scale: float = Field(default=0.03, gt=0, le=0.5)
    """Deviation of the blur that joins the two flanks of a stroke, in crop heights."""
    ground: float = Field(default=0.3, gt=0, le=2)
    """Deviation of the blur that tells the surface's own tone, in crop heights."""
    departure: float = Field(default=0.8, ge=0, le=1)
    """How much departure from that tone counts against steepness: 0.5 suits relief alone a little better, 1
    print."""


Masks = Annotated[Rendered | TwoMeans | ReliefClusters, Field(discriminator="kind")]
"""What the segmentation learns from; all but ``rendered`` know text from ground, not character from
character."""


class Pretrained(Section):
    """Weights of others for one part of the network: a frozen TPS, DeiT."""

    part: Literal["rectifier", "trunk"]
    """Which."""
    file: Path
    """What torch.save wrote: tensors by name, or a table with them under ``model`` or ``state_dict``."""
    prefix: str = ""
    """What the names of this part begin with in the file; the rest is ours. Other names and shapes are
    left."""


class Augmentation(Section):
    """Changes drawn for each sample and epoch; mild, since the generator already varies."""

    kind: Literal["mild"] = "mild"
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


class AbinetAugmentation(Section):
    """What SIGA_R and SIGA_S train with; choices are drawn a picture, and move the mask along."""

    kind: Literal["abinet"]
    geometry: float = Field(default=0.5, ge=0, le=1)
    """Share rotated, sheared and scaled, or seen from aside."""
    turn_deg: float = Field(default=45.0, ge=0, le=90)
    """Largest turn."""
    deterioration: float = Field(default=0.25, ge=0, le=1)
    """Share with noise, motion blur and fewer pixels, in any order."""
    noise_variance: float = Field(default=20.0, ge=0)
    """Largest variance of the noise, grey levels squared."""
    motion_px: int = Field(default=6, ge=1)
    """Longest motion blur."""
    levels: int = Field(default=4, ge=1)
    """Divisor of the height and width of the poorest picture, which is then enlarged again."""
    jitter: float = Field(default=0.25, ge=0, le=1)
    """Share with another brightness and contrast, each up to half; crops are grey, so colour has no say."""


class RandomAugmentation(Section):
    """What SIGA_T trains with: a few of eight groups of changes, each of a strength drawn a picture."""

    kind: Literal["random"]
    skipped: float = Field(default=0.5, ge=0, le=1)
    """Share left as it is."""
    groups: int = Field(default=3, ge=1, le=8)
    """Groups drawn of tone, camera, noise, blur, weather, pattern, warp, geometry."""
    strength: int = Field(default=2, ge=0, le=2)
    """Strongest change."""


def _augmentation(value: Any) -> str:
    """``mild`` where none is named, as in the first recipes."""
    return str(value.get("kind", "mild") if isinstance(value, dict) else getattr(value, "kind", "mild"))


AnyAugmentation = Annotated[
    Annotated[Augmentation, Tag("mild")]
    | Annotated[AbinetAugmentation, Tag("abinet")]
    | Annotated[RandomAugmentation, Tag("random")],
    Discriminator(_augmentation),
]
"""Any of the three."""


class AdamW(Section):
    """Adam with decoupled weight decay."""

    kind: Literal["adamw"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.98)
    """Memory of the mean and of the square."""
    eps: float = Field(default=1e-8, gt=0)
    """Least divisor."""


class Adam(Section):
    """Adam; a weight decay joins the gradient."""

    kind: Literal["adam"]
    betas: tuple[float, float] = (0.9, 0.999)
    """Memory of the mean and of the square."""
    eps: float = Field(default=1e-8, gt=0)
    """Least divisor."""


class Adadelta(Section):
    """Steps as large as the last ones were."""

    kind: Literal["adadelta"]
    rho: float = Field(default=0.95, gt=0, lt=1)
    """Memory."""
    eps: float = Field(default=1e-8, gt=0)
    """Least divisor."""


Rule = Annotated[AdamW | Adam | Adadelta, Field(discriminator="kind")]
"""How a gradient becomes a step."""


class Optimisation(Section):
    """How the weights move."""

    rule: Rule = AdamW()
    """AdamW; the papers' differ."""

    crops: int = Field(default=2_200_000, ge=1)
    """Crops seen; steps are this divided by ``batch``."""
    only: tuple[str, ...] = ()
    """Parts of the network that learn; the rest stays as it is, and reads as it will. () all learn."""
    batch: int = Field(default=128, ge=1)
    """Crops a step, all of one width bucket."""
    rate: float = Field(default=1.2e-3, gt=0)
    """Peak learning rate."""
    warm_up: float = Field(default=0.04, ge=0, lt=1)
    """Share of the run in which the rate rises; afterwards it falls on a cosine."""
    rise: Literal["linear", "cosine"] = "linear"
    """How it rises, from a twentieth; ``cosine`` with warm_up 0.3 is one-cycle."""
    final: float = Field(default=0.0, ge=0, le=1)
    """What it falls to, of the peak."""
    decay: float = Field(default=0.03, ge=0)
    """Weight decay, on matrices and kernels only."""
    clip: float = Field(default=5.0, ge=0)
    """Largest gradient norm; 0 lets all pass."""
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
    alphabet: str = PRINTABLE
    """Characters that it learns, in any script; slots do not depend on them."""
    fold_case: bool = False
    """Labels in lower case, without what the alphabet lacks, as the papers' 36 characters want."""
    masks: Masks = Rendered()
    """Where the segmentation's truth comes from; made before augmentation and moved along with the
    picture."""
    pretrained: tuple[Pretrained, ...] = ()
    """Weights of others to begin with."""
    network: AnyNetwork = Network()
    losses: Losses = Losses()
    augmentation: AnyAugmentation = Augmentation()
    optimisation: Optimisation = Optimisation()

    @model_validator(mode="after")
    def _replicas_agree(self) -> "TrainingRecipe":
        if self.optimisation.replicas > 1 and self.network.dropout:
            raise ValueError("network.dropout must be 0 where optimisation.replicas is more than 1")
        if self.optimisation.batch % self.optimisation.replicas:
            raise ValueError("optimisation.replicas must divide optimisation.batch")
        return self

    @model_validator(mode="after")
    def _parts_agree(self) -> "TrainingRecipe":
        parts, losses = self.network.composed(), self.losses
        pair = 2 * parts.column_px
        if self.geometry.height % pair or any(width % pair for width in self.geometry.widths):
            raise ValueError(f"geometry: height and widths must be multiples of {pair}, for such cells")
        if parts.fixed_width and len(self.geometry.widths) > 1:
            raise ValueError("geometry.widths: this network needs crops of one width")
        if parts.rectifier and (losses.align or losses.counting or losses.dense_columns):
            raise ValueError(
                "losses align, counting and dense_columns must be 0: a rectifier moves the columns"
            )
        state = parts.decoder.state if parts.decoder.kind == "recurrent" else parts.sequence.width
        if losses.existence and state != parts.sequence.width:
            raise ValueError(
                "losses.existence: decoder.state must be sequence.width, to share the classifier"
            )
        return self
