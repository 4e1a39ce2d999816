"""What an SAE is and what it costs, on tensors: the functions of the specification, dense and sparse.

This file names the activations by kind and imports nothing, so that a configuration can be checked without torch.
"""

BATCH_RULES = ("batch_topk", "batch_budget_topk")
BUDGET_RULES = ("budget_topk", "batch_budget_topk")
CHOOSING_RULES = ("topk", "abs_topk", *BATCH_RULES, "budget_topk")
THRESHOLDS = ("theta", "log_threshold")                     # parameters of a jumprelu, whichever it has
THRESHOLD_RULES = ("jumprelu", "gated")                     # what must be learned before few latents are on


def default_encoder_scale(activation: str) -> float:
    """Length of the encoder's rows before the first step, where none is given.  Clauses: TRAIN-17."""
    return 1.0 if activation in THRESHOLD_RULES else 0.125
