"""A study of phones from end to end: each release stands beside the original, with what is left and what is told."""

import json
from pathlib import Path

from phones import crowd, stressed, write_cohort

from personare.govern.ledger import Ledger
from personare.report.frontier import panels
from personare.report.run import read_run
from personare.report.tables import tables
from personare.study.parallel import Workers
from personare.study.plan import read_plan
from personare.study.run import run_study

PLAN = """
label = "stress"
attacks = ["phone_unicity", "phone_linkage"]
utilities = ["phone_concordance", "phone_label"]
releases = [
  { name = "coarse", phone = "phone_coarsen", phone_options = { share = 0.3 } },
  { name = "routine", phone = "phone_routine" },
  { name = "daily", phone = "phone_daily", phone_options = { delta = 0.01 } },
]
options.phone_label.trees = 10
"""


def test_phones_are_hidden_judged_and_reported(tmp_path: Path) -> None:
    cohort, out = write_cohort(tmp_path / "in", stressed(crowd(5, weeks=2))), tmp_path / "run"
    workers, ledger = Workers(jobs=1, quiet=True), Ledger(tmp_path / "ledger.sqlite")
    run_study(cohort, read_plan(PLAN, "here"), PLAN, out, workers=workers, ledger=ledger)
    record = read_run(out)
    assert [r["name"] for r in json.loads((out / "releases.json").read_text())] == ["coarse", "routine", "daily"]
    [panel] = panels(record)
    assert [p.release for p in panel.all_points] == ["original", "coarse", "routine", "daily"] and not panel.absent
    [table] = tables(record, [panel])
    cells = {row.release: row.cells for row in table.rows}
    assert cells["original"]["unicity"].value > 0.9 > 0.5 > cells["coarse"]["unicity"].value
    assert cells["daily"]["unicity"].value == cells["routine"]["unicity"].value == 0
    assert cells["original"]["retrained_reader"].value > 0.8 > 0.7 > cells["daily"]["retrained_reader"].value
    left = {(r.release, r.subset): r.status for r in record.results if r.method == "phone_concordance"}
    assert (left["routine", ""], left["routine", "group_days"]) == ("ok", "not_measured")
    assert (left["daily", ""], left["daily", "group_days"]) == ("not_measured", "ok")
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "Singled out" in page and "how alike the days are" in page
