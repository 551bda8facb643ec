"""A child process that compares answers with math-verify: one JSON line in, one out.

Started as `python -m testtime.grade.worker`, so that nothing of the parent is imported or pickled.
Time and memory are bounded, and anything that text could do by accident or by design is blocked.
"""

import json
import os
import re
import resource
import signal
import sys
import time

from testtime.grade import mathverify

OPERATIONS = {"equal": mathverify.equal, "plain": mathverify.plain, "value": mathverify.value}
_FORBIDDEN = (
    "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile",
    "subprocess.Popen", "socket.", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link",
    "os.symlink", "os.truncate", "os.chmod", "os.chown", "shutil.", "ctypes.", "urllib.",
    "ftplib.", "smtplib.", "webbrowser.", "pty.",
)  # fmt: skip


class Refused(BaseException):
    """A forbidden operation was requested; no `except Exception` below may swallow it."""


def lock_down() -> None:
    """Refuse from now on other processes, the network, writing and `eval` of text.

    No code below needs any of it; this is a second line of defence, and tests rely on it.
    """
    import sympy
    import sympy.parsing.sympy_parser as parser
    import sympy.physics.units  # `simplify` imports it late, and it evaluates its own literals

    def fraction(text: str, *_args, **_kwargs):
        # sympy's tables hold literals such as "3/2"; anything else is refused.
        if not re.fullmatch(r"-?\d{1,9}(/\d{1,9})?", str(text)):
            raise Refused("text is never evaluated")
        top, _, bottom = text.partition("/")
        return sympy.Rational(int(top), int(bottom or 1))

    def refuse(*_args, **_kwargs):
        raise Refused("text is never evaluated")

    parser.eval_expr = refuse
    sympy.parse_expr = parser.parse_expr = fraction
    known = {name.partition(".")[0] for name in sys.modules} | set(sys.stdlib_module_names)

    def hook(event: str, args: tuple) -> None:
        if event.startswith(_FORBIDDEN):
            raise Refused(f"{event} is not allowed here")
        if event == "open" and (
            any(c in str(args[1] or "r") for c in "wax+")
            or (isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR))
        ):
            raise Refused("writing is not allowed here")
        if event == "import" and str(args[0]).partition(".")[0] not in known:
            raise ImportError(f"no import of {args[0]} here")

    sys.addaudithook(hook)


def answer(task: dict) -> dict:
    """The reply to one task; `stop` says that this process should not continue."""
    try:
        result, reason = OPERATIONS[task["op"]](*task["args"])
    except MemoryError:
        return {"result": None, "reason": "undecided: over the memory limit", "stop": True}
    except RecursionError:
        return {"result": None, "reason": "undecided: nested too deeply"}
    except Refused as error:
        return {"result": None, "reason": f"undecided: refused ({error})"}
    except Exception as error:  # sympy may raise anything on hostile text
        return {"result": None, "reason": f"undecided: math-verify failed ({type(error).__name__})"}
    if result is None:
        reason = f"undecided: {reason}"
    return {"result": result, "reason": reason}


def main(memory_limit_mb: int, time_limit_s: float) -> None:
    """Answer tasks until standard input ends.

    Args:
        memory_limit_mb: megabytes of address space.
        time_limit_s: processor seconds of one task; beyond them the process is killed.
    """
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a library's prints must not mix with the replies
    mathverify.load()
    # Parse and compare once: the grammar and lazy imports load before memory is bounded.
    mathverify.equal("\\frac{1}{2}x", "0.5x")
    limit = memory_limit_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    lock_down()
    out.write('{"ready": true}\n')
    out.flush()
    for line in sys.stdin:
        # Processor time, so that a verdict does not depend on the machine's load. Nothing catches
        # the signal: it ends the process wherever it is, even when the parent is gone.
        signal.setitimer(signal.ITIMER_PROF, time_limit_s)
        started = time.process_time()
        reply = answer(json.loads(line))
        signal.setitimer(signal.ITIMER_PROF, 0)
        out.write(json.dumps({**reply, "seconds": time.process_time() - started}) + "\n")
        out.flush()
        if reply.get("stop"):
            break


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
