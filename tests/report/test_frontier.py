import math
from dataclasses import replace
from pathlib import Path

import pytest

from personare.core.strongest import IDENTIFY, READ
from personare.core.types import Result
from personare.report.answer import answer, change
from personare.report.frontier import best, gain, panels, standing
from personare.report.run import RunRecord, read_run

from .fake_run import FAKE

NOTHING = read_run(Path(__file__).parent)


def row(release: str, measure: str, attacker: str, value: float, **more: object) -> Result:
    """A row about the voice, with a narrow interval."""
    method, figure = measure.split(".")
    question, control = ("read", 0.25) if figure == "uar" else ("member" if "auc" in figure else "identify", 0.1)
    given = {"modality": "audio", "low": value - 0.02, "high": value + 0.02, "control": control, **more}
    given |= {"better": "higher" if question == "read" else "lower"}
    given |= {"release": release, "question": question, "method": method, "figure": figure, "attacker": attacker}
    return Result(value=value, **given)  # type: ignore[arg-type]


def study(*points: tuple[str, float, float], extra: tuple[Result, ...] = ()) -> RunRecord:
    """A record with a voice release for each (name, emotion recall, share named)."""
    rows = [row(n, "reader.uar", "retrained_reader", u) for n, u, _ in points]
    rows += [row(n, "strongest.top1", "semi_informed", r) for n, _, r in points]
    empty = read_run(Path(__file__).parent)
    return replace(empty, results=(*rows, *extra), missing=())


def test_front_is_what_nothing_else_beats() -> None:
    [panel] = panels(study(("original", 0.75, 1.0), ("a", 0.6, 0.3), ("b", 0.5, 0.4), ("c", 0.7, 0.8), ("d", 0.3, 0.1)))
    assert [p.release for p in panel.front] == ["d", "a", "c", "original"]
    assert standing(panel, "b") == ("behind", "beaten by a, beyond the intervals")


def test_a_lead_within_the_intervals_is_said_to_be_one() -> None:
    [panel] = panels(study(("original", 0.75, 1.0), ("a", 0.6, 0.3), ("b", 0.58, 0.31)))
    assert standing(panel, "b") == ("near", "beaten by a, within the intervals")


def test_a_release_worse_than_the_original_in_both_is_not_on_the_front() -> None:
    [panel] = panels(study(("original", 0.75, 0.9), ("noise", 0.7, 0.95)))
    assert [p.release for p in panel.front] == ["original"]
    assert best(panel) is None
    assert "better than giving away the original" in answer(panel, NOTHING).sentence


def test_gain_by_hand() -> None:
    [panel] = panels(study(("original", 0.75, 1.0), ("a", 0.5, 0.28)))
    # emotion: (.50 - .25) / (.75 - .25) = .5; identity: (.28 - .10) / (1 - .10) = .2
    assert gain(panel, panel.points[1]) == pytest.approx(0.3)
    assert gain(panel, panel.points[0]) == pytest.approx(0.0)


def test_an_attack_that_failed_its_self_test_never_ranks_or_wins() -> None:
    failed = row("quiet", "strongest.top1", "semi_informed", 0.1, status="not_informative")
    seen = row("quiet", "reader.uar", "retrained_reader", 0.74)
    [panel] = panels(study(("original", 0.75, 1.0), ("a", 0.6, 0.3), extra=(failed, seen)))
    assert [p.release for p in panel.unsure] == ["quiet"]
    assert "quiet" not in [p.release for p in panel.front]
    assert answer(panel, NOTHING).release == "a"
    assert standing(panel, "quiet") == ("unknown", "not ranked")


def test_without_an_aggregate_the_strongest_informative_attack_counts() -> None:
    rows = [
        row("a", "weak.top1", "semi_informed", 0.2),
        row("a", "strong.top1", "semi_informed", 0.6),
        row("a", "broken.top1", "semi_informed", 0.9, status="not_informative"),
    ]
    found = IDENTIFY.find(rows, "a", "audio")
    assert found is not None and found.method == "strong"


def test_the_best_reader_counts_and_other_utilities_do_not() -> None:
    rows = [
        row("a", "reader.uar", "retrained_reader", 0.6),
        row("a", "voice_emotion_cnn.uar", "retrained_reader", float("nan"), reason="too few people"),
        row("a", "sentence.uar", "retrained_reader", 0.9),
    ]
    found = READ.find(rows, "a", "audio")
    assert found is not None and found.value == 0.6


def test_a_release_without_a_retrained_attacker_is_not_drawn_but_named() -> None:
    lone = row("a", "reader.uar", "retrained_reader", 0.6)
    lax = row("a", "strongest.top1", "ignorant", 0.1)
    [panel] = panels(study(("original", 0.75, 1.0), extra=(lone, lax)))
    assert panel.absent == [("a", "no retrained attacker was run on it")]
    assert "No release could be ranked" in answer(panel, NOTHING).sentence


def test_the_original_is_taken_from_baselines_where_it_has_no_rows() -> None:
    rows = (
        row("a", "reader.uar", "retrained_reader", 0.6, baseline=0.75),
        row("a", "strongest.top1", "semi_informed", 0.3, baseline=0.95),
    )
    [panel] = panels(study(extra=rows))
    assert panel.original is not None
    assert (panel.original.utility.value, panel.original.risk.value) == (0.75, 0.95)


def test_the_caution_follows_the_interval() -> None:
    [sure] = [answer(p, NOTHING) for p in panels(study(("original", 0.75, 1.0), ("a", 0.6, 0.3)))]
    [hopeful] = [answer(p, NOTHING) for p in panels(study(("original", 0.75, 1.0), ("a", 0.6, 0.11)))]
    assert "still identified more often" in sure.caution
    assert "no better than guessing" in hopeful.caution and "13\u00a0%" in hopeful.caution


def test_each_release_stands_in_the_panel_of_what_it_hides(fake_run: Path) -> None:
    made = {p.group: {q.release for q in p.points} - {"original"} for p in panels(read_run(fake_run))}
    assert list(made) == ["audio", "video", "audio+video"]
    for modality, names in made.items():
        assert names == {n for n, (m, *_) in FAKE.items() if m == modality}


def test_the_answer_is_computed_from_the_results(fake_run: Path) -> None:
    voice = answer(panels(read_run(fake_run))[0], NOTHING)
    assert voice.release == "voice_veil"
    plain = voice.sentence.replace("\u2060", "").replace("\u00a0", " ")
    assert plain.startswith(
        # half widths 0.07 and 0.063 of both: the loss is 0.12 ± their hypotenuse, 0.094
        "Emotion recall is 0.62 [0.55–0.68] (original 0.74, guessing 0.17): lower by 0.12 [0.03–0.21]. "
        "An attacker who retrains identifies 27 % [20–33] from one recording (original 94 %, guessing 8 %): lower; "
        "74 % [67–81] from all of a person’s recordings (original 98 %): lower."
    )
    assert voice.caution == (
        "People are still identified more often than by guessing, "
        "from one recording and from all of a person’s recordings."
    )


def figure(value: float, low: float = math.nan, high: float = math.nan, **more: object) -> Result:
    return row("a", "strongest.top1", "semi_informed", value, low=low, high=high, **more)


@pytest.mark.parametrize(
    ("release", "original", "said"),
    [
        (figure(0.2, 0.1, 0.3), figure(0.9, 0.8, 1.0), "lower"),
        (figure(1.0, 0.95, 1.0), figure(1.0, 0.9, 1.0), "no difference that can be told"),
        # intervals that overlap: 0.2 less, and the hypotenuse of 0.15 and 0.10 is 0.18
        (figure(0.7, 0.5, 0.85), figure(0.9, 0.8, 1.0), "lower"),
        (figure(0.7, 0.5, 0.89), figure(0.9, 0.8, 1.0), "no difference that can be told"),  # of 0.19 and 0.10: 0.21
        (figure(0.9, 0.85, 0.95), figure(0.7, 0.6, 0.8), "higher"),
        (figure(0.98, 0.96, 1.0), figure(1.0, 1.0, 1.0), "no difference that can be told"),  # it reaches zero
        (figure(0.7, 0.6, 0.8), figure(0.9), "lower"),  # of the original the figure alone is known
        (figure(0.85, 0.75, 0.95), figure(0.9), "no difference that can be told"),
        (figure(0.1), figure(0.9, 0.8, 1.0), "no difference that can be told"),
        (figure(0.1, 0.0, 0.2, status="not_informative"), figure(0.1, 0.0, 0.2), "not informative"),
        (figure(0.1, 0.0, 0.2), figure(0.9, 0.8, 1.0, status="not_informative"), "not informative"),
        (figure(math.nan), figure(0.9, 0.8, 1.0), "not measured"),
        (figure(0.1, 0.0, 0.2), None, "not measured"),
        (None, figure(0.9, 0.8, 1.0), "not measured"),
    ],
)
def test_what_became_of_a_figure_follows_from_the_intervals(
    release: Result | None, original: Result | None, said: str
) -> None:
    assert change(release, original) == said


@pytest.mark.parametrize(
    ("whole", "was", "said", "caution"),
    [
        (
            1.0,
            1.0,
            "100 % [98–102] from all of a person’s recordings (original 100 %): no",
            "all",
        ),
        (
            0.5,
            1.0,
            "50 % [48–52] from all of a person’s recordings (original 100 %): lower",
            "all",
        ),
        (
            0.1,
            1.0,
            "10 % [8–12] from all of a person’s recordings (original 100 %): lower",
            "one",
        ),
        (None, 1.0, "from all of a person’s recordings: not measured", "one"),
    ],
)
def test_the_headline_says_what_all_recordings_together_give_away(
    whole: float | None, was: float, said: str, caution: str
) -> None:
    extra = [row("original", "strongest.person_top1", "semi_informed", was)]
    extra += [row("a", "strongest.person_top1", "semi_informed", whole)] if whole is not None else []
    [one] = [answer(p, NOTHING) for p in panels(study(("original", 0.75, 1.0), ("a", 0.6, 0.3), extra=tuple(extra)))]
    plain = one.sentence.replace("\u2060", "").replace("\u00a0", " ")
    assert plain.startswith(
        "Emotion recall is 0.60 [0.58–0.62] (original 0.75, guessing 0.25): lower by 0.15 [0.12–0.18]."
    )
    assert "identifies 30 % [28–32] from one recording (original 100 %, guessing 10 %): lower; " in plain
    assert said in plain
    assert ("from all" in one.caution) == (caution == "all") and "from one" in one.caution


@pytest.mark.parametrize("kind", ["recordings", "representations", "model"])
def test_nothing_is_called_best_where_people_are_made_up(kind: str) -> None:
    utility, risk = ("model.uar", "membership_loss.auc") if kind == "model" else ("reader.uar", "strongest.top1")
    rows = [
        row(name, measure, who, value, kind=kind, modality="audio" if kind == "recordings" else "")
        for name, kept, found in (("original", 0.75, 1.0), ("a", 0.6, 0.3), ("b", 0.5, 0.2))
        for measure, who, value in ((utility, "retrained_reader", kept), (risk, "semi_informed", found))
        if kind != "model" or name != "original"
    ]
    real = replace(NOTHING, results=tuple(rows), cohort={"kind": "identifiable"})
    made_up = replace(real, cohort={"kind": "synthetic"})
    assert [answer(p, real).release for p in panels(real)] != [""]
    [shown] = [answer(p, made_up) for p in panels(made_up)]
    assert shown.release == shown.caution == ""
    plain = shown.sentence.replace("\u2060", "").replace("\u00a0", " ")
    assert "0.50 to 0.60" in plain and ("20 % to 30 %" in plain or "0.20 to 0.30" in plain)
