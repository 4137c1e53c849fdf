"""Options of the methods in their papers' own training. Imports no torch, so that ``list`` and ``--help`` answer fast.

Rates, batches and decays are those of the papers and of their authors' code; ``epochs`` and ``patience`` are ours: long
enough for those rates on a few hundred cases, where an epoch is about ten steps. The papers divide a rate after 5,000
steps at the earliest, which is later than all of these budgets end, so rates stay as they start.
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from baselines.artemis_options import ARTEMISOptions
from baselines.options import CLIP4CirOptions, TIRGOptions
from baselines.tg_cir_options import TGCIROptions
from baselines.val_options import VALOptions


class NativeTraining(BaseModel):
    """What stands in the place of the shared training's options."""

    epochs: int = Field(200, ge=1, description="at most this many passes over the training queries")
    patience: int = Field(40, ge=1, description="stop after this many epochs without a better validation score")
    batch_size: int = Field(32, ge=8, description="queries a batch, balanced over the groups; at most all of them")
    learning_rate: float = Field(
        1e-4,
        gt=0,
        description="learning rate, constant",
        json_schema_extra={"search": {"low": 1e-5, "high": 3e-2, "log": True}},
    )
    weight_decay: float = Field(0.0, ge=0, description="weight decay, of every parameter")


class TIRGNativeOptions(NativeTraining, TIRGOptions):
    """TIRG with batch classification; rates and momentum of its code for Fashion200k."""

    learning_rate: float = Field(
        1e-2,
        gt=0,
        description="learning rate of SGD, constant",
        json_schema_extra={"search": {"low": 1e-3, "high": 1e-1, "log": True}},
    )
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of SGD")
    weight_decay: float = Field(1e-6, ge=0, description="L2 penalty")


class CLIP4CirNativeOptions(NativeTraining, CLIP4CirOptions):
    """The second stage of CLIP4Cir. One step an epoch, where the batch holds all queries: the score on valid falls for
    some fifty steps before it rises, so patience is long.
    """

    epochs: int = Field(1000, ge=1, description="at most this many passes over the training queries")
    patience: int = Field(300, ge=1, description="stop after this many epochs without a better validation score")
    batch_size: int = Field(4096, ge=8, description="queries a batch, balanced over the groups; at most all of them")
    learning_rate: float = Field(
        4e-5,
        gt=0,
        description="learning rate of Adam, constant",
        json_schema_extra={"search": {"low": 1e-5, "high": 1e-3, "log": True}},
    )


class VALNativeOptions(NativeTraining, VALOptions):
    """VAL with a triplet loss of each level."""

    learning_rate: float = Field(
        2e-4,
        gt=0,
        description="learning rate of Adam, constant",
        json_schema_extra={"search": {"low": 2e-5, "high": 2e-3, "log": True}},
    )
    weight_decay: float = Field(4e-5, ge=0, description="L2 penalty")
    margin: float = Field(0.2, gt=0, description="margin of the triplet loss, in squared distances of unit vectors")


class ARTEMISNativeOptions(NativeTraining, ARTEMISOptions):
    """ARTEMIS with batch classification."""

    learning_rate: float = Field(
        5e-4,
        gt=0,
        description="learning rate of AdamW, constant",
        json_schema_extra={"search": {"low": 5e-5, "high": 5e-3, "log": True}},
    )
    weight_decay: float = Field(0.01, ge=0, description="decoupled weight decay")


class TGCIRNativeOptions(NativeTraining, TGCIROptions):
    """TG-CIR with its own contrastive loss; the losses of its teacher are those of the unified setting."""

    weight_decay: float = Field(0.01, ge=0, description="decoupled weight decay")
