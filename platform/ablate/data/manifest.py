"""placeholder"""
from __future__ import annotations
import hashlib, json, os
from dataclasses import asdict, dataclass
from pathlib import Path
from ablate.errors import DataError
MANIFEST_NAME = "manifest.json"
@dataclass(frozen=True)
class ShardEntry:
    name: str
    split: str
    num_samples: int
    num_bytes: int
    sha256: str
@dataclass(frozen=True)
class Source:
    name: str
    package: str
    version: str
    licence: str
    attribution: str
    num_pairs: int
@dataclass(frozen=True)
class Manifest:
    name: str
    version: str
    captions: tuple[str, ...]
    shards: tuple[ShardEntry, ...]
    sources: tuple[Source, ...]
    fingerprint: str
def fingerprint(shards):
    return hashlib.sha256(json.dumps(sorted((s.name,s.split,s.num_samples,s.sha256) for s in shards)).encode()).hexdigest()
def write_manifest(m, folder):
    p=folder/MANIFEST_NAME; t=p.with_suffix(".tmp"); t.write_text(json.dumps(asdict(m))); os.replace(t,p)
def read_manifest(folder):
    d=json.loads((folder/MANIFEST_NAME).read_text())
    return Manifest(d["name"],d["version"],tuple(d["captions"]),tuple(ShardEntry(**s) for s in d["shards"]),tuple(Source(**s) for s in d["sources"]),d["fingerprint"])
