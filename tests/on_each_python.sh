#!/bin/sh
# Run the tests on each Python from 3.10 to 3.13 that is found: on the PATH, or where pyenv keeps its versions.
set -eu
cd "$(dirname "$0")/.."
found=0
failed=""
for minor in 10 11 12 13; do
    python=""
    for candidate in "python3.$minor" python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3."$minor".*/bin/python3; do
        if [ "$("$candidate" -c 'import sys; print(sys.version_info[1])' 2>/dev/null)" = "$minor" ]; then
            python=$candidate
            break
        fi
    done
    if [ -z "$python" ]; then
        echo "== Python 3.$minor: not found, left out"
        continue
    fi
    found=$((found + 1))
    echo "== Python 3.$minor ($python)"
    ${MAKE:-make} unit PYTHON="$python" VENV=".venv-3.$minor" || failed="$failed 3.$minor"
done
[ "$found" -gt 0 ] || { echo "no Python from 3.10 to 3.13 was found"; exit 1; }
[ -z "$failed" ] || { echo "failed on:$failed"; exit 1; }
echo "passed on $found Python versions"
