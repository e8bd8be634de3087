from pathlib import Path
def resolve(uri, home): return home/"corpora"/"emoji-x"
def prepare_demo(name, home, progress=None): return resolve(name, home)
