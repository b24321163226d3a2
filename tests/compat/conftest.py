# SPDX-License-Identifier: BSD-2-Clause
"""Finds the helpers in tests/support, and the programs in COMPAT_BIN."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'support'))
