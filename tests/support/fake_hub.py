"""A model hub on this machine, as much of one as downloading a snapshot asks for: one model, at one
commit.
"""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL = "owner/name"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves the files below `folder` while it is entered; `asked` holds those that were
    downloaded. gated: to no one.
    """

    def __init__(self, folder: Path, gated: bool = False):
        self.folder, self.gated, self.asked = folder, gated, []

    def __enter__(self):
        self.server = ThreadingHTTPServer(
            ("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self})
        )
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str) -> tuple[int, dict, bytes]:
        """Status, headers and body."""
        files = {
            str(file.relative_to(self.folder)): file
            for file in self.folder.rglob("*")
            if file.is_file()
        }
        resolve = f"/{MODEL}/resolve/{COMMIT}/"
        if MODEL not in path:
            return 401, {"X-Error-Code": "RepoNotFound"}, b""
        if self.gated and "resolve" in path:
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        if COMMIT not in path:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        if "/revision/" in path:
            told = {"id": MODEL, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files]}
            return 200, {"Content-Type": "application/json"}, json.dumps(told).encode()
        if "/tree/" in path:
            rows = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": "0" * 40}
                for name, file in files.items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(rows).encode()
        if path.startswith(resolve) and path.removeprefix(resolve) in files:
            data = files[path.removeprefix(resolve)].read_bytes()
            return (
                200,
                {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT},
                data,
            )
        return 404, {"X-Error-Code": "EntryNotFound"}, b""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        path = re.sub(
            r"/main(?=/|$)", f"/{COMMIT}", self.path.split("?")[0]
        )  # the branch, and its one commit
        status, headers, body = self.hub.answer(path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)
            if "/resolve/" in path and status == 200:
                self.hub.asked.append(path.split(COMMIT + "/")[1])

    do_HEAD = do_GET

    def log_message(self, *_):
        pass
