"""What a start goes on from. Oracle: results folders written by hand, and what is whole in them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus, open_corpora
from seedbed.data.order import ORDER_SCHEMA
from seedbed.errors import DataError
from seedbed.interchange.state_file import write_state
from seedbed.model.towers.image import ImageTower
from seedbed.plan.plan import Plan, plan
from seedbed.recipe.recipe import Recipe
from seedbed.recipe.scale import SCALES
from seedbed.run.driver.failures import forgive
from seedbed.run.driver.outcome import Outcome, failed
from seedbed.run.driver.resume import Start, forget, starts
from seedbed.run.worker.checkpoint import (
    CHECKPOINT_FILE,
    PLACE_FILE,
    Kept,
    Run,
    check_same_data,
    choices,
    data_mark,
    digest_of,
    place_of,
    read_part,
    variant_file,
)
from seedbed.storage.folder import Folder
from seedbed.study.factor import Factor
from seedbed.study.study import Study
from seedbed.variants import CLIP

DEPTHS = (1, 2, 3, 4)


def planned(shapes: Path, cohort_size: int = 8, seeds: tuple[int, ...] = (0,)) -> Plan:
    study = Study(
        name="s",
        question="?",
        base=Recipe.paper(objective=CLIP, image=ImageTower("test_resnet")),
        factors=(Factor("depth", at="text.layers", levels=DEPTHS),),
        responses=("zeroshot/top1_of_100",),
    )
    settings = {"corpus.uri": str(shapes), "corpus.caption": "txt"}
    return plan(study, SCALES["smoke"], overrides=settings, seeds=seeds, cohort_size=cohort_size)


@pytest.fixture
def corpora(shapes: Path, home: Path) -> dict[Corpus, OpenCorpus]:
    return dict(open_corpora([planned(shapes).trials[0].recipe.corpus], home))


def begun(
    store: Folder,
    what: Plan,
    run: str,
    *,
    step: int = 0,
    fingerprint: str = "",
    keys: Iterable[str] | None = None,
    cut: int = 0,
    schema: int = ORDER_SCHEMA,
    name: str = "checkpoint_a",
    cohort: str = "a cohort",
) -> None:
    """A run of all trials of `what`, with a checkpoint of `keys` at `step` if there is one."""
    members = [trial.key for trial in what.trials]
    Run(run, tuple(members), "a start").write(store)
    if step:
        place = place_of(
            cohort,
            fingerprint=fingerprint,
            step_number=step,
            sizes={CHECKPOINT_FILE: 100, variant_file(members[0]): 100},
            keys=members if keys is None else keys,
            digests={},
        )
        store.write_json(place | {"order_schema": schema}, "cohorts", run, name, PLACE_FILE)
        store.write_bytes(b"x" * 100, "cohorts", run, name, CHECKPOINT_FILE)
        store.write_bytes(b"x" * (100 - cut), "cohorts", run, name, variant_file(members[0]))


def groups(found: list[Start]) -> list[tuple[str, int, list[object]]]:
    """Of each start: the run it goes on from, at which step, and the depths of its trials."""
    return [
        (
            start.kept.run if start.kept else "",
            start.kept.step_number if start.kept else 0,
            [trial.cell["depth"] for trial in start.cohort.trials],
        )
        for start in found
    ]


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    return Folder(str(tmp_path / "results"))


Corpora = dict[Corpus, OpenCorpus]


def mark(corpora: Corpora) -> str:
    return next(iter(corpora.values())).fingerprint


def test_trials_go_on_together_from_the_checkpoint_that_is_furthest_on(
    store: Folder, shapes: Path, corpora: Corpora
) -> None:
    what = planned(shapes)
    begun(store, what, "old", step=3, fingerprint=mark(corpora))
    begun(store, what, "new", step=5, fingerprint=mark(corpora))
    begun(store, what, "new", step=7, fingerprint=mark(corpora), name="checkpoint_b")
    found = starts(store, what, Outcome(), corpora)
    assert groups(found) == [("new", 7, [1, 2, 3, 4])]
    assert found[0].kept is not None and found[0].kept.path[-1] == "checkpoint_b"


def test_another_cohort_size_counts_at_once_with_a_checkpoint_and_without(
    store: Folder, shapes: Path, corpora: Corpora
) -> None:
    begun(store, planned(shapes), "eight")
    two = planned(shapes, cohort_size=2)
    fresh = groups(starts(store, two, Outcome(), corpora))
    assert [(run, step, len(depths)) for run, step, depths in fresh] == [("", 0, 2), ("", 0, 2)]
    begun(store, planned(shapes), "eight", step=4, fingerprint=mark(corpora))
    assert groups(starts(store, two, Outcome(), corpora)) == [
        ("eight", 4, [1, 3]),
        ("eight", 4, [2, 4]),
    ]


def test_a_trial_that_failed_goes_on_apart_from_the_last_checkpoint_in_which_it_was_sound(
    store: Folder, shapes: Path, corpora: Corpora
) -> None:
    what = planned(shapes)
    third = what.trials[2]
    begun(store, what, "r", step=4, fingerprint=mark(corpora))
    record = failed(what, third, "c", "out of memory at step 6")
    store.write_json(record.to_json(), "trials", third.key, "failure.json")
    found = starts(store, what, Outcome(), corpora)
    assert groups(found) == [("r", 4, [1, 2, 4]), ("r", 4, [3])]


def test_a_trial_that_the_checkpoint_holds_as_failed_starts_from_the_beginning(
    store: Folder, shapes: Path, corpora: Corpora
) -> None:
    """It may have stopped in the middle of a step: its state is not to be gone on from."""
    what = planned(shapes)
    sound = [trial.key for trial in what.trials if trial.cell["depth"] != 3]
    begun(store, what, "r", step=4, fingerprint=mark(corpora), keys=sound)
    found = starts(store, what, Outcome(), corpora)
    assert groups(found) == [("r", 4, [1, 2, 4]), ("", 0, [3])]


def test_a_failure_is_put_away_before_the_trial_is_tried_again(store: Folder, shapes: Path) -> None:
    what = planned(shapes)
    key = what.trials[0].key
    store.write_json(
        failed(what, what.trials[0], "c", "lost").to_json(), "trials", key, "failure.json"
    )
    forgive(store, [trial.key for trial in what.trials])
    assert store.names("trials", key) == ["failed_before.json"]


def test_a_checkpoint_of_other_data_or_another_order_is_not_gone_on_from_and_stays(
    store: Folder, shapes: Path, corpora: Corpora
) -> None:
    what = planned(shapes)
    begun(store, what, "other", step=4, fingerprint="another")
    begun(store, what, "order", step=4, fingerprint=mark(corpora), schema=ORDER_SCHEMA + 1)
    found = starts(store, what, Outcome(), corpora)
    assert groups(found) == [("", 0, [1, 2, 3, 4])]
    forget(store, what, Outcome(), found)
    assert store.names("cohorts") == ["order", "order.json", "other", "other.json"]


@pytest.mark.parametrize("what_is_cut", ["weights", "words", "nothing of them"])
def test_a_checkpoint_that_was_cut_off_is_not_gone_on_from(
    store: Folder, shapes: Path, corpora: Corpora, what_is_cut: str
) -> None:
    what = planned(shapes)
    begun(store, what, "r", step=3, fingerprint=mark(corpora))
    cut = 1 if what_is_cut == "weights" else 0
    begun(store, what, "r", step=4, fingerprint=mark(corpora), cut=cut, name="checkpoint_b")
    place = Path(store.path("cohorts", "r", "checkpoint_b", PLACE_FILE))
    if what_is_cut == "words":
        place.write_text(place.read_text()[:-3])
    elif what_is_cut == "nothing of them":
        place.unlink()
    assert groups(starts(store, what, Outcome(), corpora)) == [("r", 3, [1, 2, 3, 4])]


def test_a_checkpoint_of_other_data_is_refused_in_words_where_it_is_read() -> None:
    check_same_data(data_mark("abc") | {"more": 1}, "abc")
    for state in (data_mark("other"), {}, data_mark("abc") | {"order_schema": 99}):
        with pytest.raises(DataError, match="a checkpoint was made on the data"):
            check_same_data(state, "abc")


def test_what_nothing_goes_on_from_is_removed_and_the_rest_is_not(
    store: Folder, shapes: Path, corpora: Corpora
) -> None:
    what, more = planned(shapes), planned(shapes, seeds=(0, 1))
    begun(store, what, "superseded", step=3, fingerprint=mark(corpora))
    begun(store, what, "used", step=5, fingerprint=mark(corpora))
    begun(store, what, "without")
    begun(store, more, "of_a_larger_plan", step=5, fingerprint="another")
    found = starts(store, what, Outcome(), corpora)
    forget(store, what, Outcome(), found)
    assert [n for n in store.names("cohorts") if n.endswith(".json")] == [
        "of_a_larger_plan.json",
        "used.json",
    ]
    done = Outcome(records={t.key: failed(what, t, "c", "") for t in what.trials})
    forget(store, what, done, [])
    assert [n for n in store.names("cohorts") if n.endswith(".json")] == ["of_a_larger_plan.json"]
    assert starts(store, what, done, corpora) == []


def test_a_group_that_takes_a_cohort_over_goes_on_from_its_last_checkpoint_of_this_start(
    store: Folder, shapes: Path, corpora: Corpora
) -> None:
    what = planned(shapes)
    (cohort,) = what.cohorts
    assert choices(store, cohort, "a start") == []
    begun(store, what, "first", step=3, fingerprint=mark(corpora), cohort=cohort.id)
    # One variant has failed since, and stays so: the others go on.
    some = [trial.key for trial in what.trials[1:]]
    begun(store, what, "second", step=7, fingerprint=mark(corpora), cohort=cohort.id, keys=some)
    begun(store, what, "cut", step=9, fingerprint=mark(corpora), cohort=cohort.id, cut=1)
    begun(store, what, "other", step=11, fingerprint=mark(corpora), cohort="another")
    found = choices(store, cohort, "a start")
    assert [(kept.run, kept.step_number) for kept in found] == [("second", 7), ("first", 3)]
    # Of an earlier start the driver chooses, and leaves out what failed.
    assert choices(store, cohort, "another start") == []


def test_before_the_chosen_checkpoint_come_those_that_its_run_had_saved_earlier(
    store: Folder, shapes: Path, corpora: Corpora
) -> None:
    what = planned(shapes)
    (cohort,) = what.cohorts
    for step in (3, 5, 8):
        begun(store, what, "r", step=step, fingerprint=mark(corpora), name=f"checkpoint_{step}")
    some = [trial.key for trial in what.trials[1:]]
    begun(store, what, "r", step=6, fingerprint=mark(corpora), keys=some, name="checkpoint_6")
    chosen = Kept(("cohorts", "r", "checkpoint_8"), 8, frozenset(t.key for t in what.trials))
    steps = [kept.step_number for kept in choices(store, cohort, "another start", chosen)]
    assert steps == [8, 5, 3]  # at 6 one of its trials was not sound


@pytest.mark.parametrize("how", ["changed", "changed and not said", "another format", "gone"])
def test_a_checkpoint_that_was_tampered_with_is_not_read(
    store: Folder, how: str, tmp_path: Path
) -> None:
    file = tmp_path / CHECKPOINT_FILE
    write_state({"step_number": 3, "weights": torch.arange(1000.0)}, file)
    content, place = file.read_bytes(), ("cohorts", "r", "checkpoint_a")
    digests = {CHECKPOINT_FILE: digest_of(file)} if how != "changed and not said" else {}
    kept = Kept(place, 3, frozenset())
    store.write_json({"digests": digests}, *place, PLACE_FILE)
    store.write_bytes(content, *place, CHECKPOINT_FILE)
    (state,) = read_part(store, kept, [CHECKPOINT_FILE], "cpu").values()
    assert torch.equal(state["weights"], torch.arange(1000.0))
    if how == "gone":
        store.remove(*place, CHECKPOINT_FILE)
    else:
        middle = len(content) // 2
        changed = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        if how != "changed":
            changed = b"x" * len(content)
        store.write_bytes(changed, *place, CHECKPOINT_FILE)
    with pytest.raises(
        DataError, match=r"cohort\.safetensors is (not what was written|gone)"
    ) as error:
        read_part(store, kept, [CHECKPOINT_FILE], "cpu")
    assert error.value.mend


def test_a_disk_that_fails_says_nothing_of_the_checkpoint(store: Folder, tmp_path: Path) -> None:
    place = ("cohorts", "r", "checkpoint_a")
    store.write_json({"digests": {}}, *place, PLACE_FILE)
    Path(store.path(*place, CHECKPOINT_FILE)).mkdir()
    with pytest.raises(OSError, match="No such device"):
        read_part(store, Kept(place, 3, frozenset()), [CHECKPOINT_FILE], "cpu")
