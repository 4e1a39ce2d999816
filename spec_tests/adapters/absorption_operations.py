"""Our two adapters, second half: toy worlds, absorption, meta-SAE, theory.

The reference and production have the same functions under the same names, so one set of calls serves both; what they
compute is theirs.
"""

from functools import partial
from importlib import import_module
from types import SimpleNamespace

import numpy as np

MODULES = {"absorption": ("patterns", "stream", "detector", "ground_truth", "meta_sae", "read_out", "saebench"),
           "worlds": ("theory", "toy_models", "toy_worlds")}


def operations(package, arrays):
    """{operation: function of config and inputs}

    package  "reference" or "torch_impl"
    arrays   the library whose arrays it takes: numpy or torch
    """
    on = SimpleNamespace(arrays=arrays, **{
        name: import_module(f"sae_spec.{package}.{room}.{name}") for room, names in MODULES.items() for name in names})
    return {name: partial(function, on) for name, function in RUN.items()}


class Draws:
    """Stands in for a generator: its normal draws are those of the case."""

    def __init__(self, normals):
        self.normals = normals

    def normal(self, size):
        rows, columns = size
        return self.normals[:rows, :columns]


def world_of(on, i):
    """A World from its parts; what an operation does not need may be missing."""
    F, a = len(i["parent"]), on.arrays
    whole = {name: a.asarray(i[name], dtype=a.int64) for name in ("parent", "group")}
    rest = {"directions": a.eye(F), "mean": a.ones(F), "std": a.zeros(F)} | i | whole
    return on.toy_models.World(**{name: rest[name] for name in on.toy_models.World._fields})


def toy_world(on, config, i):
    arguments = {name: value for name, value in config.items() if name != "world"}
    normals = np.array(i["normals"].tolist(), dtype=float).reshape(i["normals"].shape)
    return getattr(on.toy_worlds, config["world"])(Draws(normals), **arguments)._asdict()


def toy_sample(on, config, i):
    x, magnitudes = on.toy_models.sample(world_of(on, i), i["uniforms"], i["normals"])
    return {"x": x, "magnitudes": magnitudes}


def encoder(config, i):
    return i["W_dec"] if config.get("tied") else i["W_enc"]


def run_saebench(on, config, i):
    named = config["thresholds"]
    presets = {"code": on.saebench.CODE, "paper": on.saebench.PAPER}
    thresholds = presets[named] if isinstance(named, str) else on.saebench.Thresholds(**named)
    given = i["x"], i["acts"], i["W_dec"], i["probe"], i["main"] != 0, thresholds
    return {"fraction": on.saebench.absorption_fraction(*given), "full": on.saebench.full_absorption(*given)}


def match(on, config, i):
    latent, cosine = on.ground_truth.match(i["W_dec"], i["directions"])
    return {"latent": latent, "cosine": cosine, "mcc": on.ground_truth.mcc(i["W_dec"], i["directions"])}


def firing_scores(on, config, i):
    return dict(zip(("precision", "recall", "f1", "dead"), on.ground_truth.scores(i["fires"] != 0, i["truth"] != 0)))


def recall_hole(on, config, i):
    return {"hole": on.ground_truth.recall_hole(i["fires"] != 0, i["parent"] != 0, i["child"] != 0)}


def carried_share(on, config, i):
    share = on.ground_truth.carried_share(i["acts"], i["W_dec"], i["direction"], config["latent"], i["samples"] != 0)
    return {"share": share}


def hedging(on, config, i):
    return dict(zip(("encoder", "decoder"), on.ground_truth.hedging(i["W_enc"], i["W_dec"], config["latent"], i["other"])))


def absorption_patterns(on, config, i):
    W_enc = encoder(config, i)
    return {"alignment": on.patterns.alignment(W_enc, i["W_dec"]), "gap": on.patterns.pattern_gap(W_enc, i["W_dec"])}


def stream_of(on, config, i):
    """The stream, cut where the config says, each piece observed by itself."""
    bounds, stream = [0, *config.get("cuts", []), len(i["x"])], None
    for first, last in list(zip(bounds, bounds[1:])) * config.get("times", 1):
        piece = on.stream.observe(i["x"][first:last], i["acts"][first:last], i["W_dec"], i["b_dec"])
        stream = piece if stream is None else on.stream.merge(stream, piece)
    return stream


def cofiring(on, config, i):
    stream = stream_of(on, config, i)
    return {"fires": stream.fires, "full": stream.full, "together": stream.together,
            "beside": stream.beside, "both_full": stream.both_full,
            "lift": on.stream.lift(stream), "phi": on.stream.phi(stream)}


def absorption_score(on, config, i):
    stream = stream_of(on, config, i)
    score = on.detector.absorption_score(stream, encoder(config, i), i["W_dec"])
    return {"score": score} | on.detector.evidence(stream, i["W_dec"])._asdict()


def corrected_read_out(on, config, i):
    A = on.read_out.read_out_matrix(i["score"], i["W_dec"], config.get("threshold", on.detector.THRESHOLD))
    return {"A": A, "read_out": on.read_out.corrected(i["acts"], A)}


def main_latents(on, config, i):
    return {"main": on.saebench.main_latents(i["ranking"], i["scores"], config.get("gain", 0.03))}


def delta_family(on, config, i):
    W_enc, W_dec = on.theory.delta_family(i["parent"], i["child"], config["delta"], config.get("unit", True))
    return {"W_enc": W_enc, "W_dec": W_dec}


RUN = {
    "toy_world": toy_world,
    "toy_sample": toy_sample,
    "toy_cofiring": lambda on, c, i: {"cofiring": on.toy_models.expected_cofiring(world_of(on, i))},
    "directions_with_cosine": lambda on, c, i: {"directions": on.toy_models.directions_with_cosine(i["normals"], c["rho"])},
    "saebench": run_saebench,
    "main_latents": main_latents,
    "match": match,
    "firing_scores": firing_scores,
    "recall_hole": recall_hole,
    "carried_share": carried_share,
    "hedging": hedging,
    "absorption_patterns": absorption_patterns,
    "within_data": lambda on, c, i: {"W_enc": on.patterns.within_data(i["W_enc"], i["x"])},
    "cofiring": cofiring,
    "absorption_score": absorption_score,
    "corrected_read_out": corrected_read_out,
    "meta_samples": lambda on, c, i: {"rows": on.meta_sae.meta_samples(i["W_dec"], i["alive"] != 0)},
    "variance_explained": lambda on, c, i: {"explained": on.meta_sae.variance_explained(i["x"], i["recon"])},
    "shared_meta_latents": lambda on, c, i: {"shared": on.meta_sae.shared_meta_latents(i["meta_acts"])},
    "delta_family": delta_family,
    "delta_l1": lambda on, c, i: {"cost": on.theory.delta_l1(c["p10"], c["p11"], c["delta"])},
    "absorption_gain": lambda on, c, i: {"gain": on.theory.absorption_gain(c["p10"], c["p11"], c["D"])},
    "hedging_angle": lambda on, c, i: {"angle": on.theory.hedging_angle(c["p10"], c["p11"])},
    "gram_schmidt": lambda on, c, i: {"rows": on.theory.gram_schmidt(i["directions"])},
}
