"""Ctrl-C stops the program, even where a library swallows what it raises."""

import signal
import sys
from contextlib import suppress

import click
import pytest

from personare.cli import cli, main
from personare.core.interrupt import check_interrupt, remember_interrupts
from personare.study.parallel import Workers


def swallowed():
    """As in a destructor, a callback called by C, or a bare except."""
    with suppress(BaseException):
        signal.raise_signal(signal.SIGINT)


def turned():
    """As a decoder does that reads through a callback."""
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        raise ValueError("the file ends too early") from None


def pressed():
    """As anywhere else."""
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def listened():
    """Give Python's own handler back when the test is over."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("way", [swallowed, turned, pressed])
def test_work_stops_and_keeps_nothing_of_the_item_that_was_interrupted(way, tmp_path):
    def work(item):
        if item == 2:
            way()
        return {"item": item}

    remember_interrupts()
    items = {str(n): n for n in range(5)}
    made = Workers(jobs=1, quiet=True).each("work", items, work, tmp_path, dict.fromkeys(items, "k"), pytest.fail)
    with pytest.raises(KeyboardInterrupt):
        list(made)
    assert sorted(f.stem for f in tmp_path.iterdir()) == ["0", "1"]


@pytest.mark.parametrize("way", [swallowed, pressed])
def test_a_verb_that_was_interrupted_says_so(way, monkeypatch, capsys):
    monkeypatch.setitem(cli.commands, "methods", click.Command("methods", callback=way))
    monkeypatch.setattr(sys, "argv", ["personare", "methods"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130 and "The same command goes on" in capsys.readouterr().err


def test_a_key_that_is_ignored_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    remember_interrupts()
    signal.raise_signal(signal.SIGINT)
    check_interrupt()
