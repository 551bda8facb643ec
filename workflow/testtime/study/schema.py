"""Schema checks whose errors are one line: key, value, what is allowed."""

from difflib import get_close_matches
from functools import cache

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from testtime.errors import UserError
from testtime.study.layout import WORKFLOW

SCHEMAS = WORKFLOW / "schemas"


def check(value: object, schema: str, where: str) -> None:
    """Check a value against `workflow/schemas/{schema}.schema.yaml`.

    Raises:
        UserError: one line that names the key, its value and what is allowed.
    """
    error = best_match(_validator(schema).iter_errors(value))
    if error is not None:
        raise UserError(f"{where} {_explain(error)}")


@cache
def _validator(schema: str) -> Draft202012Validator:
    path = SCHEMAS / f"{schema}.schema.yaml"
    return Draft202012Validator(yaml.safe_load(path.read_text(encoding="utf-8")))


def _explain(error: ValidationError) -> str:
    key = ".".join(str(part) for part in error.absolute_path) or "(top level)"
    if error.validator == "additionalProperties":
        allowed = sorted(error.schema.get("properties", {}))
        unknown = sorted(set(error.instance) - set(allowed))
        hints = get_close_matches(str(unknown[0]), allowed, n=1)
        hint = f" (did you mean {hints[0]!r}?)" if hints else ""
        return f"{key}: unknown key {unknown[0]!r}{hint}; allowed: {', '.join(allowed)}"
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return f"{key}: {', '.join(missing)} must be given"
    if error.validator == "enum":
        allowed = ", ".join(map(str, error.validator_value))
        return f"{key}: {error.instance!r} is not known; allowed: {allowed}"
    if error.validator == "uniqueItems":
        twice = [v for i, v in enumerate(error.instance) if v in error.instance[:i]]
        return f"{key}: {twice[0]!r} is given twice; allowed: once each"
    description = error.schema.get("description", "")
    allowed = f"; allowed: {description}" if description else ""
    return f"{key}: {error.instance!r} is not valid ({error.message}){allowed}"
