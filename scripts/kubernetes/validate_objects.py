# Validates objects with the schemas of several versions of Kubernetes. stdin: JSON with "versions" and "objects".
# stdout: a JSON list of problems.
import json
import sys

import kubernetes_validate

question = json.load(sys.stdin)
problems = []
for version in question["versions"]:
    for entry in question["objects"]:
        try:
            kubernetes_validate.validate(entry["object"], version, strict=True)
        except Exception as error:
            problems.append("%s: %s: %s" % (version, entry["where"], getattr(error, "message", error)))
json.dump(problems, sys.stdout)
