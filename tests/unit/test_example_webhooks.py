"""The decisions of the webhooks example: signatures, and the meaning of a receiver's response."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ajobs.protocol.errors import ConfigurationError
from ajobs.worker import RetryTask, TerminateTask
from examples.webhooks.answers import check_answer, retry_after
from examples.webhooks.endpoints import Endpoint, load_endpoints
from examples.webhooks.signature import TOLERANCE_S, secret_bytes, signed_headers, verify

KEY = bytes(range(32))
NOW_S = 1_700_000_000
NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
BODY = b'{"order":1}'


def test_a_signature_matches_the_example_of_standard_webhooks():
    key = secret_bytes("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed_headers(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("age_s", [-TOLERANCE_S, 0, TOLERANCE_S])
def test_verifying_returns_the_id_of_the_delivery(age_s):
    assert verify(KEY, signed_headers(KEY, "id", NOW_S, BODY), NOW_S + age_s, BODY) == "id"


def test_one_of_several_signatures_is_enough():
    headers = signed_headers(KEY, "id", NOW_S, BODY)
    headers["webhook-signature"] = f"v1,b2xk v2,bmV3 {headers['webhook-signature']}"
    assert verify(KEY, headers, NOW_S, BODY) == "id"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"webhook-id": "other"}, "does not match the body"),
        ({"webhook-timestamp": str(NOW_S + 1)}, "does not match the body"),
        ({"webhook-signature": "v1,AAAA"}, "does not match the body"),
        ({"webhook-signature": "é"}, "does not match the body"),
        ({"webhook-signature": ""}, "does not match the body"),
        ({"webhook-timestamp": str(NOW_S - TOLERANCE_S - 1)}, "not within 300 s"),
        ({"webhook-timestamp": str(NOW_S + TOLERANCE_S + 1)}, "not within 300 s"),
        ({"webhook-timestamp": "²"}, "not within 300 s"),
        ({"webhook-timestamp": ""}, "not within 300 s"),
    ],
)
def test_a_changed_header_is_refused(changed, error):
    with pytest.raises(ValueError, match=error):
        verify(KEY, signed_headers(KEY, "id", NOW_S, BODY) | changed, NOW_S, BODY)


def test_another_body_another_key_and_no_headers_are_refused():
    headers = signed_headers(KEY, "id", NOW_S, BODY)
    for key, given, body in [(KEY, headers, b"{}"), (bytes(32), headers, BODY), (KEY, {}, BODY)]:
        with pytest.raises(ValueError, match="webhook-"):
            verify(key, given, NOW_S, body)


@pytest.mark.parametrize("status", [200, 202, 204])
def test_each_2xx_is_a_success(status):
    check_answer(status, {}, NOW)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 404, 410, 422])
def test_a_permanent_failure_terminates_the_task(status):
    with pytest.raises(TerminateTask, match=str(status)):
        check_answer(status, {"retry-after": "1"}, NOW)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 599])
@pytest.mark.parametrize(("headers", "after"), [({}, None), ({"retry-after": "7"}, timedelta(seconds=7))])
def test_a_transient_failure_is_retried_after_the_requested_delay(status, headers, after):
    with pytest.raises(RetryTask, match=str(status)) as raised:
        check_answer(status, headers, NOW)
    assert raised.value.after == after


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("0", timedelta()),
        ("120", timedelta(minutes=2)),
        ("Sat, 31 Jan 2026 12:01:30 GMT", timedelta(seconds=90)),
        ("Sat, 31 Jan 2026 11:00:00 GMT", timedelta()),  # it has passed
        ("999999999999999999999", None),
        ("86400", timedelta(hours=6)),  # above the maximum
        ("Sat, 31 Jan 2026 12:01:30 -0000", None),  # a date without a time zone
        ("soon", None),
        ("-1", None),
        ("²", None),
        ("", None),
    ],
)
def test_retry_after_is_read_in_both_forms(text, after):
    assert retry_after(text, NOW) == after


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"shop": {"url": "ftp://example.net/", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}', "ftp"),
        ('{"shop": {"url": "https://", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}}', "invalid url"),
        ('{"shop": {"url": "https://example.net/", "secret": "sesame"}}', "whsec_ followed by 24 to 64 bytes"),
        ('{"shop": {}}', "url"),
        ("", "invalid endpoints"),
    ],
)
def test_an_invalid_endpoint_is_reported_without_its_secret(tmp_path, monkeypatch, text, error):
    file = tmp_path / "endpoints.json"
    file.write_text(text)
    monkeypatch.setenv("WEBHOOK_ENDPOINTS", str(file))
    with pytest.raises(ConfigurationError, match=error) as raised:
        load_endpoints()
    assert "sesame" not in str(raised.value)
    assert "MfKQ" not in str(raised.value)


def test_a_missing_file_of_endpoints_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("WEBHOOK_ENDPOINTS", str(tmp_path / "none.json"))
    with pytest.raises(ConfigurationError, match="set WEBHOOK_ENDPOINTS"):
        load_endpoints()


def test_a_secret_is_not_shown():
    assert "MfKQ" not in repr(Endpoint("https://example.net/", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
