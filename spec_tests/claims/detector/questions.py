"""The specification's questions, and others that were tried beside them: what each tells apart from absorption."""

from sae_spec.reference.absorption.detector import QUESTIONS, Question

OTHERS = {                       # of a quantity of `evidence.others`; the weight is for the fit to find
    "carried": Question(0.0, 1.0, 0.0),     # a p that is silent while nobody writes its direction
    "coupled": Question(0.3, 1.0, 0.0),     # a part of c's own feature, in proportion to it; or one gain for the whole sample
    "followed": Question(0.3, 1.0, 0.0),    # a part of c's own feature, all of whose variation is c's
    "steady": Question(0.2, 0.9, 0.0),      # p's feature in some of c's samples only
    "own": Question(0.0, 0.8, 0.0),         # a sibling: nothing that varies by itself is there
}
NAMES = tuple(QUESTIONS)
