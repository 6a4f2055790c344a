"""A local cloud of the referees' own, and the product on it."""

import json
import os
import pathlib
import re
import signal
import subprocess
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_TIMEOUT = 30
SETTLE = 2


class Cloud:
    """Runs bin/localcloud in a folder; what it is asked goes to record."""

    def __init__(self, folder, speed, record):
        pathlib.Path(folder).mkdir(parents=True)
        self.folder, self.log = pathlib.Path(folder), open(pathlib.Path(folder) / "cloud.log", "w")
        self.process = subprocess.Popen(
            [ROOT / "bin/localcloud", "serve", "--dir", folder, "--speed", str(speed), "--record", record],
            stdout=self.log, stderr=self.log)
        self.environment = {}

    def __enter__(self):
        deadline = time.monotonic() + START_TIMEOUT
        while not (self.folder / "env").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"the local cloud did not start: see {self.log.name}")
            time.sleep(0.05)
        text = (self.folder / "env").read_text()
        given = dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", text, re.M))
        drop = re.compile(r"AWS_|AICLUSTER_|NO_COLOR")
        self.environment = {k: v for k, v in os.environ.items() if not drop.match(k)} | given | {"NO_COLOR": "1", "AWS_PAGER": ""}
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.log.close()

    def admin(self, path):
        with urllib.request.urlopen(f"{self.environment['AWS_ENDPOINT_URL']}/_localcloud/{path}") as reply:
            return json.load(reply)

    def settle(self):
        """Waits until every list shows what is there: the services are eventually consistent."""
        time.sleep(SETTLE)

    def aicluster(self, *args, cwd, allowed=(0,)):
        done = subprocess.run([ROOT / "bin/aicluster", *args], cwd=cwd, env=self.environment, capture_output=True, text=True)
        if done.returncode not in allowed:
            raise SystemExit(f"aicluster {' '.join(args)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout
