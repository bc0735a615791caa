"""Bad input of rival rules and calibrators."""

from adathresh import calibration, rules
from adathresh.experiments.bad_input import estimator, used
from adathresh.experiments.bad_input import values as v

GIVEN = {"scores": v.SCORES, "Y": v.Y}
PARAMETERS = {
    "metric": {"another one": "accuracy"},
    "k": v.whole(),
    "n_scores": v.whole(),
    "n_passes": v.whole(),
    "n_steps": v.whole(),
    "n_folds": v.whole() | {"more than there are rows": 13},
    "fallback": {"another one": "zero"},
    "fbr": {"more than 1": 1.5, "a text": "0.1"},
    "remedy": {"another one": "none"},
    "strengths": {"none": [], "a number": 1.0, "a negative one": [1, -1]},
    "per_label": v.FLAG,
    "threshold": {"a text": "0.5"},
    "criterion": {"another one": "accuracy"},
    "learner": {"a class": object},
    "random_state": v.SEED,
    "from_logits": v.FLAG,
    "bias": v.FLAG,
}
OF_PROBABILITIES = ("ExpectedF1Threshold", "BlockCoordinateMacroF1", "FrankWolfeMacroF1", "OnlineF1Threshold")


def calls(_):
    """Return the calls of these rooms."""
    found = []
    for name in sorted({*rules.__all__} - {"DecisionRule"}):
        rule = getattr(rules, name)()
        probabilities = name in OF_PROBABILITIES
        wrong = {"scores": v.scores(rows=False, width=False, probabilities=probabilities)}
        if rule._needs_labels:
            wrong["Y"] = v.labels() | {"None": None}
        found += estimator(rule, GIVEN, wrong, parameters=PARAMETERS)
        new = {"scores": v.scores(rows=False, probabilities=probabilities)}
        found += used(rule.fit(**GIVEN), ["predict"], {"scores": v.SCORES}, new)
    for cls in (calibration.IsotonicCalibration, calibration.PlattScaling, calibration.TemperatureScaling):
        probabilities = cls is not calibration.IsotonicCalibration
        wrong = {
            "scores": v.scores(rows=False, width=False, probabilities=probabilities),
            "Y": v.labels() | {"no label at all": 0 * v.Y},
        }
        found += estimator(cls(), GIVEN, wrong, parameters=PARAMETERS)
        per_label = {} if cls is calibration.TemperatureScaling else {"per_label": True}
        new = {"scores": v.scores(rows=False, width=bool(per_label), probabilities=probabilities)}
        found += used(cls(**per_label).fit(**GIVEN), ["transform"], {"scores": v.SCORES}, new)
    return found
