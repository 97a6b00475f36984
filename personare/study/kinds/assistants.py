"""User-aware assistants: taught by a cohort's faces and by dialogues, judged on people never met, attacked."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm import tqdm

from personare.assist.adapters import SCALING
from personare.assist.align import Align, AlignedEncoder, parse_profile, profile_words
from personare.assist.backends.template import Template
from personare.assist.dialogues import AGE_BANDS, EXPRESSIONS, Dialogue, dialogues
from personare.assist.gguf_adapter import write_merged
from personare.assist.instruct import CONDITIONS, Instruct, LoraWeights, prompt_of
from personare.assist.language import Language, collate
from personare.assist.prefer import Prefer, vignettes
from personare.assist.training import Training, sharing
from personare.assist.vision import Targets, Vision, VisionEncoder
from personare.core import registry
from personare.core.atomic import make_folder, write_text
from personare.core.errors import DataError, OptionError
from personare.core.state import load_weights, restored, save_weights, state_of
from personare.core.types import Array, Batch, Cohort, Release, Result, Turn
from personare.data.cohort import open_cohort
from personare.data.runs import fingerprint
from personare.evaluate.answers import judge_answers, judge_leakage, mentions
from personare.evaluate.membership import Signals, judge_membership, split_halves
from personare.evaluate.selftest import beside
from personare.evaluate.unmeasured import measured
from personare.features.batches import read_batch
from personare.features.models import find_model
from personare.learn.accounting import as_one_claim
from personare.learn.inversion import invert_linear
from personare.simulate.portraits import simulate_portraits
from personare.study.access import part_people, table
from personare.study.cards import write_card
from personare.study.study import Outcome, Study, read_result, unseeded

__all__ = ["Assistants"]

_ATTACKS = "personare.evaluate.attacks"
_DISCLOSURE = ("model_identity", "model_attributes", "face_reconstruction")
_TESTED = 1 / 3  # share of the people who are never learned from
_SHOWN = 24  # answers that go with a release, to be read
_BANDS_FROM = (35, 50)  # years from which the second and the third age band hold
_MOST_TOKENS = 64
_UPDATES = 8  # people whose single updates are looked at


@dataclass(frozen=True, kw_only=True)
class AssistantPlan:
    """An assistant to teach: which cues it may see, and what protects whom it learns from.

    The encoder learns from ``public_people`` who do not exist; everything later learns from the cohort.
    """

    name: str  # unique in the study
    method: str = "vlm"  # or ``template``, rules without a model: the baseline
    cues: Sequence[str] = ("expression", "age_band")
    adversary: float = 0.0  # how much the encoder is to hide who it is, and what is no cue; 0: not at all
    epsilon: float | None = None  # of each person, for all three stages together
    delta: float = 1e-3
    sites: int = 1
    rounds: int = 4  # over several sites
    experts: int = 1
    align_steps: int = 120
    instruct_steps: int = 150
    prefer_steps: int = 40
    epochs: int = 40  # of the encoder
    public_people: int = 300
    train_dialogues: int = 4  # dialogues of each person
    test_dialogues: int = 3  # dialogues of each person by whom it is judged
    label: str = "emotion"
    modalities: Sequence[str] = ("picture",)

    def __post_init__(self) -> None:
        """Check the names."""
        if self.method not in ("vlm", "template") or not {*self.cues} <= {"expression", "age_band", "sex"}:
            raise OptionError(
                "An assistant is a vlm or a template; its cues are of expression, age_band, sex (never race); given "
                f"{self.method} and {', '.join(self.cues)}."
            )

    @property
    def options(self) -> dict[str, Any]:
        """What its card says of how it was made."""
        names = ("cues", "adversary", "epsilon", "sites", "experts")
        return {name: value for name in names if (value := getattr(self, name)) not in (None, 0.0, 1)}

    protocol = "people never learned from"

    def stages(self, people: int) -> tuple[Align, Instruct, Prefer]:
        """Return how it is taught by so many people."""

        def training(steps: int, usual: Training) -> Training:
            rounds = min(self.rounds, steps) if self.sites > 1 else 1
            return replace(usual, steps=steps, delta=self.delta, sites=self.sites, rounds=rounds)

        how = [
            training(self.align_steps, Align().training),
            training(self.instruct_steps, Instruct().training),
            training(self.prefer_steps, Prefer().training),
        ]
        if self.epsilon is not None:
            each = sharing(self.epsilon, [*zip(how, (people, people, Prefer().units), strict=True)])
            how = [replace(part, epsilon=each) for part in how]
        return Align(training=how[0]), Instruct(experts=self.experts, training=how[1]), Prefer(training=how[2])


@dataclass(frozen=True)
class Assistants:
    """Teaches each assistant in three stages, saves it, and measures what it is worth and what it gives away."""

    row = AssistantPlan
    parallel = True  # the language model keeps all cores busy

    def __call__(self, study: Study, rows: Sequence[AssistantPlan]) -> Outcome:
        """Teach and judge these assistants."""
        outcome = Outcome()
        for row in rows:
            outcome.attempt(row.name, partial(_made, study, row))
        return outcome


def _made(study: Study, row: AssistantPlan) -> Outcome:
    opened = study.opened(row)
    if "expression" in row.cues and (unknown := sorted({*opened.batch.classes} - {*EXPRESSIONS})):
        raise DataError(
            f"Expressions must be {', '.join(EXPRESSIONS)}, for which there are answers; {row.label} has "
            f"{', '.join(unknown)}. Name another label, or leave expression out of the cues."
        )
    assistant = Assistant(study=study, row=row, batch=opened.batch)
    attacks = {"shadows": study.plan.shadows, "membership": study.plan.membership}
    root, made = study.make(row, opened.batch, assistant.teach, attacks)
    results = [replace(read_result(r), release=row.name, kind="assistant") for r in made["rows"]]
    release = Release(
        name=row.name,
        kind="assistant",
        root=root,
        modalities=("assistant",),
        methods={"assistant": row.method},
        options={row.method: row.options},
        counts={name: made[name] for name in ("recordings", "people", "seconds")},
    )
    return Outcome(releases=[release], rows=results, skipped=list(opened.skipped))


@cache
def _language() -> Language:
    return Language.open()


@dataclass(frozen=True, kw_only=True)
class Assistant:
    """One assistant of a study: what was asked for, and whom it learns from."""

    study: Study
    row: AssistantPlan
    batch: Batch

    @cached_property
    def table(self) -> pd.DataFrame:
        """What is known about the recordings and their people, by recording id."""
        return self.facts(self.study.cohort, self.batch.ids, self.row.label)

    def facts(self, cohort: Cohort, ids: Sequence[str], label: str) -> pd.DataFrame:
        """Return what an assistant may see or must not: the label as ``expression``, age as a band, sex, skin."""
        facts = table(cohort, cohort.recordings).loc[list(ids)]
        bands = np.digitize(facts["age"].fillna(0), _BANDS_FROM)
        facts["age_band"] = np.array(AGE_BANDS, dtype=object)[bands]
        facts.loc[facts["age"].isna(), "age_band"] = None
        facts["sex"] = facts["sex"].map({"F": "female", "M": "male"})
        if "expression" in self.row.cues:
            facts["expression"] = facts[label]
        return facts.join(cohort.participants.reindex(columns=["skin"]), on="subject")

    @cached_property
    def parts(self) -> tuple[Batch, Batch]:
        """Who is learned from, and who is met for the first time when it is judged."""
        return part_people(self.batch, _TESTED, rng=self.study.rng("assistants", "people"))

    def rng(self, *what: str) -> np.random.Generator:
        """Return chance of this release."""
        return self.study.rng(self.row.name, *what)

    def targets(self, facts: pd.DataFrame) -> Targets:
        """Return what each face shows of the cues."""
        found: dict[str, tuple[tuple[str, ...], Array]] = {}
        for cue in self.row.cues:
            values = (
                self.batch.classes if cue == "expression" else AGE_BANDS if cue == "age_band" else ("female", "male")
            )
            found[cue] = (tuple(values), pd.Categorical(facts[cue], categories=values).codes.astype(np.int64))
        return found

    @cached_property
    def encoder(self) -> VisionEncoder:
        """The encoder, learned once for all that see alike from faces of people who do not exist."""
        row, run = self.row, self.study.folder
        vision, root = Vision(adversary=row.adversary, epochs=row.epochs), run.private / f"public-{row.public_people}"
        alike = fingerprint([asdict(vision), row.cues, row.public_people, self.study.plan.seed, self.batch.classes])
        kept = run.private / "encoder" / f"{alike}.safetensors"
        if kept.exists():
            encoder: VisionEncoder = restored(vision, *load_weights(kept))
            return encoder
        seed = self.study.plan.seed + 1  # others than those of the cohort, were that made up
        if not (root / "dataset_description.json").exists():
            simulate_portraits(root, people=row.public_people, seed=seed, progress=_bar("make up public faces"))
        public = open_cohort(root)
        sources = {r.id: {"picture": public.root / r.tracks["picture"]} for r in public.recordings}
        batch, _ = read_batch(public.recordings, sources, label="emotion", modalities=("picture",))
        facts = self.facts(public, batch.ids, "emotion")
        secrets = [name for name in ("age_band", "sex", "skin") if name not in row.cues]
        hidden = {name: pd.factorize(facts[name])[0] for name in ["subject", *secrets]} if row.adversary else {}
        encoder = vision.fit(batch, self.targets(facts), hidden, rng=self.study.rng("encoder", *row.cues))
        make_folder(kept.parent)
        save_weights(kept, *state_of(encoder))
        return encoder

    def dialogues(self, part: Batch, each: int, *, test: bool) -> tuple[list[Dialogue], Array]:
        """Return dialogues of people, and (N,) whose face, by its position, is in front of the camera in each."""
        rng = self.study.rng("dialogues", str(test))
        facts = self.table.loc[list(part.ids)]
        rows = np.concatenate([
            rng.choice(np.flatnonzero(part.subjects == s), each, replace=True) for s in np.unique(part.subjects)
        ])  # fmt: skip
        people = [  # what nobody agreed to is not known, and no rule asks for it
            {"subject": str(part.subjects[i])}
            | {cue: str(facts[cue].iloc[i]) for cue in self.row.cues if isinstance(facts[cue].iloc[i], str)}
            for i in rows
        ]
        return dialogues(people, each=1, test=test, rng=rng), rows

    def teach(self, folder: Path) -> Mapping[str, Any]:
        """Teach in three stages, write what was learned, and judge it."""
        train, test = self.parts
        make_folder(folder)
        spends: tuple[Any, ...] = ()
        if self.row.method == "vlm":
            row, bar = self.row, _stages(self.row)
            private = row.epsilon is not None
            code = self.encoder.code(train)
            align, instruct, prefer = self.stages
            aligned = align.fit(
                code,
                self.targets(self.table.loc[list(train.ids)]),
                train.subjects,
                encoder=self.encoder,
                language=_language(),
                rng=unseeded(private, self.rng("align")),
                progress=bar.update,
            )
            talks, faces = self.dialogues(train, row.train_dialogues, test=False)
            lora = instruct.fit(
                talks,
                language=_language(),
                aligned=aligned,
                code=code[faces],
                rng=unseeded(private, self.rng("instruct")),
                progress=bar.update,
            )
            preferred = prefer.fit(
                lora, talks, language=_language(), rng=unseeded(private, self.rng("prefer")), progress=bar.update
            )
            bar.close()
            spends = (*aligned.spends, *preferred.spends)
            self.study.charge(spends, train.subjects)  # refuses before anything is written or seen
            note = {"personare": json.dumps(asdict(row))}
            if row.experts == 1:
                write_merged(find_model("smollm2"), folder / "assistant.gguf", preferred.factors(), scale=SCALING)
            for name, part in (("aligned_encoder", aligned), ("lora", preferred)):
                tensors, about = state_of(part)
                save_weights(folder / f"{name}.safetensors", tensors, {**about, **note})
            self.study.note(row, spends)
            rows = self.judge(aligned, preferred, lora, folder)
        else:
            rows = self.judge_template(folder)
        made = {
            "classes": list(self.row.cues),
            "modalities": list(train.arrays),
            "recordings": len(train),
            "people": len(set(train.subjects)),
            "test": list(test.ids),
        }
        rows = [replace(r, release=self.row.name, kind="assistant") for r in rows]
        statement = self.study.plan.use.statement
        write_card(folder / "README.md", self.study.cohort, self.row, spends, rows, made, statement)
        return {**made, "spends": [asdict(s) for s in spends], "rows": [asdict(r) for r in rows]}

    @cached_property
    def stages(self) -> tuple[Align, Instruct, Prefer]:
        """The three stages, as this release asks for them."""
        return self.row.stages(len(set(self.parts[0].subjects)))

    def judge(self, aligned: AlignedEncoder, lora: LoraWeights, before: LoraWeights, folder: Path) -> list[Result]:
        """Measure the assistant on people it never met; ``before`` is the same without the third stage."""
        _, test = self.parts
        code, facts = aligned.encoder.code(test), self.table.loc[list(test.ids)]
        profiles = aligned.profiles(_language(), code)
        rows = measured("assistant", "read", lambda: self._sees(aligned, code, profiles, facts))
        talks, faces = self.dialogues(test, self.row.test_dialogues, test=True)
        with lora.applied(_language()):
            rows += measured("assistant", "read", lambda: self._answers(aligned, code, profiles, talks, faces, folder))
            kept = self._leaks()
        with before.applied(_language()):
            rows += measured(
                "assistant",
                "infer",
                lambda: judge_leakage(kept, method="assistant", unprotected=self._leaks(apart=False)),
            )
        rows += measured("model_identity", "identify", lambda: self._disclosed(aligned, test, code, profiles))
        return rows + measured("membership", "member", self._membership)

    def _sees(self, aligned: AlignedEncoder, code: Array, profiles: Sequence[str], facts: pd.DataFrame) -> list[Result]:
        """Measure which cues are named right: by visual tokens, by the encoder directly, by the model's guess."""
        direct = {cue: p.argmax(axis=1) for cue, p in aligned.encoder.posteriors(code).items()}
        guess = parse_profile(aligned.profiles(_language(), None, 1)[0])
        parts = []
        for condition, names in {
            "visual": [parse_profile(text) for text in profiles],
            "direct": [{cue: aligned.cues[cue][p[i]] for cue, p in direct.items()} for i in range(len(code))],
            "none": [guess] * len(code),
        }.items():
            found = pd.DataFrame(names, index=facts.index).add_prefix("named_")
            parts.append(facts[["subject", *aligned.cues]].join(found).assign(condition=condition))
        return judge_answers(pd.concat(parts), method="assistant", rng=self.rng("sees"))

    def _answers(
        self,
        aligned: AlignedEncoder,
        code: Array,
        profiles: Sequence[str],
        talks: Sequence[Dialogue],
        faces: Array,
        folder: Path,
    ) -> list[Result]:
        """Measure whether answers fit, told of the user by tokens, by the profile it wrote, or not at all."""
        answers: dict[str, Sequence[str]] = {}
        for condition in CONDITIONS:
            seen = [parse_profile(profiles[face]) for face in faces]
            prompts = [prompt_of(d, condition, s, aligned, _language()) for d, s in zip(talks, seen, strict=True)]
            tokens = aligned.tokens(code[faces]) if condition == "visual" else None
            answers[condition] = _language().answers(prompts, tokens, most_tokens=_MOST_TOKENS)
        return self._judged(talks, faces, answers, folder)

    def _judged(
        self, talks: Sequence[Dialogue], faces: Array, answers: Mapping[str, Sequence[str]], folder: Path
    ) -> list[Result]:
        facts = self.table.loc[[self.parts[1].ids[face] for face in faces]]
        lines = [
            {
                "subject": talk.subject,
                "condition": condition,
                "request": talk.request,
                "profile": profile_words(talk.profile),
                "answer": answer,
                "reference": talk.answer(),
                "rules": list(talk.rules(answer).values()),
                "key_facts": talk.helpfulness(answer),
                **{group: facts[group].iloc[i] for group in ("sex", "age_band", "skin") if group in facts},
            }
            for condition, texts in answers.items()
            for i, (talk, answer) in enumerate(zip(talks, texts, strict=True))
        ]
        told = pd.DataFrame(lines)
        shown = told[["condition", "profile", "request", "answer", "reference"]].groupby("condition").head(_SHOWN)
        write_text(folder / "answers.csv", shown.to_csv(index=False))
        return judge_answers(told, method="assistant", rng=self.rng("answers"))

    def judge_template(self, folder: Path) -> list[Result]:
        """Measure the baseline: rules that are told what the encoder reads."""
        _, test = self.parts
        code = self.encoder.code(test)
        direct = {cue: p.argmax(axis=1) for cue, p in self.encoder.posteriors(code).items()}
        talks, faces = self.dialogues(test, self.row.test_dialogues, test=True)
        answers: dict[str, list[str]] = {"profile": [], "none": []}
        for talk, face in zip(talks, faces, strict=True):
            values = {cue: self.encoder.net.settings["cues"][cue][p[face]] for cue, p in direct.items()}
            for condition, profile in (("profile", profile_words({**talk.profile, **values})), ("none", "nothing")):
                turns = [Turn(role="system", text=talk.system(profile)), Turn(role="user", text=talk.request)]
                answers[condition].append("".join(Template()(turns, most_tokens=_MOST_TOKENS)))
        return self._judged(talks, faces, answers, folder)

    def _leaks(self, *, apart: bool = True) -> pd.DataFrame:
        """Let the assistant answer vignettes whose confided facts it never learned from.

        People are kept ``apart`` where nobody's profile is in another's prompt.
        """
        tests, language = vignettes(test=True, each=self.row.test_dialogues), _language()
        texts = language.answers([v.prompt(language, apart=apart) for v in tests], None, most_tokens=_MOST_TOKENS)
        lines = [
            {
                "vignette": f"{v.about} {v.request}",
                "setting": v.setting,
                "leaked": mentions(text, v.about, v.keys),
                "key_facts": np.mean([mentions(text, "", [word]) for word in v.helpful]) if v.helpful else np.nan,
            }
            for v, text in zip(tests, texts, strict=True)
        ]
        return pd.DataFrame(lines)

    def _disclosed(self, aligned: AlignedEncoder, test: Batch, code: Array, profiles: Sequence[str]) -> list[Result]:
        """Let attackers that retrain look at what leaves: tokens, written profiles, the updates of a site of one."""
        facts = self.table.loc[list(test.ids)]
        raw = np.asarray(next(iter(test.arrays.values())), dtype=float)
        raw = raw[:, :, ::2, ::2].reshape(len(raw), -1) if raw.ndim == 4 else raw
        kinds = pd.get_dummies(pd.DataFrame([parse_profile(text) for text in profiles])).to_numpy(float)
        shown = {"visual_tokens": aligned.tokens(code).flatten(1).numpy().astype(float), "profile": kinds}
        rows = self._attacked(facts, raw, shown)
        if self.row.sites > 1:
            few = np.isin(test.subjects, np.unique(test.subjects)[:_UPDATES])
            updates = self._updates(
                aligned, code[few], [text for text, kept in zip(profiles, few, strict=True) if kept]
            )
            rows += self._attacked(facts[few], raw[few], {"update": updates})
        return rows

    def _attacked(self, facts: pd.DataFrame, raw: Array, shown: Mapping[str, Array]) -> list[Result]:
        def of(tracks: Mapping[str, Array]) -> Batch:
            return Batch.of(facts, {name: dict(zip(facts.index, rows, strict=True)) for name, rows in tracks.items()})

        rows: list[Result] = []
        for name in _DISCLOSURE:
            attack = registry.create(_ATTACKS, name)
            run = partial(attack, of({"raw": raw}), of(shown), rng=self.rng(name))
            rows += measured(name, attack.question, run)
        return rows

    def _updates(self, aligned: AlignedEncoder, code: Array, profiles: Sequence[str]) -> Array:
        """Return what can be read back of each code from one person's update of the projector, (N, size).

        Where the stage is private, the update is cut and noised as a site of this one person would send it.
        """
        language, recovered = _language(), []
        first = next(m for m in aligned.projector.body if isinstance(m, torch.nn.Linear))
        noise = aligned.spends[0].noise_multiplier if aligned.spends else 0.0
        rng, prompt = self.rng("update"), language.tokenize("\ufffc\nProfile:", aligned.projector.settings["tokens"])
        for row, text in zip(code, profiles, strict=True):
            rows = collate([(prompt, language.tokenize_answer(f" {text}"))])
            first.requires_grad_(True)
            loss = language.losses(rows, aligned.projector(torch.from_numpy(row[None]))).sum()
            gradients = [g.numpy().astype(float) for g in torch.autograd.grad(loss, [first.weight, first.bias])]
            first.requires_grad_(False)
            if noise:
                length = max(1.0, float(np.sqrt(sum((g**2).sum() for g in gradients))))
                gradients = [g / length + noise * rng.standard_normal(g.shape) for g in gradients]
            recovered.append(invert_linear(*gradients))
        return np.stack(recovered)

    def _membership(self) -> list[Result]:
        """Let every attack tell who was learned from; where that is private, also in the same without privacy."""
        if not self.study.plan.shadows or not self.study.plan.membership:
            return []
        _, instruct, _ = self.stages
        rows = self._shadowed(instruct)
        if self.row.epsilon is None:
            return rows
        training = replace(instruct.training, epsilon=None)
        unprotected = {row.key: row for row in self._shadowed(replace(instruct, training=training))}
        return [beside(row, unprotected[row.key], "the same assistant without privacy") for row in rows]

    def _shadowed(self, instruct: Instruct) -> list[Result]:
        """Teach shadows on halves of the people, in words alone, and attack each through the others."""
        plan, (train, _), language = self.study.plan, self.parts, _language()
        talks, _ = self.dialogues(train, self.row.train_dialogues, test=False)
        subjects = np.array([talk.subject for talk in talks])
        inside = split_halves(subjects, plan.shadows, rng=self.rng("halves"))
        rows = collate(
            [(prompt_of(d, "profile", {}, None, language), language.tokenize_answer(d.answer())) for d in talks]
        )
        scores, claim = [], None
        for number, half in enumerate(tqdm(inside, desc="shadows of the assistant", disable=self.study.workers.quiet)):
            lora = instruct.fit(
                [talk for talk, there in zip(talks, half, strict=True) if there],
                language=language,
                aligned=None,
                code=None,
                rng=self.rng("shadow", str(number)),
            )
            claim = as_one_claim(lora.spends)
            with lora.applied(language), torch.inference_mode():
                parts = torch.split(torch.arange(len(talks)), 16)
                losses = [language.losses({k: v[at] for k, v in rows.items()}, None) for at in parts]
            scores.append(-torch.cat(losses).numpy())
        attacks = {name: registry.create(_ATTACKS, name) for name in plan.membership}
        signals = Signals.of_scores(np.stack(scores), inside, subjects)
        return judge_membership(signals, attacks, claim=claim, rng=self.rng("membership"))


def _stages(row: AssistantPlan) -> Any:
    steps = row.align_steps + row.instruct_steps + row.prefer_steps
    return tqdm(total=steps * row.sites, desc=f"teach {row.name}", unit="step")


def _bar(what: str) -> Callable[[Any], Any]:
    return lambda items: tqdm(items, desc=what)
