r"""Read an expression from tokens into a tree.

Nodes are tuples: ("num", Fraction, decimals shown), ("based", Fraction, base), ("sym", name),
("const", name), ("fn", name, node, ...), ("add" | "mul" | "div" | "pow" | "pm" | "mp", node, node)
and ("neg" | "pct" | "deg" | "fact", node).
"""

from fractions import Fraction

from testtime.grade.tokens import FUNCTIONS, Token, Unreadable

Node = tuple
DEEPEST = 40
_CONSTANTS = {"\\pi": "pi", "\\infty": "inf"}
_GREEK = frozenset(
    "\\alpha \\beta \\gamma \\delta \\epsilon \\varepsilon \\theta \\lambda \\mu \\nu \\rho \\sigma "
    "\\tau \\phi \\varphi \\omega \\Delta \\Omega \\ell".split()
)
_TIMES = frozenset({"\\times", "\\cdot", "\\ast"})
_OVER = frozenset({"\\div"})
_CLOSE = {"(": ")", "[": "]", "{": "}", "|": "|", "\\lfloor": "\\rfloor", "\\lceil": "\\rceil"}
_WRAPPERS = {"|": "abs", "\\lfloor": "floor", "\\lceil": "ceil"}
_ENDS = frozenset({")", "]", "}", "\\}", "\\rfloor", "\\rceil", "&", "\\\\"})


class Reader:
    """Recursive descent over one list of tokens."""

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
            raise Unreadable(f"expected {expected or 'more'}")
        self.at += 1
        return self.tokens[self.at - 1]

    def whole(self) -> Node:
        """The tree of all tokens."""
        node = self.sum()
        if self.at != len(self.tokens):
            raise Unreadable("unexpected mark")
        return node

    def sum(self) -> Node:
        self.depth += 1
        if self.depth > DEEPEST:
            raise Unreadable("nested too deeply")
        node = self.signed()
        while (mark := self.peek()) in ("+", "-", "\\pm", "\\mp"):
            self.take()
            right = self.product()
            if mark in ("+", "-"):
                node = ("add", node, right if mark == "+" else ("neg", right))
            else:
                node = ("pm" if mark == "\\pm" else "mp", node, right)
        self.depth -= 1
        return node

    def signed(self) -> Node:
        mark = self.peek()
        if mark == "+":
            self.take()
            return self.product()
        if mark == "-":
            self.take()
            return ("neg", self.product())
        if mark in ("\\pm", "\\mp"):
            self.take()
            return (mark[1:], _number("0"), self.product())
        return self.product()

    def product(self) -> Node:
        node = self.juxtaposed()
        while (mark := self.peek()) in ("*", "/", ":") or mark in _TIMES or mark in _OVER:
            self.take()
            negative = self.peek() == "-"
            if negative:
                self.take()
            # 1/2x means half of x where a person types it: a fraction of two plain numbers first.
            plain = node[0] == "num" and self.peek() == "num" and mark == "/"
            right = self.factor() if plain else self.juxtaposed()
            right = ("neg", right) if negative else right
            node = ("mul", node, right) if mark == "*" or mark in _TIMES else ("div", node, right)
            if plain and self.starts_factor():
                node = ("mul", node, self.juxtaposed())
        return node

    def starts_factor(self) -> bool:
        mark = self.peek()
        if mark == "|":
            return self.bars == 0
        return (
            mark in ("num", "sym", "(", "[", "{")
            or (
                mark[:1] == "\\"
                and (
                    mark in _CONSTANTS
                    or mark in _GREEK
                    or mark in _WRAPPERS
                    or mark[1:] in FUNCTIONS
                )
            )
            or mark in ("\\frac", "\\binom", "\\sqrt")
        )

    def juxtaposed(self) -> Node:
        """Factors side by side: a product, or a mixed number such as 2 \\frac{1}{2}."""
        first_plain = self.peek() == "num"
        node = self.factor()
        while self.starts_factor():
            if self.peek() == "num":
                node, first_plain = self.mixed(node, first_plain), False
                continue
            fraction = self.peek() == "\\frac"
            right = self.factor()
            if first_plain and fraction and node[0] == "num" and _whole_fraction(right):
                node = ("add", node, right)
            else:
                node = ("mul", node, right)
            first_plain = False
        return node

    def mixed(self, node: Node, plain: bool) -> Node:
        """A number behind a factor is read only as "2 1/2"."""
        if plain and node[0] == "num" and self.peek(1) == "/" and self.peek(2) == "num":
            top, _, bottom = self.take(), self.take(), self.take()
            part = ("div", _number(top.text), _number(bottom.text))
            if _whole_fraction(part) and node[1].denominator == 1:
                return ("add", node, part)
        raise Unreadable("a number beside a factor")

    def factor(self) -> Node:
        node = self.atom()
        while (mark := self.peek()) in ("^", "!", "%", "\\deg", "'"):
            self.take()
            if mark == "^":
                node = ("pow", node, self.argument(whole_number=True))
            elif mark == "'":
                raise Unreadable("a derivative or a mark")
            else:
                node = ({"!": "fact", "%": "pct", "\\deg": "deg"}[mark], node)
        return node

    def argument(self, whole_number: bool = False) -> Node:
        """What a command or ^ takes: a group, a sign and a token, or one digit (as in \\frac12)."""
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
                return _number(token.text[0])
        return self.atom()

    def group(self) -> Node:
        opening = self.take()
        mark = opening.text
        self.bars += mark == "|"
        node = self.sum()
        self.bars -= mark == "|"
        self.take(_CLOSE[mark])
        return node

    def atom(self) -> Node:
        mark = self.peek()
        if mark in _WRAPPERS:
            return ("fn", _WRAPPERS[mark], self.group())
        if mark in ("(", "[", "{"):
            return self.group()
        if mark == "num":
            return self.numeral()
        if mark == "sym" or mark in _GREEK:
            return self.symbol()
        if mark in _CONSTANTS:
            self.take()
            return ("const", _CONSTANTS[mark])
        return self.command(mark)

    def numeral(self) -> Node:
        node = _number(self.take().text)
        if self.peek() == "_":
            self.take()
            return ("based", node[1], self.subscript())
        return node

    def symbol(self) -> Node:
        name = self.take().text
        if self.peek() == "_":
            self.take()
            name += "_" + self.subscript()
        elif name in ("e", "i"):
            return ("const", name)
        if name in ("f", "g", "h", "F", "G", "H", "P", "Q") and self.peek() == "(":
            raise Unreadable("a function without a name for its value")
        return ("sym", name)

    def subscript(self) -> str:
        if self.peek() != "{":
            return self.take().text
        self.take()
        parts = []
        while self.peek() in ("num", "sym", ",", "+", "-", "word"):
            parts.append(self.take().text)
        self.take("}")
        return "".join(parts)

    def command(self, mark: str) -> Node:
        if mark == "\\frac":
            self.take()
            return ("div", self.argument(), self.argument())
        if mark == "\\binom":
            self.take()
            return ("fn", "binom", self.argument(), self.argument())
        if mark == "\\sqrt":
            self.take()
            degree = _number("2")
            if self.peek() == "[":
                degree = self.group()
            if self.peek() == "(":
                return ("fn", "root", self.group(), degree)
            return ("fn", "root", self.argument(), degree)
        if mark[1:] in FUNCTIONS:
            return self.function()
        raise Unreadable(f"unknown notation {mark or 'at the end'}")

    def function(self) -> Node:
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
                raise Unreadable("a subscript on a function")
            node = ("fn", "logb", node[2], base)
        if exponent == ("neg", _number("1")):
            return ("fn", "arc" + name, node[2])
        return node if exponent is None else ("pow", node, exponent)

    def function_argument(self) -> Node:
        """(x) ends the argument; without brackets it goes on to the next function or sum."""
        if self.peek() in ("(", "[", "{"):
            return self.group()
        if not self.starts_factor():
            raise Unreadable("a function of nothing")
        node = self.factor()
        while self.starts_factor() and self.peek() not in ("(", "[", "num"):
            if self.peek()[1:] in FUNCTIONS and self.peek() != "\\sqrt":
                break
            node = ("mul", node, self.factor())
        return node


def _number(text: str) -> Node:
    if len(text) > 400:
        raise Unreadable("a number too long")
    return ("num", Fraction(text), len(text.partition(".")[2]))


def _whole_fraction(node: Node) -> bool:
    if node[0] != "div" or node[1][0] != "num" or node[2][0] != "num":
        return False
    return node[1][1].denominator == 1 and node[2][1].denominator == 1 and node[2][1] > 0
