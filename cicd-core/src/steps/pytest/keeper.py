"""Runs pytest and writes down what happens, before anything of the repository can change it.

It comes on standard input of `python -I -B -c …`, so that no file holds it that code of the repository could rewrite, and neither the
folder, the environment nor a user's files add code to it. Its arguments are pytest's. `order` has the key of the record, its path, the
folder, and the files with tests. Each line of the record is a JSON object and a check sum over the key, the sum before and the object:
a line that was changed, left out or added is noticed.

The key, the record and what is measured belong to an audit hook, `keep`, which nothing refers to that Python would list. Everything
else is open to code of the repository, and tells it by `sys.audit`, in text, what it saw. That more is told takes nothing back; that the
code of a test ran to its end is taken from the interpreter alone, by the frame of that code.
"""

import builtins
import functools
import hashlib
import importlib.util
import json
import opcode
import operator
import os
import pathlib
import sys
import threading
import types

# The event by which all else tells `keep` something. Functions hold `sys.audit` as a default: Python says it when that is replaced.
NAME = "cicd-core.recorder"
# What may be written down on the word of others.
KINDS = frozenset({"item", "uncollected", "chosen", "phase", "report", "hook", "patched"})
# These show what `keep` holds, or what it is asked. Packages of the environment may; the rest has no business with them.
GUARDED = ("gc.get_objects", "gc.get_referrers", "gc.get_referents", "sys._current_frames", "sys._current_exceptions",
           "sys.addaudithook")
# A second one of these has functions again that were taken from the first.
ONCE = {"sys", "_imp", "builtins", "gc", "_thread"}
# How code ends that came to its end.
RETURNS = {opcode.opmap[one] for one in ("RETURN_VALUE", "RETURN_CONST") if one in opcode.opmap}
# What a compiler puts into code. Anything else may answer as it likes when it is compared.
CONSTANTS = {int, float, complex, str, bytes, bool, type(None), type(...), tuple, frozenset, slice, types.CodeType}


def tell(kind, audit=sys.audit, dumps=json.dumps, **fields):
    audit(NAME, "write", kind, dumps(fields))


def places(order):
    """What tells code of the environment from that of the repository."""
    realpath = os.path.realpath
    homes = tuple({realpath(one) + os.sep for one in (sys.prefix, sys.base_prefix, os.path.dirname(os.__file__))})
    workspace = os.path.realpath(order["root"]).rstrip(os.sep) + os.sep
    prefix = os.path.realpath(sys.prefix) + os.sep

    def is_ours(path):
        """Whether code is of the environment or of Python, and not of the repository."""
        try:
            real = realpath(path)
        except ValueError:
            return False  # No file can have such a name.
        # The checkout may lie below Python's own folders, such as /usr/src/app.
        if real.startswith(workspace) and not (prefix.startswith(workspace) and real.startswith(prefix)):
            return False
        return real.startswith(homes)

    return is_ours, workspace, prefix


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


def inner(pending, code_type=types.CodeType):
    """Code and all that is defined in it."""
    pending = list(pending)
    while pending:
        one = pending.pop()
        yield one
        pending.extend(each_one for each_one in one.co_consts if type(each_one) is code_type)


def keep(order, program, measurement, doors):
    """Installs what writes the record. `program` is the code of the recorder and of what started it; `doors` stand where others would reach it."""
    import _imp, _pytest.assertion.rewrite as rewrite  # noqa: E401

    is_ours, workspace, prefix = places(order)
    collectors, instances = measurement.stacks() if measurement is not None else ([], [])
    key = bytes.fromhex(order.pop("key"))
    file = os.open(order["record"], os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
    state, pid = [b""], os.getpid()
    sha256, dumps, loads, put, getpid = hashlib.sha256, json.dumps, json.loads, os.write, os.getpid
    running, me, settrace, code_type = sys._getframe, threading.get_ident, sys.settrace, types.CodeType
    each_thread, function_type, names_alone = threading.settrace, types.FunctionType, types.SimpleNamespace
    ours = {id(one): one for one in inner(program)}
    create, rename = _imp.create_builtin, _imp._fix_co_filename

    def write(kind, **fields):
        if getpid() != pid:
            return  # A child of a test that forked and went on.
        line = dumps({"kind": kind, **fields}, ensure_ascii=True).encode()
        state[0] = sha256(key + sha256(key + state[0] + line).digest()).hexdigest().encode()
        data = line + b"\t" + state[0] + b"\n"
        while data:
            data = data[put(file, data):]

    # Captured before code of the repository runs, and called through these names alone.
    compiled_from, read_file, digest = compile, open, rewrite._rewrite_test
    absolute, real = os.path.abspath, os.path.realpath
    # A name may be of a class of its own, whose methods say anything.
    plain = str.__str__

    def lines_of(code):
        return code.co_linetable if hasattr(code, "co_linetable") else code.co_lnotab

    # Code is equal to code of another file that says the same: each is kept with its file.
    meant, rewritten, compared, written = {}, {}, {}, set()

    def remember(code):
        """Remembers the code of a file, and of everything that is defined in it."""
        written.update((plain(one.co_filename), one) for one in inner([code]))

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
            remember(meant[path])
            return True
        try:
            with read_file(path, "rb") as file:
                own_text = compiled_from(file.read(), path, "exec", dont_inherit=True)
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            return False
        remember(own_text)
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

    def is_plain(code):
        """Whether comparing this code asks nothing of anybody else."""
        parts = [code]
        for one in parts:
            if type(one) not in CONSTANTS:
                return False
            if type(one) is code_type:
                parts.extend([one.co_consts, one.co_code, lines_of(one)])
            elif type(one) in (tuple, frozenset):
                parts.extend(one)
        return True

    def says_the_same(code, other):
        # `types.coroutine` makes a copy with another flag.
        return (code.co_code, code.co_consts, code.co_names, lines_of(code)) == (
            other.co_code, other.co_consts, other.co_names, lines_of(other))

    # Names in angle brackets that the repository gave to code of its own.
    foreign, of_environment = set(), {}

    def is_known_as_ours(name):
        if name.startswith("/") and name not in of_environment:
            of_environment[name] = is_ours(name)
        return of_environment[name] if name.startswith("/") else is_ours(name)

    def shown():
        """A frame of this program, which nobody else is given while it is at work."""
        looking.add(me())
        frame = running(1)
        looking.discard(me())
        return frame

    def above():
        """The frames that brought about what is asked."""
        frame = shown()
        while frame is not None:
            if id(frame.f_code) not in ours:
                yield frame
            frame = frame.f_back

    def is_of_environment(frame):
        name = plain(frame.f_code.co_filename)
        return name not in foreign if name.startswith("<") else is_known_as_ours(name)

    def is_asked_by_environment():
        return all(is_of_environment(frame) for frame, _ in zip(above(), "1"))

    def by():
        """Where the repository brought it about."""
        for frame in above():
            if not is_of_environment(frame):
                return [plain(frame.f_code.co_filename), frame.f_lineno]
        return None

    def judge_code(code):
        """Tells of code that says it is of a file that does not hold it."""
        asked = None
        for one in inner([code]):
            name = plain(one.co_filename)
            if name.startswith("<") or is_known_as_ours(name):
                if asked is None:
                    asked = is_asked_by_environment()
                if name.startswith("<"):
                    if not asked:
                        foreign.add(name)
                elif not asked:
                    write("patched", name="code that says it is of the environment", place=by())
                continue
            if package is None:
                continue
            if name not in said:
                said[name] = named(name)
            path = said[name]
            if is_of_package(path) and not (is_plain(one) and any(
                    says_the_same(one, known) for known in own_code(path).get((plain(one.co_name), one.co_firstlineno), ()))):
                tell_made_up(path)

    executed, texts, is_guarded = set(), set(), []
    # Python asks there for what it has compiled; the folder is this process's own, and was empty.
    compiled = os.path.join(sys.pycache_prefix, "")

    def on_exec(code):
        # A module may take itself off the list of modules, and compiled code may say that it comes from anywhere.
        if type(code) is code_type:
            judge_code(code)
        path = plain(code.co_filename) if type(code) is code_type else "<"
        if path.startswith("<"):
            return
        path = absolute(path)
        executed.add(path)
        # Engines of templates name the template that they made code of. No test is in one: it counts only if its file says it.
        if path.startswith(workspace) and plain(code.co_name) == "<module>" and (path, id(code)) not in compared:
            compared[path, id(code)] = code
            if not is_ours(path):
                is_written = is_plain(code) and as_written(code, path)
                if path.endswith(".py") and not is_written:
                    write("patched", name=f"the code of {path[len(workspace):]}", place=[path, 1])
                elif is_written:
                    texts.add(path)

    def on_set(thing, name, value):
        if type(value) is code_type:
            judge_code(value)
        if type(thing) is function_type and id(thing.__code__) in ours:
            write("patched", name=f"a function of the recorder, {thing.__code__.co_name},", place=by())

    def on_open(path, mode, flags):
        if isinstance(path, str):
            path = plain(path)
            if path.endswith((".pyc", ".pyo")) and not path.startswith(compiled):
                executed.add(path)

    def on_guarded(*_):
        frame = next(above(), None)
        name = plain(frame.f_code.co_filename) if frame is not None else ""
        if is_guarded and not real(name).startswith(prefix):
            write("patched", name="the program that records the tests", place=by())
            raise RuntimeError

    def begin():
        measurement.start()
        # By these anybody finds what is measured.
        instances.clear()
        collectors.clear()
        if threading._trace_hook is not None:
            each_thread(start_in_thread)

    def halt():
        collectors.append(measurement._collector)
        measurement.stop()

    # Whether there is anything to measure, and whether it is measured now; nothing before the start.
    measures, is_apart = [], [False]

    def on_told(what, *arguments):
        ask = answers.get(what) if type(what) is str else None
        if ask is None:
            return
        # Here the measurement itself is at work.
        trusted.update([me()] if what in ("foresee", "apart", "measured") else [])
        try:
            ask(*arguments)
        finally:
            trusted.discard(me())

    def told(kind, text):
        """A line on the word of others."""
        if type(kind) is str and kind in KINDS and type(text) is str:
            fields = loads(text)
            fields.pop("kind", None)
            write(kind, **fields)

    def on_foresee(config):
        if not meant and not measures:
            foresee(config)
            measures.append(measurement is not None)
            if measurement is not None:
                begin()

    def on_apart(wanted):
        if measures == [True] and is_apart[0] is not (wanted is True):
            is_apart[0] = wanted is True
            halt() if is_apart[0] else begin()

    def on_measured():
        """What was covered, from memory: nothing that came to lie on the disk meanwhile has a part in it."""
        if measures == [True]:
            on_apart(True)
            measures.append(False)
            data = measurement.get_data()
            for path in sorted(data.measured_files()):
                write("measured", path=path, arcs=sorted(data.arcs(path) or []))

    def on_thread():
        if measures == [True]:
            settrace(None)
            measurement._collector._start_tracer()

    def on_traced(filename, path):
        if isinstance(filename, str) and type(path) is str and is_of_package(path) and said.get(plain(filename)) != path:
            tell_made_up(path)

    # The code of the test that is called, the frames of it that were entered last, and whether one of them came to its end.
    test, frames, ends = [], [], []

    def on_begin(code):
        test[:], frames[:], ends[:] = [code] if type(code) is code_type else [], [], []

    def look_at_last():
        if frames:
            frame = frames.pop()
            ends.extend([True] if frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] in RETURNS else [])

    def on_entered(frame, answer):
        # It is told by `entered`, which the interpreter calls as the very code of the test is entered.
        told_by = teller()
        if not test or told_by is None or told_by.f_code is not entered_code or told_by.f_back is not frame:
            return
        if frame.f_code is not test[0] or not is_plain(test[0]) or (plain(test[0].co_filename), test[0]) not in written:
            return
        look_at_last()
        frames.append(frame)
        if ends and type(answer) is list:
            answer.append(True)
        outer = frame.f_back
        while outer is not None:
            if id(outer.f_code) not in ours and not is_of_environment(outer):
                place = [plain(outer.f_code.co_filename), outer.f_lineno]
                write("patched", name=f"the call of {plain(test[0].co_name)}", place=place)
                break
            outer = outer.f_back

    def teller():
        """The function that told this."""
        frame = shown()
        while frame.f_code is not guard_code:
            frame = frame.f_back
        return frame.f_back

    def on_ended(text):
        look_at_last()
        fields = loads(text) if type(text) is str else {}
        if ends:
            fields["code"] = [plain(test[0].co_filename), test[0].co_firstlineno]
        write("called", id=fields["id"], code=fields["code"], raised=fields["raised"], returned=bool(ends))
        on_begin(None)

    def on_loaded(text):
        """Every file that code came from, wherever it lies, but for what tests write where pytest lets them."""
        fields = loads(text) if type(text) is str else {}
        temporary = fields["temporary"]
        paths = {absolute(one) for one in executed | set(fields["paths"]) if one and not one.startswith("<")}
        write("loaded", paths=sorted(one for one in paths if not is_ours(one)
                                     and not (temporary is not None and named(one).startswith(temporary))),
              texts=sorted(texts))

    def on_builtin(name, answer):
        if type(name) is str and type(answer) is list:
            if name in ONCE:
                write("patched", name=f"the module {name}", place=by())
                raise ImportError
            answer.append(create(names_alone(name=name)))

    def on_renamed(code, path):
        if type(code) is code_type:
            rename(code, path)
            judge_code(code)

    def on_end(code):
        is_guarded.clear()
        write("end", code=int(code))

    answers = {"write": told, "foresee": on_foresee, "apart": on_apart, "measured": on_measured, "thread": on_thread,
               "traced": on_traced, "begin": on_begin, "entered": on_entered, "ended": on_ended, "loaded": on_loaded,
               "builtin": on_builtin, "renamed": on_renamed, "end": on_end}
    handlers = {NAME: on_told, "exec": on_exec, "function.__new__": lambda code, *_: judge_code(code), "object.__setattr__": on_set,
                "open": on_open, **dict.fromkeys(GUARDED, on_guarded)}
    busy, looking, trusted, refused = set(), set(), set(), {}

    def guard(event, arguments):
        handle = handlers.get(event)
        if handle is None:
            # Nobody sees this at work. Its exceptions have no frames for others either: `refuse` raises what it came to.
            if event == "sys._getframe" and me() in busy and me() not in looking and me() not in trusted:
                refused[me()] = RuntimeError
            return
        if event == "open" and me() in busy:
            return
        is_outer = me() not in busy
        busy.add(me())
        try:
            handle(*arguments)
        except BaseException as error:
            refused[me()] = type(error)
        finally:
            if is_outer:
                busy.discard(me())

    def refuse(event, arguments):
        if refused:
            kind = refused.pop(me(), None)
            if kind is not None:
                raise kind("it is not for the tests to do this")

    guard_code = guard.__code__
    entered_code = next(one for one in ours.values() if one.co_name == "entered")
    sys.addaudithook(guard)
    sys.addaudithook(refuse)
    is_guarded.append(True)
    _imp.create_builtin, _imp._fix_co_filename, start_in_thread = doors
    # By this anybody finds what is measured; there is nothing to see.
    sys.gettrace = type(None)
