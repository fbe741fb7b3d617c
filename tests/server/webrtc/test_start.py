from __future__ import annotations

import subprocess
import sys


def test_webrtc_costs_nothing_until_somebody_listens() -> None:
    script = "import sys, server.app; print('aiortc' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert found.stdout == "False\n"
