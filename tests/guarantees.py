"""guarantees.py -- docs/GUARANTEES.md: each line of the requirements once, and tests that are there.

    tests/guarantees.py     the exit status says whether all is well; one line for each that is not

A test that is named must stand in its file; where the log of a run is there that is newer than
that file, it must have run. SPEC names the folder of the requirements: the text of each line must
be theirs.
"""

import os
import pathlib
import re
import sys
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "GUARANTEES.md"
LINES = 117
LETTERS = "HLSKJAFD"


def rows():
    """Of each row of the tables: id, text, tests, what is missing."""
    for line in TABLE.read_text(encoding="utf-8").splitlines():
        if re.match(rf"\| [{LETTERS}]\d\d \|", line):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def required():
    """The requirements, by id; none where SPEC is not set."""
    if not os.environ.get("SPEC"):
        return {}
    text = (pathlib.Path(os.environ["SPEC"]) / "requirements.md").read_text(encoding="utf-8")
    return dict(re.findall(rf"(?m)^([{LETTERS}]\d\d) (.*)$", text))


def stands(file, name):
    path = ROOT / "tests" / file
    if not path.exists():
        return False
    pattern = rf"^def {name}\(" if file.endswith(".py") else rf"^static void {name}\(void \*\*"
    return re.search(pattern, path.read_text(encoding="utf-8"), re.M) is not None


def is_newer(log, file):
    return log.exists() and log.stat().st_mtime > (ROOT / "tests" / file).stat().st_mtime


def python_runs():
    """Of each test file the tests that ran last, and the log that says so."""
    found = {}
    for log in (ROOT / "build" / "log").glob("pytest-*.xml"):
        for case in xml.etree.ElementTree.parse(log).iter("testcase"):
            if "." not in case.get("classname", ""):  # a file that was skipped as a whole
                continue
            file = case.get("classname").split(".")[1] + ".py"
            found.setdefault(file, (log, set()))[1].add(case.get("name").split("[")[0])
    return found


def ran(file, name, python):
    """True where it ran, or where no log tells."""
    if file.endswith(".py"):
        log, names = python.get(file, (None, ()))
        return log is None or not is_newer(log, file) or name in names
    log = ROOT / "build" / "san" / "tests" / (file[:-2] + ".log")
    return not is_newer(log, file) or re.search(
        rf"^\[ RUN      \] {name}$", log.read_text(errors="replace"), re.M) is not None


def complaints():
    seen, spec, python = [], required(), python_runs()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name, text, tests, missing in rows():
        seen.append(name)
        if spec and text.replace("\\|", "|") != spec.get(name):
            yield f"{name}: another text than the requirement's"
        if tests == "-" and not missing:
            yield f"{name}: no test, and nothing said to be missing"
        for target in re.findall(r"`make (\w+)`", tests):
            if not re.search(rf"(?m)^{target}:", makefile):
                yield f"{name}: no target {target}"
        for file, test in re.findall(r"`(\w+\.\w+)::(\w+)`", tests):
            if not stands(file, test):
                yield f"{name}: no {test} in tests/{file}"
            elif not ran(file, test, python):
                yield f"{name}: {test} of tests/{file} did not run"
    if len(set(seen)) != LINES or len(seen) != LINES or (spec and set(spec) != set(seen)):
        yield f"{len(set(seen))} ids in {len(seen)} rows, not {LINES}"


if __name__ == "__main__":
    bad = list(complaints())
    print("\n".join(bad) or f"{LINES} guarantees, every test of theirs is there")
    sys.exit(bool(bad))
