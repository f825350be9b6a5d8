"""A model hub on this machine: what a download of a snapshot needs, for one commit of a model."""

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL = "owner/name"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves the files below `folder`, to no one if `gated`; `asked` lists the downloads."""

    def __init__(self, folder: Path, gated: bool = False):
        self.folder = folder
        self.gated = gated
        self.asked: list[str] = []

    def __enter__(self):
        handler = type("Handler", (_Handler,), {"hub": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def environment(self, folder: Path) -> dict[str, str]:
        """Return variables with which a process uses this hub, and a cache in the folder."""
        home = {"HF_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "0"}
        return {"HF_ENDPOINT": self.address, "NO_PROXY": "127.0.0.1"} | home

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str) -> tuple[int, dict, bytes]:
        """Return status, headers and body."""
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        files = {str(path.relative_to(self.folder)): path for path in paths}
        is_json = {"Content-Type": "application/json"}
        resolve = f"/{MODEL}/resolve/{COMMIT}/"
        if MODEL not in path:
            return 401, {"X-Error-Code": "RepoNotFound"}, b""
        if self.gated and "resolve" in path:
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        if COMMIT not in path:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        if "/revision/" in path:
            siblings = [{"rfilename": name} for name in files]
            facts = {"id": MODEL, "sha": COMMIT, "siblings": siblings}
            return 200, is_json, json.dumps(facts).encode()
        if "/tree/" in path:
            rows = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": "0" * 40}
                for name, file in files.items()
            ]
            return 200, is_json, json.dumps(rows).encode()
        if path.startswith(resolve) and path.removeprefix(resolve) in files:
            data = files[path.removeprefix(resolve)].read_bytes()
            etag = f'"{hashlib.sha256(data).hexdigest()}"'
            return 200, {"ETag": etag, "X-Repo-Commit": COMMIT}, data
        return 404, {"X-Error-Code": "EntryNotFound"}, b""


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        # The branch has one commit.
        path = re.sub(r"/main(?=/|$)", f"/{COMMIT}", self.path.split("?")[0])
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
