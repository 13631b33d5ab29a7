"""Answers what `openstack token issue` sends, for many environments in one process.

Reads one case from each line of stdin and writes one answer to each line of stdout, both as JSON. Each case runs the
real command in a fork of this process, which has loaded everything and has built the command line once: that takes
40 ms instead of two seconds. Only the last step is replaced, the one that opens a connection.
"""

import io
import json
import logging
import os
import sys
import types

import openstack.config.loader as loader
import requests
from openstackclient import shell

# The module reads the environment and the current folder when it is imported, so each case runs its code again.
with open(loader.__file__) as source:
    LOADER_CODE = compile(source.read(), loader.__file__, "exec")
SEARCH_PATHS = ("CONFIG_HOME", "UNIX_CONFIG_HOME", "SITE_CONFIG_HOME", "CONFIG_SEARCH_PATH")
SEARCHED_FILES = ("CONFIG_FILES", "SECURE_FILES", "VENDOR_FILES")

sent = []


def describe_version(url):
    """The answer of a Keystone to discovery: version 3, below the same address."""
    address = url.split("?")[0].rstrip("/")
    for ending in ("/v3", "/v2.0"):
        address = address.removesuffix(ending)
    version = {
        "id": "v3.14",
        "status": "stable",
        "links": [{"rel": "self", "href": address + "/v3"}],
        "media-types": [],
    }
    return {"version": version} if url.rstrip("/").endswith("/v3") else {"versions": {"values": [version]}}


TOKEN = {
    "token": {
        "methods": ["password"],
        "issued_at": "2029-01-01T00:00:00.000000Z",
        "expires_at": "2030-01-01T00:00:00.000000Z",
        "user": {"id": "u", "name": "u", "domain": {"id": "d", "name": "d"}},
        "project": {"id": "p", "name": "p", "domain": {"id": "d", "name": "d"}},
        "roles": [],
        "catalog": [],
    }
}


def record(adapter, request, verify=True, cert=None, **_options):
    """Takes the place of HTTPAdapter.send: notes the request and answers it."""
    # Fails as it does before a connection: for files that do not exist.
    adapter.cert_verify(types.SimpleNamespace(), request.url, verify, cert)
    body = request.body
    sent.append(
        {
            "method": request.method,
            "url": request.url,
            "body": body.decode() if isinstance(body, bytes) else body,
            "authorization": request.headers.get("Authorization"),
            "verify": verify,
            "cert": cert,
        }
    )
    response = requests.Response()
    response.request = request
    response.url = request.url
    response.raw = io.BytesIO()
    response.headers["Content-Type"] = "application/json"
    if request.method == "GET":
        response.status_code = 200
        content = describe_version(request.url)
    else:
        response.status_code = 201
        response.headers["X-Subject-Token"] = "issued-token"
        content = TOKEN
    response._content = json.dumps(content).encode()
    return response


requests.adapters.HTTPAdapter.send = record


def issue_token(arguments):
    return shell.OpenStackShell().run([*arguments, "token", "issue", "-f", "value", "-c", "id"])


log = io.StringIO()


def run_case(case):
    os.environ.clear()
    os.environ.update(case["env"])
    os.chdir(case["folder"])
    names = {"__name__": "loader", "__file__": loader.__file__}
    exec(LOADER_CODE, names)
    for name in SEARCH_PATHS + SEARCHED_FILES:
        setattr(loader, name, names[name])
    return issue_token(case["arguments"])


def answer(case):
    """Runs a case in a fork, and returns its answer as a line of JSON."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        quiet = io.StringIO()
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(0, 2)
        os.setsid()
        sys.stdout = sys.stderr = quiet
        logging.getLogger().handlers = [logging.StreamHandler(log)]
        try:
            status = run_case(case)
        except BaseException as error:
            status = f"{type(error).__name__}: {error}"
        with os.fdopen(writer, "w") as pipe:
            json.dump({"status": status, "sent": sent, "output": (quiet.getvalue() + log.getvalue())[-2000:]}, pipe)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


def warm_up():
    """Loads what a command loads when it first runs, so that no fork needs to."""
    output, sys.stdout = sys.stdout, io.StringIO()
    os.environ.update(OS_AUTH_URL="http://127.0.0.1/v3", OS_USERNAME="u", OS_PASSWORD="p", OS_PROJECT_ID="p")
    issue_token([])
    sys.stdout = output
    sent.clear()


warm_up()
print("ready", flush=True)
for line in sys.stdin:
    print(answer(json.loads(line)), flush=True)
