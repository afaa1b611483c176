"""Waits for the jobs that are named as arguments, and prints each change and end."""

import json
import subprocess
import sys

command = ["cfw-wait", "--quiet", "--output", "json", "--timeout", "45m", "--", *sys.argv[1:]]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as wait:
    for line in wait.stdout:
        event = json.loads(line)
        if event["type"] == "changed":
            print(event["job_id"], event["from"] or "new", "->", event["status"])
        elif event["type"] == "ended":
            print(event["job_id"], event["outcome"])
sys.exit(wait.returncode)
