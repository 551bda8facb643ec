"""Read an expression from tokens into a tree of the nodes that `atoms` describes."""

from testtime.grade.atoms import CONSTANTS, GREEK, WRAPPERS, AtomReader, Node, number
from testtime.grade.tokens import FUNCTIONS, UnreadableError

DEEPEST = 40
_TIMES = frozenset({"\\times", "\\cdot", "\\ast"})
_OVER = frozenset({"\\div"})
_STARTS = frozenset({"num", "sym", "(", "[", "{", "\\frac", "\\binom", "\\sqrt"})


class Reader(AtomReader):
    """Recursive descent: sums of products of factors."""

    def whole(self) -> Node:
        """The tree of all tokens."""
        node = self.sum()
        if self.at != len(self.tokens):
            raise UnreadableError("unexpected mark")
        return node

    def sum(self) -> Node:
        """Terms joined by plus, minus and their double signs."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise UnreadableError("nested too deeply")
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
        """The first term, which may have a sign of its own."""
        mark = self.peek()
        if mark == "+":
            self.take()
            return self.product()
        if mark == "-":
            self.take()
            return ("neg", self.product())
        if mark in ("\\pm", "\\mp"):
            self.take()
            return (mark[1:], number("0"), self.product())
        return self.product()

    def product(self) -> Node:
        """Factors joined by multiplication and division signs."""
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
        """Whether a factor can start here; a bar opens only where none is open."""
        mark = self.peek()
        if mark == "|":
            return self.bars == 0
        command = mark in CONSTANTS or mark in GREEK or mark in WRAPPERS or mark[1:] in FUNCTIONS
        return mark in _STARTS or (mark[:1] == "\\" and command)

    def juxtaposed(self) -> Node:
        r"""Factors side by side: a product, or a mixed number such as 2 \frac{1}{2}."""
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
            part = ("div", number(top.text), number(bottom.text))
            if _whole_fraction(part) and node[1].denominator == 1:
                return ("add", node, part)
        raise UnreadableError("a number beside a factor")

    def factor(self) -> Node:
        """An atom with its powers, factorials, percent and degree signs."""
        node = self.atom()
        while (mark := self.peek()) in ("^", "!", "%", "\\deg", "'"):
            self.take()
            if mark == "^":
                if node[0] == "pow" and self.tokens[self.at - 2].text not in (")", "]", "}"):
                    raise UnreadableError("a power of a power without brackets")
                node = ("pow", node, self.argument(whole_number=True))
            elif mark == "'":
                raise UnreadableError("a derivative or a mark")
            else:
                node = ({"!": "fact", "%": "pct", "\\deg": "deg"}[mark], node)
        return node


def _whole_fraction(node: Node) -> bool:
    if node[0] != "div" or node[1][0] != "num" or node[2][0] != "num":
        return False
    return node[1][1].denominator == 1 and node[2][1].denominator == 1 and node[2][1] > 0
