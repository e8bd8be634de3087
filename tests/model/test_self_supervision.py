"""SimSiam, masked tokens and nearest texts. Oracles: float64 loops written out here."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from seedbed.data.views import IMAGE, IMAGE_A, IMAGE_B, TEXT, TEXT_AUG, TEXT_MASKED
from seedbed.errors import StudyError
from seedbed.model.gather import Gather
from seedbed.model.objective import Objective
from seedbed.model.queue import Queue
from seedbed.model.terms.infonce import InfoNCE, info_nce
from seedbed.model.terms.late_interaction import LateInteraction
from seedbed.model.terms.masked_lm import MaskedLM, masked_lm_loss
from seedbed.model.terms.multi_view import MultiView
from seedbed.model.terms.nearest_text import NearestText, nearest_text_loss
from seedbed.model.terms.simclr import SimCLR
from seedbed.model.terms.simsiam import SimSiam, simsiam_loss


def rand(*shape: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def cosine(a: Tensor, b: Tensor) -> float:
    dot = sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True))
    norms = [math.sqrt(sum(x * x for x in v.tolist())) for v in (a, b)]
    return dot / norms[0] / norms[1]


def cross_entropy(logits: list[float], target: int) -> float:
    most = max(logits)
    return most + math.log(sum(math.exp(x - most) for x in logits)) - logits[target]


def test_simsiam_is_the_mean_negative_cosine_across_views() -> None:
    p_a, z_a, p_b, z_b = (rand(5, 7, seed=s) for s in range(4))
    naive = -sum(cosine(p_a[i], z_b[i]) + cosine(p_b[i], z_a[i]) for i in range(5)) / 10
    assert simsiam_loss(p_a, z_a, p_b, z_b).item() == pytest.approx(naive, abs=1e-12)


def test_simsiam_stops_the_gradient_at_the_projections() -> None:
    p_a, z_a, p_b, z_b = (rand(5, 7, seed=s).requires_grad_() for s in range(4))
    simsiam_loss(p_a, z_a, p_b, z_b).backward()
    assert p_a.grad is not None
    assert p_b.grad is not None
    assert z_a.grad is None
    assert z_b.grad is None


def test_simsiam_is_minus_one_when_each_view_predicts_the_other() -> None:
    z_a, z_b = rand(5, 7, seed=1), rand(5, 7, seed=2)
    assert simsiam_loss(3 * z_b, z_a, 2 * z_a, z_b).item() == pytest.approx(-1)


def test_simsiam_heads_have_the_released_sizes() -> None:
    with torch.device("meta"):
        module = SimSiam().build(dict.fromkeys(SimSiam().needs, 512))
    count = {n: sum(p.numel() for p in m.parameters()) for n, m in module.named_children()}
    assert count == {"projector": 2_630_656, "predictor": 1_051_136}


def test_masked_lm_is_the_mean_over_masked_positions() -> None:
    logits = rand(3, 4, 11)
    targets = torch.tensor([[1, -100, 3, -100], [-100] * 4, [10, 0, -100, 5]])
    kept = [(i, j) for i in range(3) for j in range(4) if targets[i, j] != -100]
    naive = sum(cross_entropy(logits[i, j].tolist(), int(targets[i, j])) for i, j in kept) / 5
    assert masked_lm_loss(logits, targets).item() == pytest.approx(naive, abs=1e-12)


def test_masked_lm_is_safe_when_nothing_is_masked() -> None:
    logits = rand(3, 4, 11).requires_grad_()
    loss = masked_lm_loss(logits, torch.full((3, 4), -100))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert logits.grad.abs().sum() == 0


def test_masked_lm_starts_at_the_logarithm_of_the_vocabulary() -> None:
    targets = torch.randint(0, 49_409, (64,), generator=torch.Generator().manual_seed(0))
    assert masked_lm_loss(torch.zeros(64, 49_409), targets).item() == pytest.approx(
        math.log(49_409), abs=1e-3
    )


def test_masked_lm_head_has_the_released_size() -> None:
    term = MaskedLM()
    with torch.device("meta"):
        module = term.build(dict.fromkeys(term.needs, 512))
    assert sum(p.numel() for p in module.parameters()) == 25_346_817


def naive_nearest(image: Tensor, text: Tensor, queue: Tensor, scale: float) -> tuple[float, float]:
    """Both directions' losses, image to text first."""
    near = [
        max(range(len(queue)), key=lambda k, t=row: cosine(t, queue[k]))  # type: ignore[misc]
        for row in text
    ]
    logits = [[scale * cosine(i, queue[k]) for k in near] for i in image]
    n = len(image)
    forward = sum(cross_entropy(logits[i], i) for i in range(n)) / n
    back = sum(cross_entropy([logits[i][j] for i in range(n)], j) for j in range(n)) / n
    return forward, back


@pytest.mark.parametrize("both_ways", [False, True])
def test_nearest_text_equals_the_naive_loop(both_ways: bool) -> None:
    image, text, queue = rand(6, 8, seed=1), rand(6, 8, seed=2), rand(20, 8, seed=3)
    forward, back = naive_nearest(image, text, queue, 7.0)
    expected = (forward + back) / 2 if both_ways else forward
    loss = nearest_text_loss(image, text, queue, 7.0, both_ways=both_ways)
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_nearest_text_with_the_captions_in_the_queue_is_half_of_info_nce() -> None:
    image, text = rand(6, 8, seed=1), rand(6, 8, seed=2)
    queue = torch.cat([rand(9, 8, seed=3), 5 * text])
    both = nearest_text_loss(image, text, queue, 7.0, both_ways=True)
    torch.testing.assert_close(both, info_nce(image, text, 7.0))


def test_nearest_text_teaches_the_picture_alone() -> None:
    image, text, queue = (rand(6, 8, seed=s).requires_grad_() for s in range(3))
    nearest_text_loss(image, text, queue, 7.0, both_ways=True).backward()
    assert image.grad is not None
    assert text.grad is None
    assert queue.grad is None


def test_nearest_text_of_an_empty_queue_is_zero() -> None:
    image = rand(6, 8).requires_grad_()
    loss = nearest_text_loss(image, rand(6, 8, seed=1), rand(0, 8), 7.0)
    loss.backward()
    assert loss.item() == 0


def push(queue: Queue, *numbers: float) -> None:
    queue.push(torch.tensor([[n, 1.0] for n in numbers]), Gather())


def held(queue: Queue) -> list[float]:
    return sorted(round((row[0] / row[1]).item(), 3) for row in queue.known())


def test_queue_keeps_the_last_rows_exactly_across_the_ring_s_end() -> None:
    queue = Queue(5, 2)
    assert held(queue) == []
    push(queue, 1, 2)
    assert held(queue) == [1, 2]
    push(queue, 3, 4)
    push(queue, 5, 6, 7)
    assert held(queue) == [3, 4, 5, 6, 7]
    push(queue, *range(8, 20))
    assert held(queue) == [15, 16, 17, 18, 19]


def test_queue_is_saved_with_its_place() -> None:
    queue, other = Queue(5, 2), Queue(5, 2)
    push(queue, 1, 2, 3)
    other.load_state_dict(queue.state_dict())
    for one in (queue, other):
        push(one, 4, 5, 6)
    assert held(other) == held(queue) == [2, 3, 4, 5, 6]
    assert torch.equal(other.rows, queue.rows)


def test_queue_turns_over_in_256_steps_of_128_captions_in_two_views() -> None:
    queue = Queue(65_536, 2)
    for step in range(256):
        assert queue.valid == 256 * step
        push(queue, *range(128))
        push(queue, *range(128))
    assert queue.valid == 65_536
    assert queue.next == 0


def test_local_queue_answers_each_rank_with_its_own_rows() -> None:
    queue = Queue(4, 2, num_owners=2)
    rows = torch.tensor([[n, 1.0] for n in (1, 2, 3, 4, 5)])
    queue.push(rows, Gather((3, 2), rank=0))
    found = [[round((r[0] / r[1]).item()) for r in queue.known(rank)] for rank in (0, 1)]
    assert found == [[1, 2, 3], [4, 5]]


def test_multi_view_pairs_every_image_with_every_caption() -> None:
    assert MultiView().pairs == (
        (IMAGE_A, TEXT_MASKED),
        (IMAGE_B, TEXT_MASKED),
        (IMAGE_A, TEXT_AUG),
        (IMAGE_B, TEXT_AUG),
    )
    rest = MultiView(text_a=TEXT, skip_first=True)
    assert rest.pairs == ((IMAGE_B, TEXT), (IMAGE_A, TEXT_AUG), (IMAGE_B, TEXT_AUG))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: InfoNCE(image=TEXT), "InfoNCE is given text for its image view"),
        (lambda: MaskedLM(text=TEXT), "MaskedLM reads text"),
        (lambda: SimSiam(image_a=IMAGE, image_b=IMAGE), "compares image with itself"),
        (
            lambda: MultiView(IMAGE, IMAGE, TEXT, TEXT, skip_first=True),
            "skips its first pair and has no other",
        ),
        (lambda: 1.0 * NearestText(size=0), "NearestText.size is 0"),
        (lambda: 1.0 * LateInteraction(text_keep=-1), "LateInteraction.text_keep is -1"),
        (lambda: Objective(it=SimSiam(norm="sinced")), "SimSiam.norm is 'sinced'"),  # type: ignore[arg-type]
        (lambda: 1.0 * MaskedLM(attention="both"), "MaskedLM.attention is 'both'"),  # type: ignore[arg-type]
        (lambda: 1.0 * SimCLR(hidden=0), "SimCLR.hidden is 0"),
    ],
)
def test_a_term_that_makes_no_sense_is_refused(make: object, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        make()  # type: ignore[operator]


def test_nearest_text_alone_is_refused_with_the_reason() -> None:
    with pytest.raises(StudyError, match="reads text features that no term trains"):
        Objective(near=NearestText()).check()
    Objective(near=NearestText(), clip=InfoNCE()).check()
