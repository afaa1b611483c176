"""Makes the SBOM of a wheel say what is in its binary, and the same for two builds of one commit.

maturin lists the crates of all platforms, with paths of the build machine, the time, and a random number.
Usage: clean_sbom.py WHEEL, in the root of the repository.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import uuid
import zipfile
from datetime import datetime, timezone

TARGET = os.environ.get("CFW_TARGET", "x86_64-unknown-linux-gnu")


def linked_crates():
    tree = subprocess.run(
        ["cargo", "tree", "--locked", "-p", "cfw-wait", "-e", "normal,no-proc-macro", "--target", TARGET,
         "--prefix", "none", "--format", "{p}"], check=True, capture_output=True, text=True).stdout
    return {tuple(line.split()[:2]) for line in tree.splitlines() if line}


def clean(text):
    text = re.sub(r"path\+file://[^\"#]*/crates/", "path+file:///crates/", text)
    text = re.sub(r"\?download_url=file://[^\"#]*", "", text)
    sbom = json.loads(text)
    linked = linked_crates()
    sbom["components"] = [c for c in sbom["components"] if (c["name"], "v" + c["version"]) in linked]
    refs = {c["bom-ref"] for c in sbom["components"]} | {sbom["metadata"]["component"]["bom-ref"]}
    sbom["dependencies"] = [
        {**d, "dependsOn": [r for r in d["dependsOn"] if r in refs]} if "dependsOn" in d else d
        for d in sbom["dependencies"] if d["ref"] in refs]
    sbom["metadata"]["properties"] = [{"name": "cdx:rustc:sbom:target:triple", "value": TARGET}]
    time = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc)
    sbom["metadata"]["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ")
    names = "\n".join(sorted(refs))
    sbom["serialNumber"] = uuid.uuid5(uuid.NAMESPACE_URL, f"{time}\n{names}").urn
    return json.dumps(sbom, indent=2) + "\n"


def main(wheel):
    with zipfile.ZipFile(wheel) as old:
        entries = [(info, old.read(info)) for info in old.infolist()]
    name, data = next((i.filename, clean(d.decode()).encode()) for i, d in entries if "/sboms/" in i.filename)
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    with zipfile.ZipFile(wheel + ".new", "w") as new:
        for info, content in entries:
            if info.filename == name:
                content = data
            elif info.filename.endswith(".dist-info/RECORD"):
                record = re.sub(rf"^{re.escape(name)},.*$", f"{name},sha256={digest},{len(data)}",
                                content.decode(), flags=re.M)
                content = record.encode()
            new.writestr(info, content, zipfile.ZIP_DEFLATED)
    os.replace(wheel + ".new", wheel)


main(sys.argv[1])
