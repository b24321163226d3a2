# SPDX-License-Identifier: BSD-2-Clause
"""Finds the helpers in tests/support, and says at once when there is nothing to test."""
import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))

import weirtool  # noqa: E402


def pytest_report_header(config):
    return 'weir: %s' % weirtool.WEIR


def pytest_collection_modifyitems(config, items):
    """Without tshark the comparison cannot be made; without a WEIR that was asked for it must not pass silently."""
    if 'WEIR' not in os.environ and not Path(weirtool.WEIR).exists():
        why = 'no weir: build it or set WEIR'
    elif not shutil.which('tshark'):
        why = 'no tshark'
    else:
        return
    for item in items:
        item.add_marker(pytest.mark.skip(reason=why))
