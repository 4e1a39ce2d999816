"""SAEs of several architectures on word embeddings, and what `sae-spec absorption --labels` says of each."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sae_spec.spec_tests.claims.training.grounds import Ground, judge, minilm, train, word_embeddings
from sae_spec.torch_impl import SAEConfig, TrainingConfig, save
from sae_spec.torch_impl.absorption.detector import ABSORBED

LIKELY = 0.5                   # the page shows pairs that are more likely absorbed than not
FAMILIES, WORDS = 10, 6        # that are kept of each SAE; words of a latent
TRAINING = {"batch_size": 512, "learning_rate": 1e-3}


class Subject(NamedTuple):
    """An SAE to train: fields of its configuration and of its training."""

    config: dict
    training: dict = {}


SUBJECTS = {
    "topk": Subject({"activation": "topk", "k": 4}),
    "batch_topk": Subject({"activation": "batch_topk", "k": 8}),
    "jumprelu": Subject({"activation": "jumprelu"}, {"l0_coefficient": 10.0}),
    "l1": Subject({"activation": "relu"}, {"l1_coefficient": 3.0}),
}


def embeddings():
    """The word embeddings of MiniLM (30522, 384), centred and of mean squared norm 384; and the words."""
    return word_embeddings(), (minilm() / "vocab.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")


def ask(name, rows, M, steps, folder):
    """Train the SAE of that name on rows, which stand in the folder too, and have its report written.

    returns  what is kept of it: see `kept`
    """
    subject, ground = SUBJECTS[name], Ground("words", rows, rows, 0, 0.0)
    sae = train(ground, SAEConfig(D=rows.shape[1], M=M, **subject.config), TrainingConfig(steps=steps, **TRAINING, **subject.training))
    save(sae, folder / f"{name}.safetensors")
    words = ["absorption", f"{name}.safetensors", "--data", "rows.npy", "--labels", "words.txt", "--report", name,
             "--threshold", str(LIKELY), "--device", "cpu"]
    subprocess.run([sys.executable, "-m", "sae_spec.torch_impl.program.command_line", *words], cwd=folder, check=True)
    document = json.loads((folder / name / "absorption.json").read_text(encoding="utf-8"))
    return {**judge(sae, rows), **subject._asdict(), **kept(document)}


def write_data(rows, words, folder):
    """rows.npy and words.txt, as the command reads them."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    np.save(folder / "rows.npy", rows.numpy())
    (folder / "words.txt").write_text("\n".join(words) + "\n", encoding="utf-8", newline="\n")


def kept(document):
    """The counts of a report, and its strongest families: each pair with the words of both."""
    pairs = {(pair["parent"], pair["child"]): pair for pair in document["pairs"]}
    families = []
    for family in document["families"][:FAMILIES]:
        alone = family["labels"]["parents"]
        families.append({"lost": round(family["lost"], 1), "pairs": [
            {"parent": alone[str(words["parent"])][:WORDS], "child": words["without parent"][:WORDS], "both": words["with parent"][:WORDS],
             **{name: round(pairs[words["parent"], words["child"]][name], 3) for name in ("probability", "amount", "samples")}}
            for words in family["labels"]["pairs"]]})
    called = sum(pair["probability"] > ABSORBED for pair in document["pairs"])
    return {"absorbed": called, "likely": len(pairs), "judged latents": document["judged"]["latents"],
            "background": document["judged"]["latents background"], "families": families}
