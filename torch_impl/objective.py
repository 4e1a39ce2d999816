"""COST: everything a batch is charged, term by term; autograd gives the gradient of the total."""

from .activations import relu, threshold
from .autoencoder import encoder_weight
from .auxiliary import aux, gate_reconstruction
from .costs import l0, l1, reconstruction, tanh, tie

SPARSITY_TERMS = ("l1", "l0", "tanh")


def coefficient(config, term, warmth=1.0):
    """The factor of a term; warmth multiplies those of the sparsity terms.  Clauses: COST-17, TRAIN-8."""
    factor = config.get(f"{term}_coefficient", 0.0)
    if not factor >= 0:
        raise ValueError(f"{term}_coefficient must not be negative, got {factor}")
    return factor * warmth if term in SPARSITY_TERMS else factor


def objective(x, params, config, pre, acts, recons, price, dead, warmth=1.0):
    """{term: number}, each times its coefficient, "total" last.

    x (B, D); pre, acts (B, M); recons (G, B, D); price, dead (M,)

    Clauses: COST-17 to COST-20.
    """
    W_dec, activation = params["W_dec"], config["activation"]
    charged = relu(pre) if activation == "gated" else acts  # (B, M)
    terms = {"reconstruction": reconstruction(x, recons)}
    if c := coefficient(config, "l1", warmth):
        terms["l1"] = c * l1(charged, W_dec, price)
    if c := coefficient(config, "l0", warmth):
        if activation != "jumprelu":
            raise ValueError(f"l0_coefficient needs jumprelu, the activation is {activation}")
        theta = threshold(params["log_threshold"])          # positive: an exponential needs no check
        terms["l0"] = c * l0(pre, theta, price, config.get("bandwidth"), check_inputs=False)
    if c := coefficient(config, "tanh", warmth):
        terms["tanh"] = c * tanh(charged, W_dec, price, config["tanh_scale"])
    if c := coefficient(config, "tie"):
        terms["tie"] = c * tie(encoder_weight(params), W_dec)
    if c := coefficient(config, "aux"):
        terms["aux"] = c * aux(x - recons[-1], pre, dead, W_dec, config["k_aux"])
    if activation == "gated":
        terms["gate_reconstruction"] = gate_reconstruction(x, pre, W_dec, params["b_dec"])
    return terms | {"total": sum(terms.values())}
