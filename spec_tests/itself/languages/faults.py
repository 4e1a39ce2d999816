"""Mistakes in the programs in other languages: (clause, what stands in the source, what stands there instead)."""

JAVASCRIPT = [
    ("ACT-1", "each(pre, (value) => Math.max(value, 0))", "each(pre, (value) => Math.abs(value))"),
    ("ACT-5", "worths[j] - worths[i])", "worths[j] - worths[i] || j - i)"),                       # ties to the highest
    ("ACT-7", "(value > theta[i] ? value : 0)", "(value >= theta[i] ? value : 0)"),
    ("ACT-8", "bandwidth / 2 ?", "bandwidth / 2 && pre[b][i] > 0 ?"),                             # relu first
    ("ACT-15", "spent < budget;", "spent + priceOf(i) <= budget;"),                               # the last may not overspend
    ("SAE-6", "acts.map((row) => add(weighted(row, W_dec.slice(0, end), D), b_dec))",
     "acts.map((row) => weighted(row, W_dec.slice(0, end), D))"),
    ("SAE-9", "add(row, d_W_enc[i]));", "row);"),                                                 # tied: only the decoder's
    ("SAE-10", "minus(sumOfRows(written.flat(), D), back)", "sumOfRows(written.flat(), D)"),
    ("FREQ-5", "value / (1 - decay ** batches)", "value"),
    ("COST-2", "times(2 / x.length, ", "times(1 / x.length, "),
    ("COST-4", "times(by_norm[i], unit(row))", "times(by_norm[i], row)"),
]
