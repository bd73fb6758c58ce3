# Builds a wheel, installs it into an empty environment, and runs it outside the repository.
set -eu
python="$1"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

"$python" -m build --no-isolation --wheel --outdir "$folder" . > "$folder/build.log" || { cat "$folder/build.log"; exit 1; }
wheel="$(ls "$folder"/*.whl)"
"$python" - "$wheel" <<'CHECK'
import sys, zipfile
top = {n.split("/")[0] for n in zipfile.ZipFile(sys.argv[1]).namelist() if ".dist-info/" not in n}
expected = {"suites", "fitness", "archives", "operators", "evo_kernel"}
sys.exit(f"the wheel's packages are {sorted(top)}, not {sorted(expected)}" if top != expected else 0)
CHECK
"$python" -m venv "$folder/empty"
"$folder/empty/bin/python" -m pip install -q "torch==2.13.0" "$wheel"
cd "$folder"
"$folder/empty/bin/evo-kernel" --help > /dev/null
"$folder/empty/bin/evo-kernel" search vector_add --config quick --generations 1 --population 2 --pool inline --run run --quiet
"$folder/empty/bin/evo-kernel" show run > /dev/null
ls run/exported/*.py > /dev/null
echo "the wheel installs the five packages alone and searches outside the repository"
