"""The paper's five variants as sums of supervision terms, and its two recipes.

A weight or a choice without another source is that of the paper's released code,
Sense-GVT/DeCLIP at 5d99a85, for YFCC15M (arXiv:2203.05796).
"""

from __future__ import annotations

import math
from typing import Any

from seedbed.data.render.image import ONECROP
from seedbed.data.views import IMAGE_A, IMAGE_B, TEXT, TEXT_AUG, TEXT_MASKED
from seedbed.model.objective import Objective
from seedbed.model.term import Temperature
from seedbed.model.terms.infonce import InfoNCE
from seedbed.model.terms.late_interaction import LateInteraction
from seedbed.model.terms.masked_lm import MaskedLM
from seedbed.model.terms.multi_view import MultiView
from seedbed.model.terms.nearest_text import NearestText
from seedbed.model.terms.simclr import SimCLR
from seedbed.model.terms.simsiam import SimSiam

# Radford et al. 2021 (arXiv:2103.00020): the original pair, weight 1.
CLIP = Objective(clip=1.0 * InfoNCE())

# Mu et al. 2021 (arXiv:2112.12750), sec. 3: both losses with weight 1.
SLIP = CLIP + Objective(simclr=1.0 * SimCLR())

# Yao et al. 2021 (arXiv:2111.07783): the finer alignment alone. The released code trains it on a
# masked caption, for a masked-language loss of weight 0; here it reads the caption.
FILIP = Objective(filip=1.0 * LateInteraction())

# Li et al. 2021 (arXiv:2110.05208) with the released weights: 0.4 over four pairs, 0.2 each else.
DECLIP = Objective(
    multi_view=0.4 * MultiView(),
    nearest_text=0.2 * NearestText(),
    simsiam=0.2 * SimSiam(),
    masked_lm=0.2 * MaskedLM(),
)

# The paper's own: DeCLIP and 0.2 of the finer alignment, on DeCLIP's first pair (a sum of 1.2).
DEFILIP = DECLIP + Objective(filip=0.2 * LateInteraction(image=IMAGE_A, text=TEXT_MASKED))

# The six switches of the paper's unified view (its fig. 1), each reading views of its own, so
# that one can be off without changing what another sees. Weights are DeFILIP's, its 0.4 of the
# four pairs shared out as 0.1 for the original pair and 0.3 for the three others.
SWITCHES = Objective(
    clip=0.1 * InfoNCE(IMAGE_A, TEXT),
    image_self=0.2 * SimSiam(),
    text_self=0.2 * MaskedLM(),
    multi_view=0.3 * MultiView(text_a=TEXT, text_b=TEXT_AUG, skip_first=True),
    nearest_text=0.2 * NearestText(text_a=TEXT, text_b=TEXT),
    finer=0.2 * LateInteraction(image=IMAGE_A, text=TEXT),
)

# The two recipes are levels for a factor: `Factor("supervision", levels=UNIFIED)`. One recipe for
# all: only the objective differs.
UNIFIED: dict[str, dict[str, Any]] = {
    "clip": {"objective": CLIP},
    "slip": {"objective": SLIP},
    "filip": {"objective": FILIP},
    "declip": {"objective": DECLIP},
    "defilip": {"objective": DEFILIP},
}

# The pure effect of supervision: every level reads the views of DECLIP, two strong pictures and the
# masked and the augmented caption. In UNIFIED, as in the paper, CLIP and FILIP read one weak crop
# and the caption itself, SLIP two strong pictures besides, and DeCLIP and DeFILIP these four, so
# that a level differs from another by its views too. Here CLIP's contrast is the mean over the four
# pairs, and so is the finer alignment (the released code's `dense_aug`). The limits: multi-view
# supervision is the use of these views, so all five have it here; and no level reads the caption
# itself, since DeCLIP's contrast does not. Even with equal views, levels differ in the cost of
# their terms and in the sum of their weights.
_FINER = LateInteraction(image=IMAGE_A, text=TEXT_MASKED, image_b=IMAGE_B, text_b=TEXT_AUG)
_PAIRS = Objective(clip=1.0 * MultiView())
COMMON_VIEWS: dict[str, dict[str, Any]] = {
    "clip": {"objective": _PAIRS},
    "slip": {"objective": _PAIRS + Objective(simclr=1.0 * SimCLR())},
    "filip": {"objective": Objective(filip=1.0 * _FINER)},
    "declip": {"objective": DECLIP},
    "defilip": {"objective": DECLIP + Objective(filip=0.2 * _FINER)},
}


def _theta(name: str = "logit", cap: float | None = None) -> Temperature:
    """Theta bounded to [3, 6], so that its start of ln(1 / 0.07) = 2.66 becomes 3."""
    return Temperature(name, least=math.exp(3), most=math.exp(6), floor_over_start=True, cap=cap)


_CAPPED = _theta(cap=100.0)  # in CLIP, DeCLIP and DeFILIP; SLIP and the tokens go without
_TOKENS = LateInteraction(
    image=IMAGE_A, text=TEXT_MASKED, temperature=_theta("dense"), mask_padding=False
)
_DECLIP = Objective(
    multi_view=0.4 * MultiView(temperature=_CAPPED),
    nearest_text=0.2 * NearestText(queue="local", start="random", temperature=_CAPPED),
    simsiam=0.2 * SimSiam(norm="local"),
    masked_lm=0.2 * MaskedLM(),
)


def _released(objective: Objective, lr: float, weight_decay: float) -> dict[str, Any]:
    """A level of AS_RELEASED; what all five share is here.

    The start of the image tower, a ViT's frozen patch embedding and the crop of test pictures are
    that code's, for both towers. These are not: FILIP's embedding of 768, which no loss of its
    reads; batch norms over groups of 16 or 32 ranks (here one rank's rows in the heads, and what
    `image.norm` says in a ResNet); the text tower's MLP biases and the attention pool's output
    bias, which start at 0 here and near it there; masked-language losses averaged by rank; a
    sampler that repeats pictures within a batch; and FILIP's score of a class, which divides by
    a norm over the whole caption. Evaluation names a picture by the captions of the test split,
    where the paper has 80 prompts of ImageNet's classes.
    """
    return {
        "objective": objective,
        "optimizer.lr": lr,
        "optimizer.weight_decay": weight_decay,
        "optimizer.decay_attention_bias": True,
        "augment.text_masked.random_from": "all",
        "augment.test": ONECROP,
        "image.init": "released",
        "image.freeze_patch_embed": True,
    }


# As released, learning rate and weight decay differ by variant, so that a difference between two
# of these is not the supervision's alone; a study that uses them says so in its report.
AS_RELEASED: dict[str, dict[str, Any]] = {
    "clip": _released(Objective(clip=InfoNCE(temperature=_CAPPED)), 1e-3, 0.1),
    "slip": _released(
        Objective(clip=InfoNCE(temperature=_theta()), simclr=SimCLR(norm="local")), 5e-4, 0.5
    ),
    "filip": _released(Objective(filip=_TOKENS), 5e-4, 0.5),
    "declip": _released(_DECLIP, 1e-3, 0.1),
    "defilip": _released(_DECLIP + Objective(filip=0.2 * _TOKENS), 1e-3, 0.1),
}
