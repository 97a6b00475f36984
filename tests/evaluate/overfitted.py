"""Linear heads that remember: more columns than recordings, random labels."""

import numpy as np

from personare.evaluate.membership import Signals, split_halves
from personare.learn.heads import HeadTraining, fit_head, predict


def remembered(*, models=16, people=60, each=4, columns=300, classes=3, by="recording", plan=None, seed=0):
    """Train heads on halves of made-up recordings with random labels."""
    rng = np.random.default_rng(seed)
    n = people * each
    rows = (rng.standard_normal((n, columns)) / np.sqrt(columns)).astype(np.float32)
    labels, subjects = rng.integers(classes, size=n), np.repeat(np.arange(people), each)
    inside = split_halves(np.arange(n) if by == "recording" else subjects, models, rng=rng)
    training = HeadTraining(steps=60, learning_rate=2.0)
    answers = []
    for of in inside:
        told = {"classes": classes, "groups": [subjects[of]], "plans": [plan], "training": training}
        answers.append(predict(fit_head([rows[of]], [labels[of]], **told, rng=rng), rows))
    return Signals.of_probabilities(np.stack(answers), inside, labels, subjects)
