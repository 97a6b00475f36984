"""Explains single answers of a run: what moved a prediction, what in a released clip still points to its person.

An explanation of a private recording is itself a release: it stays in the private folder unless its person may be
shown, and each is a row of the ledger.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from personare.core import registry
from personare.core.atomic import make_folder, plain, write_json, write_text
from personare.core.errors import DataError, OptionError, PolicyError
from personare.core.randomness import generator
from personare.core.types import Array, Cohort, Release
from personare.data.cohort import cohort_kind, open_cohort
from personare.data.media_files import track_of
from personare.data.runs import RunFolder, fingerprint, private_folder
from personare.data.splits import content_halves
from personare.data.vault import Vault
from personare.evaluate.attribution import (
    Attribution,
    Part,
    fields,
    length_of,
    occlude,
    training_mean,
    traits,
    windows,
    words,
)
from personare.evaluate.classification import modality_shapley
from personare.evaluate.classifiers import standardized
from personare.evaluate.clips import evenly, usable_clips
from personare.evaluate.judging import Need
from personare.features import audio
from personare.features.tracks import gather, observed_tracks, read_track
from personare.report.explanation import draw_attribution, explanation_page
from personare.study.access import admit, open_batch, open_ledger, table, tracks_of
from personare.study.adapting import rated_batch
from personare.study.kinds.models import ModelPlan, load_model
from personare.study.lineage import ORIGINAL, training_records, used_recordings
from personare.study.plan import load_plan
from personare.study.study import Study

_ATTACKS = {"audio": ("voice_gmm", {"mfcc": "voice"}), "video": ("face_pixels", {"crops": "face", "frames": "picture"})}
"""By track, the attack whose answer is explained, retrained on the release, and the views that it looks at."""
_FRAMES_HZ = 100.0  # of what is read off sound
_MOST = 300  # recordings of a cohort for whose report an example is made
_STRIP, _POINTS = 4, 4000  # pictures of a clip, and points of a sound, that are drawn
_Drawn = tuple[Attribution, Array]  # and the recording that it is drawn over
_NOTHING = np.zeros(0)


def explain_item(
    run: Path, item: str, *, only: Sequence[str] = (), ledger: str | None = None, release: bool = False
) -> Path:
    """Explain what a run's models answer about a recording, and what in its releases still points to the person.

    ``item`` is a recording that was released, that a model was judged by, or that was made up; ``only`` names releases.
    Returns the page; pictures and ``explanation.json`` lie beside it, in ``RUN.private/explanations/<item>``.

    **Guarantee**: whatever is read of people is opened by the vault for ``evaluation``; nobody but the recording's own
    person is named; a row ``explained`` is in the ledger before anything is written. With ``release`` it is written
    into the run itself, and refused unless nobody real is in the recording or its person agreed to ``sharing`` of every
    track that was looked at.
    """
    private = private_folder(run)
    if not ((private / "cohort.json").is_file() and (run / "releases.json").is_file()):
        raise DataError(
            f"To explain what came out of {run}, it must be a finished run with {private} beside it, which was purged "
            "or never made. Bring it back, or run the study again."
        )
    cohort = open_cohort(Path(json.loads((private / "cohort.json").read_text(encoding="utf-8"))["root"]))
    plan, _ = load_plan(config=private / "study.toml")
    study = Study(cohort=cohort, plan=plan, ledger=open_ledger(ledger, cohort.root), run=RunFolder(run))
    return Explainer(study=study, item=item).explain(only, release=release)


def explain_example(study: Study, releases: Sequence[Release]) -> None:
    """Explain a recording of people who do not exist for the report, where that takes seconds; see ``explain_item``.

    What was explained of the run as it was before is removed.
    """
    run, cohort = study.folder, study.cohort

    def work() -> dict[str, Any]:
        for folder in (run.root, run.private):
            shutil.rmtree(folder / "explanations", ignore_errors=True)
        if cohort_kind(cohort.root) != "synthetic" or len(cohort.recordings) > _MOST:
            return {}
        clips = [
            (one.name, {r.id for r in open_cohort(one.root).recordings}) for one in releases if one.kind == "recordings"
        ]
        models = [
            (row.name, {*made["result"]["test"]}) for row, made in training_records(run.private, study.plan.models)
        ]
        names, items = zip(*first, strict=True) if (first := clips[:1] + models[:1]) else ((), (set[str](),))
        if both := sorted(set.intersection(*items)):
            with suppress(Exception):  # the report says how to ask for one, and whoever does hears what is wrong
                Explainer(study=study, item=both[0]).explain(names, release=True)
        return {}

    made = fingerprint([[one.name, one.kind, one.options, one.counts] for one in releases])
    run.step("explain-example", inputs={"releases": made}, options={"seed": study.plan.seed}, work=work)


@dataclass(frozen=True, kw_only=True)
class Explainer:
    """One item of a run, with what the run is made of."""

    study: Study
    item: str

    def explain(self, only: Sequence[str], *, release: bool) -> Path:
        """Explain the item, and write the page."""
        run, looked_at, drawn = self.study.folder, set[str](), list[_Drawn]()
        for about, tracks, answers in self._questions(only):
            looked_at |= {*tracks}
            try:
                drawn += answers(about)
            except (DataError, OptionError) as error:
                drawn.append(self._unmeasured(about, error))
        if not drawn:
            raise DataError(self._why_nothing())
        if release:
            self._check_sharing(looked_at)
        whose = {"cohort": self.study.cohort.name, "recording": self.item, "purpose": "evaluation"}
        whose |= {"subject": self._only(self.study.cohort).recordings[0].subject} if looked_at else {}
        kept = "run" if release else "private"
        rows = [{**whose, "release": one.release, "method": one.method, "kept": kept} for one, _ in drawn]
        self.study.ledger.append("explained", rows)
        folder = (run.root if release else run.private) / "explanations" / self.item
        shutil.rmtree(folder, ignore_errors=True)
        make_folder(folder)
        told = [
            plain(one) | {"most": plain(one.most), "picture": f"{n}.png" if one.parts else ""}
            for n, (one, _) in enumerate(drawn, start=1)
        ]
        for (one, over), entry in zip(drawn, told, strict=True):
            if one.parts:
                (folder / entry["picture"]).write_bytes(draw_attribution(one, over))
        write_json(folder / "explanation.json", {"item": self.item, "explanations": told})
        write_text(folder / "explanation.html", explanation_page(self.item, told, folder))
        return folder / "explanation.html"

    def _questions(
        self, only: Sequence[str]
    ) -> Iterator[tuple[Attribution, Sequence[str], Callable[[Attribution], list[_Drawn]]]]:
        """Yield each question, the tracks of the recording that are looked at, and what answers it."""
        run, cohort, plan = self.study.folder, self.study.cohort, self.study.plan
        made = json.loads((run.root / "releases.json").read_text(encoding="utf-8"))
        if unknown := sorted({*only} - {one["name"] for one in made}):
            raise OptionError(f"{run.root} has no release {', '.join(unknown)}. It has: {', '.join(plan.names)}.")
        trained = {row.name: (row, of["result"]["test"]) for row, of in training_records(run.private, plan.models)}
        here = self._only(cohort).recordings
        for name, kind, root in ((one["name"], one["kind"], run.root / one["root"]) for one in made):
            if only and name not in only:
                continue
            if kind == "model" and here and self.item in trained[name][1]:
                row, tested = trained[name]
                tracks = [t for t in tracks_of(cohort, row.modalities, True) if t in here[0].tracks]
                about = Attribution(release=name, question="What moved its answer", method=row.method)
                yield about, tracks, partial(self._prediction, row, tested, tracks)
            for clip in self._only(open_cohort(root)).recordings if kind in ("recordings", "synthetic") else ():
                if kind == "synthetic":
                    yield Attribution(release=name, question="What moved this made-up recording"), (), self._traits
                for track in (t for t in _ATTACKS if here and kind == "recordings" and t in clip.tracks):
                    about = Attribution(release=name, question="What still points to the person")
                    yield replace(about, method=_ATTACKS[track][0]), (track,), partial(self._identity, root, track)

    def _only(self, cohort: Cohort) -> Cohort:
        return replace(cohort, recordings=tuple(r for r in cohort.recordings if r.id == self.item))

    def _open(self, cohort: Cohort, tracks: Sequence[str]) -> dict[str, Path]:
        """Return the item's files in a cohort by track, or refuse."""
        _, sources, refused = admit(self._only(cohort), tracks, "evaluation", self.study.ledger)
        if refused:
            raise PolicyError(f"{self.item} is not explained: {refused[0].problem}. {refused[0].fix}")
        return sources[self.item]

    def _unmeasured(self, about: Attribution, error: Exception) -> _Drawn:
        why = str(error)
        for name, folder in (("run", self.study.folder.root), ("cohort", self.study.cohort.root)):
            why = why.replace(str(folder), f"<{name}>")  # what leaves names no folder of this machine
        return replace(about, status="not_measured", reason=why), _NOTHING

    def _why_nothing(self) -> str:
        run = self.study.folder
        if self._only(self.study.cohort).recordings:
            return (
                f"Nothing in {run.root} is to be explained of {self.item}: it was not released, and the models learned "
                "from it or never met it. Name one that was released, made up, or that a model was judged by."
            )
        if self.item in used_recordings(run):
            return (
                f"{self.item} is not in {self.study.cohort.name} any more, and is not explained. Run the study again: "
                "what was made of it goes."
            )
        known = ", ".join(sorted(used_recordings(run))[:2])
        return f"{run.root} knows no recording {self.item}. Name one as its cohort or its releases do, such as {known}."

    def _check_sharing(self, tracks: set[str]) -> None:
        """Refuse that an explanation leaves which the person has not agreed to share."""
        vault = Vault(self.study.cohort, purpose="sharing", ledger=self.study.ledger)
        mine = self._only(self.study.cohort).recordings
        if closed := [track for track in sorted(tracks) if not vault.permitted(mine, track)]:
            raise PolicyError(
                f"An explanation of {self.item} tells about its {', '.join(closed)} as recorded, and its person has "
                "not agreed to sharing of that. Leave out --release: it is then kept in the private folder."
            )

    def _rng(self, *what: str) -> np.random.Generator:
        return generator(self.study.plan.seed, "explain", self.item, *what)

    def _traits(self, about: Attribution) -> list[_Drawn]:
        """Explain a made-up recording by the group that it was made with."""
        batch = rated_batch(self.study, about.release)
        row = batch.ids.index(f"{about.release}/{self.item}")
        answer = f"It was made to be {batch.classes[batch.labels[row]]}. This is where it lies farthest from its group."
        unit = "deviations of the made-up group"
        return [(replace(about, answer=answer, unit=unit, parts=traits(batch, row)), _NOTHING)]

    def _prediction(
        self, row: ModelPlan, tested: Sequence[str], tracks: Sequence[str], about: Attribution
    ) -> list[_Drawn]:
        """Explain what a model answers about a person whom it never met: by modality, then by parts of each."""
        study, files = self.study, self._open(self.study.cohort, tracks)
        known = observed_tracks(study.folder.private / "views" / ORIGINAL)
        people = study.cohort, row.label, row.modalities, study.ledger
        batch = open_batch(*people, purpose="evaluation", known=known).batch
        if self.item not in batch.ids:
            raise DataError("Its files cannot be read any more. Bring them back.")
        one, learned = batch.take(np.array([batch.ids.index(self.item)])), batch.take(~np.isin(batch.ids, tested))
        predictor, _ = load_model(study.folder.root / "releases" / row.name / "model.safetensors")
        likely = predictor(one)[0]
        said = int(likely.argmax())
        answer = f"It says {predictor.classes[said]}: probability {likely[said]:.2f}, guessing {1 / len(likely):.2f}."
        about = replace(about, answer=answer, unit="probability")
        parts = [Part(name=name, value=float(v[0])) for name, v in modality_shapley(predictor, one).items()]
        drawn = [(replace(about, question=f"{about.question}, by modality", parts=tuple(parts)), _NOTHING)]

        def ask(track: str, variants: list[Any]) -> Array:
            rows = one.take(np.zeros(len(variants), int))
            return predictor(replace(rows, arrays={**rows.arrays, track: np.stack(variants)}))[:, said]

        for track, (values,) in one.arrays.items():
            if not one.present[track][0] or values.ndim == 1:  # a table has no time
                continue
            asked = replace(about, question=f"{about.question}, by parts of its {track}")
            try:
                drawn.append(self._by_parts(asked, partial(ask, track), values, learned.clips(track), files[track]))
            except DataError as error:
                drawn.append(self._unmeasured(asked, error))
        return drawn

    def _by_parts(
        self,
        about: Attribution,
        ask: Callable[[list[Any]], Array],
        values: Array,
        learned: Mapping[str, Array],
        file: Path,
    ) -> _Drawn:
        rng = self._rng(about.release, about.question)
        if values.dtype.kind == "U":
            return occlude(about, words(str(values)), ask, rng=rng), _NOTHING
        mean = training_mean(np.stack([*learned.values()]))
        if values.ndim == 3 and len(values) > 1:  # (3, H, W)
            over = np.round(255 * values.transpose(1, 2, 0)[None]).astype(np.uint8)
            return occlude(replace(about, form="picture"), fields(values, mean), ask, rng=rng), over
        if values.ndim == 3:  # (1, F, T)
            parted = windows(values, 2, mean, rate_hz=_FRAMES_HZ if track_of(file.name) == "audio" else 0.0)
            over = values[0, :, : length_of(values, 2)]
            return occlude(replace(about, form="spectrogram"), parted, ask, rng=rng), over
        read = read_track(file)
        parted = windows(values, 0, mean, rate_hz=read.rate_hz, begin_s=read.start_s)
        return occlude(replace(about, form="lines"), parted, ask, rng=rng), values[: length_of(values, 0)]

    def _identity(self, root: Path, track: str, about: Attribution) -> list[_Drawn]:
        """Explain what names the person of a released clip to an attacker who was retrained on the release."""
        study, released, (name, views) = self.study, open_cohort(root), _ATTACKS[track]
        self._open(study.cohort, [track])
        file, there = self._open(released, [track])[track], {r.id for r in released.recordings}
        asked = replace(study.cohort, recordings=tuple(r for r in study.cohort.recordings if r.id in there))
        rows = table(study.cohort, admit(asked, [track], "evaluation", study.ledger)[0])
        attack = registry.create("personare.evaluate.attacks", name, study.plan.options.get(name))
        if why := Need.of(attack).lacking(rows["subject"].to_numpy()):
            raise DataError(f"Its person cannot be told from others: {why}.")
        enroll, test, single = content_halves(rows, rng=generator(study.plan.seed, "content halves"))
        if self.item in single:
            raise DataError("Its person has no other recording to be known by. Ask about somebody with two.")
        known = test if self.item in enroll else enroll
        whose = {str(i): str(who) for i, who in rows["subject"].items()}
        rng = partial(self._rng, about.release, track)
        enrolled = partial(_enrolled, attack, known, whose, whose[self.item], rng)

        def explained(asking: Attribution, before: Mapping[str, Array], after: Mapping[str, Array]) -> _Drawn:
            score, own = enrolled(before)
            if score([before[self.item]])[0].argmax() != own:
                why = f"{name} does not name the person on the unprotected recording either"
                return replace(asking, status="not_informative", reason=why), _NOTHING
            (score, own), clip = enrolled(after), after[self.item]
            scores = score([clip])[0]
            rank = 1 + int((scores > scores[own]).sum())
            answer = f"{name}, retrained, ranks the person {rank} of {len(scores)} enrolled (score {scores[own]:+.2f})."
            if track == "audio":
                asking, parted = replace(asking, form="lines"), windows(clip, 0, np.nan, rate_hz=_FRAMES_HZ)
                wave = audio.mono(audio.read(file)).values
                over = wave[:: max(1, len(wave) // _POINTS)]
            else:
                mean = np.mean([after[i].mean(axis=0) for i in known if i in after], axis=0)
                asking, parted, over = replace(asking, form="picture"), fields(clip, mean), evenly(clip, _STRIP)
            asking = replace(asking, answer=answer, unit="deviations of the scores of all enrolled")
            return occlude(asking, parted, lambda some: score(some)[:, own], rng=rng("deletion")), over

        drawn, private = list[_Drawn](), study.folder.private / "views"
        original, shown = (gather(private / side, rows, [*views]) for side in (ORIGINAL, about.release))
        for view, what in views.items():
            before, after = usable_clips(original, view), usable_clips(shown, view)
            if self.item in before and self.item in after:
                drawn.append(explained(replace(about, question=f"{about.question}: {what}"), before, after))
        if not drawn:
            raise DataError(f"The study did not look at it as {name} does. Name {name} under attacks and run it again.")
        return drawn


def _enrolled(
    attack: Any,
    known: Sequence[str],
    whose: Mapping[str, str],
    person: str,
    rng: Callable[[str], np.random.Generator],
    clips: Mapping[str, Array],
) -> tuple[Callable[[list[Array]], Array], int]:
    """Return what scores clips, (K, P), against everybody enrolled with those that are known, and who is the person."""
    seen = {i: clips[i] for i in known if i in clips}
    if person not in (people := sorted({whose[i] for i in seen})):
        raise DataError("There is nothing to look at in its person's other recordings.")
    scorer = attack.fit(seen, whose, rng=rng("fit")).enroll(seen, whose, rng=rng("enroll"))
    return lambda some: standardized(scorer({str(n): clip for n, clip in enumerate(some)})), people.index(person)
