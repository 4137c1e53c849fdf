"""How legible each criterion is in the drawn pictures: ``python -m plugins.datasets.synthetic.probe``.

A multinomial logistic regression (L2, classes weighted equally, full-batch L-BFGS, so without any chance) is fitted on
packaged features of train and valid and read on test. Features: the pooled vector and, of each level, the mean and the
maximum over its places; standardised by train and valid. Every value takes part in the fit and may be predicted, but
only values with at least ``FEWEST`` test cases are judged, because the recall of one or two cases is no measurement.
With k values judged, the mean of their recalls is rescaled, (balanced accuracy - 1/k) / (1 - 1/k), so that chance is
at most 0 and perfect is 1. Accepted is 0.4 to 0.9: neither invisible nor trivial.

Shapes: n cases, d features, k values.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from benchmark.config import cache_folder
from benchmark.features import FeatureStore
from benchmark.files import write_atomic
from benchmark.interfaces import Case, DatasetContext, ImageFeatures, Split
from plugins.datasets.seven_point import CRITERIA, GROUPS, TAXONOMY
from plugins.datasets.synthetic.dataset import SyntheticDataset
from plugins.datasets.synthetic.options import SyntheticOptions
from plugins.datasets.synthetic.painter import paint, save_options
from plugins.encoders.options import PackagedOptions
from plugins.encoders.packaged import PackagedEncoder

FEWEST = 5
PENALTY = 0.05
ITERATIONS = 60
TIMED = 40
LOWEST, HIGHEST = 0.4, 0.9

PAGE = """# Synthetic: how legible the drawn pictures are

**Synthetic data.** Every picture is drawn by `plugins/datasets/synthetic`; nothing here says how a method does on
patients. `python -m plugins.datasets.synthetic.probe --write FILE` writes this page and
`python -m plugins.datasets.synthetic.sheet --out FOLDER` the [contact sheet](contact_sheet.jpg) of drawn pictures.

Options: `{options}`. Cases: {sizes}. Drawing took {seconds:.3f} CPU seconds a picture, so {whole:.0f} CPU seconds for
all {total} of them, shared by as many cores as there are (at most four).

A class-balanced logistic regression (L2) on frozen packaged features (the pooled vector; mean and maximum of each
level) is fitted on train and valid and read on test. *Rescaled* is (balanced accuracy - 1/k) / (1 - 1/k) over the k
values with at least {fewest} test cases: chance is 0, perfect is 1. Rarer values take part in the fit and may be
predicted, but their recall is not judged (-). Accepted: {lowest} to {highest} for each criterion, neither invisible nor
trivial. The last row, the group, stands there for comparison and has no band.

| read from the picture | rescaled | in the band | k | recall (test cases) of each value |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Reading:
    """How a probe read one labelling: ``recalls`` of the judged values, their case counts, and the rescaled mean."""

    name: str
    recalls: dict[str, float]
    counts: dict[str, int]

    @property
    def rescaled(self) -> float:
        """Balanced accuracy over the judged values, rescaled: 0 chance, 1 perfect."""
        k = len(self.recalls)
        return (sum(self.recalls.values()) / k - 1 / k) / (1 - 1 / k)


def main(arguments: Sequence[str] | None = None) -> None:
    """Probe the default set, print the page, and write it where the command line asks for it."""
    parser = argparse.ArgumentParser(prog="python -m plugins.datasets.synthetic.probe", description=__doc__)
    parser.add_argument("--write", type=Path, help="file that gets the page, e.g. results/synthetic/README.md")
    parser.add_argument("--cache", type=Path, help="folder of drawn pictures and features (default: as for `run`)")
    options = parser.parse_args(arguments)
    cache = cache_folder(options.cache)
    dataset = SyntheticDataset(DatasetContext(None, cache), SyntheticOptions())
    readings = probe(dataset, FeatureStore(cache, PackagedEncoder("packaged", PackagedOptions.model_validate({}))))
    page = render(readings, dataset, seconds_a_picture(dataset))
    print(page)
    if options.write:
        write_atomic(options.write, page.encode())


def probe(dataset: SyntheticDataset, store: FeatureStore) -> list[Reading]:
    """Return a reading of each criterion, in the order of the checklist, and of the group."""
    splits: tuple[Split, ...] = ("train", "valid", "test")
    cases = {split: dataset.cases(split) for split in splits}
    known, unseen = [*cases["train"], *cases["valid"]], [*cases["test"]]
    features = [summarise(store.images([case.images["dermoscopic"] for case in part])) for part in (known, unseen)]
    mean, deviation = features[0].mean(0), features[0].std(0) + 1e-6
    x, z = ((values - mean) / deviation for values in features)
    readings = []
    for name, values in [*((c.name, c.values) for c in CRITERIA), ("group", GROUPS)]:
        labels, truth = (codes(part, name, values) for part in (known, unseen))
        readings.append(read(name, values, fit(x, labels, len(values)), z, truth))
    return readings


def codes(cases: Sequence[Case], name: str, values: Sequence[str]) -> Tensor:
    """Return (n,) the place of each case's value in ``values``; ``name`` is a criterion, or ``group``."""
    said = (TAXONOMY[case.diagnosis] if name == "group" else case.descriptors[name] for case in cases)
    return torch.tensor([values.index(value) for value in said])


def summarise(features: ImageFeatures) -> Tensor:
    """Return (n, d): the pooled vector, then the mean and the maximum of each level over its places."""
    levels = [part for level in features.levels for part in (level.float().mean(1), level.float().amax(1))]
    return torch.cat([features.pooled.float(), *levels], 1)


def fit(x: Tensor, labels: Tensor, k: int) -> Tensor:
    """Return the weights (d + 1, k), bias last, of a class-balanced logistic regression of ``labels`` (n,) on ``x``."""
    counts = torch.bincount(labels, minlength=k)
    share = (1 / counts.clamp(min=1))[labels]
    share = share / share.sum()
    inputs = torch.cat([x, torch.ones(len(x), 1)], 1)
    weights = torch.zeros(inputs.shape[1], k, requires_grad=True)
    solver = torch.optim.LBFGS([weights], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        error = torch.nn.functional.cross_entropy(inputs @ weights, labels, reduction="none")
        total = (share * error).sum() + PENALTY * weights[:-1].square().sum()
        total.backward()
        return total

    solver.step(loss)
    return weights.detach()


def read(name: str, values: Sequence[str], weights: Tensor, z: Tensor, truth: Tensor) -> Reading:
    """Return the recall of each value with at least ``FEWEST`` cases in ``truth`` (n,), and all case counts."""
    predicted = (z @ weights[:-1] + weights[-1]).argmax(1)
    counts = {value: int((truth == k).sum()) for k, value in enumerate(values)}
    recalls = {
        v: float((predicted[truth == k] == k).float().mean()) for k, v in enumerate(values) if counts[v] >= FEWEST
    }
    return Reading(name, recalls, counts)


def seconds_a_picture(dataset: SyntheticDataset) -> float:
    """Return the CPU seconds that one picture takes to draw and compress, over ``TIMED`` of them."""
    seed, size = dataset.options.seed, dataset.options.size
    with tempfile.TemporaryDirectory() as folder:
        start = time.process_time()
        for profile in dataset.profiles[:TIMED]:
            paint(profile, seed, size)[0].save(Path(folder) / "picture.jpg", **save_options(profile, seed))
        return (time.process_time() - start) / TIMED


def render(readings: Sequence[Reading], dataset: SyntheticDataset, seconds: float) -> str:
    """Return the page: what was measured, and how. ``seconds`` is the CPU time of one picture."""
    total = len(dataset.profiles)
    sizes = {split: sum(p.split == split for p in dataset.profiles) for split in ("train", "valid", "test")}
    text = PAGE.format(
        options=dataset.options.model_dump_json(),
        sizes=", ".join(f"{n} {split}" for split, n in sizes.items()),
        seconds=seconds,
        total=total,
        whole=seconds * total,
        fewest=FEWEST,
        lowest=LOWEST,
        highest=HIGHEST,
    )
    return text + "\n".join(map(_row, readings)) + "\n"


def _row(reading: Reading) -> str:
    judged = "" if reading.name == "group" else "yes" if LOWEST <= reading.rescaled <= HIGHEST else "**no**"
    said = {v: f"{reading.recalls[v]:.2f}" if v in reading.recalls else "-" for v in reading.counts}
    recalls = ", ".join(f"{value} {said[value]} ({n})" for value, n in reading.counts.items())
    name = reading.name.replace("_", " ")
    return f"| {name} | {reading.rescaled:.2f} | {judged} | {len(reading.recalls)} | {recalls} |"


if __name__ == "__main__":
    main()
