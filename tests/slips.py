"""Plugins that work, and the slips: one edit each, with the words that its message must hold.

``FILE`` stands for the path of the plugin; in the other tables the plugin is called ``slip.py``.
"""

from __future__ import annotations

import textwrap

COMPOSER = textwrap.dedent("""\
    import torch
    from torch import nn
    from benchmark.hookspecs import hookimpl
    from benchmark.interfaces import Composer, Options, Scorer

    class Mine(Composer):
        def __init__(self, spec, options):
            super().__init__(spec, options)
            self.image = nn.Linear(spec.image_width, 16)
            self.text = nn.Linear(spec.text_width, 16)

        def compose(self, images, texts):
            return {"global": self.image(images.pooled) + self.text(texts.pooled)}

        def embed(self, images):
            return {"global": self.image(images.pooled)}

    @hookimpl
    def register_composers(register):
        register("mine", Mine, summary="the sum", citation="me, 2026")
""")
METHOD = textwrap.dedent("""\
    import os
    import warnings
    import torch
    from benchmark.hookspecs import hookimpl
    from benchmark.interfaces import Method

    class Mine(Method):
        def fit(self, train, valid, context):
            self.centre = train.images.pooled.float().mean(0)

        def score(self, queries, gallery):
            return (queries.images.pooled - self.centre) @ (gallery.images.pooled - self.centre).T

        def state(self):
            return {"centre": self.centre}

        def load(self, state):
            self.centre = state["centre"]

    @hookimpl
    def register_methods(register):
        register("mine", Mine, summary="centred", citation="me, 2026")
""")
CLASS = "class Mine(Composer):\n"
EMBED = '{"global": self.image(images.pooled)}'
SCORER = (
    CLASS,
    "class Dot(Scorer):\n    def score(self, query, candidates):\n        return {}\n\n"
    "@hookimpl\ndef register_scorers(register):\n    register('dot-{}', Dot, summary='s', citation='c')\n\n"
    "class Mine(Composer):\n    scorer = 'dot-{}'\n",
)
LOADING = {
    "syntax": (("def embed(self, images):", "def embed(self, images)"), ["SyntaxError", "slip.py:15"]),
    "missing module": (("import torch\n", "import torchx\n"), ["No module named 'torchx'", "slip.py:1"]),
    "missing name": (("import Composer,", "import Compozer,"), ["'Compozer'", "slip.py:4"]),
    "no hookimpl": (("@hookimpl\n", ""), ["register_composers is not marked", "slip.py:18", "write @hookimpl above"]),
    "misspelt hook": (("register_composers", "register_composer"), ["'register_composer' does not", "slip.py:18"]),
    "no parameter": (
        ("(register):", "():"),
        ["register_composers() ", "slip.py:18", "def register_composers(register)"],
    ),
    "other parameter": (("(register):", "(registry):"), ["register_composers(registry)", "called register"]),
    "no citation": (
        (', citation="me, 2026"', ""),
        ["register() missing", "'citation'", "slip.py:20", "Write register("],
    ),
    "empty citation": (("me, 2026", " "), ["citation=' ' must say something", "slip.py:20"]),
    "positional": (("summary=", ""), ["register() takes 2 positional", "slip.py:20", "Write register("]),
    "instance": (
        ('"mine", Mine', '"mine", nn.ReLU()'),
        ["an object of ReLU; pass the class, without ()", "slip.py:20"],
    ),
    "options instance": (('2026")', '2026", options={})'), ["options is an object of dict", "slip.py:20"]),
    "swapped": (('"mine", Mine', 'Mine, "mine"'), ["must be letters, digits, -, + and _", "slip.py:20"]),
    "bad string": (('"mine", Mine', '"mine", "Mine"'), ["'Mine' must be a class, or a string 'module:Class'"]),
    "comma": (('"mine"', '"a,b"'), ["the name 'a,b' must be letters"]),
    "taken": (('"mine"', '"tirg"'), ["'tirg' is already registered", "baselines.registration", "registration.py:"]),
    "exit": (("import torch\n", "raise SystemExit(3)\n"), ["SystemExit: 3", "slip.py:1"]),
    "no annotation": ((CLASS, "class O(Options):\n    width = 3\n"), ["`width = 3`", "annotation", "slip.py:6"]),
}
PLANNING = {
    "no base": ("class Mine(Composer)", "class Mine(nn.Module)", {}, ["slip.py:20", "derive it from that class"]),
    "a scorer": ("class Mine(Composer)", "class Mine(Scorer)", {}, ["no subclass", "with register_scorers"]),
    "no such string": (
        '"mine", Mine',
        '"mine", "no_such:A"',
        {},
        ["can't load 'no_such:A'", "No module", "slip.py:20"],
    ),
    "options class": ('2026")', '2026", options=dict)', {}, ["is no pydantic model", "benchmark.interfaces.Options"]),
    "provides": (CLASS, CLASS + "    provides = ['global']\n", {}, ["provides = ['global'] must be a set"]),
    "scorer": (CLASS, CLASS + "    scorer = 'cosin'\n", {}, ["'cosin'", "Did you mean cosine?"]),
    "scorer class": (CLASS, CLASS + "    scorer = Scorer\n", {}, ["which is no registered name"]),
    "keys": (CLASS, CLASS + "    provides = {'local'}\n", {}, ["reads ['global']", "provides only ['local']"]),
    "no options": ("mine", "mine", {"width": 3}, ["unknown option 'width'", "Available: none"]),
}
COMPOSERS = {
    "forward": ("def compose", "def forward", ["Mine lacks compose(self, images, texts)", "defines forward, embed"]),
    "no-embed": ("def embed", "def encode", ["Mine lacks embed(self, images)", "FILE:6"]),
    "compose-args": (
        "images, texts):",
        "images):",
        ["Mine.compose(self, images) is called as compose(self, images, texts)"],
    ),
    "embed-text": (
        "embed(self, images)",
        "embed(self, images, texts)",
        ["is called as embed(self, images)", "FILE:15"],
    ),
    "no-super": (
        "super().__init__(spec, options)",
        "pass",
        ["before Module.__init__()", "FILE:9", "super().__init__(spec"],
    ),
    "no-options": (
        "__init__(self, spec, options)",
        "__init__(self, spec)",
        ["Mine(spec, options) failed", "Define __init__"],
    ),
    "super-empty": (
        "super().__init__(spec, options)",
        "super().__init__()",
        ["FILE:8", "super().__init__(spec, options)"],
    ),
    "no-model": (
        "spec.text_width, 16",
        "spec.text_width, options.width",
        ["'NoOptions' object has no", "options=MyOptions"],
    ),
    "no-return": ("return " + EMBED, EMBED, ["Mine.embed returned None; is a `return` missing?", "FILE:15"]),
    "tensor": ("return " + EMBED, "return self.image(images.pooled)", ["returned Tensor, not a mapping", "FILE:15"]),
    "wrong-key": (EMBED, '{"globall": images.pooled}', ["keys ['globall'], but ['global'] is promised", "FILE:15"]),
    "key-missing": (CLASS, CLASS + "    provides = {'global', 'local'}\n", ["['local'] is promised by `provides`"]),
    "numpy": (EMBED, '{"global": images.pooled.numpy()}', ["ndarray under 'global', not a tensor"]),
    "batch-last": (
        EMBED,
        '{"global": self.image(images.pooled).T}',
        ["global (16, 2) for 2 inputs", "the batch comes first"],
    ),
    "unpooled": (
        EMBED,
        '{"global": images.levels[0]}',
        ["global (2, 16, 3) for 2 inputs; ", "global is (batch, width)"],
    ),
    "widths": (EMBED, '{"global": images.pooled}', ["2x16 and 6x2", "Query: global (2, 16); candidate: global (2, 6)"]),
    "in-features": (
        "spec.image_width",
        "512",
        ["2x6 and 512x16", "FILE:13", "images.pooled (2, 6)", "spec.image_width"],
    ),
    "nan": (EMBED, '{"global": self.image(images.pooled) / 0 * 0}', ["'contrastive' became nan in epoch 1", "by zero"]),
    "no-grad": ("    def ", "    @torch.no_grad()\n    def ", ["carry no gradient", "torch.no_grad()"]),
    "list": (
        "nn.Linear(spec.text_width, 16)",
        "[nn.ReLU(), nn.Linear(2, 3)]",
        ["Mine.text holds layers", "nn.ModuleList"],
    ),
    "in-place-frozen": ("return " + EMBED, "images.pooled = 0", ["cannot assign to field 'pooled'", "FILE:16"]),
    "exit": ("return " + EMBED, "raise SystemExit(0)", ["SystemExit: 0", "FILE:16"]),
    "attribute": ("self.image(images.pooled)}", "self.imag(images.pooled)}", ["no attribute 'imag'", "FILE:16"]),
    "batch-size": (EMBED, '{"global": self.image(images.pooled).view(2, 16)}', ["'[2, 16]' is invalid", "FILE:16"]),
    "scorer-none": (
        SCORER[0],
        SCORER[1].replace("return {}", "pass"),
        ["gave score None", "not (2, 2). Query: global (2"],
    ),
    "scorer-shape": (
        SCORER[0],
        SCORER[1].replace("{}\n", "query['global'][:, 0]\n", 1),
        ["gave score float32 (2,), not (2, 2)"],
    ),
    "scorer-key": (
        SCORER[0],
        SCORER[1].replace("{}\n", "query['globl']\n", 1),
        ["KeyError: 'globl'", "FILE:8", "Query: global"],
    ),
}
AUXILIARY = {
    "aux-none": ("pass", ["Mine.auxiliary_loss", "returned None", "return a mapping"]),
    "aux-tensor": ("return query['global'].sum()", ["returned float32 ();", "FILE:7"]),
    "aux-float": ("return {'mine': 0.5}", ["the loss 'mine' is an object of float"]),
    "aux-vector": ("return {'mine': query['global'].sum(1)}", ["the loss 'mine' is float32 (24,)", ".mean()"]),
    "aux-inf": (
        "return {'mine': query['global'].sum() / 0}",
        ["the loss 'mine' became", "in epoch 1", "division by zero"],
    ),
    "aux-clash": (
        "return {'contrastive': query['global'].sum()}",
        ["['contrastive'], which the unified objective has"],
    ),
}
SCORE = "return (queries.images"
METHODS = {
    "fit-raises": (
        "self.centre = train",
        "raise ValueError('no')\n        self.centre = train",
        ["ValueError: no", "FILE:9"],
    ),
    "fit-args": (
        "train, valid, context",
        "train",
        ["Mine.fit(self, train) is called as fit(self, train, valid, context)"],
    ),
    "no-load": ("def load", "def restore", ["Mine lacks load(self, state), which every Method must define"]),
    "score-shape": (
        SCORE,
        "return torch.zeros(3, 5)\n        " + SCORE,
        ["returned float32 (3, 5)", "= (24, 24)", "FILE:11"],
    ),
    "score-none": (SCORE, SCORE[7:], ["Mine.score", "returned None (is a `return` missing?)", "(24, 24)"]),
    "score-numpy": (
        SCORE,
        "return torch.zeros(24, 24).numpy()\n        " + SCORE,
        ["an object of ndarray; return a floating"],
    ),
    "score-ranks": (
        SCORE,
        "return torch.arange(576).view(24, 24)\n        " + SCORE,
        ["int64 (24, 24)", "floating-point"],
    ),
    "score-inf": (
        SCORE,
        "return torch.full((24, 24), -torch.inf)\n        " + SCORE,
        ["576 NaN or infinite scores of 576"],
    ),
    "labels": (SCORE, "return (queries.groups", ["'Queries' object has no attribute 'groups'", "FILE:12"]),
    "state-list": ("self.centre}\n", "self.centre.tolist()}\n", ["'centre': an object of list", "tensors", "FILE:14"]),
    "state-none": ('return {"centre"', '{"centre"', ["Mine.state", "returned None", "a mapping of names to tensors"]),
}
POLLUTERS = {
    "grad": "torch.set_grad_enabled(False)",
    "dtype": "torch.set_default_dtype(torch.float64)",
    "device": "torch.set_default_device('meta')",
    "deterministic": "torch.use_deterministic_algorithms(True)",
    "precision": "torch.set_float32_matmul_precision('medium')",
    "folder": "os.chdir('/')",
    "warnings": "warnings.simplefilter('error')",
    "prints": "print('noise ' * 99)",
    "in-place": "train.images.pooled.zero_(), train.texts.pooled.zero_(), train.texts.tokens.zero_()",
    "seed": "torch.manual_seed(99)",
}
TOY_PART = """\
from benchmark.hookspecs import hookimpl
from benchmark.interfaces import Dataset
from tests.toy import ToyDataset, ToyEncoder

"""
OTHERS = {
    "abstract": ("datasets", "Dataset", "def cases(self, split): ...", "lacks fingerprint(self), which every Dataset"),
    "attribute": (
        "datasets",
        "Dataset",
        "cases, fingerprint = ToyDataset.cases, ToyDataset.fingerprint",
        "sets no name, licence, citation, tax",
    ),
    "cases": ("datasets", "ToyDataset", "def cases(self): ...", "Mine.cases(self) is called as cases(self, split)"),
    "init": ("encoders", "ToyEncoder", "def __init__(self, name): ...", "Mine(name, options) failed"),
    "width": (
        "encoders",
        "ToyEncoder",
        "image_width = 9",
        "gave pooled (72, 6), but its widths and grids promise (72, 9)",
    ),
    "texts": ("encoders", "ToyEncoder", "def encode_texts(self, texts): ...", "encode_texts returned None"),
}
