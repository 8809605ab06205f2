"""A stand-in for OpenSearch, as far as Timesketch needs it to index events and give them back. It is not OpenSearch.

As a real index does it: the first value of a field chooses the field's type, and a document with a value that does not
fit is refused, inside an answer that says 200.
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

Document: TypeAlias = dict[str, Any]

_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?")
_TYPES = {bool: "boolean", int: "long", float: "float", dict: "object", str: "text"}
_LONG = 1 << 63


@dataclass
class Index:
    """The types of fields, and documents."""

    types: dict[str, str] = field(default_factory=dict)
    documents: list[Document] = field(default_factory=list)

    def add(self, document: Document) -> str:
        """Why it is refused, if it is."""
        values = [
            (name, each)
            for name, value in document.items()
            for each in (value if isinstance(value, list) else [value])
            if each is not None
        ]
        for name, value in values:
            if not _fits(self.types.get(name, _TYPES[type(value)]), value):
                return f"failed to parse field [{name}] of type [{self.types[name]}]: {value!r}"
        for name, value in values:
            self.types.setdefault(name, _TYPES[type(value)])
        self.documents.append(document)
        return ""


def _fits(kind: str, value: object) -> bool:
    if kind == "date":
        return bool(_DATE.fullmatch(str(value)))
    if kind == "boolean":
        return value in (True, False, "true", "false", "")
    if kind in ("long", "float"):
        return _is_number(value, kind)
    return isinstance(value, dict) == (kind in ("object", "nested"))


def _is_number(value: object, kind: str) -> bool:
    try:
        number = float(str(value))
    except ValueError:
        return False
    return kind == "float" or -_LONG <= number < _LONG


@dataclass
class OpenSearch:
    """What runs: its port, and all indices."""

    port: int = 0
    indices: dict[str, Index] = field(default_factory=lambda: defaultdict(Index))
    lock: Lock = field(default_factory=Lock)

    def bulk(self, body: bytes) -> Document:
        """Adds documents: a line that says where, and a line with it."""
        lines = [json.loads(line) for line in body.decode().split("\n") if line]
        items = [
            {"index": self._added(place["index"]["_index"], document)}
            for place, document in zip(lines[::2], lines[1::2], strict=True)
        ]
        return {"took": 1, "errors": any("error" in each["index"] for each in items), "items": items}

    def _added(self, name: str, document: Document) -> Document:
        with self.lock:
            refused = self.indices[name].add(document)
            told = {"_index": name, "_id": str(len(self.indices[name].documents))}
        if refused:
            return told | {"status": 400, "error": {"type": "mapper_parsing_exception", "reason": refused}}
        return told | {"status": 201, "result": "created"}

    def found(self, names: str, query: Document) -> list[Document]:
        """The documents of a timeline, by the terms of its number, as they are indexed; no other term counts."""
        wanted = set(_timelines(query))
        documents = [
            (name, number, each)
            for name in names.split(",")
            for number, each in enumerate(self.indices[name].documents)
            if not wanted or each.get("__ts_timeline_id") in wanted
        ]
        return [{"_index": name, "_id": str(number), "_source": each} for name, number, each in documents]


def _timelines(query: Any) -> Iterator[int]:  # noqa: ANN401  JSON
    for each in query if isinstance(query, list) else query.values() if isinstance(query, dict) else ():
        if isinstance(each, dict) and "__ts_timeline_id" in each:
            found = each["__ts_timeline_id"]
            yield from found if isinstance(found, list) else [found]
        else:
            yield from _timelines(each)


@contextmanager
def running() -> Iterator[OpenSearch]:
    """One on a free port of this machine."""
    store = OpenSearch()

    class Handler(_Handler):
        opensearch = store

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        store.port = server.server_port
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield store
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    opensearch: OpenSearch

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_HEAD(self) -> None:
        name = urlsplit(self.path).path.strip("/")
        self._answer({}, 200 if not name or name in self.opensearch.indices else 404)

    def do_PUT(self) -> None:
        body = json.loads(self._body() or b"{}")
        name, *rest = urlsplit(self.path).path.strip("/").split("/")
        if not rest:
            properties = body.get("mappings", {}).get("properties", {})
            self.opensearch.indices[name].types |= {each: told["type"] for each, told in properties.items()}
        self._answer({"acknowledged": True, "shards_acknowledged": True, "index": name})

    def do_GET(self) -> None:
        self._asked()

    def do_DELETE(self) -> None:
        self._body()
        self._answer({})

    def do_POST(self) -> None:
        if urlsplit(self.path).path.endswith("/_bulk"):
            self._answer(self.opensearch.bulk(self._body()))
        else:
            self._asked()

    def _asked(self) -> None:
        query = json.loads(self._body() or b"{}")
        name, _, what = urlsplit(self.path).path.strip("/").partition("/")
        answers: dict[str, Callable[[], Document]] = {
            "_mapping": lambda: {each: {"mappings": {"properties": self._types(each)}} for each in name.split(",")},
            "_settings": lambda: {each: {"settings": {"index": {}}} for each in name.split(",")},
            "_count": lambda: {"count": len(self.opensearch.found(name, query))},
            "_search": lambda: self._page(name, query),
        }
        version = {"version": {"number": "2.19.5", "distribution": "opensearch"}}
        self._answer(answers[what]() if what in answers else version if not name else {"status": "green"})

    def _types(self, name: str) -> Document:
        return {each: {"type": kind} for each, kind in self.opensearch.indices[name].types.items()}

    def _page(self, name: str, query: Document) -> Document:
        """All from where it is asked, in one page whatever its size."""
        asked = parse_qs(urlsplit(self.path).query)
        hits = self.opensearch.found(name, query)
        start = int(query.get("from", asked.get("from", ["0"])[0]))
        told = {"total": {"value": len(hits), "relation": "eq"}, "hits": hits[start:]}
        return {"took": 1, "timed_out": False, "_shards": {"total": 1, "successful": 1, "failed": 0}, "hits": told}

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, told: Document, status: int = 200) -> None:
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
