"""Messages are data, every error says what to do, and no code reads the text of a message."""

import ast
import copy
import functools
import pickle
from pathlib import Path

import pytest

import softkmeans
from softkmeans.data.frames import _NotNumericError
from softkmeans.errors import FileError, InputError, Message, Setting, SharedError

PACKAGE = Path(softkmeans.__file__).parent
FILES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))
KINDS = [InputError, SharedError, FileError, _NotNumericError]
NAMES = {kind.__name__ for kind in KINDS}


@functools.cache
def tree_of(file):
    """The syntax tree of a file of the package."""
    return ast.parse((PACKAGE / file).read_text(encoding="utf-8"))


def as_option(setting):
    """Write a setting as the command line does."""
    name = f"--{setting.name.replace('_', '-')}"
    return f"{name} {setting.value!r}" if setting.has_value else name


# Messages and errors as data

MESSAGES = {
    # text in Python: (message, text on the command line)
    "": (Message(), ""),
    "plain text": (Message("plain text"), "plain text"),
    "n_clusters": (Message(Setting("n_clusters")), "--n-clusters"),
    "lower n_clusters or set init='random'": (
        Message("lower ", Setting("n_clusters"), " or set ", Setting("init", "random")),
        "lower --n-clusters or set --init 'random'",
    ),
    "set tol=0.5, please": (
        Message("set ", Message(Message(Setting("tol", 0.5)), ", "), "please"),
        "set --tol 0.5, please",
    ),
    "device=None is wrong": (Message(Setting("device", None), " is wrong"), "--device None is wrong"),
}


@pytest.mark.parametrize("text", MESSAGES)
def test_messages(text):
    message, on_the_command_line = MESSAGES[text]
    assert isinstance(message, str)
    assert message == text
    assert message.render(str) == text
    assert message.render(as_option) == on_the_command_line
    for same in (pickle.loads(pickle.dumps(message)), copy.deepcopy(message), Message(message)):  # noqa: S301 -- our own
        assert same == message
        assert same.parts == message.parts
        assert same.render(as_option) == on_the_command_line


def test_messages_in_messages_are_flattened():
    inner = Message("b", Setting("c"))
    assert Message("a", Message(inner, "d"), Setting("e", 1)).parts == ("a", "b", Setting("c"), "d", Setting("e", 1))


ERRORS = {
    # text in Python: (arguments, text on the command line)
    "the file is empty": ({"problem": "the file is empty"}, "the file is empty"),
    "no rows: give some": ({"problem": "no rows", "hint": "give some"}, "no rows: give some"),
    "tol=-1: give a number of 0 or more": (
        {"parameter": "tol", "value": -1, "hint": "give a number of 0 or more"},
        "--tol -1: give a number of 0 or more",
    ),
    "init=None: expected a name": (
        {"parameter": "init", "value": None, "expected": "a name"},
        "--init None: expected a name",
    ),
    "X has shape (3,), expected (n, d): reshape it": (
        {"problem": "has shape (3,)", "parameter": "X", "expected": "(n, d)", "hint": "reshape it"},
        "--X has shape (3,), expected (n, d): reshape it",
    ),
    "k=3 with a='b', expected as many as c: set d=1": (
        {
            "problem": Message("with ", Setting("a", "b")),
            "parameter": "k",
            "value": 3,
            "expected": Message("as many as ", Setting("c")),
            "hint": Message("set ", Setting("d", 1)),
        },
        "--k 3 with --a 'b', expected as many as --c: set --d 1",
    ),
}


@pytest.mark.parametrize("text", ERRORS)
def test_input_errors(text):
    arguments, on_the_command_line = ERRORS[text]
    error = InputError(**arguments)
    assert isinstance(error, ValueError)
    assert str(error) == error.message == text
    assert error.message.render(as_option) == on_the_command_line


def test_hints_about_files_follow_a_semicolon():
    error = FileError("a.csv: has 3", parameter="columns", expected="2", hint=Message("set ", Setting("k", 1)))
    assert str(error) == "columns a.csv: has 3, expected 2; set k=1"
    assert error.message.render(as_option) == "--columns a.csv: has 3, expected 2; set --k 1"
    assert str(FileError("the file is empty")) == "the file is empty"


@pytest.mark.parametrize("kind", KINDS)
def test_errors_survive_copies_and_other_processes(kind):
    error = kind(
        Message("is more than ", Setting("n_init")), parameter="n_clusters", value=8, expected="less", hint="lower it"
    )
    copies = [pickle.loads(pickle.dumps(error, protocol)) for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]  # noqa: S301 -- our own
    for same in (*copies, copy.copy(error), copy.deepcopy(error), pickle.loads(pickle.dumps(copies[0]))):  # noqa: S301 -- our own
        assert type(same) is kind
        assert str(same) == str(error)
        assert vars(same) == vars(error)
        assert same.message.render(as_option) == error.message.render(as_option)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_error_about_something_else(kind):
    error = kind("has shape (3,)", parameter="the data", value=(3,), expected="(n, d)", hint="reshape it")
    other = error.about("resp")
    assert type(other) is kind
    assert vars(other) == vars(error) | {"parameter": "resp"}
    assert error.parameter == "the data"


def test_a_value_that_is_not_given_stays_so_in_other_processes():
    error = pickle.loads(pickle.dumps(InputError("is wrong", parameter="init")))  # noqa: S301 -- our own
    assert str(error) == str(error.about("init")) == "init is wrong"


def test_columns_that_are_not_numeric_are_a_type_error():
    assert issubclass(_NotNumericError, TypeError)


# Every error says what to do.

WITHOUT_REMEDY = {
    # (file, function): why its errors need neither a hint nor what was expected
    ("data/synthetic.py", "_error"): "the problem is that the argument must be something else",
}


def kinds_of_errors(trees):
    """Return the names of InputError and of all classes derived from it."""
    classes = [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    names, n_before = {"InputError"}, 0
    while len(names) > n_before:
        n_before = len(names)
        names |= {node.name for node in classes if {ast.unparse(base) for base in node.bases} & names}
    return names


def says_what_to_do(call):
    """Whether an error has a hint, or what was expected, or the message of another error."""
    if {"hint", "expected", None} & {keyword.arg for keyword in call.keywords}:  # None is **arguments
        return True
    parts = [node for argument in call.args for node in ast.walk(argument)]
    return any(isinstance(node, ast.Attribute) and node.attr == "message" for node in parts) or any(
        isinstance(node, ast.Name) and node.id == "message" for node in parts
    )


def without_remedy(tree, file):
    """Yield the errors in a tree that do not say what to do."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and (file, function.name) not in WITHOUT_REMEDY:
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in NAMES and not says_what_to_do(node):
                    yield f"{file}:{node.lineno}: {ast.unparse(node)}"


def test_all_kinds_of_errors_are_tested():
    assert kinds_of_errors(map(tree_of, FILES)) == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_every_error_says_what_to_do(file):
    assert sorted(set(without_remedy(tree_of(file), file))) == []


def test_the_exceptions_are_needed():
    for file, name in WITHOUT_REMEDY:
        functions = [n for n in ast.walk(tree_of(file)) if isinstance(n, ast.FunctionDef) and n.name == name]
        assert [list(without_remedy(function, "")) != [] for function in functions] == [True]


@pytest.mark.parametrize(
    ("code", "is_fine"),
    [
        ("InputError('k=0')", False),
        ("InputError(f'{k}: lower it')", False),
        ("SharedError(problem, parameter='k')", False),
        ("FileError('empty')", False),
        ("InputError('k=0', hint='raise it')", True),
        ("FileError('k=0', expected='1')", True),
        ("InputError(Message(f'{path}: ', error.message))", True),
        ("SharedError(Message('rank 0: ', message))", True),
        ("RuntimeError('k=0')", True),
    ],
)
def test_the_check_finds_errors_without_a_remedy(code, is_fine):
    tree = ast.parse(f"def f():\n    raise {code}")
    assert (list(without_remedy(tree, "")) == []) is is_fine


# No code reads the text of a message: texts may change, and are for people.

TEXT_ATTRIBUTES = {"args", "hint", "message", "problem", "strerror"}
TEXT_METHODS = {"count", "endswith", "find", "index", "partition", "removeprefix", "removesuffix", "replace", "rfind"}
TEXT_METHODS |= {"rindex", "rpartition", "startswith", "translate"}


class Texts:
    """The names in a function that hold caught exceptions, or texts of messages.

    Parameters
    ----------
    function : ast.FunctionDef
        The function.
    given : bool
        Whether its arguments are texts of messages.
    """

    def __init__(self, function, given):
        nodes = list(ast.walk(function))
        self.errors = {node.name for node in nodes if isinstance(node, ast.ExceptHandler)}
        self.texts = {argument.arg for argument in function.args.args} if given else set()
        assignments = [node for node in nodes if isinstance(node, ast.Assign)]
        n_before = -1
        while len(self.errors | self.texts) > n_before:  # names are assigned to names
            n_before = len(self.errors | self.texts)
            for node in assignments:
                names = {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
                if isinstance(node.value, ast.Name) and node.value.id in self.errors:
                    self.errors |= names
                elif self.in_(node.value):
                    self.texts |= names

    def in_(self, expression):
        """Whether an expression contains the text of a message."""
        return any(map(self._is_text, ast.walk(expression)))

    def _is_text(self, node):
        match node:
            case ast.Call(func=ast.Name(id="str" | "repr"), args=[ast.Name(id=name)]):
                return name in self.errors
            case ast.FormattedValue(value=ast.Name(id=name)):
                return name in self.errors
            case ast.Attribute(value=ast.Name(id=name), attr=attribute):
                return attribute == "message" or (name in self.errors and attribute in TEXT_ATTRIBUTES)
            case ast.Name(id=name):
                return name in self.texts
        return False


def reads_text(node, texts):
    """Whether a node searches, compares or changes the text of a message."""
    match node:
        case ast.Compare(left=left, ops=ops, comparators=others):
            compares = any(isinstance(op, ast.In | ast.NotIn | ast.Eq | ast.NotEq) for op in ops)
            return compares and any(map(texts.in_, (left, *others)))
        case ast.Call(func=ast.Attribute(value=ast.Name(id="re")), args=arguments):
            return any(map(texts.in_, arguments))
        case ast.Call(func=ast.Attribute(value=value, attr=name)) if name in TEXT_METHODS:
            return texts.in_(value)
        case ast.Match(subject=subject):
            return texts.in_(subject)
        case ast.Call(func=ast.Attribute(attr="filterwarnings"), args=arguments, keywords=keywords):
            return (len(arguments) > 1 and not is_empty(arguments[1])) or "message" in {k.arg for k in keywords}
    return False


def is_empty(node):
    return isinstance(node, ast.Constant) and node.value == ""


def functions_of(trees):
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def receivers(trees):
    """Return the names of the functions that are called with the text of a message."""
    found, n_before = set(), -1
    while len(found) > n_before:  # they may pass it on
        n_before = len(found)
        for function in functions_of(trees):
            texts = Texts(function, function.name in found)
            found |= {
                node.func.id
                for node in ast.walk(function)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and any(map(texts.in_, node.args))
            }
    return found


def readers(tree, names):
    """Return the code in a tree that reads messages; functions with these names are called with such texts."""
    found = set()
    for function in functions_of([tree]):
        texts = Texts(function, function.name in names)
        found |= {f"{node.lineno}: {ast.unparse(node)}" for node in ast.walk(function) if reads_text(node, texts)}
    return sorted(found)


@functools.cache
def receivers_in_package():
    return receivers(list(map(tree_of, FILES)))


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES)
def test_no_code_reads_the_text_of_a_message(file):
    assert readers(tree_of(file), receivers_in_package()) == []


READING = {
    "in": "if 'Empty CSV' in str(error): pass",
    "not in": "x = 'a' not in f'{error}'",
    "equal": "x = str(error) == 'a'",
    "arguments": "x = error.args[0] == 'a'",
    "replace": "raise InputError(str(error).replace('a', 'b'))",
    "replace in a message": "raise InputError(error.message.replace('a', 'b'))",
    "prefix": "x = str(error).strip().startswith('a')",
    "regular expression": "raise InputError(re.sub('a', 'b', str(error)))",
    "search": "x = re.search('a', f'no {error}')",
    "a name": "text = ' '.join(str(error).split())\n        x = 'a' in text",
    "another name": "failure = error\n        text = str(failure)\n        same = text\n        x = 'a' in same",
    "match": "match str(error):\n            case 'a': pass",
    "a function": "x = changed(str(error))",
    "filter": "warnings.filterwarnings('ignore', 'the fit did not')",
    "filter by name": "warnings.filterwarnings('ignore', message='the fit did not')",
    "a recorded warning": "x = 'a' in str(caught[0].message) or 'b' in str(warning.message)",
}
SHOWING = {
    "show": "raise InputError(f'no ({error})')",
    "first line": "raise InputError(str(error).splitlines()[0])",
    "one line": "reason = ' '.join(str(error).split())\n        raise InputError(Message('a', reason))",
    "kind": "if isinstance(error, OSError) or error.errno in (1, 2): pass",
    "field": "x = {'the data': 'X'}.get(error.parameter) == 'X'",
    "other text": "x = 'a' in name or name.replace('a', 'b')",
    "filter by category": "warnings.filterwarnings('ignore', category=UserWarning)",
}
CODE = """
def f(name):
    try:
        g()
    except ValueError as error:
        {}

def changed(text):
    return passed_on(text)

def passed_on(text):
    return re.sub('a', 'b', text)
"""


@pytest.mark.parametrize("case", READING)
def test_the_check_finds_code_that_reads_messages(case):
    tree = ast.parse(CODE.format(READING[case]))
    assert readers(tree, receivers([tree])) != []


@pytest.mark.parametrize("case", SHOWING)
def test_the_check_allows_code_that_shows_messages(case):
    tree = ast.parse(CODE.format(SHOWING[case]))
    assert readers(tree, receivers([tree])) == []
