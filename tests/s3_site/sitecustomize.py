"""Python runs this when it starts, in the processes of `pytest --on-s3`: their stores are in buckets too."""

import importlib.util
from pathlib import Path

spec = importlib.util.spec_from_file_location("on_s3", Path(__file__).resolve().parents[1] / "on_s3.py")
on_s3 = importlib.util.module_from_spec(spec)
spec.loader.exec_module(on_s3)
on_s3.hook()
