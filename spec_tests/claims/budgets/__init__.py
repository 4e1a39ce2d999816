"""How a budget is to be spent: remedies of the old rule, trained beside topk on the same batches."""
