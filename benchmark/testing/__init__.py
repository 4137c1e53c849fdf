"""Conformance: does a component keep what benchmark/interfaces.py promises? On the command line and in pytest.

``python -m benchmark check my_method.py`` runs everything below. As a test file of a plugin, three lines do the same::

    import pytest
    from benchmark.testing import conformance

    @pytest.mark.parametrize("check", conformance("my_method.py"), ids=str)
    def test_conformance(check):
        check()

``conformance`` takes a file, the name of an installed component or that of a plugin. The functions ``check_method``,
``check_composer``, ``check_scorer``, ``check_encoder`` and ``check_dataset`` take a class or a name and return the
results, to look at one by one::

    results = check_composer(FiLM, model=Settings)
    assert all(result.passed for result in results), [str(result) for result in results if not result.passed]

Methods, composers and scorers are tried on tiny worlds of random features (``worlds.py``), encoders on four drawn
pictures, datasets on their own cases. No check needs a network or a GPU; where torch finds CUDA,
methods are trained on it once.
"""

from __future__ import annotations

from benchmark.testing.conformance import conformance, suites
from benchmark.testing.one import check_composer, check_dataset, check_encoder, check_method, check_scorer
from benchmark.testing.steps import CheckResult, ConformanceCheck, Suite

__all__ = [
    "CheckResult",
    "ConformanceCheck",
    "Suite",
    "check_composer",
    "check_dataset",
    "check_encoder",
    "check_method",
    "check_scorer",
    "conformance",
    "suites",
]
