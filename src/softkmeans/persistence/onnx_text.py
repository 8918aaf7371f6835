"""Inputs of an ONNX graph for columns of text."""

from __future__ import annotations

__all__ = ["Texts", "add_text_inputs", "find_texts"]

from typing import Any, NamedTuple

from ..errors import InputError
from ..estimators.preprocessing import Words, record_of

OWN = "softkmeans/"  # begins the names of values that are added to the graph
UNKNOWN = -1.0  # the number of a text that is no category


class Texts(NamedTuple):
    """The columns of text of a model, and the numbers of the texts."""

    columns: list[int]
    words: Words


def find_texts(preprocessing: Any) -> Texts:
    """Return the columns of text that a fitted transformer takes; none without a transformer."""
    if preprocessing is None:
        return Texts([], Words(set()))
    record = record_of(preprocessing)
    return Texts(sorted(record.text_columns(preprocessing)), Words(record.words(preprocessing)))


def add_text_inputs(proto: Any, texts: Texts, names: list[str] | None) -> None:
    """Replace the columns of text in the input ``rows`` of a graph by inputs of their own, which become numbers.

    Parameters
    ----------
    proto : onnx.ModelProto
        The graph, with one input ``rows`` (batch, d), in which texts are numbers. It is changed.
    texts : Texts
        The columns of text.
    names : list of d str or None
        The names of the columns, which become those of the inputs.

    Raises
    ------
    InputError
        If a column of text has a name that the graph needs itself.
    """
    if not texts.columns:
        return
    from onnx import TensorProto, helper

    graph = proto.graph
    (rows,) = graph.input
    kind, (batch, width) = rows.type.tensor_type.elem_type, rows.type.tensor_type.shape.dim
    numeric = [i for i in range(width.dim_value) if i not in texts.columns]
    inputs = {c: f"text{i}" if names is None else names[c] for i, c in enumerate(texts.columns)}
    taken = {value for node in graph.node for value in (*node.input, *node.output)} & set(inputs.values())
    if taken:
        raise InputError(f"the name of the column {min(taken)!r} can't be that of an input", hint="rename the column")
    for node in graph.node:
        node.input[:] = [f"{OWN}columns" if name == "rows" else name for name in node.input]
    del graph.input[:]
    new, parts = [], []
    if numeric:
        graph.input.append(helper.make_tensor_value_info("rows", kind, [batch.dim_param, len(numeric)]))
        parts.append("rows")
    words = list(texts.words.codes)
    codes = [texts.words.codes[word] for word in words]
    for column, name in inputs.items():
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.STRING, [batch.dim_param, 1]))
        attributes: dict[str, Any] = {"keys_strings": words, "values_floats": codes, "default_float": UNKNOWN}
        new.append(helper.make_node("LabelEncoder", [name], [f"{OWN}codes{column}"], domain="ai.onnx.ml", **attributes))
        new.append(helper.make_node("Cast", [f"{OWN}codes{column}"], [f"{OWN}numbers{column}"], to=kind))
        parts.append(f"{OWN}numbers{column}")
    order = [*numeric, *texts.columns]  # of the columns side by side
    positions = [order.index(i) for i in range(len(order))]
    graph.initializer.append(helper.make_tensor(f"{OWN}order", TensorProto.INT64, [len(order)], positions))
    new.append(helper.make_node("Concat", parts, [f"{OWN}side_by_side"], axis=1))
    new.append(helper.make_node("Gather", [f"{OWN}side_by_side", f"{OWN}order"], [f"{OWN}columns"], axis=1))
    nodes = [*new, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))
