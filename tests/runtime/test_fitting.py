"""Fitting with the library, in its own process: published figures, known parameters, and what cannot be fitted."""

from __future__ import annotations

import importlib.util
from collections import Counter
from typing import Any

import pytest

from hub.runtime import fitting
from tests.buyers import cdnow

lifetimes_is_there = importlib.util.find_spec("lifetimes") is not None
needs_it = pytest.mark.skipif(not lifetimes_is_there, reason="lifetimes is not installed")


@needs_it
def test_the_published_parameters_come_out() -> None:
    """Fader, Hardie and Lee 2005, table 2; Fader and Hardie 2013: to the last digit that they print."""
    rows = Counter(cdnow())
    found = fitting.fit([(*key, number) for key, number in rows.items()], [], 1)
    assert found["r"] == pytest.approx(0.243, abs=0.0006)
    assert found["alpha"] / 7 == pytest.approx(4.414, abs=0.003)
    assert found["a"] == pytest.approx(0.793, abs=0.002)
    assert found["b"] == pytest.approx(2.426, abs=0.006)
    assert found["p"] == pytest.approx(6.25, abs=0.01)
    assert found["q"] == pytest.approx(3.74, abs=0.01)
    assert found["v"] == pytest.approx(15.44, abs=0.02)
    assert 0 < found["unsure"] < 0.1
    assert found["told"] is None


@needs_it
def test_what_cannot_be_fitted_gives_the_reason_and_no_words_on_the_screen(capfd: pytest.CaptureFixture[str]) -> None:
    same = [(1, 30, 60, 10.0, 500)]  # everybody did the very same
    found = fitting.fit(same, [], 30)
    assert "reason" in found or found["unsure"] > 0.5
    found = fitting.fit([(2, 5, 9, -3.0, 4), (1, 4, 9, 2.0, 1)], [], 30)
    assert "the models do not converge" in found["reason"]
    assert capfd.readouterr().out == ""


@needs_it
def test_an_impatient_hub_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "PATIENCE_S", 0.01)
    assert "was stopped" in fitting.fit([(1, 30, 60, 10.0, 500)], [], 30)["reason"]


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "lifetimes" else usual(name, *more)
    )
    found: dict[str, Any] = fitting.fit([(1, 30, 60, 10.0, 500)], [], 30)
    assert "integration-hub[forecast]" in found["reason"]
