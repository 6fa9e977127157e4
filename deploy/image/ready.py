#!/opt/ajobs/bin/python -IS
"""Check a service of this image: exit with 0 if /readyz returns 200 on the given port, or on the one in AJ_MONITOR."""

import http.client
import os
import sys

port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("AJ_MONITOR", "9000"))
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
try:
    connection.request("GET", "/readyz")
    response = connection.getresponse()
    body = response.read(2000).decode(errors="replace").strip()
except (OSError, http.client.HTTPException) as e:
    sys.exit(f"no response on port {port}: {e}")
print(body)
sys.exit(response.status != 200)
