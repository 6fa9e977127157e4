#!/opt/ajobs/bin/python -IS
"""Tell whether a service of this image is ready: exit with 0 when /readyz, on the port given or AJ_MONITOR, says so."""

import http.client
import os
import sys

port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("AJ_MONITOR", "9000"))
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
try:
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    body = answer.read(2000).decode(errors="replace").strip()
except (OSError, http.client.HTTPException) as e:
    sys.exit(f"no answer on port {port}: {e}")
print(body)
sys.exit(answer.status != 200)
