"""What would make a study worthless or impossible, seen before anything starts."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from seedbed.cluster.asked import Asked
from seedbed.cluster.cut import check_cut
from seedbed.cluster.layout import lay_out
from seedbed.data.corpus import Corpus
from seedbed.data.opening import OpenCorpus
from seedbed.data.order import Picks
from seedbed.data.reads import plan_reads, samples
from seedbed.data.render import tokenizer
from seedbed.data.render.kept import num_bytes
from seedbed.data.rows import Rows
from seedbed.errors import SampleFault, StudyError
from seedbed.evaluate.prompted import OpenTest
from seedbed.evaluate.tasks import names_needed
from seedbed.plan.plan import Plan

NAMES_ROWS = 128  # held-out pairs that are read at a time for their names
# Above so many (the paper: 35) pairs are learned by heart, which may be the question.
MANY_EPOCHS = 100
MANY_READS = 1.5  # of the same bytes in an epoch, above which a word is said


def check_workers(plan: Plan, asked: Asked, *, trains: bool = True) -> None:
    """Raise ResourceError where cohorts' workers do not fit what this process may use.

    A cluster that has not been joined yet says so itself, when it is. What is not known of its GPUs
    their workers find out.
    """
    check_cut(plan, asked)
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        from seedbed.cluster.capacity import cluster_capacity
        from seedbed.cluster.choice import choose

        choose(plan, plan.cohorts, asked, cluster_capacity(), trains=trains)
    elif not os.environ.get("RAY_ADDRESS"):
        cluster = {"CPU": os.cpu_count() or 1, "GPU": _num_gpus()}
        lay_out(cluster, asked, num_cohorts=len(plan.cohorts))


def _num_gpus() -> int:
    """As torch counts them; where no driver is installed there are none, and torch, which takes a
    second to import, is not asked."""
    # NVIDIA's driver brings this library, AMD's this device.
    if sys.platform == "linux" and not (_loads("libcuda.so.1") or Path("/dev/kfd").exists()):
        return 0
    import torch

    return torch.cuda.device_count()


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def epochs(plan: Plan, pairs: Mapping[Corpus, int]) -> dict[Corpus, float]:
    """By corpus, how often its longest trial reads the `pairs` of an epoch."""
    longest: dict[Corpus, int] = {}
    for trial in plan.trials:
        corpus = trial.recipe.corpus
        longest[corpus] = max(trial.recipe.budget.samples, longest.get(corpus, 0))
    return {c: longest[c] / num for c, num in pairs.items() if num and c in longest}


def check_epochs(plan: Plan, pairs: Mapping[Corpus, int], most: int) -> list[str]:
    """Warnings where pairs would come very often. Raises StudyError for more than `most` epochs."""
    said = []
    for corpus, times in epochs(plan, pairs).items():
        samples = round(times * pairs[corpus])
        if times > most:
            raise StudyError(
                f"{samples:,} samples are {times:,.0f} epochs of the {pairs[corpus]:,} pairs of "
                f"'{corpus.uri}'",
                why=f"more than {most:,} epochs are a slip more often than a question, and the "
                "scale's budget is for a corpus of its size",
                mend="give a bigger corpus with --data, fewer samples with --set "
                f"budget.samples=N or --scale, or allow it with --max-epochs {-int(-times // 1)}",
            )
        if times > MANY_EPOCHS:
            said.append(
                f"epochs  {times:,.0f} of the {pairs[corpus]:,} pairs of {corpus.uri}: the models "
                "will know them by heart"
            )
    return said


def read_again(plan: Plan, group_rows: Mapping[Corpus, float]) -> list[str]:
    """Warnings where bytes are read far more than once: a window reads the groups that it cuts
    whole. `group_rows` are of each corpus the rows of a group that are trained on, on average."""
    said = []
    steps = {t.recipe.corpus: t.recipe.budget.batch // t.recipe.corpus.lanes for t in plan.trials}
    for corpus, group in group_rows.items():
        times = corpus.times_read(group)
        if times <= MANY_READS or corpus not in steps:
            continue
        step = max(1, steps[corpus])
        window = -int(-group / (MANY_READS - 1) // step) * step
        small = max(1, int(corpus.window_rows * (MANY_READS - 1)))
        said.append(
            f"groups  {corpus.uri} is read {times:.1f} times an epoch: of its parquet files no "
            f"less than a group of rows can be, which has {group:,.0f} on average, and a window "
            f"has {corpus.window_rows:,}. Write them again with row_group_size={small}, or --set "
            f"corpus.window_rows={window} (another order of the samples, and more held in memory)"
        )
    return list(dict.fromkeys(said))


def kept_bytes(
    plan: Plan, corpora: Mapping[Corpus, OpenCorpus], tests: Sequence[OpenTest] = ()
) -> int:
    """Of the pictures that are kept with the results: those of each test set, held out or of its
    own, as each crop and size takes them."""
    recipes = [trial.recipe for trial in plan.trials]
    needed = {
        (opened.test.fingerprint, recipe.augment.test, recipe.image.size): opened.test.num_samples
        for recipe in recipes
        if (opened := corpora.get(recipe.corpus)) is not None
    }
    taken = {(recipe.augment.test, recipe.image.size) for recipe in recipes}
    needed |= {(one.mark, *how): one.num_pictures for one in tests for how in taken}
    return sum(num_bytes(pairs, size) for (_, _, size), pairs in needed.items())


def check_names(corpora: Iterable[OpenCorpus], responses: Sequence[str]) -> None:
    """Raise StudyError where the held-out pairs have fewer names than a response needs."""
    opened = next(iter(corpora), None)
    if opened is None:  # a rehearsal
        return
    caption = opened.corpus.held_out_caption
    least = names_needed()
    most = max((least.get(name, 0) for name in responses), default=0)
    num_names = count_names(opened.test, caption, most) if most else 0
    short = [name for name in responses if least.get(name, 0) > num_names]
    if short:
        enough = [name for name in least if least[name] <= num_names]
        raise StudyError(
            f"the {opened.test.num_samples:,} held-out pairs of "
            f"'{opened.corpus.test_uri or opened.corpus.uri}' have {num_names:,} different names, "
            f"and {short[0]} needs {least[short[0]]}",
            why="a picture is to be told apart from so many, and with fewer the number would not "
            "be what it is called",
            mend="give a corpus with more pairs, or Corpus.test_uri with more names"
            + (f", or a study with the response {' or '.join(enough)}" if enough else ""),
        )


def needed() -> tuple[str, ...]:
    """The responses that need so many names that a corpus may have too few."""
    least = names_needed()
    return tuple(sorted(least, key=least.__getitem__, reverse=True))


def count_names(rows: Rows, caption: str, enough: int | None = None) -> int:
    """How many different names `rows` have; where these are `enough`, no more are looked for.

    Only the bytes of these rows are read, and of as few as it takes: corpora have millions.
    """
    names: set[str] = set()
    every = Picks.of_all(rows.counts)
    for first in range(0, len(every), NAMES_ROWS):
        for numbered in samples(plan_reads(rows, every.at(slice(first, first + NAMES_ROWS)))):
            try:
                names.add(tokenizer.clean(numbered.sample.caption(caption)))
            except SampleFault:  # counted and bounded where the pairs are read
                continue
        if enough is not None and len(names) >= enough:
            break
    return len(names)
