"""Training recipes: network, losses, augmentation, optimization."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, model_validator

from serialread.codes import PRINTABLE
from serialread.config.crop_geometry import CropGeometry
from serialread.config.networks import NetworkConfig, SigaConfig
from serialread.config.section import Section, recipe_id


class PaperBands(Section):
    """The paper's thresholds on interpolated attention, given for 32 columns and scaled by 32 / N.

    They are meaningful only where every crop has the same number of columns (``fit = "stretch"``).
    """

    threshold: float = Field(default=0.05, gt=0, lt=1)
    """delta: a column belongs to a slot whose attention exceeds this."""
    centre: float = Field(default=0.1, gt=0, lt=1)
    """c of the sigmoid in L_dif; 0.08 at 40 columns is equivalent."""
    slope: float = Field(default=70.0, gt=0)
    """k of the sigmoid; scales with N, so that k times c is constant."""
    cell: float = Field(default=0.4, gt=0, lt=1)
    """Share of a cell that S_m must cover to make it text."""


class Losses(Section):
    """Weights and schedules of the loss terms; names after SIGA (Guan et al., CVPR 2023) and SEC."""

    reading: float = Field(default=1.0, ge=0)
    """Cross-entropy of F, the fused slots: the reading itself."""
    fused: float = Field(default=0.5, ge=0)
    """Cross-entropy of f_1 and f_2, each."""
    glimpse: float = Field(default=0.5, ge=0)
    """Cross-entropy of g, the implicit attention alone."""
    glyph: float = Field(default=0.5, ge=0)
    """Cross-entropy of I_1 and I_2, the glyph features alone, each."""
    segment: float = Field(default=0.5, ge=0)
    """L_ins: text or background."""
    correlation: float = Field(default=0.5, ge=0)
    """L_cor: slots must attend to different columns. Favours diffuse attention: use it with L_dif only."""
    difference: float = Field(default=0.1, ge=0)
    """L_dif: together the slots must cover the text."""
    glyph_maps: float = Field(default=0.5, ge=0)
    """L_seg: dice and 27-way cross-entropy of the glyph maps, each level."""
    null: float = Field(default=0.5, ge=0)
    """Slots past the end attend to the null cell, the others do not."""
    dense_columns: float = Field(default=1.0, ge=0)
    """Class of every column through the shared classifier; starts the attention."""
    dense_cells: float = Field(default=0.5, ge=0)
    """Class of every cell of P_2 through the shared classifier."""
    counting: float = Field(default=0.5, ge=0)
    """Character starts match the masks, and their number the text length."""
    align: float = Field(default=1.0, ge=0)
    """Attention inside the character's columns; decays to a tenth by the middle of the run."""
    ctc: float = Field(default=0.3, ge=0)
    """CTC of an auxiliary head on the columns."""
    existence: float = Field(default=0.0, ge=0)
    """SEC: which characters exist anywhere. Off where masks are known: dense_cells is exact."""
    existence_pool: int = Field(default=1, ge=1)
    """Cells averaged into the probability that a character exists; 1 is the maximum."""
    existence_pooling: Literal["top", "noisy_or"] = "top"
    """``top`` averages the most confident cells; ``noisy_or`` combines all, which saturates on large maps
    (256 cells of 0.005 already give 0.72)."""
    existence_positives: float = Field(default=1.0, gt=0)
    """Weight of characters that exist relative to those that do not: a text has about 5 of 36."""
    aligner: float = Field(default=1.0, ge=0)
    """Cross-entropy of the decoder whose attention makes the pseudo-labels, where there is a separate one."""
    upright: float = Field(default=1.0, ge=0)
    """Orientation: an eighth of the crops, as they are and upside-down."""
    threshold: float = Field(default=0.35, gt=0, lt=1)
    """A column belongs to a slot where its attention exceeds this share of the slot's peak."""
    slope: float = Field(default=20.0, gt=0)
    """Slope of the sigmoid in L_dif: 70 at centre 0.1 in the paper, the same product at centre 0.35."""
    glyph_labels: Literal["rendered", "attention", "masks"] = "rendered"
    """S_gt: from the rendered masks (exact) where these are known, else from attention x segmentation;
    ``attention``: always the latter, as in the paper; ``masks``: crops without masks have none."""
    attention_share: float = Field(default=0.5, ge=0, le=1)
    """Share of rendered samples that get the paper's S_gt once the attention is aligned."""
    ramp: tuple[float, float] = (0.2, 0.4)
    """L_cor, L_dif and attention_share ramp up between these shares of the run: after reading has started."""
    late_attention: tuple[float, float] = (1.0, 1.0)
    """(share of the run, factor): from then on L_cor and L_dif are multiplied by the factor; 0.125 and 0.3 in
    SIGA_R."""
    paper_bands: PaperBands | None = None
    """None measures attention relative to each slot's peak, as crops that keep their aspect require."""
    disagreement: float = Field(default=1.0, gt=0, le=1)
    """L_ins skips crops of which a larger share disagrees with the self-supervised mask: 0.69 drops
    masks of reversed polarity, as the paper's code does."""
    disagreement_from: float = Field(default=0.125, ge=0, le=1)
    """Share of the run from which it does."""
    binary_text: bool = False
    """L_cel in the paper's form, text against background, instead of one class per character (its code)."""
    slot_weights: tuple[float, ...] = ()
    """Weights of slots 1, 2, ... in L_cel, 1 beyond the last; SIGA_S weights the middle ones up to 2.86."""


class Rendered(Section):
    """The renderer's masks: exact, one per character; only rendered samples have them."""

    kind: Literal["rendered"] = "rendered"


class TwoMeans(Section):
    """The paper's: two clusters of grey; the one that covers most of the border is the background."""

    kind: Literal["two_means"] = "two_means"


class ReliefClusters(Section):
    """Two clusters of local energy, for marks whose grooves have a bright and a dark flank."""

    kind: Literal["relief"] = "relief"
    scale: float = Field(default=0.03, gt=0, le=0.5)
    """Standard deviation of the blur that joins the two flanks of a stroke, in crop heights."""
    ground: float = Field(default=0.3, gt=0, le=2)
    """Standard deviation of the blur that estimates the background's grey, in crop heights."""
    departure: float = Field(default=0.8, ge=0, le=1)
    """Weight of the difference from the background relative to the gradient: 0.5 suits relief slightly
    better, 1 print."""


Masks = Annotated[Rendered | TwoMeans | ReliefClusters, Field(discriminator="kind")]
"""Targets of the segmentation; all but ``rendered`` separate text from background, not character from
character."""


class Pretrained(Section):
    """Published weights for one part of the network: a frozen TPS, DeiT."""

    part: Literal["rectifier", "trunk"]
    """The part of the network."""
    file: Path
    """A torch.save file: tensors by name, or a table with them under ``model`` or ``state_dict``."""
    prefix: str = ""
    """Prefix of this part's names in the file. Other names and shapes are skipped."""


class MildAugmentation(Section):
    """Changes drawn for each sample and epoch; mild, since the generator already varies."""

    kind: Literal["mild"] = "mild"
    probability: float = Field(default=0.5, ge=0, le=1)
    """Share of samples with geometric changes, and of those with changes of light."""
    shift: float = Field(default=0.06, ge=0, le=0.5)
    """Largest shift, in crop heights."""
    scale: float = Field(default=0.12, ge=0, le=0.9)
    """Largest relative change of size."""
    shear: float = Field(default=0.2, ge=0, le=1)
    """Largest horizontal shear, px per px of height."""
    tilt_deg: float = Field(default=3.0, ge=0, le=45)
    """Largest rotation, degrees; long crops are rotated less, so that their ends stay inside."""
    gamma: float = Field(default=0.4, ge=0, le=2)
    """Largest change of the logarithm of gamma."""
    invert: float = Field(default=0.2, ge=0, le=1)
    """Share of samples with inverted polarity: marks are dark on bright as often as bright on dark."""
    noise: float = Field(default=8.0, ge=0, le=64)
    """Largest standard deviation of added noise, grey levels."""
    blur_px: float = Field(default=1.0, ge=0, le=4)
    """Largest standard deviation of a Gaussian blur."""


class AbinetAugmentation(Section):
    """The augmentation of SIGA_R and SIGA_S; drawn per crop, masks are transformed too."""

    kind: Literal["abinet"] = "abinet"
    geometry: float = Field(default=0.5, ge=0, le=1)
    """Share rotated, sheared and scaled, or given a perspective."""
    turn_deg: float = Field(default=45.0, ge=0, le=90)
    """Largest rotation, degrees."""
    deterioration: float = Field(default=0.25, ge=0, le=1)
    """Share with noise, motion blur and a lower resolution, in any order."""
    noise_variance: float = Field(default=20.0, ge=0)
    """Largest variance of the noise, grey levels squared."""
    motion_px: int = Field(default=6, ge=1)
    """Longest motion blur."""
    levels: int = Field(default=4, ge=1)
    """Largest divisor of the height and width for the lower resolution."""
    jitter: float = Field(default=0.25, ge=0, le=1)
    """Share with a change of brightness and contrast, each up to half; crops are grey, so hue is unused."""


class RandomAugmentation(Section):
    """The augmentation of SIGA_T: a few of eight groups of changes, each with a random strength."""

    kind: Literal["random"] = "random"
    skipped: float = Field(default=0.5, ge=0, le=1)
    """Share left unchanged."""
    groups: int = Field(default=3, ge=1, le=8)
    """Groups drawn from tone, camera, noise, blur, weather, pattern, warp, geometry."""
    strength: int = Field(default=2, ge=0, le=2)
    """Largest strength."""


Augmentation = Annotated[
    MildAugmentation | AbinetAugmentation | RandomAugmentation, Field(discriminator="kind")
]


class AdamW(Section):
    """Adam with decoupled weight decay."""

    kind: Literal["adamw"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay rates of the first and the second moment."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the denominator."""


class Adam(Section):
    """Adam; weight decay is added to the gradient."""

    kind: Literal["adam"] = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the first and the second moment."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the denominator."""


class Adadelta(Section):
    """Adadelta, the optimizer of SIGA_T."""

    kind: Literal["adadelta"] = "adadelta"
    rho: float = Field(default=0.95, gt=0, lt=1)
    """Decay rate of the running averages."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the denominator."""


class Muon(Section):
    """Muon for the matrices and kernels inside the network, AdamW for all else; learns from fewer crops."""

    kind: Literal["muon"] = "muon"
    scale: float = Field(default=2.0, gt=0)
    """Length of a Muon step relative to that of an AdamW step of the same rate."""
    momentum: float = Field(default=0.95, ge=0, lt=1)
    """Decay rate of the gradients' average, Nesterov's form."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's: decay rates of the first and the second moment."""
    eps: float = Field(default=1e-8, gt=0)
    """AdamW's: added to the denominator."""


class Optimization(Section):
    """Optimizer, schedule, batches and validation."""

    rule: Annotated[AdamW | Adam | Adadelta | Muon, Field(discriminator="kind")] = AdamW()
    """The optimizer."""
    crops: int = Field(default=2_200_000, ge=1)
    """Crops seen; steps are this divided by ``batch``. A ``stable`` run may be resumed with more."""
    schedule: Literal["cosine", "stable"] = "cosine"
    """How the rate goes on after the warm-up: along a cosine to the end of the run, or constant. A constant
    rate suits runs without a planned end, whose networks come from branches: ``train --branch``."""
    horizon: int = Field(default=2_200_000, ge=1)
    """Crops that count as the whole run in shares of a ``stable`` one: warm_up, losses.ramp and others."""
    decay_crops: int = Field(default=0, ge=0)
    """Last crops of a ``stable`` run, in which the rate falls to zero; ``train --branch`` sets it. The rate
    falls as 1 - sqrt(share), fast at first: better than a line in Hägele et al. (2024)."""
    only: tuple[str, ...] = ()
    """Parts of the network to train; the rest is frozen. () trains all."""
    frozen_norms: bool = False
    """Batch norms use and keep their running statistics: for fine-tuning on crops of one kind, whose
    statistics would spoil the reading of all others."""
    batch: int = Field(default=128, ge=1)
    """Crops per step, all of one width bucket."""
    rate: float = Field(default=1.2e-3, gt=0)
    """Peak learning rate."""
    warm_up: float = Field(default=0.04, ge=0, lt=1)
    """Share of the run in which the rate rises; afterwards it follows the schedule."""
    warm_up_shape: Literal["linear", "cosine"] = "linear"
    """How it rises, from a twentieth; ``cosine`` with warm_up 0.3 is one-cycle."""
    final: float = Field(default=0.0, ge=0, le=1)
    """Final rate, as a share of the peak."""
    decay: float = Field(default=0.03, ge=0)
    """Weight decay, on matrices and kernels only."""
    clip: float = Field(default=5.0, ge=0)
    """Largest gradient norm; 0 disables clipping."""
    average: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the exponential moving average of the weights, which is validated, saved and exported; smaller
    at the start."""
    bf16: bool = True
    """Use bfloat16 autocast on GPUs and on CPUs that have instructions for it; four times faster with AMX."""
    replicas: int = Field(default=1, ge=1)
    """Threads that each process a part of a batch, one core each; 1 spreads each layer over the cores.
    With more than one, dropout must be 0: its random numbers would depend on the order of the threads."""
    parts: int = Field(default=1, ge=1)
    """Parts of a batch that are computed one after the other (gradient accumulation) or by the processes of
    ``torchrun``, which take equal shares. Batch norms see one part; runs with the same number of parts agree,
    whatever the number of processes."""
    workers: int = Field(default=1, ge=0)
    """Processes that read and augment; 0 does it in the training loop."""
    validate_crops: int = Field(default=100_000, ge=1)
    """Crops between two validations."""
    validation_limit: int = Field(default=4_000, ge=1)
    """Largest number of crops to validate on, evenly drawn from the validation store."""
    save_minutes: float = Field(default=5.0, gt=0)
    """Minutes between two saves of last.pt."""

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return max(1, self.crops // self.batch)

    def progress(self, step: int) -> float:
        """Completed share of the run, 0..1; of its horizon if the rate is constant."""
        if self.schedule == "cosine":
            return step / self.steps
        return min(1.0, step * self.batch / self.horizon)


class Shards(Section):
    """Crops that a run renders for itself, where ``train --data`` names data recipes."""

    size: int = Field(default=10_000, ge=2)
    """Crops per shard; a new one is rendered in each epoch."""
    window: int = Field(default=4, ge=1)
    """Newest shards that an epoch trains on: each crop is seen so many times and then deleted."""


class TrainingRecipe(Section):
    """One training run."""

    name: str = "siga-compact"
    """Family of the model; its id is this and a hash of the weights."""
    seed: int = 1
    """Seed of weights, order and augmentation."""
    geometry: CropGeometry = CropGeometry()
    alphabet: str = PRINTABLE
    """Characters to read, in any script; the slots are independent of them."""
    fold_case: bool = False
    """Convert labels to lower case and drop characters outside the alphabet, as the papers' 36 characters
    require."""
    masks: Masks = Rendered()
    """Targets of the segmentation; made before augmentation and transformed with the crop."""
    pretrained: tuple[Pretrained, ...] = ()
    """Published weights to start with."""
    shards: Shards = Shards()
    network: NetworkConfig = NetworkConfig(siga=SigaConfig())
    losses: Losses = Losses()
    augmentation: Augmentation = MildAugmentation()
    optimization: Optimization = Field(
        default=Optimization(), validation_alias=AliasChoices("optimization", "optimisation")
    )
    """Recipes and checkpoints of 0.1 spell it ``optimisation``."""

    @property
    def identity(self) -> str:
        """Changes with all values but the end of a run whose rate is constant until then."""
        if self.optimization.schedule == "cosine":
            return recipe_id(self)
        endless = self.optimization.model_copy(update={"crops": 1, "decay_crops": 0})
        return recipe_id(self.model_copy(update={"optimization": endless}))

    @model_validator(mode="after")
    def _schedule_fits(self) -> "TrainingRecipe":
        if self.optimization.decay_crops and self.optimization.schedule == "cosine":
            raise ValueError('optimization.decay_crops needs optimization.schedule = "stable"')
        return self

    @model_validator(mode="after")
    def _replicas_fit(self) -> "TrainingRecipe":
        if self.optimization.replicas > 1 and self.network.dropout:
            raise ValueError("network.dropout must be 0 where optimization.replicas is more than 1")
        if self.optimization.batch % self.optimization.replicas:
            raise ValueError("optimization.replicas must divide optimization.batch")
        return self

    @model_validator(mode="after")
    def _parts_fit(self) -> "TrainingRecipe":
        network, losses = self.network, self.losses
        step = 2 * network.column_px
        if self.geometry.height % step or any(width % step for width in self.geometry.widths):
            raise ValueError(f"geometry: height and widths must be multiples of {step} for this backbone")
        if network.fixed_width and len(self.geometry.widths) > 1:
            raise ValueError("geometry.widths: this network needs crops of one width")
        if network.rectifier and (losses.align or losses.counting or losses.dense_columns):
            raise ValueError(
                "losses align, counting and dense_columns must be 0: a rectifier moves the columns"
            )
        decoder, width = network.decoder, network.sequence.width
        if losses.existence and decoder.kind == "recurrent" and decoder.state != width:
            raise ValueError(
                "losses.existence: decoder.state must be sequence.width, to share the classifier"
            )
        return self
