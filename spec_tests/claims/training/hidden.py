"""Hidden states of MiniLM, for `grounds.hidden`: a script for the peers' environment (`make bench-peers`), which has transformers.

    .peers/torch/bin/python spec_tests/claims/training/hidden.py MODEL_FOLDER FILE.npy

They are what layer 3 of 6 makes of 50,000 tokens of text that every machine with Python has: docstrings of the standard library, read
from its source, in an order drawn once, 128 tokens of each at most, without the marks of beginning and end. Which ones
depends on the version of that Python.
"""

# pyright: reportMissingImports=false
import ast
import random
import sys
import sysconfig
from pathlib import Path

import numpy as np

TOKENS, LAYER, LONGEST, AT_ONCE = 50_000, 3, 128, 16


def docstrings(folder):
    """All of the Python files below a folder, each once, the same order every time."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        if not {"site-packages", "test", "tests", "idlelib"} & set(path.parts):
            nodes = ast.walk(ast.parse(path.read_bytes()))
            found |= dict.fromkeys(ast.get_docstring(node) or "" for node in nodes
                                   if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)))
    texts = [text for text in found if text]
    random.Random(0).shuffle(texts)
    return texts


def states(model_folder, texts):
    """(TOKENS, D) float32"""
    import torch
    from transformers import AutoTokenizer, BertModel

    torch.set_num_threads(1)
    tokenizer, model = AutoTokenizer.from_pretrained(model_folder), BertModel.from_pretrained(model_folder).eval()
    rows, count = [], 0
    for first in range(0, len(texts), AT_ONCE):
        batch = tokenizer(texts[first : first + AT_ONCE], truncation=True, max_length=LONGEST, padding=True, return_tensors="pt",
                          return_special_tokens_mask=True)
        marks = batch.pop("special_tokens_mask").bool()                           # (AT_ONCE, tokens), padding too
        with torch.no_grad():
            hidden = model(**batch, output_hidden_states=True).hidden_states[LAYER]
        rows.append(hidden[~marks])
        count += len(rows[-1])
        if count >= TOKENS:
            return torch.cat(rows)[:TOKENS].numpy()
    raise SystemExit(f"the docstrings have {count} tokens, {TOKENS} are needed")


def main(model_folder, file):
    np.save(file, states(model_folder, docstrings(Path(sysconfig.get_path("stdlib")))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
