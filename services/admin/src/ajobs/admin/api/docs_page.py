"""The OpenAPI document as a page for people: plain HTML that needs no script and nothing from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any

import msgspec

Json = dict[str, Any]

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --blue: #2563eb; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; display: grid; grid-template-columns: 20rem minmax(0, 1fr); }
nav { position: sticky; top: 0; height: 100vh; overflow: auto; padding: 1rem; border-right: 1px solid var(--line);
      font-size: .85rem; box-sizing: border-box; }
nav a { display: block; white-space: nowrap; text-decoration: none; color: inherit; padding: .1rem 0; }
nav a:hover { color: var(--blue); }
nav b { display: block; margin-top: .8rem; }
main { padding: 1rem 2.5rem 6rem; max-width: 60rem; }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: .5rem; }
h3 { font-size: 1.05rem; margin-bottom: 0; }
code, pre { font: .9em ui-monospace, monospace; background: var(--soft); border-radius: 4px; padding: .1em .3em; }
pre { padding: .7rem 1rem; overflow-x: auto; }
.method { display: inline-block; min-width: 3.8rem; font: bold .8rem ui-monospace, monospace; color: var(--blue); }
.DELETE { color: #dc2626; } .POST { color: #16a34a; } .PATCH { color: #d97706; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin: .5rem 0 1rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } td:first-child { min-width: 6rem; }
small { opacity: .75; }
@media (max-width: 50rem) { body { display: block; } nav { position: static; height: auto; } main { padding: 1rem; } }
"""


def render_page(document: Json) -> str:
    """Return the page for a document."""
    info = document["info"]
    title = escape(info["title"])
    body = "".join(_tag(document, tag) for tag in document["tags"])
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{_STYLE}</style></head>\n<body><nav><b>{title}</b>"
        '<a href="/v1/openapi.json">OpenAPI document</a>'
        f"{''.join(_links(document, tag['name']) for tag in document['tags'])}"
        '<b>More</b><a href="#errors">Errors</a><a href="#schemas">Documents</a></nav>\n'
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
        f'<a href="#{operation["operationId"]}"><span class="method {method}">{method}</span> {escape(path)}</a>'
        for method, path, operation in _operations(document, tag)
    )
    return f"<b>{escape(tag)}</b>{links}"


def _tag(document: Json, tag: Json) -> str:
    parts = "".join(_operation(document, *operation) for operation in _operations(document, tag["name"]))
    return f"<section><h2>{escape(tag['name'])}</h2><p>{escape(tag['description'])}</p>{parts}</section>\n"


def _operation(document: Json, method: str, path: str, operation: Json) -> str:
    scope = operation.get("x-scope")
    needs = f" <small>takes the scope <code>{scope}</code></small>" if scope else " <small>open to all</small>"
    head = (
        f'<h3 id="{operation["operationId"]}"><span class="method {method}">{method}</span> '
        f"<code>{escape(path)}</code></h3><p>{escape(operation['summary'])}{needs}</p>"
    )
    rows = [
        (f"<code>{escape(found['name'])}</code><br><small>{found['in']}</small>", _kind(found["schema"]),
         _inline(found.get("description") or found["schema"].get("description", "")))
        for found in operation.get("parameters", [])
    ]  # fmt: skip
    return "".join(
        (
            head,
            _prose(operation.get("description", "")),
            _table(("parameter", "", ""), rows),
            _body(document, operation),
            _example(method, path, operation, document),
            _answers(document, operation),
        )
    )


def _body(document: Json, operation: Json) -> str:
    if "requestBody" not in operation:
        return ""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return f"<p>The body is {_kind(schema)}:</p>{_fields(_resolved(document, schema))}"


def _answers(document: Json, operation: Json) -> str:
    rows: list[tuple[str, str, str]] = []
    errors: list[str] = []
    for status, answer in operation["responses"].items():
        found = _resolved(document, answer)
        if "$ref" in answer:
            errors.append(f"<code>{status}</code>")
            continue
        kinds = ", ".join(
            f"{_kind(content['schema'])} <small>{escape(kind)}</small>"
            for kind, content in found.get("content", {}).items()
        )
        rows.append((f"<code>{status}</code>", kinds or "nothing", _inline(found["description"])))
    rows.append((" ".join(errors), '<a href="#errors">an error</a>', ""))
    return _table(("answer", "", ""), rows)


def _example(method: str, path: str, operation: Json, document: Json) -> str:
    command = "curl" if method == "GET" else f"curl -X {method}"
    lines = [f"{command} http://127.0.0.1:8080{escape(path)}"]
    if operation.get("x-scope"):
        lines.append('-H "Authorization: Bearer $TOKEN"')
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        sample = msgspec.json.encode(_sample(document, schema)).decode()
        lines += ["-H 'Content-Type: application/json'", f"-d {escape(chr(39) + sample + chr(39))}"]
    return "<pre>" + " \\\n  ".join(lines) + "</pre>"


def _sample(document: Json, schema: Json) -> Any:
    """Return a value that has what is required."""
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
        (f"<code>{name.removeprefix('Error')}</code>", _inline(answer["description"]), "")
        for name, answer in document["components"]["responses"].items()
    ]
    form = '{"error": {"code": "not_found", "message": "...", "details": {"field": "id", "reason": "task_not_found"}}}'
    return (
        f'<section id="errors"><h2>Errors</h2><pre>{escape(form)}</pre>'
        f"<p>Details are there when they are known. The codes are {codes}.</p>"
        f"{_table(('status', '', ''), statuses)}</section>"
    )


def _codes(document: Json) -> list[str]:
    return document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]


def _schemas(document: Json) -> str:
    parts = [
        f'<h3 id="schema-{name}">{escape(name)}</h3><p>{_inline(schema.get("description", ""))}</p>{_fields(schema)}'
        for name, schema in document["components"]["schemas"].items()
    ]
    return f'<section id="schemas"><h2>Documents</h2>{"".join(parts)}</section>'


def _fields(schema: Json) -> str:
    required = schema.get("required", ())
    rows = [
        (f"<code>{escape(name)}</code>", _kind(field) + ("<br><small>required</small>" if name in required else ""),
         _inline(field.get("description", "")))
        for name, field in schema.get("properties", {}).items()
    ]  # fmt: skip
    return _table(("field", "", ""), rows)


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


def _table(head: tuple[str, ...], rows: list[tuple[str, str, str]]) -> str:
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
