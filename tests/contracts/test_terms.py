"""What every term promises, found by walking the package. Oracle: its own declaration."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from tests.contracts.ranks import all_terms
from tests.contracts.terms import LEVELS, ROWS, features, found, name_of, thetas, values, widths
from tests.fixtures.ranks import OnRanks

from seedbed.model.term import Feature, Features, Term
from seedbed.recipe.recipe import flattened

EACH = pytest.mark.parametrize("term", LEVELS, ids=name_of)


def test_the_package_has_its_terms() -> None:
    names = {term.__name__ for term in found()}
    assert names >= {
        "InfoNCE",
        "LateInteraction",
        "MaskedLM",
        "MultiView",
        "NearestText",
        "SimCLR",
        "SimSiam",
    }


class Watched(Features):
    """Features that note what is read."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.read: set[Feature] = set()

    def __getitem__(self, feature: Feature) -> torch.Tensor:
        self.read.add(feature)
        return super().__getitem__(feature)


@EACH
def test_it_reads_exactly_what_it_declares(term: Term) -> None:
    watched = features(term, values(term), kind=Watched)
    term.build(widths(term))(watched)
    assert watched.read == term.needs


@EACH
def test_its_loss_is_finite_and_teaches_what_it_says_it_teaches(term: Term) -> None:
    torch.manual_seed(0)
    module = term.build(widths(term))
    scales = thetas(term)
    for step in range(2):  # a queue is empty in the first
        held = values(term, seed=step)
        loss = module(features(term, held, thetas=scales))
        assert loss.shape == ()
        assert torch.isfinite(loss)
        module.zero_grad()
        loss.backward()
    taught = {need for need, x in held.items() if x.grad is not None and x.grad.abs().sum() > 0}
    assert taught == term.learns
    assert all(theta.grad is not None and theta.grad != 0 for theta in scales.values())
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


@EACH
def test_a_permuted_batch_changes_nothing(term: Term) -> None:
    torch.manual_seed(0)
    module = term.build(widths(term))
    other = copy.deepcopy(module)
    rng = torch.Generator().manual_seed(5)
    for step in range(2):
        held = values(term, seed=step)
        line = torch.randperm(ROWS, generator=rng)
        shuffled = {need: x[line] for need, x in held.items()}
        ours, theirs = module(features(term, held)), other(features(term, shuffled))
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


@EACH
def test_it_is_a_value(term: Term) -> None:
    again = pickle.loads(pickle.dumps(term))
    assert again == term
    assert hash(again) == hash(term)
    for other in LEVELS:
        assert (other == term) == (name_of(other) == name_of(term))


@EACH
def test_it_flattens_to_plain_values_which_tell_it_from_every_other(term: Term) -> None:
    mine = flattened("term", term)
    assert all(isinstance(value, (str, int, float, bool, type(None))) for value in mine.values())
    twins = [o for o in LEVELS if type(o) is type(term) and flattened("term", o) == mine]
    assert list(map(name_of, twins)) == [name_of(term)]


@pytest.fixture(scope="module")
def one_rank() -> dict[str, dict[str, Any]]:
    return all_terms(0, 1)


@pytest.fixture(scope="module", params=[2, 4])
def several_ranks(request: pytest.FixtureRequest, on_ranks: OnRanks) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = on_ranks(request.param, all_terms)[0]
    return found


# What is local by its own name depends on the number of ranks: that is what the option says.
SYNCED = [t for t in LEVELS if "local" not in (getattr(t, "norm", ""), getattr(t, "queue", ""))]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_several_ranks_have_the_gradient_of_one(
    one_rank: dict[str, dict[str, Any]], several_ranks: dict[str, dict[str, Any]]
) -> None:
    for term in SYNCED:
        for uneven in ("", " uneven"):
            ours, theirs = several_ranks[name_of(term) + uneven], one_rank[name_of(term)]
            assert set(ours) == set(theirs)
            for name, value in theirs.items():
                torch.testing.assert_close(
                    ours[name].to(value.dtype),
                    value,
                    rtol=1e-5,
                    atol=1e-5,
                    msg=lambda text, t=term, u=uneven, n=name: f"{name_of(t)}{u}, {n}: {text}",
                )


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_several_ranks_train_a_tower_with_batch_norms_as_one_does(
    one_rank: dict[str, dict[str, Any]], several_ranks: dict[str, dict[str, Any]]
) -> None:
    for model in ("model slip", "model defilip"):
        theirs, ours = one_rank[model], several_ranks[model]
        assert set(ours) == set(theirs)
        torch.testing.assert_close(ours["loss"], theirs["loss"], rtol=1e-5, atol=1e-5)
        largest = max(x.norm() for name, x in theirs.items() if name.startswith("grad"))
        for name, value in theirs.items():
            # Norms over 12 rows enlarge rounding; what is left is far from what local ones give.
            limit = 1e-3 * value.float().norm() + 1e-5 * largest
            assert (ours[name].float() - value.float()).norm() <= limit, (model, name)
