"""ABS: what weights and a stream of activations show of absorption, and what the truth says. Pairs are [parent, child]."""

from itertools import pairwise

from sae_spec.spec_tests.operations.costs import TIED
from sae_spec.spec_tests.operations.mistakes import altered
from sae_spec.spec_tests.operations.record import Area

ABS = Area("ABS", "Absorption")

WEIGHTS = {"[W_enc]": "(M, D)  untied only", "W_dec": "(M, D)"}
CUTS = {"[cuts]": "rows after which the stream is cut; the pieces are observed apart and merged (none)",
        "[times]": "how often the stream is repeated (1)"}
STREAM = {"x": "(B, D)", "acts": "(B, M)", "W_dec": "(M, D)", "b_dec": "(D,)",
          "[floor]": "(M,)  what a latent must write to fire (that of the whole stream, before it is cut)"}
LATENT = {"latent": "the index of the parent's latent"}
EVIDENCE = "silent", "low", "level", "returned", "disturbed", "unwritten", "cosine", "enough"


@ABS.operation("how much of a feature others than its main latents write, by SAEBench's metric",
               {"thresholds": 'SAEBench\'s: "code" or "paper"; or an object of some of partial_cos, partial_share, absorbers, '
                              "full_cos, full_share, silent (the code's where absent)"},
               {"x": "(B, D)", "acts": "(B, M)", "W_dec": "(M, D)", "probe": "(D,)  the feature's direction",
                "main": "(M,)  1 for the feature's main latents, else 0"},
               {"fraction": "(B,)", "full": "(B,)"}, {"probe": altered("zero", lambda probe: 0 * probe)})
def saebench(on, config, x, acts, W_dec, probe, main):
    named = config["thresholds"]
    presets = {"code": on.saebench.CODE, "paper": on.saebench.PAPER}
    thresholds = presets[named] if isinstance(named, str) else on.saebench.Thresholds(**named)
    arguments = x, acts, W_dec, probe, main != 0, thresholds
    return {"fraction": on.saebench.absorption_fraction(*arguments), "full": on.saebench.full_absorption(*arguments)}


@ABS.operation("the latents among which a feature is split",
               {"[gain]": "by how much a further latent must improve the score (.03)"},
               {"ranking": "(K,)  latents, the most telling first", "scores": "(K,)  of a probe that sees the first 1 .. K"},
               {"main": "(n,)"})
def main_latents(on, config, ranking, scores):
    return {"main": on.saebench.main_latents(ranking, scores, config.get("gain", 0.03))}


@ABS.operation("one latent for each feature, and how well they match",
               inputs={"W_dec": "(M, D)", "directions": "(F, D)  of the features"},
               outputs={"latent": "(F,)  -1 for none", "cosine": "(F,)", "mcc": "()"})
def match(on, config, W_dec, directions):
    latent, cosine = on.ground_truth.match(W_dec, directions)
    return {"latent": latent, "cosine": cosine, "mcc": on.ground_truth.mcc(W_dec, directions)}


@ABS.operation("how well latent j's firing tells that feature j is there",
               inputs={"fires": "(B, n)  1 or 0", "truth": "(B, n)  1 or 0"},
               outputs={"precision": "(n,)", "recall": "(n,)", "f1": "(n,)", "dead": "(n,)"})
def firing_scores(on, config, fires, truth):
    return dict(zip(("precision", "recall", "f1", "dead"), on.ground_truth.scores(fires != 0, truth != 0)))


@ABS.operation("how much rarer the parent's latent fires beside the child",
               inputs={"fires": "(B,)  1 or 0: the parent's latent", "parent": "(B,)  1 or 0: the feature",
                       "child": "(B,)  1 or 0: the other feature"},
               outputs={"hole": "()"})
def recall_hole(on, config, fires, parent, child):
    return {"hole": on.ground_truth.recall_hole(fires != 0, parent != 0, child != 0)}


@ABS.operation("the share of a feature's content that others than its latent write", LATENT,
               {"acts": "(B, M)", "W_dec": "(M, D)", "direction": "(D,)  of the feature",
                "samples": "(B,)  1 for samples that count, else 0"}, {"share": "()"})
def carried_share(on, config, acts, W_dec, direction, samples):
    return {"share": on.ground_truth.carried_share(acts, W_dec, direction, config["latent"], samples != 0)}


@ABS.operation("a latent's cosines with another feature", LATENT,
               {"W_enc": "(M, D)", "W_dec": "(M, D)", "other": "(D,)  the child's direction"},
               {"encoder": "()", "decoder": "()"})
def hedging(on, config, W_enc, W_dec, other):
    return dict(zip(("encoder", "decoder"), on.ground_truth.hedging(W_enc, W_dec, config["latent"], other)))


@ABS.operation("what the weights show of each latent and each pair", TIED, WEIGHTS, {"alignment": "(M,)", "gap": "(M, M)"})
def absorption_patterns(on, config, W_dec, W_enc=None):
    W_enc = encoder_of(config, W_enc, W_dec)
    return {"alignment": on.patterns.alignment(W_enc, W_dec), "gap": on.patterns.pattern_gap(W_enc, W_dec)}


@ABS.operation("encoder rows within the span of the samples", inputs={"W_enc": "(M, D)", "x": "(B, D)"},
               outputs={"W_enc": "(M, D)"})
def within_data(on, config, W_enc, x):
    return {"W_enc": on.patterns.within_data(W_enc, x)}


@ABS.operation("who fires with whom, over a stream of samples", CUTS, STREAM,
               {"floor": "(M,)", "fires": "(M,)", "full": "(M,)", "together": "(M, M)", "beside": "(M, M)", "both_full": "(M, M)",
                "lift": "(M, M)", "phi": "(M, M)"})
def cofiring(on, config, x, acts, W_dec, b_dec, floor=None):
    floor = floor_of(on, x, acts, W_dec, floor)
    stream = stream_of(on, config, x, acts, W_dec, b_dec, floor)
    return {"floor": floor, "fires": stream.fires, "full": stream.full, "together": stream.together,
            "beside": stream.beside, "both_full": stream.both_full,
            "lift": on.stream.lift(stream), "phi": on.stream.phi(stream)}


@ABS.operation("which latents are absorbed into which: the detector, and the evidence it adds up", CUTS,
               STREAM, {"probability": "(M, M)", "verdict": "(M, M)  1 absorbed, 0 not, -1 cannot be told"}
               | {name: "(M, M)" for name in EVIDENCE})
def absorption(on, config, x, acts, W_dec, b_dec, floor=None):
    of = on.evidence.evidence(stream_of(on, config, x, acts, W_dec, b_dec, floor_of(on, x, acts, W_dec, floor)), W_dec)
    return {"probability": on.detector.probability(of), "verdict": on.detector.verdict(of)} | of._asdict()


@ABS.operation("activations with what absorbing children carry given back to their parents",
               {"[threshold]": "the probability above which a child is taken for absorbing (the detector's)"},
               {"acts": "(B, M)", "probability": "(M, M)", "W_dec": "(M, D)"}, {"A": "(M, M)", "read_out": "(B, M)"})
def corrected_read_out(on, config, acts, probability, W_dec):
    A = on.read_out.read_out_matrix(probability, W_dec, config.get("threshold", on.detector.ABSORBED))
    return {"A": A, "read_out": on.read_out.corrected(acts, A)}


def encoder_of(config, W_enc, W_dec):
    """The array that encodes: of a tied SAE, W_dec itself."""
    return W_dec if config.get("tied") else W_enc


def floor_of(on, x, acts, W_dec, floor):
    """The floor that is given, or that of all samples: one for all pieces of the stream."""
    return on.stream.firing_floor(x, acts, W_dec) if floor is None else floor


def stream_of(on, config, x, acts, W_dec, b_dec, floor):
    """The stream, cut where the config says, each piece observed by itself."""
    bounds, stream = [0, *config.get("cuts", []), len(x)], None
    for first, last in list(pairwise(bounds)) * config.get("times", 1):
        piece = on.stream.observe(x[first:last], acts[first:last], W_dec, b_dec, floor)
        stream = piece if stream is None else on.stream.merge(stream, piece)
    return stream
