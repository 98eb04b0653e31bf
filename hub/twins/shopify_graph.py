"""The GraphQL machine: schema, documents, cost in points, execution, and errors in the vendor's form.

What fields mean is not decided here: resolvers come in by argument. Cost rule (vendor docs, "Rate limits"): a scalar
or enum costs 0, an object 1, a connection 2 plus its rows times their own cost, a mutation 10. The price asked for
(`requested`) takes rows from `first`, the price paid (`actual`) takes them from the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLSyntaxError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    build_schema,
    execute_sync,
    get_argument_values,
    get_named_type,
    get_variable_values,
    is_leaf_type,
    parse,
    print_ast,
    validate,
)

from hub.twins.shopify_values import country_codes

Json = Any
Resolver = Callable[..., Any]

MUTATION_COST = 10  # vendor docs, "Rate limits": typical cost of a mutation
CONNECTION_COST = 2
MAX_COST = 1000  # of one query (vendor docs, "Rate limits")
_INLINE_LEAVES = {"pageInfo"}  # part of its connection's price


@dataclass(frozen=True, kw_only=True)
class Document:
    """A request's text, parsed and checked once."""

    errors: list[Json]  # in the vendor's form; not empty: it cannot run
    node: DocumentNode | None = None
    operation: OperationDefinitionNode | None = None
    is_mutation: bool = False
    roots: tuple[str, ...] = ()  # root field names in order


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """A document with its variables, ready to run."""

    node: DocumentNode
    operation: OperationDefinitionNode
    variables: Mapping[str, Json]
    price: _Price
    cost: int  # requested


@dataclass(frozen=True, kw_only=True)
class Refused:
    """The request as it stands can never run."""

    errors: list[Json]


class Graph:
    """One schema with its resolvers. Thread-safe: nothing changes after it was built."""

    def __init__(self, resolvers: Mapping[str, Resolver]) -> None:
        """`resolvers`: "Type.field" -> function(source, info, **arguments)."""
        self.schema = _load_schema()
        for place, resolver in resolvers.items():
            type_name, _, field_name = place.partition(".")
            owner = self.schema.type_map[type_name]
            if not isinstance(owner, GraphQLObjectType):
                raise TypeError(f"{place} is no field of an object")
            owner.fields[field_name].resolve = resolver
        self._document = lru_cache(maxsize=512)(self._read)

    def document(self, text: str, operation_name: str | None = None) -> Document:
        return self._document(text, operation_name)

    def prepare(self, document: Document, variables: Mapping[str, Json]) -> Prepared | Refused:
        """Check the variables and price the document."""
        if document.errors or document.operation is None or document.node is None:
            return Refused(errors=document.errors)
        definitions = document.operation.variable_definitions or ()
        values = get_variable_values(self.schema, definitions, dict(variables))
        if isinstance(values, list):
            return Refused(errors=[_variable_error(error) for error in values])
        price = _Price(self.schema, document.node, document.operation, values)
        cost = price.of_operation(None)
        if cost > MAX_COST:
            return Refused(errors=[_too_costly(cost)])
        return Prepared(node=document.node, operation=document.operation, variables=variables, price=price, cost=cost)

    def run(self, prepared: Prepared, context: Any) -> tuple[dict[str, Json], int]:
        """Execute. Returns the answer without `extensions`, and the actual cost."""
        name = prepared.operation.name.value if prepared.operation.name else None
        result = execute_sync(self.schema, prepared.node, {}, context, dict(prepared.variables), operation_name=name)
        errors = [_runtime_error(error) for error in result.errors or ()]
        answer: dict[str, Json] = {"data": result.data}
        if errors:
            answer["errors"] = errors
            if any(error["extensions"].get("code") == "argumentLiteralsIncompatible" for error in errors):
                del answer["data"]  # the vendor finds these before it begins
        return answer, prepared.price.of_operation(result.data or {})

    def _read(self, text: str, operation_name: str | None) -> Document:
        try:
            node = parse(text, no_location=False)
        except GraphQLSyntaxError as fault:
            return Document(errors=[{"message": fault.message, "locations": _locations(fault)}])
        faults = validate(self.schema, node)
        operations = [n for n in node.definitions if isinstance(n, OperationDefinitionNode)]
        wanted = [n for n in operations if operation_name is None or (n.name and n.name.value == operation_name)]
        errors = [_validation_error(fault, node) for fault in faults]
        if not errors and len(wanted) != 1:
            errors = [{"message": "An operation name is required", "extensions": {"code": "invalidOperation"}}]
        operation = wanted[0] if wanted else None
        return Document(
            node=node,
            errors=errors,
            operation=operation,
            is_mutation=operation is not None and operation.operation.value == "mutation",
            roots=tuple(_root_names(operation)),
        )


def _root_names(operation: OperationDefinitionNode | None) -> Iterator[str]:
    for node in operation.selection_set.selections if operation else ():
        if isinstance(node, FieldNode):
            yield node.name.value


@lru_cache(maxsize=1)
def _sdl() -> str:
    text = Path(__file__).with_name("shopify.graphql").read_text(encoding="utf-8")
    return f"{text}\nenum CountryCode {{ {' '.join(country_codes())} }}\n"


def _load_schema() -> GraphQLSchema:
    return build_schema(_sdl())


# --- cost --------------------------------------------------------------------------------------------------------


class _Price:
    """Prices one document; `data` None means: before it ran."""

    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode, values: Any
    ) -> None:
        """`values`: graphql-core's coerced variables."""
        self._schema, self._values, self._operation = schema, values, operation
        self._fragments = {n.name.value: n for n in document.definitions if isinstance(n, FragmentDefinitionNode)}

    def of_operation(self, data: Json) -> int:
        selections = self._operation.selection_set
        if self._operation.operation.value == "mutation":
            return MUTATION_COST * sum(1 for _ in self._fields(selections, self._schema.mutation_type))
        return self._of(selections, self._schema.query_type, data)

    def _of(self, selections: SelectionSetNode, parent: Any, data: Json) -> int:
        cost = 0
        for node, owner in self._fields(selections, parent):
            field = owner.fields.get(node.name.value) if hasattr(owner, "fields") else None
            if field is None or node.selection_set is None or is_leaf_type(get_named_type(field.type)):
                continue
            if node.name.value not in _INLINE_LEAVES:
                cost += self._of_field(node, node.selection_set, field, data)
        return cost

    def _of_field(self, node: FieldNode, inner: SelectionSetNode, field: Any, data: Json) -> int:
        kind = get_named_type(field.type)
        key = node.alias.value if node.alias else node.name.value
        if kind.name.endswith("Connection"):
            return CONNECTION_COST + self._of_rows(node, field, inner, kind, None if data is None else data.get(key))
        if data is None:
            rows = self._expected_rows(node, field) if _is_list(field.type) else 1
            return rows * (1 + self._of(inner, kind, None))
        value = data.get(key)
        present = [row for row in (value if isinstance(value, list) else [value]) if row is not None]
        return sum(1 + self._of(inner, kind, row) for row in present)

    def _of_rows(self, node: FieldNode, field: Any, inner: SelectionSetNode, kind: Any, data: Json) -> int:
        """A connection's rows; asking for `nodes` and for `edges { node }` is the same."""
        cost = 0
        rows = self._expected_rows(node, field)
        for child, owner in self._fields(inner, kind):
            if child.name.value not in ("nodes", "edges") or child.selection_set is None:
                continue
            row_kind = get_named_type(owner.fields[child.name.value].type)
            if data is None:
                each = self._of(child.selection_set, row_kind, None)
                cost = max(cost, rows * (each + (1 if child.name.value == "nodes" else 0)))
                continue
            found = (data or {}).get(child.alias.value if child.alias else child.name.value) or []
            extra = 1 if child.name.value == "nodes" else 0
            cost = max(cost, sum(extra + self._of(child.selection_set, row_kind, row) for row in found))
        return cost

    def _expected_rows(self, node: FieldNode, field: Any) -> int:
        arguments = get_argument_values(field, node, self._values)
        for name in ("first", "last"):
            if arguments.get(name) is not None:
                return max(0, int(arguments[name]))
        return len(arguments["ids"]) if "ids" in arguments else 1

    def _fields(self, selections: SelectionSetNode, parent: Any) -> Iterator[tuple[FieldNode, Any]]:
        """Fields with the type they are asked of; fragments are opened, @skip and @include obeyed."""
        for node in selections.selections:
            if isinstance(node, FieldNode):
                if self._is_asked(node):
                    yield node, parent
            elif isinstance(node, InlineFragmentNode):
                condition = node.type_condition
                inner = self._schema.type_map[condition.name.value] if condition else parent
                yield from self._fields(node.selection_set, inner)
            elif isinstance(node, FragmentSpreadNode):
                fragment = self._fragments[node.name.value]
                yield from self._fields(
                    fragment.selection_set, self._schema.type_map[fragment.type_condition.name.value]
                )

    def _is_asked(self, node: FieldNode) -> bool:
        for directive in node.directives or ():
            definition = self._schema.get_directive(directive.name.value)
            if definition is None or directive.name.value not in ("skip", "include"):
                continue
            condition = get_argument_values(definition, directive, self._values)["if"]
            if condition is (directive.name.value == "skip"):
                return False
        return True


def _is_list(kind: Any) -> bool:
    return isinstance(kind.of_type if isinstance(kind, GraphQLNonNull) else kind, GraphQLList)


def _too_costly(cost: int) -> Json:
    message = f"Query cost is {cost}, which exceeds the single query max cost limit ({MAX_COST})."
    extensions = {"code": "MAX_COST_EXCEEDED", "cost": cost, "maxCost": MAX_COST, "documentation": RATE_LIMIT_PAGE}
    return {"message": message, "extensions": extensions}


RATE_LIMIT_PAGE = "https://shopify.dev/api/usage/rate-limits"


# --- errors in the vendor's form ---------------------------------------------------------------------------------


def _locations(error: GraphQLError) -> list[Json]:
    return [{"line": place.line, "column": place.column} for place in error.locations or ()]


def _runtime_error(error: GraphQLError) -> Json:
    return {
        "message": error.message,
        "locations": _locations(error),
        "path": list(error.path or ()),
        "extensions": dict(error.extensions or {}),
    }


def _validation_error(error: GraphQLError, document: DocumentNode) -> Json:
    node = error.nodes[0] if error.nodes else None
    words = error.message.split("'")
    message, extensions = error.message, {"code": "invalid"}
    if error.message.startswith("Cannot query field") and len(words) > 3:
        message = f"Field '{words[1]}' doesn't exist on type '{words[3]}'"
        extensions = {"code": "undefinedField", "typeName": words[3], "fieldName": words[1]}
    elif error.message.startswith("Unknown argument") and len(words) > 3:
        field_name = words[3].rpartition(".")[2]
        message = f"Field '{field_name}' doesn't accept argument '{words[1]}'"
        extensions = {"code": "argumentNotAccepted", "name": field_name, "argumentName": words[1]}
    return {
        "message": message,
        "locations": _locations(error),
        "path": _path_to(node, document) if node is not None else [],
        "extensions": extensions,
    }


def _path_to(wanted: Any, document: DocumentNode) -> list[str]:
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            name = f" {node.name.value}" if node.name else ""
            found = _path_below(wanted, node.selection_set, [f"{node.operation.value}{name}"])
            if found:
                return found
    return []


def _path_below(wanted: Any, selections: SelectionSetNode | None, path: list[str]) -> list[str]:
    for node in selections.selections if selections else ():
        name = node.name.value if isinstance(node, FieldNode) else print_ast(node).split("{")[0].strip()
        here = [*path, name]
        arguments = (node.arguments or ()) if isinstance(node, FieldNode) else ()
        if node is wanted or any(argument is wanted for argument in arguments):
            return here
        inner = node.selection_set if isinstance(node, (FieldNode, InlineFragmentNode)) else None
        if found := _path_below(wanted, inner, here):
            return found
    return []


def _variable_error(error: GraphQLError) -> Json:
    problems = [{"path": [], "explanation": error.message}]
    return {
        "message": error.message,
        "locations": _locations(error),
        "extensions": {"code": "INVALID_VARIABLE", "problems": problems},
    }
