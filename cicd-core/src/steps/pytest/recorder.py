"""The part of the recorder that code of the repository may find: it has nothing that the record is made of, and tells `keep`."""


def create_builtin(spec, audit=sys.audit):
    made = []
    audit(NAME, "builtin", spec.name, made)
    return made[0]


def fix_co_filename(code, path, audit=sys.audit):
    audit(NAME, "renamed", code, path)


def start_in_thread(frame, event, argument, audit=sys.audit):
    """The trace function of a thread until it is measured."""
    audit(NAME, "thread")


def entry(code, audit=sys.audit, profile=sys.setprofile):
    """Tells that the code of a test is entered, as the interpreter says: what is called may have been replaced behind any name."""
    def entered(frame, event, argument):
        if event == "call" and frame.f_code is code:
            has_ended = []
            audit(NAME, "entered", frame, has_ended)
            # What is wrapped may be entered several times.
            if has_ended or not is_wrapped:
                profile(None)

    found = list(codes(code))
    code, is_wrapped = found[-1] if found else None, len(found) > 1
    return entered, code


def measuring(measured):
    """The measurement, which has no file that others could write to."""
    import coverage, coverage.control, coverage.collector, coverage.inorout, coverage.sqldata  # noqa: E401

    # The core that tells which code was entered, where it can be had.
    if importlib.util.find_spec("coverage.tracer"):
        os.environ["COVERAGE_CORE"] = "ctrace"

    class Measurement(coverage.Coverage):
        """Coverage.py takes code for that of the file that `__file__` names, or that it finds on the path by the name of the code."""

        def _should_trace(self, filename, frame, audit=sys.audit):
            found = super()._should_trace(filename, frame)
            if found.trace:
                audit(NAME, "traced", filename, found.canonical_filename)
            return found

        def stacks(self):
            return coverage.collector.Collector._collectors, coverage.Coverage._instances

    return Measurement(data_file=None, branch=True, source=[measured["package"]], config_file=measured["settings"])


def watch(order):
    """The plugin that tells what happens."""
    import pytest
    import _pytest.runner, _pytest.reports, _pytest.skipping, _pytest.main, _pytest.python, _pytest.unittest  # noqa: E401
    import _pytest.junitxml, _pytest.outcomes, _pytest.nodes, _pytest.config, _pytest.fixtures  # noqa: E401
    import pluggy, unittest.case  # noqa: E401

    is_ours, _, _ = places(order)
    audit, dumps, profile = sys.audit, json.dumps, sys.setprofile

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
    called_types = (types.FunctionType, classmethod, staticmethod)
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
                    functions = {key: one for key, one in list(inner.items()) if isinstance(one, called_types)}
                    for key, one in functions.items():
                        inside = getattr(one, "__func__", one)
                        parts[f"{own}.{name}.{key}"] = one, inside.__code__ if isinstance(inside, function_type) else None
                    read.append((inner.get, ["__module__", *functions], [inner.get("__module__"), *functions.values()]))
                else:
                    continue
                kept[name] = value
            read.append((space.get, list(kept), list(kept.values())))
        codes_of = [(getattr(one, "__func__", one), code) for one, code in parts.values() if code is not None]
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
                tell("patched", name=name, place=place(other) if other is not None else None)

    def hooks(manager):
        for plugin in manager.get_plugins():
            if isinstance(plugin, Recorder):
                continue
            for caller in manager.get_hookcallers(plugin) or []:
                for one in caller.get_hookimpls():
                    if one.plugin is not plugin:
                        continue
                    found = place(one.function)
                    if (found is None or not is_ours(found[0])) and (caller.name, str(found)) not in told:
                        told.add((caller.name, str(found)))
                        tell("hook", name=caller.name, place=found)

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

    def loaded(config):
        """Where the modules are from, and where pytest lets tests write."""
        own = getattr(getattr(config, "_tmp_path_factory", None), "_basetemp", None)
        paths = {getattr(one, "__file__", None) for one in list(sys.modules.values())}
        audit(NAME, "loaded", dumps({"paths": [one for one in paths if isinstance(one, str)],
                                     "temporary": os.path.realpath(own) + os.sep if own is not None else None}))

    class Recorder:
        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_load_initial_conftests(self, early_config):
            audit(NAME, "foresee", early_config)
            yield

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtestloop(self):
            yield
            audit(NAME, "measured")

        @pytest.hookimpl(tryfirst=True)
        def pytest_itemcollected(self, item):
            tell("item", id=item.nodeid, path=str(item.path), names=names(item), code=place(getattr(item, "obj", None)))

        @pytest.hookimpl(tryfirst=True)
        def pytest_collectreport(self, report):
            if report.outcome != "passed":
                where = report.longrepr if isinstance(report.longrepr, tuple) else (None, None, str(report.longrepr))
                path = os.path.abspath(where[0]) if where[0] is not None else None
                tell("uncollected", id=report.nodeid, outcome=report.outcome, path=path, line=where[1], why=str(where[2])[-2000:])

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_collection_finish(self, session):
            yield
            tell("chosen", count=len(session.items))
            hooks(session.config.pluginmanager)
            loaded(session.config)
            compare()

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtest_call(self, item):
            found = place(getattr(item, "obj", None))
            # As with pytest-cov: what such a test runs is not covered by it.
            audit(NAME, "apart", bool(item.get_closest_marker("no_cover") or "no_cover" in getattr(item, "fixturenames", ())))
            entered, code = entry(getattr(item, "obj", None))
            audit(NAME, "begin", code)
            profile(entered)
            outcome = yield
            profile(None)
            audit(NAME, "ended", dumps({"id": item.nodeid, "code": found, "raised": outcome.excinfo is not None}))
            audit(NAME, "apart", False)

        @pytest.hookimpl(hookwrapper=True, tryfirst=True)
        def pytest_runtest_makereport(self, item, call):
            first = raw(item, call)
            result = yield
            second = raw(item, call)
            report = result.get_result()
            tell("phase", id=item.nodeid, when=call.when, raw=first if first != "passed" else second,
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
            tell("report", id=report.nodeid, when=report.when, outcome=report.outcome,
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

    # By these pytest says that a test did not pass: no setting of the repository makes less of them.
    kinds = [one for one in ("PytestReturnNotNoneWarning", "PytestUnhandledThreadExceptionWarning") if hasattr(pytest, one)]
    return Recorder(), [word for one in kinds for word in ("-W", f"error::pytest.{one}")]


def prepare(order, program):
    measurement = measuring(order["measured"]) if order["measured"] else None
    recorder, strict = watch(order)
    # Names and builtins of its own: nobody gives another meaning to what it looks up.
    code = compile(order.pop("keeper"), "<keeper>", "exec")
    own = {"__name__": "keeper", "__builtins__": dict(vars(builtins))}
    # reason: the text is the library's own, and runs under names that nothing else has
    # owner: @cicd-core/maintainers
    # expires: 2027-03-31
    exec(code, own)  # nosec B102
    own["keep"](order, [*program, code], measurement, (create_builtin, fix_co_filename, start_in_thread))
    # Behind Python's own and the environment's modules: nothing of the repository takes the place of one of them.
    sys.path.append(order["dir"])
    return [*sys.argv[1:], *strict, *order["files"]], recorder


# Nothing of what is on the stack while the tests run refers to what `keep` holds.
arguments, recorder = prepare(order, [sys._getframe().f_code, sys._getframe(1).f_code])  # noqa: F821
import pytest  # noqa: E402
code = int(pytest.main(arguments, plugins=[recorder]))
sys.audit(NAME, "end", code)
sys.exit(code)
