"""ABS and META: which latents are absorbed into which, and how much of it. In reading order:

    patterns.py      what absorption is, and what the weights show of it
    stream.py        who fires with whom, and what is in the samples then
    evidence.py      the questions that tell absorption from what looks like it
    detector.py      their answers, added up to a probability and a verdict
    read_out.py      activations corrected for what was found
    ground_truth.py  the same where the features are known
    saebench.py      SAEBench's metric, where probes are known
    meta_sae.py      another way to look for it: an SAE of decoder rows
"""
