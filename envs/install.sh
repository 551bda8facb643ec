# What an image holds, for envs/Dockerfile and envs/apptainer.def: the dependencies of every rule in
# the locked versions. The package itself is not in it: jobs take it from their checkout.
set -eu
cd "$(dirname "$0")"

# Triton compiles a launcher for its kernels when a model starts.
apt-get update
apt-get install --yes --no-install-recommends gcc libc6-dev
rm -rf /var/lib/apt/lists/*

mkdir -p workflow/testtime
pip install --no-cache-dir --constraint lock.txt '.[vllm,kubernetes,s3]'
pip uninstall --yes testtime
rm -r "$PWD"
