"""META and THEORY: an SAE of decoder rows, and closed forms that trained SAEs must reproduce."""

import numpy as np

from sae_spec.spec_tests.operations.mistakes import altered
from sae_spec.spec_tests.operations.record import Area

META = Area("META", "Meta-SAEs")
THEORY = Area("THEORY", "Closed forms")

RATES = {"p10": "how often the parent fires alone", "p11": "how often parent and child fire together"}
DELTA = {"delta": "how much of the parent the child writes, from 0 to 1"}


@META.operation("the decoder rows that a meta-SAE is trained on",
                inputs={"W_dec": "(M, D)", "alive": "(M,)  1 for latents that fire, else 0"}, outputs={"rows": "(n, D)"})
def meta_samples(on, config, W_dec, alive):
    return {"rows": on.meta_sae.meta_samples(W_dec, alive != 0)}


@META.operation("how much of the samples' variance a reconstruction explains",
                inputs={"x": "(B, D)", "recon": "(B, D)"}, outputs={"explained": "()"},
                refused={"x": altered("without variance", np.zeros_like)})
def variance_explained(on, config, x, recon):
    return {"explained": on.meta_sae.variance_explained(x, recon)}


@META.operation("how strongly two latents use the same meta-latent",
                inputs={"meta_acts": "(M, K)  of the meta-SAE on the rows"}, outputs={"shared": "(M, M)"})
def shared_meta_latents(on, config, meta_acts):
    return {"shared": on.meta_sae.shared_meta_latents(meta_acts)}


@THEORY.operation("an SAE of two features, with a share of the parent absorbed",
                  DELTA | {"[unit]": "scale the child's decoder row to norm 1 (true)"},
                  {"parent": "(D,)  orthonormal with child", "child": "(D,)"}, {"W_enc": "(2, D)", "W_dec": "(2, D)"})
def delta_family(on, config, parent, child):
    W_enc, W_dec = on.theory.delta_family(parent, child, config["delta"], config.get("unit", True))
    return {"W_enc": W_enc, "W_dec": W_dec}


@THEORY.operation("what L1 charges such an SAE for a sample on average", RATES | DELTA, outputs={"cost": "()"})
def delta_l1(on, config):
    return {"cost": on.theory.delta_l1(config["p10"], config["p11"], config["delta"])}


@THEORY.operation("what the frequency-aware price still pays for absorption", RATES | {"D": "the input dimension"},
                  outputs={"gain": "()"})
def absorption_gain(on, config):
    return {"gain": on.theory.absorption_gain(config["p10"], config["p11"], config["D"])}


@THEORY.operation("the direction of one latent for two features, as its angle from the parent",
                  RATES | {"[biases]": "whether b_enc and b_dec are trained too (false)"}, outputs={"angle": "()"})
def hedging_angle(on, config):
    return {"angle": on.theory.hedging_angle(config["p10"], config["p11"], config.get("biases", False))}


@THEORY.operation("how many times its learning rate a step of Adam can move a parameter", {"step": "the number of the step, from 0"},
                  outputs={"reach": "()"})
def adam_reach(on, config):
    return {"reach": on.theory.adam_reach(config["step"])}


@THEORY.operation("the dictionary that a tied SAE learns of independent, overlapping features",
                  inputs={"directions": "(F, D)  unit vectors, the most frequent first"}, outputs={"rows": "(F, D)"})
def gram_schmidt(on, config, directions):
    return {"rows": on.theory.gram_schmidt(directions)}
