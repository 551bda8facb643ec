r"""Read the parts of an expression that stand together: numerals, symbols, groups, commands.

Nodes are tuples: ("num", Fraction, decimals shown), ("based", Fraction, base), ("sym", name),
("const", name), ("fn", name, node, ...), ("add" | "mul" | "div" | "pow" | "pm" | "mp", node, node)
and ("neg" | "pct" | "deg" | "fact", node).
"""

from fractions import Fraction

from testtime.grade.tokens import FUNCTIONS, Token, UnreadableError

Node = tuple
CONSTANTS = {"\\pi": "pi", "\\infty": "inf"}
GREEK = frozenset(
    {
        *("\\alpha", "\\beta", "\\gamma", "\\delta", "\\epsilon", "\\varepsilon", "\\theta"),
        *("\\lambda", "\\mu", "\\nu", "\\rho", "\\sigma", "\\tau", "\\phi", "\\varphi"),
        *("\\omega", "\\Delta", "\\Omega", "\\ell"),
    }
)
WRAPPERS = {"|": "abs", "\\lfloor": "floor", "\\lceil": "ceil"}
_CLOSE = {"(": ")", "[": "]", "{": "}", "|": "|", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil"}
# A letter that names a function, when a bracket follows.
_FUNCTION_NAMES = frozenset("fghFGHPQ")


class AtomReader:
    """A place in a list of tokens and what can start there.

    `Reader` adds the operators: sum, factor and starts_factor.
    """

    def __init__(self, tokens: list[Token]):
        self.tokens, self.at, self.depth, self.bars = tokens, 0, 0, 0

    def peek(self, ahead: int = 0) -> str:
        """The mark or command that comes next; "num", "sym" and "word" for those."""
        if self.at + ahead >= len(self.tokens):
            return ""
        token = self.tokens[self.at + ahead]
        return token.text if token.kind == "cmd" else token.kind

    def take(self, expected: str = "") -> Token:
        """The next token, which must be `expected` where that is given."""
        if self.at >= len(self.tokens) or (expected and self.peek() != expected):
            raise UnreadableError(f"expected {expected or 'more'}")
        self.at += 1
        return self.tokens[self.at - 1]

    def argument(self, whole_number: bool = False) -> Node:
        r"""What a command or ^ takes: a group, a token with its sign, or a digit (\frac12)."""
        mark = self.peek()
        if mark == "{":
            return self.group()
        if mark == "-":
            self.take()
            return ("neg", self.argument(whole_number))
        if mark == "num" and not whole_number:
            token = self.tokens[self.at]
            if len(token.text) > 1 and token.text.isdigit():
                self.tokens = [*self.tokens]
                self.tokens[self.at] = Token("num", token.text[1:])
                return number(token.text[0])
        return self.atom()

    def group(self) -> Node:
        """What a pair of brackets or bars holds."""
        opening = self.take()
        mark = opening.text
        self.bars += mark == "|"
        node = self.sum()
        self.bars -= mark == "|"
        self.take(_CLOSE[mark])
        return node

    def atom(self) -> Node:
        """The smallest thing that has a value."""
        mark = self.peek()
        if mark in WRAPPERS:
            return ("fn", WRAPPERS[mark], self.group())
        if mark in ("(", "[", "{"):
            return self.group()
        if mark == "num":
            return self.numeral()
        if mark == "sym" or mark in GREEK:
            return self.symbol()
        if mark in CONSTANTS:
            self.take()
            return ("const", CONSTANTS[mark])
        return self.command(mark)

    def numeral(self) -> Node:
        """A number, perhaps with its base as a subscript."""
        node = number(self.take().text)
        if self.peek() == "_":
            self.take()
            return ("based", node[1], self.subscript())
        return node

    def symbol(self) -> Node:
        """A variable with its subscript, or one of the constants e and i."""
        name = self.take().text
        if self.peek() == "_":
            self.take()
            name += "_" + self.subscript()
        elif name in ("e", "i"):
            return ("const", name)
        if name in _FUNCTION_NAMES and self.peek() == "(":
            raise UnreadableError("a function without a name for its value")
        return ("sym", name)

    def subscript(self) -> str:
        """The text of a subscript."""
        if self.peek() != "{":
            return self.take().text
        self.take()
        parts = []
        while self.peek() in ("num", "sym", ",", "+", "-", "word"):
            parts.append(self.take().text)
        self.take("}")
        return "".join(parts)

    def command(self, mark: str) -> Node:
        """A fraction, root, binomial or function."""
        if mark == "\\frac":
            self.take()
            return ("div", self.argument(), self.argument())
        if mark == "\\binom":
            self.take()
            return ("fn", "binom", self.argument(), self.argument())
        if mark == "\\sqrt":
            self.take()
            degree = number("2")
            if self.peek() == "[":
                degree = self.group()
            if self.peek() == "(":
                return ("fn", "root", self.group(), degree)
            return ("fn", "root", self.argument(), degree)
        if mark[1:] in FUNCTIONS:
            return self.function()
        raise UnreadableError(f"unknown notation {mark or 'at the end'}")

    def function(self) -> Node:
        """A named function with its argument, power and base."""
        name = self.take().text[1:]
        exponent = base = None
        while self.peek() in ("^", "_"):
            if self.take().kind == "^":
                exponent = self.argument(whole_number=True)
            else:
                base = self.argument(whole_number=True)
        node = ("fn", name, self.function_argument())
        if base is not None:
            if name != "log":
                raise UnreadableError("a subscript on a function")
            node = ("fn", "logb", node[2], base)
        if exponent == ("neg", number("1")):
            return ("fn", "arc" + name, node[2])
        return node if exponent is None else ("pow", node, exponent)

    def function_argument(self) -> Node:
        """(x) ends the argument; without brackets it goes on to the next function or sum."""
        if self.peek() in ("(", "[", "{"):
            return self.group()
        if not self.starts_factor():
            raise UnreadableError("a function of nothing")
        node = self.factor()
        while self.starts_factor() and self.peek() not in ("(", "[", "num"):
            if self.peek()[1:] in FUNCTIONS and self.peek() != "\\sqrt":
                break
            node = ("mul", node, self.factor())
        return node


def number(text: str) -> Node:
    """The node of a plain numeral."""
    if len(text) > 400:
        raise UnreadableError("a number too long")
    return ("num", Fraction(text), len(text.partition(".")[2]))
