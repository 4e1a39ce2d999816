"""The reference as an adapter, second half: toy worlds, absorption, meta-SAE, theory."""

import numpy as np

from sae_spec.reference import absorption, detector, ground_truth, meta_sae, read_out, saebench, theory, toy_models, toy_worlds

PRESETS = {"code": saebench.CODE, "paper": saebench.PAPER}


class Draws:
    """Stands in for a generator: its normal draws are those of the case."""

    def __init__(self, normals):
        self.normals = normals

    def normal(self, size):
        rows, columns = size
        return self.normals[:rows, :columns]


def world_of(i):
    """A World from its parts; what an operation does not need may be missing."""
    F = len(i["parent"])
    whole = {name: i[name].astype(int) for name in ("parent", "group")}
    rest = {"directions": np.eye(F), "mean": np.ones(F), "std": np.zeros(F)} | i | whole
    return toy_models.World(**{name: rest[name] for name in toy_models.World._fields})


def toy_world(config, i):
    arguments = {name: value for name, value in config.items() if name != "world"}
    return getattr(toy_worlds, config["world"])(Draws(i["normals"]), **arguments)._asdict()


def toy_sample(config, i):
    x, magnitudes = toy_models.sample(world_of(i), i["uniforms"], i["normals"])
    return {"x": x, "magnitudes": magnitudes}


def run_saebench(config, i):
    named = config["thresholds"]
    thresholds = PRESETS[named] if isinstance(named, str) else saebench.Thresholds(**named)
    given = i["x"], i["acts"], i["W_dec"], i["probe"], i["main"] != 0, thresholds
    return {"fraction": saebench.absorption_fraction(*given), "full": saebench.full_absorption(*given)}


def match(config, i):
    latent, cosine = ground_truth.match(i["W_dec"], i["directions"])
    return {"latent": latent, "cosine": cosine, "mcc": ground_truth.mcc(i["W_dec"], i["directions"])}


def firing_scores(config, i):
    return dict(zip(("precision", "recall", "f1", "dead"), ground_truth.scores(i["fires"] != 0, i["truth"] != 0)))


def recall_hole(config, i):
    return {"hole": ground_truth.recall_hole(i["fires"] != 0, i["parent"] != 0, i["child"] != 0)}


def carried_share(config, i):
    share = ground_truth.carried_share(i["acts"], i["W_dec"], i["direction"], config["latent"], i["samples"] != 0)
    return {"share": share}


def hedging(config, i):
    return dict(zip(("encoder", "decoder"), ground_truth.hedging(i["W_enc"], i["W_dec"], config["latent"], i["other"])))


def encoder(config, i):
    return i["W_dec"] if config.get("tied") else i["W_enc"]


def absorption_patterns(config, i):
    W_enc = encoder(config, i)
    return {"alignment": absorption.alignment(W_enc, i["W_dec"]), "gap": absorption.pattern_gap(W_enc, i["W_dec"])}


def stream_of(config, i):
    """The stream, cut where the config says, each piece observed by itself."""
    cuts = config.get("cuts", [])
    stream = None
    for x, acts in list(zip(np.split(i["x"], cuts), np.split(i["acts"], cuts))) * config.get("times", 1):
        piece = absorption.observe(x, acts, i["W_dec"], i["b_dec"])
        stream = piece if stream is None else absorption.merge(stream, piece)
    return stream


def cofiring(config, i):
    stream = stream_of(config, i)
    return {"fires": stream.fires, "full": stream.full, "together": stream.together,
            "beside": stream.beside, "both_full": stream.both_full,
            "lift": absorption.lift(stream), "phi": absorption.phi(stream)}


def absorption_score(config, i):
    stream = stream_of(config, i)
    score = detector.absorption_score(stream, encoder(config, i), i["W_dec"])
    return {"score": score} | detector.evidence(stream, i["W_dec"])._asdict()


def corrected_read_out(config, i):
    A = read_out.read_out_matrix(i["score"], i["W_dec"], config.get("threshold", detector.THRESHOLD))
    return {"A": A, "read_out": read_out.corrected(i["acts"], A)}


def main_latents(config, i):
    return {"main": saebench.main_latents(i["ranking"], i["scores"], config.get("gain", 0.03))}


def delta_family(config, i):
    W_enc, W_dec = theory.delta_family(i["parent"], i["child"], config["delta"], config.get("unit", True))
    return {"W_enc": W_enc, "W_dec": W_dec}


RUN = {
    "toy_world": toy_world,
    "toy_sample": toy_sample,
    "toy_cofiring": lambda c, i: {"cofiring": toy_models.expected_cofiring(world_of(i))},
    "directions_with_cosine": lambda c, i: {"directions": toy_models.directions_with_cosine(i["normals"], c["rho"])},
    "saebench": run_saebench,
    "main_latents": main_latents,
    "match": match,
    "firing_scores": firing_scores,
    "recall_hole": recall_hole,
    "carried_share": carried_share,
    "hedging": hedging,
    "absorption_patterns": absorption_patterns,
    "within_data": lambda c, i: {"W_enc": absorption.within_data(i["W_enc"], i["x"])},
    "cofiring": cofiring,
    "absorption_score": absorption_score,
    "corrected_read_out": corrected_read_out,
    "meta_samples": lambda c, i: {"rows": meta_sae.meta_samples(i["W_dec"], i["alive"] != 0)},
    "variance_explained": lambda c, i: {"explained": meta_sae.variance_explained(i["x"], i["recon"])},
    "shared_meta_latents": lambda c, i: {"shared": meta_sae.shared_meta_latents(i["meta_acts"])},
    "delta_family": delta_family,
    "delta_l1": lambda c, i: {"cost": theory.delta_l1(c["p10"], c["p11"], c["delta"])},
    "absorption_gain": lambda c, i: {"gain": theory.absorption_gain(c["p10"], c["p11"], c["D"])},
    "hedging_angle": lambda c, i: {"angle": theory.hedging_angle(c["p10"], c["p11"])},
    "gram_schmidt": lambda c, i: {"rows": theory.gram_schmidt(i["directions"])},
}
