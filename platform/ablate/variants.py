"""The variants as sentences of supervision terms."""

from __future__ import annotations

from ablate.model.objective import Objective
from ablate.model.terms.infonce import InfoNCE

# Radford et al. 2021 (arXiv:2103.00020): the original pair, weight 1.
CLIP = Objective(clip=1.0 * InfoNCE())
