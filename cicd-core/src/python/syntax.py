"""Says what Python sources hold, from their syntax alone: nothing of them is run.

The paths to read are on standard input, one JSON list of [path shown, path to read]. The answer, in the file that is named, is
{path: {"error": text, "refused": whether the parser refuses it} or {"statements", "blocks", "tests", "marks", "deferred"}}. Lines count from 1.
"""

import ast
import collections
import json
import sys
import warnings

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
# What reaches into pytest, the measurement or the frames of the program that records them.
MODULES = {
    "_pytest": "reaches into pytest itself",
    "pluggy": "reaches into pytest's plugins",
    "coverage": "reaches into the measurement",
    "pytest_cov": "reaches into the measurement",
    "gc": "reaches objects of the program that records the tests",
    "ctypes": "reaches into the interpreter",
    "sitecustomize": "runs in every Python process",
    "usercustomize": "runs in every Python process",
}
ATTRIBUTES = {
    "pluginmanager": "changes which plugins pytest has",
    "settrace": "replaces the measurement",
    "setprofile": "replaces the measurement",
    "monitoring": "replaces the measurement",
    "gettrace": "reaches what the measurement holds",
    "getprofile": "reaches the program that records the tests",
    "_getframe": "reaches the program that records the tests",
    "_current_frames": "reaches the program that records the tests",
    "__closure__": "reaches the program that records the tests",
    "__code__": "replaces the code of a function",
    "__globals__": "reaches the names of another module",
    "f_back": "reaches the program that records the tests",
    "f_locals": "reaches the program that records the tests",
    "f_globals": "reaches the program that records the tests",
    "tb_frame": "reaches the program that records the tests",
    "_exit": "ends the process without a word",
    "add_marker": "changes how a test is judged",
}
STRINGS = {"exec", "eval", "compile", "__import__"}
# Modules that run text, or files that need not be called Python.
TEXT_MODULES = {"code", "codeop", "timeit", "marshal", "zipimport", "imp", "cProfile", "profile", "trace", "pdb", "doctest"}
TEXT_NAMES = {
    "SourceFileLoader", "SourcelessFileLoader", "ExtensionFileLoader", "spec_from_file_location", "spec_from_loader",
    "module_from_spec", "InteractiveInterpreter", "InteractiveConsole", "exec_module", "load_module",
}
# What unittest calls around a test: a class that has its own may leave the test out.
MACHINERY = {"_callTestMethod", "_callSetUp", "_callTearDown", "_callCleanup", "_executeTestPart", "defaultTestResult"}
RUNNERS = {"run", "__call__", "debug", "__getattribute__"}
# What pytest calls a test by; one that is given another is another test.
ITEM = {"runtest", "_testMethodName"}
ASSIGNED = {
    "pytest_plugins": "loads plugins into pytest",
    "collect_ignore": "leaves files out of the tests",
    "collect_ignore_glob": "leaves files out of the tests",
    "__test__": "leaves a class or a module out of the tests",
}
# Modules whose decorators leave a test in place, and which the repository itself must not stand in for.
TRUSTED = {
    "pytest", "unittest", "mock", "hypothesis", "typing", "typing_extensions", "freezegun", "responses", "respx",
    "time_machine", "requests_mock",
}
# What of `unittest` may stand above a test; a `Mock` there would take its place.
UNITTEST = {"skip", "skipIf", "skipUnless", "expectedFailure", "patch", "object", "dict", "multiple"}


def dotted(node):
    """The name a.b.c that an expression is, or an empty string."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    return ".".join([node.id, *reversed(parts)])


def first(node):
    """The first line of a statement, its decorators included."""
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])


def is_plain(node):
    """Whether evaluating an annotation can do nothing but look names up."""
    allowed = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant, ast.BinOp, ast.BitOr, ast.Tuple, ast.List,
               ast.expr_context, ast.Index if sys.version_info < (3, 9) else ast.expr_context)
    return all(isinstance(one, allowed) for one in ast.walk(node))


def is_constant(node):
    """Whether the compiler knows the value of a condition."""
    if any(isinstance(one, ast.Name) and one.id == "__debug__" for one in ast.walk(node)):
        return True
    return not any(isinstance(one, (ast.Name, ast.Call, ast.Attribute, ast.Await, ast.Yield, ast.NamedExpr))
                   for one in ast.walk(node))


def is_inert(node, in_function):
    """Whether a statement does nothing, so that leaving it out hides nothing."""
    if isinstance(node, (ast.Pass, ast.Global, ast.Nonlocal, ast.Break, ast.Continue)):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.AnnAssign):
        named = isinstance(node.target, ast.Name) and node.value is None
        return named and (in_function or is_plain(node.annotation))
    return False


def is_stub(node):
    """Whether a function has no body to run: a docstring, `...` or `pass`."""
    return all(isinstance(one, ast.Pass) or (isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant))
               for one in node.body)


def is_generator(function):
    """Whether a function yields, so that a call of it only makes a generator."""
    pending = list(function.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.Yield, ast.YieldFrom)):
            return True
        if not isinstance(node, FUNCTIONS + (ast.Lambda, ast.ClassDef)):
            pending.extend(ast.iter_child_nodes(node))
    return False


def is_type_checking(node):
    return isinstance(node, ast.If) and dotted(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING",
                                                              "t.TYPE_CHECKING", "typing_extensions.TYPE_CHECKING")


def suites(node):
    """The blocks of a statement: (keyword, first line of the head, statements)."""
    start = first(node)
    if isinstance(node, FUNCTIONS + (ast.ClassDef,)):
        yield "def" if isinstance(node, FUNCTIONS) else "class", start, node.body
    elif isinstance(node, (ast.If, ast.While, ast.For, ast.AsyncFor)):
        yield "if" if isinstance(node, ast.If) else "loop", start, node.body
        if node.orelse:
            yield "else", node.body[-1].end_lineno + 1, node.orelse
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        yield "with", start, node.body
    elif isinstance(node, (ast.Try, getattr(ast, "TryStar", ast.Try))):
        yield "try", start, node.body
        last = node.body[-1].end_lineno
        for handler in node.handlers:
            yield "except", handler.lineno, handler.body
            last = handler.body[-1].end_lineno
        for body in (node.orelse, node.finalbody):
            if body:
                yield "else", last + 1, body
                last = body[-1].end_lineno
    elif isinstance(node, getattr(ast, "Match", ())):
        for case in node.cases:
            yield "case", case.pattern.lineno, case.body


class Reader:
    """Collects what one file holds."""

    def __init__(self):
        self.statements, self.blocks, self.tests, self.marks = [], [], [], []
        self.cases, self.awaited = set(), set()
        # Where each function and class of the file was defined first, in whatever block.
        self.defined = {}
        self.trusted = {"staticmethod", "classmethod"}
        self.roots, self.originals = {}, {}

    def mark(self, node, kind, what):
        self.marks.append([node.lineno, kind, what])

    def read(self, tree):
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(dotted(base).split(".")[-1].endswith("TestCase")
                                                      or dotted(base) in self.cases for base in node.bases):
                self.cases.add(node.name)
                if any(dotted(base).split(".")[-1].endswith("IsolatedAsyncioTestCase")
                       or dotted(base) in self.awaited for base in node.bases):
                    self.awaited.add(node.name)
        self.trust(tree)
        self.body(tree.body, [], in_function=False, free=False, measured=True)
        for node in ast.walk(tree):
            self.look(node)
        self.imports(tree)

    def trust(self, tree):
        """The names that stand for trusted modules and their parts; one that is bound again stands for anything."""
        bound = self.roots
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                module = (node.module or "") if isinstance(node, ast.ImportFrom) and node.level == 0 else ""
                for one in node.names:
                    root = (module or (one.name if isinstance(node, ast.Import) else "")).split(".")[0]
                    name = one.asname or one.name.split(".")[0]
                    bound.setdefault(name, set()).add(root)
                    self.originals[name] = one.name
            elif isinstance(node, FUNCTIONS + (ast.ClassDef,)):
                bound.setdefault(node.name, set()).add("")
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound.setdefault(node.id, set()).add("")
        for name, roots in bound.items():
            if roots <= TRUSTED:
                self.trusted.add(name)
            else:
                self.trusted.discard(name)

    def original(self, name):
        """What a name that was imported is called where it comes from."""
        return self.originals.get(name, name)

    def imports(self, tree):
        """A name that this file gives to something of a guarded module is that something."""
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in ("sys", "os", "threading", "builtins"):
                for one in node.names:
                    if one.name in ATTRIBUTES:
                        self.mark(node, "reach", f"`{node.module}.{one.name}` {ATTRIBUTES[one.name]}")
                    if one.name in STRINGS:
                        self.mark(node, "string", f"`{one.name}` runs code that is text")

    def body(self, nodes, classes, in_function, free, measured):
        for node in nodes:
            self.statement(node, classes, in_function, free)
            if not in_function and isinstance(node, FUNCTIONS + (ast.ClassDef,)):
                name = ".".join([*classes, node.name])
                if name in self.defined and not self.is_overload(node):
                    self.mark(node, "shadow", f"`{name}` replaces the one of line {self.defined[name]}")
                self.defined[name] = node.lineno

    def is_overload(self, node):
        chosen = [dotted(one.func if isinstance(one, ast.Call) else one) for one in node.decorator_list]
        # `@property` and its `@name.setter` belong together, and so do the overloads of one function.
        return any(name.endswith((".setter", ".deleter", ".getter", "overload", ".register")) for name in chosen) or (
            not node.name.startswith(("test", "Test")) and node.name not in self.cases)

    def statement(self, node, classes, in_function, free):
        start = first(node)
        kind = type(node).__name__
        blocks = list(suites(node))
        constant = isinstance(node, (ast.If, ast.While)) and is_constant(node.test)
        inert = is_inert(node, in_function) or constant or kind in ("Try", "TryStar")
        checking = is_type_checking(node)
        if free and isinstance(node, (ast.Import, ast.ImportFrom)):
            inert = True
        head = node.end_lineno
        if blocks:
            head = max(start, min(body[0].lineno if not getattr(body[0], "decorator_list", None) else first(body[0])
                                  for _, _, body in blocks) - 1)
        ways = 0
        if isinstance(node, (ast.If, ast.While, ast.For, ast.AsyncFor)) and not constant and not checking:
            ways = 2
        name = ".".join([*classes, node.name]) if isinstance(node, FUNCTIONS + (ast.ClassDef,)) else ""
        self.statements.append([start, head, node.end_lineno, kind, name, inert, ways, node.lineno])
        if isinstance(node, FUNCTIONS + (ast.ClassDef,)):
            self.test(node, classes, in_function)
        for index, (keyword, opening, inner) in enumerate(blocks):
            type_only = checking and index == 0 and all(
                isinstance(one, (ast.Import, ast.ImportFrom)) or is_inert(one, True) for one in inner)
            if checking and index == 0 and not type_only:
                self.mark(node, "checking", "`TYPE_CHECKING` keeps more than imports from being measured")
            stub = keyword == "def" and is_stub(node)
            before = first(inner[0]) - 1
            same = first(inner[0]) <= (start if keyword in ("def", "class", "if", "loop", "with", "try") else opening)
            elif_ = keyword == "else" and isinstance(inner[0], ast.If) and inner[0].col_offset == node.col_offset
            idle = all(is_inert(one, True) for one in inner)
            if same and not elif_ and not idle and keyword != "class" and not type_only:
                self.mark(inner[0], "line", "it stands on the line of what decides whether it runs")
            elif not same and not idle and inner[0].lineno <= head and keyword == "def":
                self.mark(inner[0], "line", "it stands on the line of what decides whether it runs")
            if not elif_:
                reason = "types" if type_only else "stub" if stub else ""
                self.blocks.append([opening, max(opening, before), first(inner[0]), inner[-1].end_lineno, reason])
            deeper = [*classes, node.name] if isinstance(node, FUNCTIONS + (ast.ClassDef,)) else classes
            self.body(inner, deeper, in_function or keyword == "def", free or type_only, True)

    def test(self, node, classes, in_function):
        if in_function or not isinstance(node, FUNCTIONS):
            return
        if not node.name.startswith("test"):
            return
        if classes and not (classes[0].startswith("Test") or classes[0] in self.cases):
            return
        if any(self.is_fixture(one) for one in node.decorator_list):
            self.marks.append([first(node), "decorator", f"`{node.name}` is a fixture and runs as no test; give it another name"])
            return
        if is_generator(node):
            self.marks.append([first(node), "idle", f"`{node.name}` is a generator: a call of it runs nothing of it"])
        if isinstance(node, ast.AsyncFunctionDef) and classes and classes[-1] in self.cases and classes[-1] not in self.awaited:
            self.marks.append([first(node), "idle", f"`{node.name}` is asynchronous in a class that awaits nothing: a call of "
                                                    "it runs nothing of it"])
        self.tests.append([[*classes, node.name], first(node), node.lineno])
        for one in node.decorator_list:
            name = dotted(one.func if isinstance(one, ast.Call) else one)
            roots = self.roots.get(name.split(".")[0], set())
            is_other = roots & {"unittest", "mock"} and name.split(".")[-1] not in UNITTEST and self.original(name) not in UNITTEST
            if name.split(".")[0] not in self.trusted or is_other:
                self.mark(one, "decorator", f"`@{name or '…'}` may replace the test below it")

    def is_fixture(self, node):
        """Whether a decorator is pytest's own `fixture`."""
        root, _, rest = dotted(node.func if isinstance(node, ast.Call) else node).partition(".")
        return self.roots.get(root) == {"pytest"} and (rest or self.original(root)) == "fixture"

    def look(self, node):
        if isinstance(node, FUNCTIONS) and node.name.startswith("pytest_"):
            self.marks.append([first(node), "hook", f"`{node.name}` is a hook of pytest"])
        elif isinstance(node, ast.ClassDef):
            decisive = MACHINERY | RUNNERS if node.name in self.cases else MACHINERY
            for one in node.body:
                if isinstance(one, FUNCTIONS) and one.name in decisive:
                    self.mark(one, "reach", f"`{node.name}.{one.name}` decides whether a test is run")
        elif isinstance(node, ast.Import):
            for one in node.names:
                if one.name.split(".")[0] in TEXT_MODULES:
                    self.mark(node, "string", f"`{one.name}` runs code that is text")
                if one.name.split(".")[0] in MODULES:
                    self.mark(node, "reach", f"`{one.name}` {MODULES[one.name.split('.')[0]]}")
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            for name in sorted({node.module.split(".")[0]} & TEXT_MODULES | {one.name for one in node.names} & TEXT_NAMES):
                self.mark(node, "string", f"`{name}` runs code that is text")
            if node.module.split(".")[0] in MODULES:
                self.mark(node, "reach", f"`{node.module}` {MODULES[node.module.split('.')[0]]}")
        elif isinstance(node, ast.Attribute):
            if node.attr in ATTRIBUTES:
                self.mark(node, "reach", f"`{node.attr}` {ATTRIBUTES[node.attr]}")
            if node.attr in TEXT_NAMES:
                self.mark(node, "string", f"`{node.attr}` runs code that is text")
            if isinstance(node.ctx, ast.Store) and node.attr in ITEM:
                self.mark(node, "reach", f"`{node.attr}` is what runs a test, and is replaced")
            if node.attr == "modules" and dotted(node) == "sys.modules":
                self.mark(node, "reach", "`sys.modules` reaches every module")
            if isinstance(node.ctx, ast.Store) and dotted(node).split(".")[0] in ("pytest", "unittest", "builtins"):
                self.mark(node, "reach", f"`{dotted(node)}` is replaced")
        elif isinstance(node, (ast.Constant, ast.BinOp, ast.JoinedStr)) and text(node) is not None:
            # A name that getattr, setattr, a patch or an import is given as text.
            value = text(node)
            head = value.split(".")[0]
            if value in ATTRIBUTES or value in MACHINERY or value in ITEM or value in TEXT_NAMES or (
                    head in ("_pytest", "pluggy") and value.isascii() and value.replace(".", "").replace("_", "").isalnum()):
                self.mark(node, "reach", f"the text {value!r} names what reaches into pytest or the measurement")
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in STRINGS:
            self.mark(node, "string", f"`{node.func.id}` runs code that is text")
        elif isinstance(node, ast.Call) and dotted(node.func) in ("builtins.exec", "builtins.eval"):
            self.mark(node, "string", f"`{dotted(node.func)}` runs code that is text")
        if isinstance(node, ast.Call) and dotted(node.func).split(".")[-1] in ("filterwarnings", "simplefilter"):
            self.silence(node)
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                name = dotted(target).split(".")[-1]
                if name in ASSIGNED:
                    self.mark(node, "assigned", f"`{name}` {ASSIGNED[name]}")
                if name == "TYPE_CHECKING":
                    self.mark(node, "checking", "`TYPE_CHECKING` is given a value")


    def silence(self, node):
        """Warnings of pytest itself are failures: of a thread, of a test that returns what it should assert."""
        words = [text(one) for one in node.args[:1]]
        kinds = [dotted(one) for one in [*node.args[2:3], *(one.value for one in node.keywords if one.arg == "category")]]
        if dotted(node.func).endswith("mark.filterwarnings"):
            action, _, rest = (words[0] or "").partition(":") if words else ("", "", "")
            kinds = [kind for kind in [rest.partition(":")[2].split(":")[0]] if kind]
        else:
            action = words[0] if words else ""
            kinds += [dotted(one) for one in node.args[1:2] if dotted(node.func).endswith("simplefilter")]
        broad = not kinds or any("ytest" in kind or kind in ("Warning", "") for kind in kinds)
        if action != "error" and broad:
            self.mark(node, "reach", "it silences warnings by which pytest tells that a test did not pass: name their category")


def text(node):
    """The text that an expression is, put together as the compiler would."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = text(node.left), text(node.right)
        return left + right if left is not None and right is not None else None
    if isinstance(node, ast.JoinedStr):
        parts = [text(one.value) if isinstance(one, ast.FormattedValue) else text(one) for one in node.values]
        return "".join(parts) if None not in parts else None
    return None


def lambdas(tree):
    """Lambdas outside of functions: functions whose body no line of its own stands for."""
    pending = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, FUNCTIONS):
            continue
        if isinstance(node, ast.Lambda):
            yield node
            continue
        pending.extend(ast.iter_child_nodes(node))


def deferred(tree):
    """Code that runs later than its line, if ever: from which line to which, what it is, and whether other code that is entered by
    itself begins on its first line."""
    kinds = {ast.Lambda: "lambda", ast.GeneratorExp: "generator expression"}
    # Until Python 3.12 each comprehension is code of its own.
    entered = (*kinds, ast.ClassDef, *((ast.ListComp, ast.SetComp, ast.DictComp) if sys.version_info < (3, 12) else ()))
    found = [node for node in ast.walk(tree) if isinstance(node, entered)]
    begin = collections.Counter(first(node) for node in found)
    # The module is entered by itself too, until Python 3.11 where its first statement begins.
    begin.update({1, *((first(node) for node in tree.body[:1]) if sys.version_info < (3, 11) else ())})
    return sorted([node.lineno, node.end_lineno, kinds[type(node)], begin[node.lineno] == 1]
                  for node in found if type(node) in kinds)


def read(path, shown):
    with open(path, "rb") as source:
        text = source.read()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(text, path)
        except SyntaxError as error:
            return {"error": f"{type(error).__name__}: {error}", "refused": True}
    reader = Reader()
    reader.read(tree)
    for node in lambdas(tree):
        reader.mark(node, "lambda", "the body of a lambda outside of a function has no line that could be measured")
    for part in shown.split("/"):
        name = part.split(".")[0]
        if name in TRUSTED or name in MODULES:
            reader.marks.append([1, "reach", f"a file of the repository is called `{name}`, as a module of Python or pytest is"])
    return {"statements": reader.statements, "blocks": reader.blocks, "tests": reader.tests,
            "marks": sorted(map(list, {tuple(one) for one in reader.marks})), "deferred": deferred(tree)}


def main():
    answer = {}
    sys.setrecursionlimit(5000)
    for shown, path in json.load(sys.stdin):
        try:
            answer[shown] = read(path, shown)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
            # Nothing was read to its end, so that nothing is known of it.
            answer[shown] = {"error": f"{type(error).__name__}: {error}", "refused": False}
    with open(sys.argv[1], "w", encoding="ascii") as file:
        json.dump(answer, file)


main()
