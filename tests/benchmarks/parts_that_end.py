"""Parts for the tests of `benchmarks.guarded`: each ends in another way."""

import os
import signal
import subprocess
import sys
import time


def well(tell, value: float = 1.5) -> None:
    print("said aloud")
    tell("number", value=value)


def raising(tell) -> None:
    tell("number", value=1.0, failed=0)
    raise ValueError("what is wrong\nand much more")


def hanging(tell) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    tell("child", pid=child.pid)
    time.sleep(600)


def killed(tell) -> None:
    tell("number", value=2.0)
    os.kill(os.getpid(), signal.SIGKILL)


def leaving(tell) -> None:
    os._exit(3)
