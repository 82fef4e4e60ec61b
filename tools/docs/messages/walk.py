"""From source to sentences: what is raised, logged, judged by `check`, put together from parts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import chain, pairwise
from pathlib import Path

from tools.common.files import ROOT
from tools.docs.messages import others
from tools.docs.messages.sentence import FIELD, REMEDY, Kind, Sentence

TOPS = ("agent", "tools/fleet")
_LEVELS: dict[str, Kind] = {
    "info": "note", "debug": "note", "warning": "warning", "error": "warning",
    "exception": "warning", "critical": "warning",
}  # fmt: skip
_JUDGES = {"Trouble", "PartStatus", "Finding", "Part", "Kind"}
_HELP = {"help", "description", "epilog", "metavar", "prog", "title", "label", "usage", "dest"}
_PARSERS = {"add_parser", "add_argument", "add_argument_group", "ArgumentParser", "_Parser"}
_QUIET = {
    "execute", "executemany", "executescript", "query", "tuples", "Field", "compile", "Column",
    "search", "fullmatch", "transaction",
}  # fmt: skip
_SILENT = (
    "agent/base/assets",
    "agent/base/report",
    "agent/base/vocabulary.py",
    "agent/base/schemas",
    "agent/desk/audit/_canary.py",
    "agent/desk/audit/_expected.py",
    "agent/desk/audit/_kernels.py",
    "agent/desk/audit/_words.py",
    "agent/desk/audit/_phrase.py",
    "agent/desk/notice",
    "agent/desk/trace/script.py",
    "agent/desk/aim/canvas.py",
    "agent/desk/aim/face.py",
    "agent/desk/audit/_contents.py",
    "agent/desk/audit/_controls.py",
    "agent/desk/audit/_probes.py",
    "agent/desk/coding",
    "agent/desk/demo.py",
    "agent/desk/plan",
    "agent/desk/read/figures.py",
    "agent/desk/read/rates.py",
    "agent/text",
    "agent/voice",
    "agent/vision",
    "agent/kernels/compiler.py",
    "agent/uplink/state.py",
    "agent/wall/outbox/_inspection.py",
    "agent/wall/outbox/_database.py",
    "tools/fleet/demo",
    "tools/fleet/simulate",
    "tools/fleet/seen",
    "tools/fleet/store",
    "tools/fleet/export/columns.py",
)
"""Where only what is raised or logged is a message: other sentences there are documents, queries,
tables or words that are searched for."""
_PERCENT = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[sdifgrxc]")
_DEPTH = 4
_LEAVES = (
    ast.Name, ast.expr_context, ast.operator, ast.cmpop, ast.unaryop, ast.boolop, ast.Import,
    ast.ImportFrom, ast.Pass,
)  # fmt: skip


def sentences() -> list[Sentence]:
    """All of them, by module, in the order of the source, each text once for a module."""
    found: dict[tuple[str, str, Kind], Sentence] = {}
    in_python = (
        each for path in _sources() for each in read(path, path.relative_to(ROOT).as_posix())
    )
    for each in chain(in_python, others.sentences()):
        found.setdefault((each.module, each.text, each.kind), each)
    return list(found.values())


def read(path: Path, module: str) -> list[Sentence]:
    """Those of one module, as often as they stand there."""
    return _Walk(path, module).sentences()


def _sources() -> Iterator[Path]:
    for top in TOPS:
        for path in sorted((ROOT / top).rglob("*.py")):
            if "__pycache__" not in path.parts:
                yield path


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def _own(path: Path) -> dict[str, ast.expr]:
    """Names of a module that stand for an expression."""
    found: dict[str, ast.expr] = {}
    for node in _tree(path).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found


def _constants(path: Path) -> dict[str, ast.expr]:
    """The same, with those that it imports from modules of ours."""
    found = dict(_own(path))
    for node in _tree(path).body:
        if isinstance(node, ast.ImportFrom) and node.module:
            other = (ROOT / node.module.replace(".", "/")).with_suffix(".py")
            if other.is_file():
                theirs = _own(other)
                found |= {
                    each.asname or each.name: theirs[each.name]
                    for each in node.names
                    if each.name in theirs
                }
    return found


class _Walk:
    """Through one module."""

    def __init__(self, path: Path, module: str) -> None:
        self._path, self._module = path, module
        self._names = _constants(path)
        self._silent = self._module.startswith(_SILENT)
        self._found: list[Sentence] = []

    def sentences(self) -> list[Sentence]:
        self._visit(_tree(self._path), None, "")
        return self._found

    def _visit(self, node: ast.AST, kind: Kind | None, family: str) -> None:
        """`kind`: of the sentences below this node; None: only what reads like a part of one."""
        if isinstance(node, _LEAVES):
            return
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            return  # a docstring
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            kind, family = "error", _name(node.exc.func)
        elif isinstance(node, ast.Call):
            name = _name(node.func)
            if name in _PARSERS | _QUIET and kind != "error":
                return
            if (
                isinstance(node.func, ast.Attribute)
                and name in _LEVELS
                and "log" in _name(node.func.value).lower()
            ):
                kind = _LEVELS[name]
            elif name in _JUDGES:
                kind = "check"
            elif _ends_a_command(node, name):
                kind = "error"
        elif isinstance(node, ast.keyword) and node.arg in _HELP:
            return
        elif isinstance(node, ast.Compare):
            return  # what is compared with is not said
        if isinstance(node, ast.expr):
            text = self._text(node, 0)
            if text is not None:
                self._keep(text, kind, family)
                return
        paired = self._pairs(node, kind, family)
        for child in ast.iter_child_nodes(node):
            if child not in paired:
                self._visit(child, kind, family)

    def _pairs(self, node: ast.AST, kind: Kind | None, family: str) -> set[ast.AST]:
        """Neighbours that say what is wrong, without a full stop, and what to do: kept as one."""
        if isinstance(node, ast.Tuple):
            each = node.elts
        elif isinstance(node, ast.Call):
            each = node.args
        else:
            return set()
        if len(each) < 2:
            return set()
        texts = [self._constant(item) for item in each]
        done: set[ast.AST] = set()
        for at, (what, advice) in enumerate(pairwise(texts)):
            if (
                what and advice and advice.endswith(".") and not what.endswith(".")
                and re.match(r"[A-Z`]", advice) and " " in advice
            ):  # fmt: skip
                self._keep(f"{what}{REMEDY}{advice}", kind or "check", family)
                done |= {each[at], each[at + 1]}
        return done

    def _constant(self, node: ast.expr) -> str | None:
        """A text, or a name that stands for one."""
        if isinstance(node, ast.Name) and node.id in self._names:
            return self._text(self._names[node.id], 0)
        return self._text(node, 0)

    def _keep(self, text: str, kind: Kind | None, family: str) -> None:
        if kind in ("warning", "note"):
            text = _PERCENT.sub(f"{FIELD}…{FIELD}", text).replace("%%", "%")
        text = " ".join(text.split()) if "\n" in text.strip() else text.strip()
        words = re.findall(r"[A-Za-z]{2,}", re.sub(f"{FIELD}.*?{FIELD}", " ", text))
        # One word is a sentence's in a log, and between two placeholders; alone it is a code.
        single = kind in ("warning", "note") or (kind == "error" and text.count(FIELD) >= 4)
        enough = len(words) >= (1 if single else 2 if kind else 3)
        if not enough or (kind is None and (self._silent or not _is_said(text))):
            return
        self._found.append(Sentence(text, kind or "part", family, self._module))

    def _text(self, node: ast.expr, depth: int) -> str | None:
        """A literal with its placeholders; None where the expression is no text."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.JoinedStr):
            return "".join(
                str(each.value) if isinstance(each, ast.Constant) else self._field(each, depth)
                for each in node.values
            )
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = self._text(node.left, depth), self._text(node.right, depth)
            if left is None and right is None:
                return None
            return (left if left is not None else self._field(node.left, depth)) + (
                right if right is not None else self._field(node.right, depth)
            )
        return None

    def _field(self, node: ast.expr, depth: int) -> str:
        """A placeholder, or the text where it stands for one text only."""
        value = node.value if isinstance(node, ast.FormattedValue) else node
        if isinstance(value, ast.Name) and value.id in self._names and depth < _DEPTH:
            constant = self._names[value.id]
            text = self._text(constant, depth + 1)
            if text is not None and value.id.isupper():
                return text
        if isinstance(value, ast.IfExp):
            # Either of two texts: what is known of both is shown.
            texts = [self._text(each, depth + 1) for each in (value.body, value.orelse)]
            either = [each.replace(FIELD, " ").strip() for each in texts if each]
            if either:
                return f"{FIELD}{' | '.join(' '.join(each.split()) for each in either)}{FIELD}"
        return self._mark(value)

    @staticmethod
    def _mark(node: ast.expr) -> str:
        return f"{FIELD}{_placeholder(node)}{FIELD}"


def _ends_a_command(node: ast.Call, name: str) -> bool:
    """`print(..., file=sys.stderr)`, `parser.error(...)`."""
    if name == "error":
        return isinstance(node.func, ast.Attribute) and "parser" in _name(node.func.value)
    to = next((each.value for each in node.keywords if each.arg == "file"), None)
    return name == "print" and to is not None and _name(to) == "stderr"


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _placeholder(node: ast.expr) -> str:
    """A word for what stands there: the last name of an expression."""
    if isinstance(node, ast.Call):
        inner = [_placeholder(each) for each in node.args]
        return next((each for each in inner if each != "…"), "…")
    if isinstance(node, ast.Attribute):
        known = {"strerror": "reason", "name": "name"}
        return known.get(node.attr, node.attr.strip("_"))
    if isinstance(node, ast.Name):
        return node.id.strip("_").lower()
    if isinstance(node, ast.Subscript):
        return _placeholder(node.value)
    return "…"


def _is_said(text: str) -> bool:
    """Whether a text reads like a part of a sentence: words with spaces, no query, no markup."""
    bare = re.sub(f"{FIELD}.*?{FIELD}", "x", text)
    if re.match(
        r"\s*(SELECT|INSERT|UPDATE|DELETE|CREATE|WHERE|ON CONFLICT|FOR UPDATE|PRAGMA)\b", text
    ):
        return False
    if re.search(r"[{}<>\\=]{2}|^[\W_]+$|^typeof|\bimport |://|^`[^`]*`$", bare):
        return False
    return bool(re.search(r"[A-Za-z]{2,},? [a-z]{2,}", bare))
