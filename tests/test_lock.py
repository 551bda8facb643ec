import subprocess
import sys

import pytest
from testtime.errors import UserError
from testtime.lock import hold

HOLDER = "import sys, time; from testtime.lock import hold; hold(sys.argv[1]); print(1, flush=True)"


def test_a_second_run_on_the_same_results_is_refused_while_the_first_lives(tmp_path):
    command = [sys.executable, "-c", HOLDER + "; time.sleep(60)", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as first:
        first.stdout.readline()
        with pytest.raises(UserError, match="another run is writing"):
            hold(tmp_path)
        first.kill()
    hold(tmp_path)
