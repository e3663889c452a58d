"""What Citus could not run, found in the tree that PostgreSQL's own parser makes of a statement.

Citus sends a statement whose every big table is restricted to one and the same organization to the shard that
has it, and there anything may be said. One for rows of several organizations goes to all shards; it must get
by with one big table, joined with the rows by org_id.
Rules: https://docs.citusdata.com/en/stable/develop/reference_workarounds.html
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pglast import ast, parse_sql
from pglast.enums import A_Expr_Kind, BoolExprType, JoinType

from postroom.store.citus import BIG

KEY: Final = "org_id"
ROWS: Final = "given"
# They give the same wherever they run; others would give each shard something else.
STABLE: Final = {"count", "length", "max", "min", "sum", "unnest"}
QUERIES: Final = (ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt)
Term = tuple[str, str]  # a table's name here and a column; or "$" and a parameter's number


@dataclass
class Level:
    """One SELECT, INSERT, UPDATE or DELETE, without those inside it."""

    node: Any
    tables: dict[str, str] = field(default_factory=dict)  # by the name that they have here
    equal: list[tuple[Term, Term]] = field(default_factory=list)
    equal_if_there: list[tuple[set[str], tuple[Term, Term]]] = field(default_factory=list)  # of outer joins
    outer: bool = False
    rows: bool = False  # given ones are among them

    @property
    def big(self) -> list[str]:
        """The names here of big tables."""
        return [name for name, table in self.tables.items() if table in BIG]


def complaints(sql: str) -> list[str]:
    """What Citus could not run in a statement that stays within organizations; nothing if it could."""
    (raw,) = parse_sql(sql)
    levels = [read(node) for node in nodes(raw.stmt) if isinstance(node, QUERIES)]
    if not any(level.big for level in levels):
        return []
    found = [complaint for level in levels for complaint in of_level(level)]
    bound = [bindings(level, name) for level in levels for name in level.big]
    if any(not each for each in bound):
        return [*found, f"a big table is not bound by {KEY}"]
    if set.intersection(*bound):
        common = set.intersection(*bound)
        return [*found, *(() if any(term[0] == "$" for term in common) else of_batch(levels))]
    return [*found, "big tables are bound to different organizations"]


def across(sql: str) -> list[str]:
    """What is wrong with a statement that is meant for all organizations: each shard must do it by itself."""
    (raw,) = parse_sql(sql)
    levels = [read(node) for node in nodes(raw.stmt) if isinstance(node, QUERIES)]
    found = [complaint for level in levels for complaint in of_level(level)]
    if len(levels) > 1 or len(levels[0].tables) != 1 or not levels[0].big:
        found.append("it is about more than one big table")
    elif bindings(levels[0], levels[0].big[0]):
        found.append("it is within an organization")
    groups = getattr(raw.stmt, "groupClause", None)
    if groups and column_of(groups[0]) != KEY:
        found.append(f"it does not group by {KEY} first")
    if getattr(raw.stmt, "distinctClause", None):
        found.append("it looks for what is distinct")
    return found


def needs_values(sql: str) -> bool:
    """Whether Citus cannot plan it before it has the values of the parameters.

    Without them it plans INSERTs of VALUES, and what is about one table with `org_id = $1` and has no query
    inside. All else is refused where PostgreSQL is told to make a plan for any values.
    Rule: FastPathRouterQuery in Citus' fast_path_router_planner.c.
    """
    (raw,) = parse_sql(sql)
    everything = list(nodes(raw.stmt))
    first, *inside = [read(node) for node in everything if isinstance(node, QUERIES)]
    if not any(level.big for level in (first, *inside)) or not any(is_a(e, ast.ParamRef) for e in everything):
        return False
    if is_a(first.node, ast.InsertStmt):
        return not first.node.selectStmt.valuesLists
    alone = not inside and len(first.tables) == 1 and not first.rows
    return not alone or not any(term[0] == "$" for term in bindings(first, first.big[0]))


def of_level(level: Level) -> Iterator[str]:
    """What is wrong wherever a statement touches big tables."""
    node = level.node
    for clause in getattr(node, "lockingClause", None) or ():
        locked = [each.relname for each in clause.lockedRels or ()] or list(level.tables)
        if set(locked) & set(level.big):
            yield "rows of a big table are locked"
    if getattr(node, "withClause", None):
        yield "a WITH"
    for each in nodes(node):
        if is_a(each, ast.FuncCall) and each.funcname[-1].sval not in STABLE:
            yield f"the function {each.funcname[-1].sval}"
    if is_a(node, ast.UpdateStmt) and level.big and KEY in {each.name for each in node.targetList}:
        yield f"{KEY} is changed"
    if is_a(node, ast.InsertStmt) and level.big and node.onConflictClause:
        yield from of_conflict(node.onConflictClause)


def of_conflict(clause: Any) -> Iterator[str]:
    """What is wrong with ON CONFLICT."""
    if clause.infer and KEY not in {each.name for each in clause.infer.indexElems}:
        yield f"a conflict without {KEY}"
    if KEY in {each.name for each in clause.targetList or ()}:
        yield f"{KEY} is changed"


def of_batch(levels: list[Level]) -> Iterator[str]:
    """What is wrong with a statement for rows of several organizations."""
    if sum(len(level.big) for level in levels) > 1:
        yield "several big tables with rows of several organizations"
    for level in levels:
        if level.big and level.outer:
            yield "an outer join with rows of several organizations"
        if level.big and getattr(level.node, "limitCount", None):
            yield "a LIMIT over rows of several organizations"


def bindings(level: Level, name: str) -> set[Term]:
    """The parameters, and columns of the rows, that a big table's org_id equals."""
    if is_a(level.node, ast.InsertStmt):
        return inserted(level.node)
    known = {(name, KEY)}
    while True:
        more = known | {other for pair in level.equal for other in pair if known & set(pair)}
        for right, pair in level.equal_if_there:
            # It holds of what the outer join adds, and tells nothing about what is there without.
            if any(term in known and term[0] in right for term in pair):
                more |= set(pair)
        if more == known:
            return {term for term in known if term[0] in {"$", ROWS}}
        known = more


def inserted(node: Any) -> set[Term]:
    """What goes into org_id."""
    at = [each.name for each in node.cols].index(KEY)
    source = node.selectStmt
    rows = source.valuesLists or [[each.val for each in source.targetList or ()]]
    return set.intersection(*({term for term in [term_of(row[at], None)] if term} for row in rows))


def read(node: Any) -> Level:
    """The tables of a level, and what it says of their columns."""
    level = Level(node)
    for table in [getattr(node, "relation", None), *(getattr(node, "fromClause", None) or ())]:
        read_from(level, table)
    for table in getattr(node, "usingClause", None) or ():
        read_from(level, table)
    level.equal.extend(equalities(level, getattr(node, "whereClause", None)))
    for join in joins(node):
        pairs = equalities(level, join.quals)
        if join.jointype == JoinType.JOIN_INNER:
            level.equal.extend(pairs)
        else:
            level.outer = True
            right = names(join.rarg) if join.jointype == JoinType.JOIN_LEFT else set()
            level.equal_if_there.extend((right, pair) for pair in pairs)
    return level


def read_from(level: Level, item: Any) -> None:
    """Note a table, or those of a join."""
    if isinstance(item, ast.RangeVar):
        alias: Any = item.alias
        level.tables[alias.aliasname if alias else str(item.relname)] = str(item.relname)
    elif isinstance(item, ast.JoinExpr):
        read_from(level, item.larg)
        read_from(level, item.rarg)
    elif isinstance(item, ast.RangeFunction):
        level.rows = True


def joins(node: Any) -> Iterator[ast.JoinExpr]:
    """The joins of a level."""
    stack: list[Any] = list(getattr(node, "fromClause", None) or ())
    while stack:
        item = stack.pop()
        if isinstance(item, ast.JoinExpr):
            yield item
            stack += [item.larg, item.rarg]


def names(item: Any) -> set[str]:
    """What the tables of one side of a join are called."""
    level = Level(None)
    read_from(level, item)
    return set(level.tables)


def equalities(level: Level, condition: Any) -> list[tuple[Term, Term]]:
    """The pairs of terms that are equal wherever the condition holds."""
    if is_a(condition, ast.BoolExpr) and condition.boolop == BoolExprType.AND_EXPR:
        return [pair for each in condition.args for pair in equalities(level, each)]
    if (
        is_a(condition, ast.A_Expr)
        and condition.kind == A_Expr_Kind.AEXPR_OP
        and condition.name[0].sval == "="
    ):
        left, right = term_of(condition.lexpr, level), term_of(condition.rexpr, level)
        return [(left, right)] if left and right else []
    return []


def term_of(node: Any, level: Level | None) -> Term | None:
    """A parameter or a column; None for everything else, and for a column of a query around this one."""
    if is_a(node, ast.ParamRef):
        return "$", str(node.number)
    if not is_a(node, ast.ColumnRef):
        return None
    *table, column = [part.sval for part in node.fields]
    if table:
        here = level is None or table[0] in level.tables
        return (table[0], column) if here or table[0] == ROWS else None
    if level is not None and len(level.tables) == 1:
        return next(iter(level.tables)), column
    return None


def is_a(node: Any, kind: type[ast.Node]) -> bool:
    """Whether it is a node of this kind; the types of its fields are known to the parser only."""
    return isinstance(node, kind)


def column_of(node: Any) -> str | None:
    """The column's name, where it is one."""
    return str(node.fields[-1].sval) if is_a(node, ast.ColumnRef) else None


def nodes(node: Any) -> Iterator[Any]:
    """The node and all inside it."""
    if isinstance(node, ast.Node):
        yield node
        for name in node:
            yield from nodes(getattr(node, name))
    elif isinstance(node, tuple | list):
        for each in node:
            yield from nodes(each)
