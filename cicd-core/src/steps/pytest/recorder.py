"""Runs pytest and writes down what happens, before anything of the repository can change it.

It comes on standard input of `python -I -B -c …`, so that no file holds it that code of the repository could rewrite, and neither the
folder, the environment nor a user's files add code to it. Its arguments are pytest's. `order` has the key of the record, its path, the
folder, and the files with tests. Each line of the record is a JSON object and a check sum over the key, the sum before and the object:
a line that was changed, left out or added is noticed.
"""

import builtins
import functools
import hashlib
import importlib.util
import json
import operator
import os
import pathlib
import sys
import types


def main(order):
    import pytest
    import _pytest.runner, _pytest.reports, _pytest.skipping, _pytest.main, _pytest.python, _pytest.unittest  # noqa: E401
    import _pytest.junitxml, _pytest.outcomes, _pytest.nodes, _pytest.config, _pytest.fixtures  # noqa: E401
    import _pytest.assertion.rewrite as rewrite
    import pluggy, unittest.case  # noqa: E401

    measurement = None
    if order["measured"]:
        import coverage, coverage.control, coverage.collector, coverage.inorout, coverage.sqldata  # noqa: E401

        # The core that tells which code was entered, where it can be had; and no file that others could write to.
        if importlib.util.find_spec("coverage.tracer"):
            os.environ["COVERAGE_CORE"] = "ctrace"

        class Measurement(coverage.Coverage):
            """Coverage.py takes code for that of the file that `__file__` names, or that it finds on the path by the name of the code."""

            def _should_trace(self, filename, frame):
                found = super()._should_trace(filename, frame)
                path = found.canonical_filename
                if found.trace and is_of_package(path) and said.get(plain(filename)) != path:
                    tell_made_up(path)
                return found

        measurement = Measurement(data_file=None, branch=True, source=[order["measured"]["package"]],
                                  config_file=order["measured"]["settings"])

    key = bytes.fromhex(order.pop("key"))
    file = os.open(order["record"], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    state = [b""]
    pid = os.getpid()
    sha256, dumps, put, getpid = hashlib.sha256, json.dumps, os.write, os.getpid
    profile, running = sys.setprofile, sys._getframe

    def write(kind, **fields):
        if getpid() != pid:
            return  # A child of a test that forked and went on.
        line = dumps({"kind": kind, **fields}, ensure_ascii=True).encode()
        state[0] = sha256(key + sha256(key + state[0] + line).digest()).hexdigest().encode()
        data = line + b"\t" + state[0] + b"\n"
        while data:
            data = data[put(file, data):]

    homes = tuple({os.path.realpath(one) + os.sep for one in (sys.prefix, sys.base_prefix, os.path.dirname(os.__file__))})

    workspace = os.path.realpath(order["root"]).rstrip(os.sep) + os.sep
    prefix = os.path.realpath(sys.prefix) + os.sep

    def is_ours(path):
        """Whether code is of the environment or of Python, and not of the repository."""
        if path.startswith("<frozen "):
            return True
        try:
            real = os.path.realpath(path)
        except ValueError:
            return False  # No file can have such a name.
        # The checkout may lie below Python's own folders, such as /usr/src/app.
        if real.startswith(workspace) and not (prefix.startswith(workspace) and real.startswith(prefix)):
            return False
        return real.startswith(homes)

    def codes(thing):
        """The code of what is called, and of everything that it says it wraps. Nothing for what may do anything when it is called."""
        for _ in range(50):
            kind = type(thing)
            if kind in (types.MethodType, staticmethod, classmethod):
                thing = thing.__func__
            elif kind is functools.partial:
                thing = thing.func
            elif kind is types.FunctionType:
                yield thing.__code__
                inner = getattr(getattr(thing, "hypothesis", None), "inner_test", None)
                thing = inner if inner is not None else getattr(thing, "__wrapped__", None)
                if thing is None:
                    return
            else:
                break
        yield None

    def place(thing):
        """Where the code is that a call runs: behind wrappers of the environment, and never behind one of the repository's own."""
        found = [[one.co_filename, one.co_firstlineno] if one is not None else None for one in codes(thing)]
        for one in found:
            # A wrapper may take the place of what it wraps, as those of Hypothesis do.
            if one is None or one == found[-1] or not is_ours(one[0]):
                return one
        return None

    guarded = [one for name, one in sorted(sys.modules.items())
               if name.split(".")[0] in ("_pytest", "pluggy", "coverage") or name in ("pytest", "unittest.case", "builtins")]

    function_type, builtin_types, class_type = types.FunctionType, (type, types.BuiltinFunctionType), type
    code_of, is_same, every, each = operator.attrgetter("__code__"), operator.is_, all, map

    def look():
        """What decides outcomes, every function of these modules and of their classes with its code; and all that was read for it."""
        parts, read = {}, []
        for module in guarded:
            space = vars(module)
            values = dict(space)
            own = module.__name__
            read.append((space.get, ["__name__"], [own]))
            kept = {}
            for name, value in values.items():
                if isinstance(value, function_type):
                    parts[f"{own}.{name}"] = value, value.__code__
                elif module is builtins and isinstance(value, builtin_types):
                    parts[f"{own}.{name}"] = value, None
                elif isinstance(value, class_type) and value.__module__ == own:
                    inner = vars(value)
                    functions = {key: one for key, one in list(inner.items()) if isinstance(one, function_type)}
                    parts.update({f"{own}.{name}.{key}": (one, one.__code__) for key, one in functions.items()})
                    read.append((inner.get, ["__module__", *functions], [inner.get("__module__"), *functions.values()]))
                else:
                    continue
                kept[name] = value
            read.append((space.get, list(kept), list(kept.values())))
        codes_of = [one for one in parts.values() if one[1] is not None]
        return parts, read, [one for one, _ in codes_of], [code for _, code in codes_of]

    before, *last = look()
    told = set()

    def is_as_it_was(read, functions, codes):
        """Whether all of it is the very same as when it was read last, asked without a step of Python for each part."""
        return every(every(each(is_same, each(get, names), values)) for get, names, values in read) and every(
            each(is_same, each(code_of, functions), codes))

    def compare():
        nonlocal last
        if is_as_it_was(*last):
            return
        now, *last = look()
        for name, (value, code) in before.items():
            other, other_code = now.get(name, (None, None))
            if (other is not value or other_code is not code) and name not in told:
                source = getattr(other_code, "co_filename", None)
                if other is not None and source is not None and is_ours(source):
                    continue  # A part of pytest that another part of it or a locked plugin replaces.
                told.add(name)
                write("patched", name=name, place=place(other) if other is not None else None)

    # Captured before code of the repository runs, and called through these names alone.
    compiled_from, read_file, digest = compile, open, rewrite._rewrite_test
    absolute, real, code_type = os.path.abspath, os.path.realpath, types.CodeType
    # A name may be of a class of its own, whose methods say anything.
    plain = str.__str__

    def lines_of(code):
        return code.co_linetable if hasattr(code, "co_linetable") else code.co_lnotab

    # Code is equal to code of another file that says the same: each is kept with its file.
    meant, rewritten, compared, written = {}, {}, set(), set()

    def keep(code):
        """Remembers the code of a file, and of everything that is defined in it."""
        pending = [code]
        while pending:
            one = pending.pop()
            written.add((one.co_filename, one))
            pending.extend(inner for inner in one.co_consts if isinstance(inner, types.CodeType))

    def sources():
        """The tests, and the files that pytest loads beside them."""
        for path in order["files"]:
            yield path
            folder = os.path.dirname(path)
            while (folder + os.sep).startswith(workspace):
                yield os.path.join(folder, "conftest.py")
                folder = os.path.dirname(folder)

    def foresee(config):
        """What pytest makes of these files, as long as nothing of the repository has run."""
        hold()
        for path in set(sources()):
            if os.path.isfile(path):
                try:
                    meant[path] = digest(pathlib.Path(path), config)[1]
                    rewritten.setdefault(named(path), []).append(meant[path])
                except (SyntaxError, ValueError):
                    continue  # Pytest says it when it collects.

    def as_written(code, path):
        """Whether the code of a module is what its file says: whoever replaces a part of Python may give it another meaning."""
        if meant.get(path) == code:
            keep(meant[path])
            return True
        try:
            with read_file(path, "rb") as file:
                own_text = compiled_from(file.read(), path, "exec", dont_inherit=True)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return False
        keep(own_text)
        return own_text == code

    # Whoever says of his code that it is of a measured file would have that covered. Coverage.py goes to the end of links.
    package = os.path.join(os.path.realpath(order["measured"]["package_dir"]), "") if order["measured"] else None
    # What its files held before anything of the repository ran, and the code that this is; which file each name stood for when code
    # of it was first seen: links and the working folder may become others.
    held, own, said, made_up = {}, {}, {}, set()

    def named(path):
        """The file that code says it is of, if it says one."""
        try:
            return real(absolute(path))
        except (ValueError, OSError):
            return ""

    def hold():
        for folder, _, names_there in os.walk(package or os.devnull):
            for path in (os.path.join(folder, name) for name in names_there if name.endswith(".py")):
                # No code can be of a link to nothing; and nobody waits for a pipe.
                if os.path.isfile(path):
                    with read_file(path, "rb") as file:
                        held[named(path)] = file.read()

    def is_of_package(path):
        return package is not None and path.endswith(".py") and path.startswith(package)

    def tell_made_up(path):
        if path in made_up:
            return
        made_up.add(path)
        write("patched", name=f"code that says it is of {path[len(workspace):]}", place=[path, 1])

    def own_code(path):
        """The code that a file of the package holds, by name and first line, with what pytest makes of it."""
        if path not in own:
            own[path] = {}
            try:
                found = [compiled_from(held[path], path, "exec", dont_inherit=True)]
            except (KeyError, SyntaxError, ValueError, RecursionError, MemoryError):
                found = []  # No code can be of it.
            for one in inner([*found, *rewritten.get(path, ())]):
                own[path].setdefault((one.co_name, one.co_firstlineno), []).append(one)
        return own[path]

    def inner(pending):
        """Code and all that is defined in it."""
        pending = list(pending)
        while pending:
            one = pending.pop()
            yield one
            pending.extend(each_one for each_one in one.co_consts if type(each_one) is code_type)

    def says_the_same(code, other):
        # `types.coroutine` makes a copy with another flag.
        return (code.co_code, code.co_consts, code.co_names, lines_of(code)) == (
            other.co_code, other.co_consts, other.co_names, lines_of(other))

    def judge_code(code):
        """Tells of code that says it is of a file of the package, and is not what that holds."""
        if package is None:
            return
        for one in inner([code]):
            name = plain(one.co_filename)
            if name not in said:
                said[name] = named(name)
            path = said[name]
            if is_of_package(path) and not any(
                    says_the_same(one, known) for known in own_code(path).get((one.co_name, one.co_firstlineno), ())):
                tell_made_up(path)

    def hooks(manager):
        for plugin in manager.get_plugins():
            if plugin is recorder:
                continue
            for caller in manager.get_hookcallers(plugin) or []:
                for one in caller.get_hookimpls():
                    if one.plugin is not plugin:
                        continue
                    found = place(one.function)
                    if (found is None or not is_ours(found[0])) and (caller.name, str(found)) not in told:
                        told.add((caller.name, str(found)))
                        write("hook", name=caller.name, place=found)

    def names(item):
        chain = [one.name for one in item.listchain() if isinstance(one, pytest.Class)]
        return [*chain, getattr(item, "originalname", None) or item.name]

    def raw(item, call):
        """How a phase ended, before any hook had a say."""
        infos = [call.excinfo, *(getattr(item, "_excinfo", None) or [])]
        kinds = [info.value for info in infos if info is not None]
        if not kinds:
            return "passed"
        if all(isinstance(one, pytest.skip.Exception) for one in kinds):
            return "skipped"
        return "xfailed" if all(isinstance(one, pytest.xfail.Exception) for one in kinds) else "failed"

    executed, texts = set(), set()
    # Python asks there for what it has compiled; the folder is this process's own, and was empty.
    compiled = os.path.join(sys.pycache_prefix, "")

    def audit(event, arguments):
        # A module may take itself off the list of modules, and compiled code may say that it comes from anywhere.
        if event == "exec":
            code = arguments[0]
            if type(code) is code_type:
                judge_code(code)
            path = getattr(code, "co_filename", None)
            path = plain(path) if isinstance(path, str) else "<"
            if path.startswith("<"):
                return
            path = absolute(path)
            executed.add(path)
            # Engines of templates name the template that they made code of. No test is in one: it counts only if its file says it.
            if path.startswith(workspace) and code.co_name == "<module>" and (path, code) not in compared:
                compared.add((path, code))
                if not is_ours(path):
                    is_plain = as_written(code, path)
                    if path.endswith(".py") and not is_plain:
                        write("patched", name=f"the code of {path[len(workspace):]}", place=[path, 1])
                    elif is_plain:
                        texts.add(path)
        elif event == "function.__new__":
            judge_code(arguments[0])
        elif event == "object.__setattr__":
            if type(arguments[2]) is code_type:
                judge_code(arguments[2])
        elif event == "open" and isinstance(arguments[0], str) and arguments[0].endswith((".pyc", ".pyo")):
            if not arguments[0].startswith(compiled):
                executed.add(arguments[0])

    sys.addaudithook(audit)

    def loaded(config):
        """Every file that code came from, wherever it lies, but for what tests write where pytest lets them."""
        own = getattr(getattr(config, "_tmp_path_factory", None), "_basetemp", None)
        own = os.path.realpath(own) + os.sep if own is not None else None
        paths = executed | {getattr(one, "__file__", None) for one in list(sys.modules.values())}
        paths = {os.path.abspath(one) for one in paths if isinstance(one, str) and one and not one.startswith("<")}
        write("loaded", paths=sorted(one for one in paths if not is_ours(one)
                                     and not (own is not None and named(one).startswith(own))),
              texts=sorted(texts))

    def measured():
        """What was covered, from memory: nothing that came to lie on the disk meanwhile has a part in it."""
        if measurement is not None:
            measurement.stop()
            data = measurement.get_data()
            for path in sorted(data.measured_files()):
                write("measured", path=path, arcs=sorted(data.arcs(path) or []))

    def entry(item):
        """Tells that the code of a test is entered, as the interpreter says: what is called may have been replaced behind any name."""
        found, name = list(codes(getattr(item, "obj", None))), item.nodeid
        code = found[-1] if found else None

        def entered(frame, event, argument):
            # Whoever finds this function can call it, but not out of the code of the test.
            if frame.f_code is code and frame is running(1) and (code.co_filename, code) in written:
                profile(None)
                write("entered", id=name)

        return entered

    class Recorder:
        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_load_initial_conftests(self, early_config):
            foresee(early_config)
            if measurement is not None:
                measurement.start()
            yield

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtestloop(self):
            yield
            measured()

        @pytest.hookimpl(tryfirst=True)
        def pytest_itemcollected(self, item):
            write("item", id=item.nodeid, path=str(item.path), names=names(item), code=place(getattr(item, "obj", None)))

        @pytest.hookimpl(tryfirst=True)
        def pytest_collectreport(self, report):
            if report.outcome != "passed":
                where = report.longrepr if isinstance(report.longrepr, tuple) else (None, None, str(report.longrepr))
                path = os.path.abspath(where[0]) if where[0] is not None else None
                write("uncollected", id=report.nodeid, outcome=report.outcome, path=path, line=where[1], why=str(where[2])[-2000:])

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_collection_finish(self, session):
            yield
            write("chosen", count=len(session.items))
            hooks(session.config.pluginmanager)
            loaded(session.config)
            compare()

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtest_call(self, item):
            found = place(getattr(item, "obj", None))
            # As with pytest-cov: what such a test runs is not covered by it.
            apart = measurement is not None and (
                item.get_closest_marker("no_cover") or "no_cover" in getattr(item, "fixturenames", ()))
            if apart:
                measurement.stop()
            profile(entry(item))
            outcome = yield
            profile(None)
            if apart:
                measurement.start()
            write("called", id=item.nodeid, code=found, raised=outcome.excinfo is not None)

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtest_makereport(self, item, call):
            first = raw(item, call)
            result = yield
            second = raw(item, call)
            report = result.get_result()
            write("phase", id=item.nodeid, when=call.when, raw=first if first != "passed" else second,
                  outcome=getattr(report, "outcome", None), wasxfail=hasattr(report, "wasxfail"))

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_logreport(self, report):
            where, why = None, ""
            if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
                where, why = [str(report.longrepr[0]), report.longrepr[1]], str(report.longrepr[2])
            if hasattr(report, "wasxfail"):
                why = str(report.wasxfail)
            # A part of a test, `self.subTest(…)` or `subtests.test(…)`, is reported in the name of its test; pytest 9 and
            # pytest-subtests spell the class in two ways.
            write("report", id=report.nodeid, when=report.when, outcome=report.outcome,
                  wasxfail=hasattr(report, "wasxfail"), place=where, why=why[:500], sub=type(report).__name__.lower() == "subtestreport")

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_logfinish(self, nodeid):
            compare()

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_sessionfinish(self, session, exitstatus):
            yield
            hooks(session.config.pluginmanager)
            loaded(session.config)
            compare()

    # Behind Python's own and the environment's modules: nothing of the repository takes the place of one of them.
    sys.path.append(order["dir"])
    recorder = Recorder()
    # By these pytest says that a test did not pass: no setting of the repository makes less of them.
    kinds = [one for one in ("PytestReturnNotNoneWarning", "PytestUnhandledThreadExceptionWarning") if hasattr(pytest, one)]
    strict = [word for one in kinds for word in ("-W", f"error::pytest.{one}")]
    code = int(pytest.main([*sys.argv[1:], *strict, *order["files"]], plugins=[recorder]))
    write("end", code=code)
    return code


sys.exit(main(order))  # noqa: F821
