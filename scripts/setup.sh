# Makes a virtual environment for evo-kernel. Torch and triton that the interpreter already has (ROCm and CUDA images)
# are used as they are and never replaced: their builds cannot be had from the package index.
set -eu
: "${PYTHON:=python3}" "${VENV:=.venv}"

"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "evo-kernel needs Python 3.11 or newer; $PYTHON is $("$PYTHON" -V 2>&1). Give another: make setup PYTHON=python3.12" >&2
    exit 1
}

if "$PYTHON" -c 'import torch, triton' 2>/dev/null; then
    echo "using the torch and triton of $PYTHON"
    "$PYTHON" -m venv --clear --system-site-packages "$VENV"
    # an interpreter that is itself in a virtual environment keeps its packages where the new one does not look
    "$PYTHON" -c 'import os, torch, triton; print("\n".join({os.path.dirname(os.path.dirname(m.__file__)) for m in (torch, triton)}))' \
        > "$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')/torch_and_triton.pth"
    # everything but those two, which must not even be looked at by the resolver
    "$PYTHON" scripts/requirements.py pyproject.toml torch triton > "$VENV/requirements.txt"
    "$VENV/bin/python" -m pip install -q -r "$VENV/requirements.txt"
    "$VENV/bin/python" -m pip install -q --no-deps -e .
else
    "$PYTHON" -m venv --clear "$VENV"
    "$VENV/bin/python" -m pip install -q "torch==2.13.0"
    # a CUDA build of torch brings the triton it wants; a CPU build brings none
    "$VENV/bin/python" -c 'import triton' 2>/dev/null || "$VENV/bin/python" -m pip install -q "triton==3.6.0"
    "$VENV/bin/python" -m pip install -q -e ".[dev]"
fi
"$VENV/bin/python" -c 'import torch, triton; print(f"torch {torch.__version__}, triton {triton.__version__}")'
