"""Token-wise alignment. Oracle: float64 loops written out here."""

from __future__ import annotations

import dataclasses
import itertools
import math

import pytest
import torch
import torch.nn.functional as F
from tests.fixtures.ranks import OverRanks
from torch import Tensor

import seedbed.model.mean_of_max as module
from seedbed.data.views import IMAGE_A, IMAGE_B, TEXT_AUG, TEXT_MASKED
from seedbed.model.gather import Gather
from seedbed.model.term import Features
from seedbed.model.terms.infonce import info_nce
from seedbed.model.terms.late_interaction import LateInteraction, late_interaction
from seedbed.model.token_scores import token_scores


def rand(*shape: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def mask_of(lengths: list[int], context: int) -> Tensor:
    return torch.arange(context) < torch.tensor(lengths)[:, None]


LENGTHS = [5, 2, 7, 3, 4, 6]
IMAGE, TEXT = rand(6, 4, 8, seed=1), rand(6, 7, 8, seed=2)
MASK = mask_of(LENGTHS, 7)


def cross_entropy(logits: list[float], target: int) -> float:
    most = max(logits)
    return most + math.log(sum(math.exp(x - most) for x in logits)) - logits[target]


def top(sums: dict[int, float], k: int | None) -> list[int]:
    line = sorted(sums, key=lambda t: -sums[t])
    return line if k is None else line[:k]


def naive(
    image: Tensor,
    text: Tensor,
    scale: float,
    mask: Tensor,
    image_keep: int | None = None,
    text_keep: int | None = None,
) -> float:
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    n, patches = len(image), range(image.shape[1])
    words = [[t for t in range(text.shape[1]) if mask[i, t]] for i in range(n)]

    def alike(i: int, p: int, j: int, t: int) -> float:
        return float(image[i, p] @ text[j, t])

    kept_patches = [
        top({p: sum(alike(i, p, i, t) for t in words[i]) for p in patches}, image_keep)
        for i in range(n)
    ]
    kept_words = [
        top({t: sum(alike(i, p, i, t) for p in patches) for t in words[i]}, text_keep)
        for i in range(n)
    ]
    to_text = [
        [
            scale
            * sum(max(alike(i, p, j, t) for t in kept_words[j]) for p in patches)
            / len(patches)
            for j in range(n)
        ]
        for i in range(n)
    ]
    to_image = [
        [
            scale
            * sum(max(alike(i, p, j, t) for p in kept_patches[i]) for t in words[j])
            / len(words[j])
            for i in range(n)
        ]
        for j in range(n)
    ]
    losses = [cross_entropy(m[i], i) for m in (to_text, to_image) for i in range(n)]
    return sum(losses) / (2 * n)


@pytest.mark.parametrize(("image_keep", "text_keep"), [(None, None), (2, None), (None, 2), (3, 3)])
def test_equals_the_naive_loop(image_keep: int | None, text_keep: int | None) -> None:
    loss = late_interaction(
        IMAGE, TEXT, 9.0, text_mask=MASK, image_keep=image_keep, text_keep=text_keep
    )
    expected = naive(IMAGE, TEXT, 9.0, MASK, image_keep, text_keep)
    assert loss.item() == pytest.approx(expected, abs=1e-12)


def test_without_a_mask_every_position_takes_part() -> None:
    expected = naive(IMAGE, TEXT, 9.0, torch.ones(6, 7, dtype=torch.bool))
    assert late_interaction(IMAGE, TEXT, 9.0).item() == pytest.approx(expected, abs=1e-12)


def dense(own: Tensor, other: Tensor, mask: Tensor | None, own_mask: Tensor | None) -> Tensor:
    """The textbook form, all similarities at once, for autograd to differentiate."""
    alike = torch.einsum("ipd,jld->ipjl", own, other)
    if mask is not None:
        alike = alike.masked_fill(~mask, -torch.inf)
    best = alike.max(-1).values
    if own_mask is None:
        return best.mean(1)
    weights = own_mask.to(own.dtype) / own_mask.sum(1, keepdim=True)
    return torch.einsum("ipj,ip->ij", best, weights)


@pytest.mark.parametrize("chunk_bytes", [1, 500, 1 << 25])
@pytest.mark.parametrize("masked", ["other", "own"])
def test_scores_and_gradients_equal_the_dense_form(
    chunk_bytes: int, masked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk_bytes)
    masks = (None, MASK) if masked == "own" else (MASK, None)
    own, other = (TEXT, IMAGE) if masked == "own" else (IMAGE, TEXT)
    found = []
    for form in (token_scores, dense):
        a, b = own.clone().requires_grad_(), other.clone().requires_grad_()
        if form is dense:
            scores = dense(a, b, *masks)
        else:
            scores = token_scores(a, b, masks[0], own_mask=masks[1])
        (scores * rand(6, 6, seed=3)).sum().backward()
        found.append((scores, a.grad, b.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_gradients_pass_gradcheck() -> None:
    a, b = rand(3, 2, 4, seed=1).requires_grad_(), rand(3, 3, 4, seed=2).requires_grad_()
    mask = mask_of([3, 1, 2], 3)
    assert torch.autograd.gradcheck(
        lambda x, y: late_interaction(x, y, 3.0, text_mask=mask), (a, b)
    )


def test_one_token_a_side_is_info_nce() -> None:
    image, text = rand(6, 1, 8, seed=1), rand(6, 1, 8, seed=2)
    torch.testing.assert_close(
        late_interaction(image, text, 9.0), info_nce(image[:, 0], text[:, 0], 9.0)
    )


def test_more_padding_changes_nothing() -> None:
    longer = torch.cat([TEXT, rand(6, 5, 8, seed=9)], dim=1)
    for keep in (None, 2):
        torch.testing.assert_close(
            late_interaction(
                IMAGE, longer, 9.0, text_mask=mask_of(LENGTHS, 12), image_keep=keep, text_keep=keep
            ),
            late_interaction(IMAGE, TEXT, 9.0, text_mask=MASK, image_keep=keep, text_keep=keep),
        )


def test_keeping_all_tokens_is_keeping_none_out() -> None:
    torch.testing.assert_close(
        late_interaction(IMAGE, TEXT, 9.0, text_mask=MASK, image_keep=4, text_keep=7),
        late_interaction(IMAGE, TEXT, 9.0, text_mask=MASK),
    )


def textbook(
    image: Tensor,
    text: Tensor,
    scale: float,
    mask: Tensor,
    image_keep: int | None = None,
    text_keep: int | None = None,
) -> Tensor:
    """The whole loss from `dense`, pair after pair where tokens are chosen."""
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    own = torch.einsum("ipd,ild->ipl", image, text).masked_fill(~mask[:, None], 0.0)
    patches = torch.ones(image.shape[:2], dtype=torch.bool)
    words = mask
    if image_keep:
        patches = torch.zeros_like(patches).scatter_(1, own.sum(2).topk(image_keep).indices, True)
    if text_keep:
        sums = own.sum(1).masked_fill(~mask, -torch.inf)
        words = torch.zeros_like(mask).scatter_(1, sums.topk(text_keep).indices, True) & mask
    to_text, to_image = dense(image, text, words, None), dense(text, image, patches, mask)
    target = torch.arange(len(image))
    return sum(F.cross_entropy(scale * s, target) for s in (to_text, to_image)) / 2  # type: ignore[return-value]


@pytest.mark.parametrize(("image_keep", "text_keep"), [(None, None), (2, None), (None, 3), (2, 3)])
@pytest.mark.parametrize("chunk_bytes", [1, 1 << 25])
def test_its_gradient_is_the_dense_form_s(
    image_keep: int | None, text_keep: int | None, chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With a chunk a row, all but the first are made in room that holds another's similarities.
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk_bytes)
    found = []
    for form in (late_interaction, textbook):
        a, b = IMAGE.clone().requires_grad_(), TEXT.clone().requires_grad_()
        keep = {"image_keep": image_keep, "text_keep": text_keep}
        if form is textbook:
            loss = textbook(a, b, 9.0, MASK, image_keep, text_keep)
        else:
            loss = late_interaction(a, b, 9.0, text_mask=MASK, **keep)
        loss.backward()
        found.append((loss, a.grad, b.grad))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_permuted_batch_changes_nothing() -> None:
    line = torch.tensor([3, 5, 0, 2, 1, 4])
    for keep in (None, 2):
        torch.testing.assert_close(
            late_interaction(
                IMAGE[line], TEXT[line], 9.0, text_mask=MASK[line], image_keep=keep, text_keep=keep
            ),
            late_interaction(IMAGE, TEXT, 9.0, text_mask=MASK, image_keep=keep, text_keep=keep),
        )


def loss_and_gradient(mine: slice, gather: Gather) -> list[Tensor]:
    """Of rows `mine` among 8, with all tokens and with a choice of them, by shared weights."""
    image, text = rand(8, 4, 6, seed=5)[mine], rand(8, 7, 6, seed=6)[mine]
    mask = mask_of([5, 2, 7, 3, 4, 6, 2, 7], 7)[mine]
    out = []
    for keep in (None, 2):
        weight = torch.eye(6).double().requires_grad_()
        loss = late_interaction(
            image @ weight,
            text @ weight,
            9.0,
            text_mask=mask,
            image_keep=keep,
            text_keep=keep,
            gather=gather,
        )
        loss.backward()
        assert weight.grad is not None
        out += [loss.detach(), weight.grad]
    return out


@pytest.mark.slow
def test_ranks_of_unlike_size_give_the_gradient_of_one(over_ranks: OverRanks) -> None:
    ranks = over_ranks(loss_and_gradient, (5, 3))
    one = loss_and_gradient(slice(0, 8), Gather())
    for found in ranks:
        for ours, theirs in zip(found, one, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


def test_two_views_of_each_side_are_the_mean_over_their_four_pairs_through_the_same_maps() -> None:
    term = LateInteraction(image=IMAGE_A, text=TEXT_MASKED, image_b=IMAGE_B, text_b=TEXT_AUG, dim=9)
    values = {
        feature: {"tokens": rand(6, 4 + 3 * (feature.view.modality == "text"), 8, seed=n)}.get(
            feature.kind, MASK
        )
        for n, feature in enumerate(sorted(term.needs))
    }
    scale = torch.tensor(20.0, dtype=torch.float64)
    made = term.build(dict.fromkeys(term.needs, 8)).double()
    found = made(Features(values, {"dense": scale}, Gather()))
    losses = []
    for image, text in itertools.product((IMAGE_A, IMAGE_B), (TEXT_MASKED, TEXT_AUG)):
        pair = dataclasses.replace(term, image=image, text=text, image_b=None, text_b=None)
        one = pair.build(dict.fromkeys(pair.needs, 8)).double()
        one.load_state_dict(made.state_dict())
        losses.append(one(Features(values, {"dense": scale}, Gather())))
    assert len({round(float(loss.detach()), 6) for loss in losses}) == 4
    torch.testing.assert_close(found, (losses[0] + losses[1] + losses[2] + losses[3]) / 4)


def in_half(
    device: torch.device, rows: int = 64, patches: int = 9, words: int = 12
) -> tuple[list[Tensor], list[Tensor]]:
    """Loss and gradients by bf16's products, and by the textbook form in float64."""
    image, text = rand(rows, patches, 32, seed=1), rand(rows, words, 32, seed=2)
    mask = mask_of([1 + n % words for n in range(rows)], words)
    found = []
    for half in (True, False):
        dtype = torch.float32 if half else torch.float64
        at = device if half else torch.device("cpu")
        a, b = (x.to(at, dtype).requires_grad_() for x in (image, text))
        if half:
            loss = late_interaction(a, b, 9.0, text_mask=mask.to(at), half=True)
        else:
            loss = textbook(a, b, 9.0, mask)
        loss.backward()
        assert a.grad is not None and b.grad is not None
        assert loss.dtype == a.grad.dtype == dtype
        found.append([x.detach().cpu().double() for x in (loss, a.grad, b.grad)])
    return found[0], found[1]


def close_in_half(ours: list[Tensor], theirs: list[Tensor]) -> None:
    """To what 8 bits of each cosine leave. A best token may be another that is as alike, which
    moves some rows' gradients to it: the whole is compared, and not each number."""
    assert ours[0].item() == pytest.approx(theirs[0].item(), rel=1e-2)
    for one, other in zip(ours[1:], theirs[1:], strict=True):
        assert torch.cosine_similarity(one.flatten(), other.flatten(), dim=0) > 0.99
        assert one.norm().item() == pytest.approx(other.norm().item(), rel=2e-2)


@pytest.mark.parametrize("chunk_bytes", [1, 1 << 25])
def test_bf16_products_give_the_textbook_loss_and_gradient_within_a_percent_or_two(
    chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", chunk_bytes)
    ours, theirs = in_half(torch.device("cpu"))
    close_in_half(ours, theirs)
    assert ours[0].item() != pytest.approx(theirs[0].item(), rel=1e-6)  # they are not fp32's


def test_its_products_are_halved_on_gpus_alone_and_where_the_recipe_says_so() -> None:
    halves = {
        half: Features({}, {}, Gather(), half).half_products for half in (None, "cpu", "cuda")
    }
    assert halves == {None: False, "cpu": False, "cuda": True}


@pytest.mark.gpu
@pytest.mark.parametrize("chunk_bytes", [1, 2 << 30])
def test_on_a_gpu_they_do_too_in_chunks_of_any_size(
    chunk_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK_BYTES", 1)
    monkeypatch.setattr(module, "GPU_CHUNK_BYTES", chunk_bytes)
    close_in_half(*in_half(torch.device("cuda", 0)))


@pytest.mark.gpu
def test_a_gpu_s_chunks_leave_most_of_its_free_memory() -> None:
    device = torch.device("cuda", 0)
    image = torch.randn(512, 50, 64, device=device, requires_grad=True)
    text = torch.randn(512, 77, 64, device=device, requires_grad=True)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    free = torch.cuda.mem_get_info(device)[0]
    late_interaction(image, text, 9.0, half=True).backward()
    assert torch.cuda.max_memory_allocated(device) < 0.6 * free
