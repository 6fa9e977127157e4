"""The page at ``/docs``: the OpenAPI document as plain HTML, without scripts or external resources."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

import msgspec

Json = dict[str, Any]

_STYLE = """
:root { color-scheme: light dark;
  --bg: light-dark(#ffffff, #0d1015); --surface: light-dark(#f6f7f9, #14181f); --line: light-dark(#e1e5ea, #252b35);
  --ink: light-dark(#12161d, #e9ecf1); --muted: light-dark(#5a6574, #a3acb9); --link: light-dark(#4338ca, #a9b1ff);
  --get: light-dark(#0f57bd, #7fb5ff); --get-bg: light-dark(#e4eefc, #12243d);
  --post: light-dark(#11692f, #62cf88); --post-bg: light-dark(#e2f4e8, #10291b);
  --patch: light-dark(#8a4a00, #efb052); --patch-bg: light-dark(#fdf1dc, #30230d);
  --delete: light-dark(#b5161f, #ff8d87); --delete-bg: light-dark(#fdeae9, #361619);
  --mono: ui-monospace, "Cascadia Mono", Menlo, Consolas, "Liberation Mono", monospace; }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; display: grid; grid-template-columns: 21rem minmax(0, 1fr); background: var(--bg); color: var(--ink);
  font: 15px/1.55 system-ui, sans-serif; }
a { color: var(--link); text-underline-offset: .15em; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1.25rem 1rem 2rem; background: var(--surface);
  border-right: 1px solid var(--line); font-size: .8125rem; }
nav strong { font-size: 1rem; }
nav b { display: block; margin: 1.2rem .4rem .3rem; color: var(--muted); font-weight: 600; }
nav a { display: flex; gap: .5rem; padding: .2rem .4rem; border-radius: 5px; color: inherit; text-decoration: none; }
nav a span:last-child { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-family: var(--mono); }
nav a:hover { background: var(--line); }
main { padding: 1.5rem 3rem 6rem; max-width: 64rem; }
h1 { font-size: 1.75rem; margin: 0 0 1rem; line-height: 1.2; }
h2 { font-size: 1.3rem; margin: 3.5rem 0 .25rem; }
h2 + p { margin-top: 0; color: var(--muted); }
article { border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.25rem; margin: 1.25rem 0; }
h3 { display: flex; flex-wrap: wrap; align-items: center; gap: .6rem; font-size: .95rem; margin: 0; }
h3 code { background: none; padding: 0; font-size: .95rem; overflow-wrap: anywhere; }
h4 { font-size: .8125rem; margin: 1.1rem 0 .25rem; color: var(--muted); }
p { margin: .6rem 0; }
code, pre { font-family: var(--mono); font-size: .8125rem; background: var(--surface); border-radius: 5px; }
code { padding: .1em .3em; overflow-wrap: anywhere; }
pre { padding: .75rem 1rem; overflow-x: auto; border: 1px solid var(--line); line-height: 1.5; margin: .4rem 0; }
.method { flex: none; width: 3.9rem; padding: .15rem 0; border-radius: 5px; text-align: center;
  font: 700 .6875rem/1.2 var(--mono); color: var(--get); background: var(--get-bg); align-self: center; }
.POST { color: var(--post); background: var(--post-bg); } .PATCH { color: var(--patch); background: var(--patch-bg); }
.DELETE { color: var(--delete); background: var(--delete-bg); }
.scope { margin-left: auto; font-weight: 400; font-size: .75rem; color: var(--muted); }
.scope code { font-size: .75rem; }
table { border-collapse: collapse; width: 100%; font-size: .8125rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem 1rem .4rem 0; border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; }
th { font-weight: 600; color: var(--muted); } td:first-child { width: 11rem; } td:nth-child(2) { width: 15rem; }
small { color: var(--muted); }
@media (max-width: 60rem) {
  body { display: block; } main { padding: 1rem 1rem 4rem; }
  nav { position: static; height: 15rem; border-right: 0; border-bottom: 1px solid var(--line); }
  table { display: block; overflow-x: auto; }
}
@media print { nav { display: none; } body { display: block; } article { break-inside: avoid; } }
"""


class Target(NamedTuple):
    """The server that the example requests of the page address."""

    url: str
    token: bool = False
    """Whether requests need a token."""
    certificate: bool = False
    """Whether requests need a client certificate."""


def render_page(document: Json, target: Target) -> str:
    """Return the page of an OpenAPI document; its example requests address ``target``."""
    info = document["info"]
    title = escape(info["title"])
    body = "".join(_tag(document, tag, target) for tag in document["tags"])
    tags = document["tags"]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body>"
        f'<nav aria-label="Operations"><strong>{title}</strong><b>Reference</b>'
        '<a href="/v1/openapi.json">OpenAPI document</a><a href="#errors">Errors</a><a href="#schemas">Schemas</a>'
        f"{''.join(_links(document, tag['name']) for tag in tags)}</nav>\n"
        f"<main><h1>{title} <small>{escape(info['version'])}</small></h1>{_prose(info['description'])}{body}"
        f"{_errors(document)}{_schemas(document)}</main></body></html>\n"
    )


def _operations(document: Json, tag: str) -> Iterator[tuple[str, str, Json]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield method.upper(), path, operation


def _links(document: Json, tag: str) -> str:
    links = "".join(
        f'<a href="#{operation["operationId"]}"><span class="method {method}">{method}</span>'
        f"<span>{escape(path)}</span></a>"
        for method, path, operation in _operations(document, tag)
    )
    return f"<b>{escape(tag)}</b>{links}"


def _tag(document: Json, tag: Json, target: Target) -> str:
    parts = "".join(_operation(document, target, *found) for found in _operations(document, tag["name"]))
    return f"<section><h2>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>{parts}</section>\n"


def _operation(document: Json, target: Target, method: str, path: str, operation: Json) -> str:
    scope = operation.get("x-scope")
    needs = f"scope <code>{scope}</code>" if scope else "no token needed"
    head = (
        f'<h3 id="{operation["operationId"]}"><span class="method {method}">{method}</span><code>{escape(path)}</code>'
        f'<span class="scope">{needs}</span></h3><p>{escape(operation["summary"])}</p>'
    )
    rows = [
        (f"<code>{escape(found['name'])}</code> <small>{found['in']}</small>", _kind(found["schema"]),
         _inline(found.get("description") or found["schema"].get("description", "")))
        for found in operation.get("parameters", [])
    ]  # fmt: skip
    parts = (
        head,
        _prose(operation.get("description", "")),
        _table(("Parameter", "Type", "Description"), rows),
        _body(document, operation),
        _example(document, target, method, path, operation),
        _responses(document, operation),
    )
    return f"<article>{''.join(parts)}</article>\n"


def _body(document: Json, operation: Json) -> str:
    if "requestBody" not in operation:
        return ""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return f"<h4>Request body: {_kind(schema)}</h4>{_fields(_resolved(document, schema))}"


def _responses(document: Json, operation: Json) -> str:
    rows: list[tuple[str, str, str]] = []
    errors: list[str] = []
    for status, response in operation["responses"].items():
        found = _resolved(document, response)
        if "$ref" in response:
            errors.append(f"<code>{status}</code>")
            continue
        kinds = ", ".join(
            f"{_kind(content['schema'])} <small>{escape(kind)}</small>"
            for kind, content in found.get("content", {}).items()
        )
        rows.append((f"<code>{status}</code>", kinds or "no content", _inline(found["description"])))
    rows.append((" ".join(errors), '<a href="#errors">Error</a> <small>application/json</small>', ""))
    return _table(("Status", "Response", "Description"), rows)


def _example(document: Json, target: Target, method: str, path: str, operation: Json) -> str:
    command = "curl" if method == "GET" else f"curl -X {method}"
    lines = [f"{command} {escape(target.url + path)}"]
    if target.certificate:
        lines.append("--cert client.pem --key client.key")
    if target.token and operation.get("x-scope"):
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        sample = msgspec.json.encode(_sample(document, schema)).decode()
        lines += ["-H 'Content-Type: application/json'", f"-d {escape(chr(39) + sample + chr(39))}"]
    return "<pre>" + " \\\n  ".join(lines) + "</pre>"


def _sample(document: Json, schema: Json) -> Any:
    """Return an example value with the required fields."""
    found = _resolved(document, schema)
    if "properties" in found:
        required = found.get("required") or list(found["properties"])[:1]
        return {name: _sample(document, found["properties"][name]) for name in required}
    if found.get("type") == "array":
        return [_sample(document, found["items"])]
    if "examples" in found:
        return found["examples"][0]
    if "enum" in found:
        return found["enum"][0]
    return {"string": "NAME", "integer": 1, "boolean": True}.get(found.get("type", ""), {"any": "JSON"})


def _errors(document: Json) -> str:
    codes = " ".join(f"<code>{code}</code>" for code in _codes(document))
    statuses = [
        (f"<code>{name.removeprefix('Error')}</code>", _inline(response["description"]))
        for name, response in document["components"]["responses"].items()
    ]
    form = '{"error": {"code": "not_found", "message": "...", "details": {"field": "id", "reason": "task_not_found"}}}'
    return (
        f'<section id="errors"><h2>Errors</h2><pre>{escape(form)}</pre>'
        f"<p><code>details</code> is omitted if there is nothing to add. The codes are {codes}.</p>"
        f"{_table(('Status', 'Meaning'), statuses)}</section>"
    )


def _codes(document: Json) -> list[str]:
    return document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]


def _schemas(document: Json) -> str:
    parts = [
        f'<article><h3 id="schema-{name}">{escape(name)}</h3><p>{_inline(schema.get("description", ""))}</p>'
        f"{_fields(schema)}</article>"
        for name, schema in document["components"]["schemas"].items()
    ]
    head = "<h2>Schemas</h2><p>The bodies of requests and responses.</p>"
    return f'<section id="schemas">{head}{"".join(parts)}</section>'


def _fields(schema: Json) -> str:
    required = schema.get("required", ())
    rows = [
        (f"<code>{escape(name)}</code>", _kind(field) + ("<br><small>required</small>" if name in required else ""),
         _inline(field.get("description", "")))
        for name, field in schema.get("properties", {}).items()
    ]  # fmt: skip
    return _table(("Field", "Type", "Description"), rows)


def _kind(schema: Json) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f'<a href="#schema-{name}">{escape(name)}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    if "enum" in schema:
        return " ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    text = escape(schema.get("type", "any"))
    for key, sign in (("minimum", "from"), ("maximum", "to"), ("maxLength", "up to"), ("default", "default")):
        if key in schema:
            text += f" <small>{sign} {escape(msgspec.json.encode(schema[key]).decode())}</small>"
    return text


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return ""
    first = "".join(f"<th>{name}</th>" for name in head)
    cells = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{first}</tr>{cells}</table>"


def _resolved(document: Json, schema: Json) -> Json:
    while "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.strip().split("\n\n") if part)


def _inline(text: str) -> str:
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", marked)
