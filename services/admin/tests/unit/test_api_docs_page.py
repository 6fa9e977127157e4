"""The page at /docs is readable in both themes, and its examples fit the server."""

from __future__ import annotations

import re

import pytest

from ajobs.admin.api.docs_page import Target, render_page
from ajobs.admin.api.openapi import describe
from ajobs.admin.api.operations import OPERATIONS

DOCUMENT = describe(OPERATIONS)
PAGE = render_page(DOCUMENT, Target("https://jobs.example.net"))
COLORS = {
    name: (light, dark) for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", PAGE)
}


def luminance(color):
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("ink", "paper"),
    [(method, f"{method}-bg") for method in ("get", "post", "patch", "delete")]
    + [(ink, paper) for ink in ("ink", "muted", "link") for paper in ("bg", "surface")],
)
def test_text_has_a_contrast_of_at_least_4_5(theme, ink, paper):
    lighter, darker = sorted((luminance(COLORS[name][theme]) for name in (ink, paper)), reverse=True)
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def test_every_operation_and_schema_has_a_place_on_the_page():
    for methods in DOCUMENT["paths"].values():
        for operation in methods.values():
            assert f'id="{operation["operationId"]}"' in PAGE
    for name in DOCUMENT["components"]["schemas"]:
        assert f'id="schema-{name}"' in PAGE


@pytest.mark.parametrize(
    ("token", "certificate", "example"),
    [
        (False, False, "curl https://jobs.example.net/v1/leaders</pre>"),
        (True, False, 'curl https://jobs.example.net/v1/leaders \\\n  -H "Authorization: Bearer $TOKEN"</pre>'),
        (False, True, "curl https://jobs.example.net/v1/leaders \\\n  --cert client.pem --key client.key</pre>"),
    ],
)
def test_examples_authenticate_as_the_server_requires(token, certificate, example):
    assert example in render_page(DOCUMENT, Target("https://jobs.example.net", token, certificate))
