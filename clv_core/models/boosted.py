"""Gradient-boosted factors on small whole-number codes: grown by scikit-learn, walked here column by column.

scikit-learn walks every tree row by row, which costs a mispredicted branch at each split. Asked of thousands of rows at once, a
split is a comparison of bytes; the answers of a tree's few splits are the bits of a number that a table turns into the leaf's
value. That is about ten times as fast, and values are added in the same order: the factors are the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from clv_core.models.base import Floats

Codes = NDArray[np.uint8]  # shape (columns, rows)
Mask = NDArray[np.bool_]
EVERY_CODE = 256
LEAVES = 6  # at most; a tree has a split less


@dataclass(frozen=True, slots=True)
class Split:
    """Asks whether the code in `column` is at most `most` or, where the order of codes means nothing, in `among`."""

    column: int
    most: np.uint8
    among: Mask | None  # shape (256,)

    def ask(self, codes: Codes, answer: Mask) -> None:
        """Writes the answers into `answer`."""
        if self.among is None:
            np.less_equal(codes[self.column], self.most, out=answer)
        else:
            np.take(self.among, codes[self.column], out=answer, mode="clip")


@dataclass(frozen=True, slots=True)
class Tree:
    """The splits, and the value of every combination of their answers, the first split's being the highest bit."""

    splits: tuple[Split, ...]
    values: Floats  # shape (2 ** splits,)


@dataclass(frozen=True, slots=True)
class Boosted:
    """Fitted factors: exp(start + the values of all trees)."""

    start: float
    trees: tuple[Tree, ...]

    @classmethod
    def fit(cls, codes: Codes, outcome: Floats, baseline: Floats, unordered: Mask) -> Boosted:
        """Factors on `baseline` (Poisson loss, weighted by it); `unordered` columns hold codes without an order.

        Small trees with large leaves: on simulated shops larger ones learned the windows' noise, large bases gained nothing.
        """
        from sklearn.ensemble import HistGradientBoostingRegressor
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        varies = codes.min(axis=1) < codes.max(axis=1)  # other columns can't split anything
        varies[0] = True
        used, leaf = np.flatnonzero(varies), int(np.clip(len(outcome) // 25, 60, 200))
        learner = HistGradientBoostingRegressor(
            loss="poisson", learning_rate=0.06, max_iter=70, max_leaf_nodes=LEAVES, min_samples_leaf=leaf,
            l2_regularization=10.0, early_stopping=False, random_state=0,
            categorical_features=unordered[used] if unordered[used].any() else None,
        )  # fmt: skip
        # One thread: sums in one order give the same learner on every machine; its thread pool costs more than it saves.
        with threadpool_limits(1):
            learner.fit(codes[used].T.astype(np.float64), outcome / baseline, sample_weight=baseline)
            return _read(learner, used, unordered[used])

    def predict(self, codes: Codes) -> Floats:
        """The factor of each row."""
        total = np.full(codes.shape[1], self.start)
        place, answer = np.empty(total.shape, np.uint8), np.empty(total.shape, np.bool_)
        for tree in self.trees:
            place.fill(0)
            for split in tree.splits:
                np.add(place, place, out=place)
                split.ask(codes, answer)
                np.add(place, answer.view(np.uint8), out=place)
            total += tree.values.take(place)
        return np.asarray(np.exp(total))


def _read(learner: Any, used: NDArray[np.intp], unordered: Mask) -> Boosted:
    """The trees of a fitted learner.

    They hold its own encoding of the columns, unordered ones first; a probe with every code in every column tells it.
    """
    every = np.repeat(np.arange(EVERY_CODE, dtype=np.float64)[:, None], len(used), axis=1)
    known = learner._preprocess_X(every, reset=False)
    columns = np.concatenate([used[unordered], used[~unordered]])
    trees = tuple(_tree(tree, known, columns) for (tree,) in learner._predictors)
    return Boosted(float(np.ravel(learner._baseline_prediction)[0]), trees)


def _tree(tree: Any, known: Floats, columns: NDArray[np.intp]) -> Tree:
    nodes = tree.nodes
    inner = np.flatnonzero(nodes["is_leaf"] == 0)
    splits = tuple(_split(nodes[at], tree.raw_left_cat_bitsets, known, columns) for at in inner)
    bit = {int(at): len(inner) - 1 - n for n, at in enumerate(inner)}
    values = np.empty(1 << len(inner))
    for answers in range(len(values)):
        at = 0
        while at in bit:
            at = int(nodes[at]["left" if answers >> bit[at] & 1 else "right"])
        values[answers] = nodes[at]["value"]
    return Tree(splits, values)


def _split(node: Any, sets: NDArray[np.uint32], known: Floats, columns: NDArray[np.intp]) -> Split:
    seen = known[:, node["feature_idx"]]
    unknown = np.isnan(seen)
    code = np.where(unknown, 0.0, seen)
    if node["is_categorical"]:
        place = code.astype(np.intp)
        among = (sets[node["bitset_idx"]][place // 32] >> (place % 32).astype(np.uint32)) & 1 == 1
    else:
        among = code <= node["num_threshold"]
    among = np.where(unknown, bool(node["missing_go_to_left"]), among)
    most = int(np.count_nonzero(among)) - 1
    ordered = most >= 0 and bool(among[: most + 1].all())
    return Split(int(columns[node["feature_idx"]]), np.uint8(max(most, 0)), None if ordered else among)
