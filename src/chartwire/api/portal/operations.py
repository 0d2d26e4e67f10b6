"""Operations of the OpenAPI document as pages: what goes in, what comes out, samples, a form to try them."""

import json
import shlex
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any
from urllib.parse import urlencode

from chartwire.api.portal.page import told
from chartwire.api.portal.schema import kind, table

Json = dict[str, Any]
_METHODS = ("get", "post", "put", "patch", "delete")
_SUCCESS = ("200", "201", "202", "204")


def by_tag(document: Json) -> dict[str, list[tuple[str, str, Json]]]:
    """(method, path, operation) of each operation, by its tag, in order of the document."""
    found: dict[str, list[tuple[str, str, Json]]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                found.setdefault(item[method]["tags"][0], []).append((method, path, item[method]))
    return found


def article(method: str, path: str, operation: Json, components: Mapping[str, Any]) -> str:
    """One operation."""
    scopes = [scope for one in operation["security"] for scope in one.get("key", ())]
    needs = f'<span class="scope">{escape(scopes[0])}</span>' if scopes else '<span class="scope open">no key</span>'
    parameters = [_resolved(one, components) for one in operation["parameters"]]
    gone = '<span class="required">deprecated</span>' if operation.get("deprecated") else ""
    return (
        f'<article class="operation" id="{operation["operationId"]}">'
        f'<h2><a href="#{operation["operationId"]}">{escape(operation["summary"])}</a></h2>'
        f'<p class="address"><span class="verb {method}">{method.upper()}</span><code>{_path(path)}</code>'
        f"{needs}{gone}</p>"
        f'<div class="columns"><div class="words">{"".join(_words(parameters, operation, components))}</div>'
        f'<div class="samples">{_samples(method, path, operation, parameters)}'
        f"{_trial(method, path, operation, parameters)}</div></div></article>"
    )


def _words(parameters: list[Json], operation: Json, components: Mapping[str, Any]) -> Iterator[str]:
    schemas = components["schemas"]
    for place, title in (("path", "In the path"), ("query", "Parameters"), ("header", "Headers")):
        rows = "".join(_parameter(one, schemas) for one in parameters if one["in"] == place)
        if rows:
            yield f'<h3>{title}</h3><table class="members"><tbody>{rows}</tbody></table>'
    body = _body(operation)
    if body is not None and (rows := table(body["schema"], schemas)):
        yield f"<h3>Body</h3>{rows}"
    answer = _answer(operation)
    if answer is not None and (rows := table(answer["schema"], schemas)):
        yield f"<details><summary><h3>Answer</h3></summary>{rows}</details>"
    problems = [status for status in operation["responses"] if status >= "400"]
    if problems:
        links = " ".join(f'<a href="/docs/problems#status-{one}">{one}</a>' for one in problems)
        yield f'<p class="refusals">Problems: {links}</p>'


def _parameter(one: Json, schemas: Mapping[str, Json]) -> str:
    mark = '<span class="required">required</span>' if one.get("required") else ""
    return (
        f"<tr><td><code>{escape(one['name'])}</code>{mark}</td>"
        f"<td><em>{escape(kind(one['schema'], schemas))}</em><p>{told(one.get('description', ''))}</p></td></tr>"
    )


def _samples(method: str, path: str, operation: Json, parameters: list[Json]) -> str:
    """The request in two languages, and the answer that it got when it was recorded."""
    address, body = _example_address(path, parameters), (_body(operation) or {}).get("example")
    answer = _answer(operation) or {}
    tabs = [("curl", _curl(method, address, body, operation)), ("Python", _python(method, address, body, operation))]
    buttons = "".join(f'<button type="button" data-tab="{name}">{name}</button>' for name, _ in tabs)
    panels = "".join(f'<pre data-panel="{name}"><code>{escape(text)}</code></pre>' for name, text in tabs)
    told_answer = ""
    if "example" in answer:
        text = json.dumps(answer["example"], indent=2, ensure_ascii=False)
        status = next(one for one in operation["responses"] if one in _SUCCESS)
        told_answer = (
            f"<figure><figcaption>{status}</figcaption><pre data-json><code>{escape(text)}</code></pre></figure>"
        )
    return f'<figure class="tabs"><figcaption>{buttons}</figcaption>{panels}</figure>{told_answer}'


def _curl(method: str, address: str, body: Any, operation: Json) -> str:
    lines = ["curl"] if method == "get" else [f"curl -X {method.upper()}"]
    if operation["security"]:
        lines.append('-H "Authorization: Bearer $KEY"')
    if _takes_key(operation):
        lines.append('-H "Idempotency-Key: $(uuidgen)"')
    if body is not None:
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}"]
    lines.append(f'"$CHARTWIRE{address}"')
    return " \\\n  ".join(lines)


def _python(method: str, address: str, body: Any, operation: Json) -> str:
    arguments = [f'    CHARTWIRE + "{address}",']
    if operation["security"]:
        once = ', "Idempotency-Key": str(uuid4())' if _takes_key(operation) else ""
        arguments.append(f'    headers={{"Authorization": f"Bearer {{KEY}}"{once}}},')
    if body is not None:
        arguments.append(f"    json={body!r},")
    call = "\n".join(arguments)
    imports = "from uuid import uuid4\n\nimport requests" if _takes_key(operation) else "import requests"
    return f"{imports}\n\nanswer = requests.{method}(\n{call}\n)\nanswer.raise_for_status()\nprint(answer.text)"


def _takes_key(operation: Json) -> bool:
    return {"$ref": "#/components/parameters/Idempotency-Key"} in operation["parameters"]


def _trial(method: str, path: str, operation: Json, parameters: list[Json]) -> str:
    """A form that sends the request to this server, with the key typed into the bar."""
    fields = "".join(
        f'<label><span>{escape(one["name"])}</span><input name="{escape(one["name"])}" data-in="{one["in"]}" '
        f'value="{escape(str(one.get("example", "")) if one["in"] == "query" else "")}"'
        f"{' required' if one['in'] == 'path' else ''}></label>"
        for one in parameters
        if one["in"] != "header"
    )
    body = _body(operation)
    if body is not None:
        text = json.dumps(body.get("example", {}), indent=2, ensure_ascii=False)
        area = f'<textarea rows="8" spellcheck="false">{escape(text)}</textarea>'
        fields += f'<label class="whole"><span>Body</span>{area}</label>'
    warning = "" if method == "get" else '<p class="warning">This changes data on this server.</p>'
    return (
        f'<details class="trial"><summary>Try it here</summary>{warning}'
        f'<form data-trial data-method="{method.upper()}" data-path="{escape(path)}">{fields}'
        '<button type="submit">Send</button></form><output></output></details>'
    )


def _example_address(path: str, parameters: list[Json]) -> str:
    query = {}
    for one in parameters:
        if "example" not in one:
            continue
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", str(one["example"]))
        elif one["in"] == "query":
            query[one["name"]] = one["example"]
    return f"{path}?{urlencode(query)}" if query else path


def _resolved(parameter: Json, components: Mapping[str, Any]) -> Json:
    reference = parameter.get("$ref", "")
    found: Json = components["parameters"][reference.rpartition("/")[2]] if reference else parameter
    return found


def _body(operation: Json) -> Json | None:
    content: Json = operation.get("requestBody", {}).get("content", {})
    return content.get("application/json") or next(iter(content.values()), None)


def _answer(operation: Json) -> Json | None:
    for status in _SUCCESS:
        content = operation["responses"].get(status, {}).get("content", {})
        if content:
            found: Json = next(iter(content.values()))
            return found
    return None


def _path(path: str) -> str:
    return escape(path).replace("{", "<b>{").replace("}", "}</b>")
