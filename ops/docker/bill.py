"""Writes an image's bill of materials, in CycloneDX: what is in its Python environment, and Debian's packages below it.

Run in the last step of an image's build, as root, by the Python that has cyclonedx-bom.
"""

import json
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

PYTHON = "/opt/gateway/.venv/bin/python"
PROJECT = "/opt/gateway/pyproject.toml"
BILL = Path("/opt/gateway/sbom.cdx.json")


def main() -> None:
    """Write the bill, or say why it is none."""
    told = subprocess.run(
        [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", PROJECT, "--sv", "1.6", PYTHON],
        stdout=subprocess.PIPE,
        check=True,
    )
    bill = json.loads(told.stdout)
    listed = subprocess.run(
        ["dpkg-query", "--show", "--showformat", "${Package} ${Version} ${Architecture}\n"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    for line in listed.stdout.splitlines():
        name, version, architecture = line.split()
        purl = f"pkg:deb/debian/{name}@{version.replace('+', '%2B').replace(':', '%3A')}?arch={architecture}"
        bill["components"].append({"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl})
    text = json.dumps(bill, indent=1)
    if wrong := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        sys.exit(f"the bill of materials is not valid: {wrong}")
    BILL.write_text(text)


if __name__ == "__main__":
    main()
