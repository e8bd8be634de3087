"""A finished trial by its key, the beginning of it, its name or its folder, and its weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seedbed.errors import StudyError, nearest
from seedbed.storage.folder import Folder
from seedbed.study.record import TrialRecord

RECORD, WEIGHTS, OLD_WEIGHTS = "record.json", "model.safetensors", "model.pt"
HEX = set("0123456789abcdef")
MOST_NAMED = 8
THREADS = 16  # records that are asked for at a time


@dataclass(frozen=True)
class Finished:
    """A trial that completed: its record, and the folder of its study's results."""

    record: TrialRecord
    store: Folder

    @property
    def name(self) -> str:
        """As plans name it: `depth=3 s=0`."""
        return f"{self.record.cell} s={self.record.seed}"

    @property
    def place(self) -> str:
        return self.store.place("trials", self.record.key)

    def state(self) -> dict[str, Any]:
        """Its final weights, a model's `state_dict`.

        Raises StudyError where they were not kept, and DataError where they are not whole.
        """
        from seedbed.interchange.weights import check_digest, unpacked

        key = self.record.key
        if self.store.exists("trials", key, WEIGHTS):
            content = self.store.read_bytes("trials", key, WEIGHTS)
            where = self.store.place("trials", key, WEIGHTS)
            check_digest(content, self.record.weights, where)
            return unpacked(content, where)
        if self.store.exists("trials", key, OLD_WEIGHTS):  # of a trial before safetensors
            return self._old()
        raise StudyError(
            f"the weights of '{self.name}' ({key}) are not kept",
            why=f"{self.place} has its record and no {WEIGHTS}: the study ran with "
            "--keep-weights none, or they were removed",
            mend="remove that folder, and give the study's command again without the option: the "
            "trial is trained anew",
        )

    def _old(self) -> dict[str, Any]:
        import torch

        with self.store.as_file("trials", self.record.key, OLD_WEIGHTS) as path:
            state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return state


def trials_of(keys: Iterable[str], results: str, study: str) -> list[Finished]:
    """The completed trials of a study by their whole keys: a request for each, some at a time, and
    no listing."""
    store = Folder(results).sub(study)
    with ThreadPoolExecutor(THREADS) as pool:
        records = list(pool.map(lambda key: store.read_json("trials", key, RECORD), keys))
    return [Finished(TrialRecord.from_json(one), store) for one in records if one is not None]


def find_trial(said: str, results: str, study: str = "") -> Finished:
    """The completed trial that `said` names: its folder, or else one in the folder `results`.

    There it is a key, the beginning of one, or a name (`depth=3 s=0`), of the study `study` where
    that is given. Raises StudyError where there is none, more than one, or it did not complete.
    """
    if _is_folder(said):
        store, key = _folder_of(said)
        found = [Finished(TrialRecord.from_json(store.read_json("trials", key, RECORD)), store)]
    else:
        found = _each_once(_matching(said, Folder(results), study))
    if not found:
        raise StudyError(
            f"there is no trial '{said}' in {results}",
            why="a trial is named by its key, at least the first digits of it, by its name, "
            "like 'depth=3 s=0', or by its folder",
            mend=_known(Folder(results), study),
        )
    if len(found) > 1:
        named = [f"{one.record.key} of {one.record.study} ({one.name})" for one in found]
        raise StudyError(
            f"'{said}' names {len(found)} trials: {', '.join(named[:MOST_NAMED])}",
            why="one is wanted",
            mend="give more of the key, or the study with --study",
        )
    return _completed(found[0])


def _each_once(found: Iterable[Finished]) -> list[Finished]:
    """Without those that another study has taken over: their numbers and weights are the same.

    Of several the one with weights stands for all, and of these the one that was trained there.
    """
    kept: dict[tuple[str, str], Finished] = {}
    for one in sorted(found, key=lambda one: (not one.record.weights, one.record.origin != "")):
        kept.setdefault((one.record.key, one.record.data_fingerprint), one)
    return list(kept.values())


def _completed(found: Finished) -> Finished:
    record = found.record
    if record.status != "completed":
        raise StudyError(
            f"the trial '{found.name}' ({record.key}) is {record.status}",
            why=record.reason or "only a completed one has final weights",
            mend="name a completed one: the study's report lists them",
        )
    return found


def _is_folder(said: str) -> bool:
    return "://" in said or (bool(said) and Path(said).expanduser().is_dir())


def _folder_of(said: str) -> tuple[Folder, str]:
    """The results folder of a trial's own folder, and its key."""
    root, _, key = said.rstrip("/").rpartition("/")
    above, _, name = root.rpartition("/")
    store = Folder(above or ".")
    if name != "trials" or not store.exists("trials", key, RECORD):
        raise StudyError(
            f"'{said}' is no trial's folder",
            why=f"a finished trial is trials/KEY with its {RECORD}",
            mend="name such a folder, a trial's key, or a folder that was exported",
        )
    return store, key


def _matching(said: str, results: Folder, study: str) -> Iterator[Finished]:
    is_key = bool(said) and set(said) <= HEX
    for store in _studies(results, study):
        keys = store.names("trials")
        for key in [k for k in keys if k.startswith(said)] if is_key else keys:
            values = store.read_json("trials", key, RECORD)
            if values is None:
                continue
            found = Finished(TrialRecord.from_json(values), store)
            if is_key or found.name == said:
                yield found


def _studies(results: Folder, study: str) -> Iterator[Folder]:
    """The folders of studies; a rehearsal's trials have no weights and are not looked at."""
    names = [name for name in results.names() if not name.startswith(".")]
    if study and study not in names:
        raise StudyError(
            f"there is no study '{study}' in {results.uri}",
            why="its results would be a folder there",
            mend=nearest(study, names),
        )
    for name in [study] if study else names:
        store = results.sub(name)
        if "trials" in store.names():
            yield store


def _known(results: Folder, study: str) -> str:
    counted = {s.uri.rpartition("/")[2]: len(s.names("trials")) for s in _studies(results, study)}
    if not counted:
        return "run a study first, or say where its results are with --storage"
    return "there are " + ", ".join(f"{n} of {name}" for name, n in counted.items())
