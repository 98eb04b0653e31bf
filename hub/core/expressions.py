"""Conditions and computed values of mappings, events and rewards: SimpleEval's language, with nothing to abuse.

An expression is parsed and checked once, and made into functions of the values: asked of a million records, it costs
what it computes. What comes of it is what SimpleEval makes of the same text with our operators (a test compares them).

What may be written: names of fields (dotted ones, too), constants, tuples of constants, comparisons, `in`, `is None`,
and/or/not, `a if c else b`, + - * / // % on numbers, + on texts. No call, attribute, index, power or format; a text
of at most 1,000 characters. Ours are three things: a dotted name is one name, a tuple of constants is one constant,
and null is harmless (a comparison with null, or of things that have no order, is false; arithmetic with null is null).

Numbers are exact: decimals and money arrive as Decimal, and so does a constant such as 0.1.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, DecimalException
from difflib import get_close_matches

from hub.core.canonical import EntityType
from hub.core.formats import MappingFault
from hub.core.values import number_of, plain_decimal
from hub.model import Json

LONGEST_TEXT = 1_000
LONGEST_RESULT = 10_000
MOST_NODES = 400

_ALLOWED = (
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.UnaryOp,
    ast.Not,
    ast.USub,
    ast.UAdd,
    ast.BinOp,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.FloorDiv,
    ast.Mod,
    ast.Compare,
    ast.Eq,
    ast.NotEq,
    ast.Lt,
    ast.LtE,
    ast.Gt,
    ast.GtE,
    ast.In,
    ast.NotIn,
    ast.Is,
    ast.IsNot,
    ast.IfExp,
    ast.Name,
    ast.Constant,
    ast.Load,
)


Run = Callable[[Mapping[str, Json]], Json]


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression. Call it with values by name; names it does not find are null."""

    text: str
    uses: frozenset[str]
    run: Run = field(repr=False, compare=False)

    def __call__(self, values: Mapping[str, Json]) -> Json:
        try:
            return self.run(values)
        except (TypeError, DecimalException, ZeroDivisionError):
            return None


def compile_expression(text: str, names: Collection[str]) -> Expression:
    """Parse and check an expression over `names`.

    Raises:
        MappingFault: MAP-012 not in the language, MAP-013 unknown name.
    """
    if len(text) > LONGEST_TEXT:
        raise MappingFault("MAP-012", f"an expression of more than {LONGEST_TEXT} characters", "split it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice about `1 is 1`; we refuse it below
            parsed = ast.parse(text.strip(), mode="eval")
        node = _Plain().visit(parsed.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as fault:
        reason = getattr(fault, "msg", "") or "it does not parse"
        raise MappingFault("MAP-012", f"no expression: {reason}", "see docs/mapping.md, Expressions") from None
    return Expression(text, _check(node, names), _made(node))


class _Plain(ast.NodeTransformer):
    """Dotted names become names, tuples of constants become constants, broken numbers become Decimals."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        parts = [node.attr]
        inner: ast.AST = node.value
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            raise _refused("attributes of values")
        return ast.copy_location(ast.Name(id=".".join([inner.id, *reversed(parts)]), ctx=ast.Load()), node)

    def visit_Tuple(self, node: ast.Tuple) -> ast.AST:
        elements = [self.visit(each) for each in node.elts]
        if not all(isinstance(each, ast.Constant) for each in elements):
            raise _refused("tuples of anything but constants")
        values: Json = tuple(each.value for each in elements)
        return ast.copy_location(ast.Constant(value=values), node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        number = node.operand.value if isinstance(node.operand, ast.Constant) else None
        if isinstance(node.op, ast.USub) and isinstance(number, int | Decimal) and not isinstance(number, bool):
            return ast.copy_location(ast.Constant(value=-number), node)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if isinstance(node.value, float):
            return ast.copy_location(ast.Constant(value=Decimal(repr(node.value))), node)  # type: ignore[arg-type]
        if node.value is not None and not isinstance(node.value, str | bool | int):
            raise _refused("constants of this kind")
        return node


def _refused(what: str) -> MappingFault:
    return MappingFault("MAP-012", f"{what} are not in the language of expressions", "see docs/mapping.md, Expressions")


def _check(node: ast.AST, names: Collection[str]) -> frozenset[str]:
    """Names in use. Raises MappingFault for anything that is not in the language."""
    used: set[str] = set()
    for count, each in enumerate(ast.walk(node)):
        if count > MOST_NODES:
            raise MappingFault("MAP-012", "an expression of too many parts", "split it")
        if not isinstance(each, _ALLOWED):
            raise _refused(type(each).__name__.lower() + "s")
        if isinstance(each, ast.Compare):
            _check_comparison(each)
        if isinstance(each, ast.Name):
            if each.id not in names:
                near = get_close_matches(each.id, list(names), n=1)
                hint = f"did you mean {near[0]}?" if near else "use a field that canonical.yaml declares"
                raise MappingFault("MAP-013", f"unknown name {each.id}", hint)
            used.add(each.id)
    return frozenset(used)


def _check_comparison(node: ast.Compare) -> None:
    for symbol, right in zip(node.ops, node.comparators, strict=True):
        null = isinstance(right, ast.Constant) and right.value is None
        if isinstance(symbol, ast.Is | ast.IsNot) and not null:
            raise MappingFault("MAP-012", "`is` with anything but None", "compare with ==")
        if null and not isinstance(symbol, ast.Is | ast.IsNot):
            raise MappingFault("MAP-012", "a comparison with None is always false", "write `is None` or `is not None`")


# Operators


def _number(value: Json) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _compare(compare: Callable[[Json, Json], Json]) -> Callable[[Json, Json], bool]:
    def run(left: Json, right: Json) -> bool:
        if left is None or right is None:
            return False
        try:
            return bool(compare(left, right))
        except TypeError:
            return False

    return run


def _calculate(calculate: Callable[[Json, Json], Json]) -> Callable[[Json, Json], Json]:
    def run(left: Json, right: Json) -> Json:
        if not (_number(left) and _number(right)):
            return None
        try:
            return calculate(left, right)
        except (DecimalException, ZeroDivisionError):
            return None

    return run


def _add(left: Json, right: Json) -> Json:
    if isinstance(left, str) and isinstance(right, str):
        return left + right if len(left) + len(right) <= LONGEST_RESULT else None
    return _calculate(operator.add)(left, right)


def _divide(left: Json, right: Json) -> Decimal:
    return Decimal(left) / Decimal(right)


_OPERATORS: dict[type[ast.AST], Callable[..., Json]] = {
    ast.Add: _add,
    ast.Sub: _calculate(operator.sub),
    ast.Mult: _calculate(operator.mul),
    ast.Div: _calculate(_divide),
    ast.FloorDiv: _calculate(operator.floordiv),
    ast.Mod: _calculate(operator.mod),
    ast.Eq: _compare(operator.eq),
    ast.NotEq: _compare(operator.ne),
    ast.Lt: _compare(operator.lt),
    ast.LtE: _compare(operator.le),
    ast.Gt: _compare(operator.gt),
    ast.GtE: _compare(operator.ge),
    ast.In: _compare(lambda left, right: left in right),
    ast.NotIn: _compare(lambda left, right: left not in right),
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.Not: operator.not_,
    ast.USub: lambda value: -value if _number(value) else None,
    ast.UAdd: lambda value: value if _number(value) else None,
}


# Expressions as functions


def _made(node: ast.AST) -> Run:
    """What an expression computes, as a function of the values by name."""
    match node:
        case ast.Constant(value=value):
            return lambda values: value
        case ast.Name(id=name):
            return lambda values: values.get(name)
        case ast.UnaryOp(op=op, operand=operand):
            one, inner = _OPERATORS[type(op)], _made(operand)
            return lambda values: one(inner(values))
        case ast.BinOp(left=left, op=op, right=right):
            return _joined(_OPERATORS[type(op)], _made(left), _made(right))
        case ast.BoolOp(op=op, values=parts):
            return _either([_made(each) for each in parts], ends=isinstance(op, ast.Or))
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _chain(
                _made(left), [(_OPERATORS[type(op)], _made(each)) for op, each in zip(ops, others, strict=True)]
            )
        case ast.IfExp(test=test, body=body, orelse=otherwise):
            asked, one, other = _made(test), _made(body), _made(otherwise)
            return lambda values: one(values) if asked(values) else other(values)
    raise _refused(type(node).__name__.lower() + "s")


def _joined(compute: Callable[[Json, Json], Json], left: Run, right: Run) -> Run:
    return lambda values: compute(left(values), right(values))


def _either(parts: Sequence[Run], *, ends: bool) -> Run:
    """`or` ends with the first that is true, `and` with the first that is not; else with the last."""

    def run(values: Mapping[str, Json]) -> Json:
        found: Json = False
        for each in parts:
            found = each(values)
            if bool(found) == ends:
                break
        return found

    return run


def _chain(first: Run, rest: Sequence[tuple[Callable[[Json, Json], Json], Run]]) -> Run:
    """a < b <= c: each part is computed once, and none behind the first that does not hold."""
    if len(rest) == 1:
        return _joined(rest[0][0], first, rest[0][1])

    def run(values: Mapping[str, Json]) -> Json:
        found: Json = True
        right = first(values)
        for compare, part in rest:
            left, right = right, part(values)
            found = compare(left, right)
            if not found:
                break
        return found

    return run


# Entities


@dataclass(frozen=True, slots=True)
class EntityExpression:
    """An expression over an entity's values as they are stored."""

    expression: Expression
    reads: tuple[tuple[str, str, str, str], ...]  # name, canonical field, part of a group, scalar type
    currency: str  # the hub's; money in another is null

    @property
    def uses(self) -> frozenset[str]:
        """Canonical fields it looks at."""
        return frozenset(field for _, field, _, _ in self.reads)

    def __call__(self, values: Mapping[str, Json]) -> Json:
        return self.expression(
            {name: _seen(values, holder, part, kind, self.currency) for name, holder, part, kind in self.reads}
        )


def entity_names(entity: EntityType, prefix: str = "") -> dict[str, tuple[str, str, str]]:
    """Every name an expression may use of an entity → (canonical field, part, scalar type). References are ids."""
    names: dict[str, tuple[str, str, str]] = {}
    for declared in entity.fields.values():
        if declared.kind == "group":
            for part, kind in declared.parts.items():
                names.setdefault(prefix + part, (declared.name, part, kind))
                names.setdefault(f"{prefix}{declared.name}.{part}", (declared.name, part, kind))
        else:
            names[prefix + declared.name] = (declared.name, "", declared.type)
    return names


def entity_values(
    entity: EntityType, values: Mapping[str, Json], *, currency: str, prefix: str = ""
) -> dict[str, Json]:
    """An entity's values under the names of `entity_names`, as expressions see them."""
    return {name: _seen(values, *place, currency) for name, place in entity_names(entity, prefix).items()}


def compile_for_entity(text: str, entity: EntityType, *, currency: str) -> EntityExpression:
    """`compile_expression` over one entity's fields."""
    names = entity_names(entity)
    expression = compile_expression(text, names.keys())
    return EntityExpression(expression, tuple((name, *names[name]) for name in sorted(expression.uses)), currency)


def _seen(values: Mapping[str, Json], field_name: str, part: str, kind: str, currency: str) -> Json:
    value = values.get(field_name)
    if part:
        value = value.get(part) if isinstance(value, Mapping) else None
    return number_of(kind, value, currency=currency)


def to_json(value: Json) -> Json:
    """A result as JSON: exact numbers become their plain text, whole ones numbers."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and abs(value) < 10**15 else plain_decimal(value)
    return value
