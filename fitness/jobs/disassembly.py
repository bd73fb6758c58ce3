"""Prints a cubin's instructions with the disassembler that Triton brings along, inside the compile jail."""

import subprocess
from pathlib import Path

import triton

TOOL = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "nvdisasm"
SECONDS = 20.0  # it takes half a second


class NoListing(Exception):
    """Says why there is no listing of a kernel."""


def listing(binary: bytes) -> str:
    """Return the listing of a cubin; NoListing where the tool is missing or fails."""
    path = Path("listed.cubin").absolute()
    path.write_bytes(binary)
    try:
        done = subprocess.run([TOOL, "-c", path], capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError as error:
        raise NoListing("this Triton brings no nvdisasm along") from error
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
        raise NoListing(f"nvdisasm could not be run: {type(error).__name__}") from error
    if done.returncode != 0 or not done.stdout:
        raise NoListing(f"nvdisasm ended with {done.returncode}")
    return done.stdout
