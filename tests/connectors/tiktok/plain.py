"""A plain HTTP client that sends TikTok right and wrong things; it knows nothing of the connector."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from typing import Any
from urllib.parse import urlencode

from .conftest import ADVERTISER, Recorded

OTHER = "7000000000000000002"
HEX, OTHER_HEX = "a" * 64, "b" * 64
GONE = "7999999999999999999"


class Plain:
    """A plain HTTP client that knows nothing of TikTok."""

    def __init__(self, sandbox: Recorded) -> None:
        self.sandbox, self.token = sandbox, "anonymous"
        self.headers: dict[str, str] = {}

    def send(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Any:
        headers = {"Content-Type": kind} if body is not None else {}
        headers |= {"Access-Token": self.token} if self.token else {}
        url = f"{self.sandbox.address}/open_api/v1.3{path}"
        request = urllib.request.Request(url, data=body, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            self.headers = dict(answer.headers)
            text = answer.read()
            return json.loads(text) if "json" in answer.headers["Content-Type"] else text.decode()

    def get(self, path: str, **query: Any) -> Any:
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in query.items()}
        return self.send("GET", f"{path}?{urlencode(texts)}")

    def post(self, path: str, **body: Any) -> Any:
        return self.send("POST", path, json.dumps(body).encode())

    def upload(self, content: bytes = f"{HEX}\n".encode(), name: str = "a.csv", **fields: str) -> Any:
        form = {"advertiser_id": ADVERTISER, "calculate_type": "EMAIL_SHA256", **fields}
        form.setdefault("file_signature", hashlib.md5(content, usedforsecurity=False).hexdigest())
        parts = [
            f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n' for key, value in form.items() if value
        ]
        if name:
            parts.append(f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n')
        body = "".join(parts).encode() + (content + b"\r\n" if name else b"") + b"--b--\r\n"
        return self.send("POST", "/dmp/custom_audience/file/upload/", body, "multipart/form-data; boundary=b")

    def path_of(self, count: int = 1500, **fields: str) -> str:
        lines = "".join(f"{hashlib.sha256(str(n).encode()).hexdigest()}\n" for n in range(count))
        return str(self.upload(lines.encode(), **fields)["data"]["file_path"])

    def create(self, **changes: Any) -> Any:
        body = {"advertiser_id": ADVERTISER, "custom_audience_name": "A", "calculate_type": "EMAIL_SHA256"}
        merged = {**body, "file_paths": [self.path_of()], **changes}
        return self.post("/dmp/custom_audience/create/", **{key: value for key, value in merged.items() if value is not None})

    def audience(self, count: int = 1500, *, ready: bool = True) -> str:
        made = str(self.create(file_paths=[self.path_of(count)])["data"]["custom_audience_id"])
        if ready:
            self.sandbox.clock.advance(hours=25)
        return made

    def update(self, audience: str, **changes: Any) -> Any:
        body = {"advertiser_id": ADVERTISER, "custom_audience_id": audience, "action": "APPEND", **changes}
        if "file_paths" not in changes:
            body["file_paths"] = [self.path_of(1200)]
        return self.post("/dmp/custom_audience/update/", **{key: value for key, value in body.items() if value is not None})

    def segment(self, owner: str = ADVERTISER) -> str:
        made = self.post("/segment/audience/", advertiser_id=owner, custom_audience_name="S")
        return str(made["data"]["audience_id"])

    def mapping(self, audience: str, **changes: Any) -> Any:
        row = [{"id": HEX, "audience_ids": [audience]}]
        body = {"advertiser_ids": [ADVERTISER], "action": "add", "id_schema": ["EMAIL_SHA256"], "batch_data": [row], **changes}
        return self.post("/segment/mapping/", **{key: value for key, value in body.items() if value is not None})

    def lookalike(self, seed: str, **changes: Any) -> Any:
        spec = {
            "source_audience_id": seed,
            "include_source": False,
            "mobile_os": "ALL",
            "placements": ["TikTok"],
            "location_ids": ["6252001"],
            "audience_size": "NARROW",
            **changes,
        }
        spec = {key: value for key, value in spec.items() if value is not None}
        body = {"advertiser_id": ADVERTISER, "custom_audience_name": "L", "lookalike_spec": spec}
        return self.post("/dmp/custom_audience/lookalike/create/", **body)

    def report(self, **changes: Any) -> Any:
        day = self.sandbox.clock.now().date().isoformat()
        query: dict[str, Any] = {
            "advertiser_id": ADVERTISER,
            "report_type": "BASIC",
            "data_level": "AUCTION_AD",
            "dimensions": ["ad_id", "stat_time_day"],
            "metrics": ["spend"],
            "start_date": day,
            "end_date": day,
            **changes,
        }
        return self.get("/report/integrated/get/", **{key: value for key, value in query.items() if value is not None})
