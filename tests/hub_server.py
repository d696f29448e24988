"""A small Hugging Face Hub on the loopback address: the few requests with which models are found and downloaded.

Its answers are those of the real one: a renamed model is a redirect, large files lie on another host and can be asked
for in parts, every file has its commit and its ETag. HF_ENDPOINT leads a process of ours to it.
"""

import hashlib
import json
import re
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".safetensors", ".bin", ".h5")  # kept with Git LFS


@dataclass
class Faults:
    """What goes wrong; a test sets what it wants."""

    status: dict[str, tuple[int, dict]] = field(default_factory=dict)  # regular expression of paths: status and headers
    break_off: list[int] = field(
        default_factory=list
    )  # each answer with a large file takes one: the bytes until the connection breaks
    header_seconds: float = 0  # between two bytes of an answer's first lines
    body_seconds: float = 0  # between two parts of a large file
    part: int = 1 << 16


class Hub:
    """The server: `with Hub({"someone/model": folder}) as hub:` and then `hub.environment`.

    Attributes:
        requests: what was asked for, as "GET /path", with the range if one was wanted.
        renamed: old names of models, and what they are called now.
        shown_token: the paths of requests that came with a token.
    """

    def __init__(self, folders: dict[str, Path], renamed: dict[str, str] | None = None):
        self.folders, self.renamed = folders, renamed or {}
        self.requests: list[str] = []
        self.shown_token: list[str] = []
        self.faults = Faults()
        self._servers = [_Server(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": self})) for _ in range(2)]

    def __enter__(self) -> "Hub":
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    @cached_property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @cached_property
    def storage(self) -> str:
        """Where large files lie: for the client another host."""
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    def start_anew(self) -> None:
        """Forget faults and requests."""
        self.faults, self.requests, self.shown_token = Faults(), [], []


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """Say nothing about clients that go away; they are stopped on purpose."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *arguments) -> None:
        pass

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        wanted = self.headers.get("Range")
        self.hub.requests.append(f"{self.command} {path}" + f" {wanted}" * bool(wanted))
        if self.headers.get("Authorization"):
            self.hub.shown_token.append(path)
        for pattern, (status, headers) in self.hub.faults.status.items():
            if re.search(pattern, path):
                return self._send(status, headers)
        if found := re.fullmatch(r"/storage/(.+)/([^/]+)", path):
            return self._send_large(self.hub.folders[found[1]] / found[2])
        if found := re.fullmatch(r"/api/resolve-cache/models/(.+)/\w+/([^/]+)", path):
            file = self.hub.folders[found[1]] / found[2]
            return self._send(
                200, {"ETag": f'"{_describe(file)["blobId"]}"', "X-Repo-Commit": COMMIT}, file.read_bytes()
            )
        if found := re.fullmatch(r"/api/models/(.+?)/tree/\w+", path):
            if new := self.hub.renamed.get(found[1]):
                return self._send(307, {"Location": self.path.replace(found[1], new, 1)})
            tree = [_describe_in_tree(file) for file in sorted(self.hub.folders[found[1]].iterdir())]
            return self._send(200, {"Content-Type": "application/json"}, json.dumps(tree).encode())
        if found := re.fullmatch(r"/api/(datasets/.+?)/(tree|paths-info)/\w+(/.*)?", path):
            files = sorted(self.hub.folders[found[1]].iterdir())
            if found[2] == "paths-info":
                wanted = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())["paths"]
                files = [file for file in files if file.name in wanted]
            listed = [
                {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": _describe(file)["blobId"]}
                for file in files
            ]
            return self._send(200, {"Content-Type": "application/json"}, json.dumps(listed).encode())
        if found := re.fullmatch(r"/api/(?:models/)?((?:datasets/)?.+?)(?:/revision/\w+)?", path):
            name = found[1]
            if new := self.hub.renamed.get(name):
                return self._send(307, {"Location": self.path.replace(name, new, 1)})
            if name not in self.hub.folders:
                return self._send(
                    401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Invalid username or password."}
                )
            files = [_describe(file) for file in sorted(self.hub.folders[name].iterdir())]
            about = {
                "id": name,
                "modelId": name,
                "sha": COMMIT,
                "private": False,
                "tags": [],
                "downloads": 0,
                "siblings": files,
            }
            return self._send(200, {"Content-Type": "application/json"}, json.dumps(about).encode())
        if found := re.fullmatch(r"/(.+)/resolve/\w+/([^/]+)", path):
            name, file = found[1], found[2]
            if new := self.hub.renamed.get(name):
                return self._send(307, {"Location": self.path.replace(name, new, 1)})
            if name not in self.hub.folders or not (target := self.hub.folders[name] / file).exists():
                return self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
            about = _describe(target)
            if lfs := about["lfs"]:
                linked = {
                    "X-Linked-Etag": f'"{lfs["sha256"]}"',
                    "X-Linked-Size": str(about["size"]),
                    "X-Repo-Commit": COMMIT,
                }
                return self._send(302, {"Location": f"{self.hub.storage}/storage/{name}/{file}", **linked})
            return self._send(
                307, {"Location": f"/api/resolve-cache/models/{name}/{COMMIT}/{file}", "X-Repo-Commit": COMMIT}
            )
        return self._send(404, {})

    def _send(self, status: int, headers: dict, body: bytes = b"") -> None:
        if seconds := self.hub.faults.header_seconds:
            for letter in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"." * 10_000:
                self.wfile.write(bytes([letter]))
                time.sleep(seconds)
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_large(self, path: Path) -> None:
        faults, content = self.hub.faults, path.read_bytes()
        size = len(content)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(wanted[1]) if wanted else 0
        if first >= size:
            return self._send(416, {"Content-Range": f"bytes */{size}"})
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(size - first))
        self.send_header("ETag", f'"{hashlib.md5(content).hexdigest()}"')
        if first:
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        self.end_headers()
        if self.command == "HEAD":
            return None
        until = first + faults.break_off.pop(0) if faults.break_off else size
        for start in range(first, min(until, size), faults.part):
            part = content[start : min(start + faults.part, until)]
            self.wfile.write(part)
            time.sleep(faults.body_seconds)
        if until < size:
            self.close_connection = True
        return None


def _describe(file: Path) -> dict:
    """Return what the Hub tells about a file: of a large one the SHA-256, of any the Git hash."""
    content = file.read_bytes()
    large = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    lfs = large if file.suffix in LARGE else None
    return {"rfilename": file.name, "size": len(content), "blobId": blob, "lfs": lfs}


def _describe_in_tree(file: Path) -> dict:
    about = _describe(file)
    lfs = about["lfs"] and {"oid": about["lfs"]["sha256"], "size": about["size"], "pointerSize": 134}
    return {"type": "file", "path": file.name, "size": about["size"], "oid": about["blobId"]} | (
        {"lfs": lfs} if lfs else {}
    )
