"""What an SAE is and what it costs, on tensors: the functions of the specification, dense and sparse.

This file names the activations by kind and imports nothing, so that a configuration can be checked without torch.
"""

BATCH_RULES = ("batch_topk", "batch_budget_topk")
BUDGET_RULES = ("budget_topk", "batch_budget_topk")
CHOOSING_RULES = ("topk", "abs_topk", *BATCH_RULES, "budget_topk")
