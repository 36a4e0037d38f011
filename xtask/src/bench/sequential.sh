#!/bin/sh
# What the pipeline runs, one command after the other, as a plain script would. $1 is a fresh folder, $2 the folder with the
# vulnerability database, $3 the base image, $4 the load generator.
set -eu
work=$1 database=$2 base=$3 load=$4
export DOCKER_BUILDKIT=1

dockerfiles='flask-app/deps.Dockerfile flask-app/Dockerfile'
workflows=$(git ls-files .github/workflows)
commit=$(git rev-parse HEAD)
mkdir "$work/tree"
git archive "$commit" | tar --extract --directory "$work/tree"

(cd flask-app && ruff format --check . && ruff check .)
rustfmt --check --edition 2024 $(git ls-files '*.rs')
hadolint $dockerfiles
zizmor --offline --persona=pedantic --no-exit-codes --quiet -- $workflows
checkov --file $dockerfiles $workflows --framework dockerfile github_actions --compact --quiet --soft-fail --skip-download
bandit --quiet --exit-zero --recursive flask-app/myapplication
semgrep scan --metrics off --disable-version-check --quiet --config ci/semgrep flask-app/myapplication ci/semgrep
trivy filesystem --quiet --cache-dir "$work/cache" --scanners secret --offline-scan --skip-version-check --disable-telemetry "$work/tree"
uv venv --quiet --python 3.11 "$work/venv"
VIRTUAL_ENV=$work/venv uv pip sync --quiet --require-hashes flask-app/requirements-dev.txt
(cd flask-app && "$work/venv/bin/python" -m pytest --quiet --cov=myapplication --cov-branch \
    --cov-report="json:$work/coverage.json" --junitxml="$work/junit.xml")

ca=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
docker build --quiet --no-cache --secret "id=ca,src=$ca" --build-arg "BASE_IMAGE=$base" \
    --file flask-app/deps.Dockerfile --tag bench-dependencies flask-app
docker build --quiet --no-cache --build-arg DEPS_IMAGE=bench-dependencies --build-arg "REVISION=$commit" \
    --tag bench-app flask-app

trivy image --quiet --cache-dir "$database" --skip-db-update --skip-java-db-update --offline-scan --skip-version-check \
    --disable-telemetry --image-src docker --scanners vuln,misconfig,secret --format json --output "$work/trivy.json" bench-app
trivy filesystem --quiet --cache-dir "$work/cache" --scanners misconfig --skip-check-update --offline-scan --skip-version-check --disable-telemetry \
    "$work/tree/flask-app"
if ! pip-audit --requirement flask-app/requirements.txt --no-deps --disable-pip --progress-spinner off; then
    echo 'there is no second opinion' >&2
fi
for format in cyclonedx spdx-json; do
    trivy image --quiet --cache-dir "$work/cache" --format "$format" --output "$work/sbom.$format" --image-src docker --offline-scan \
        --skip-version-check --disable-telemetry bench-app
done
container=$(docker create bench-app)
docker export --output "$work/files.tar" "$container"
docker rm "$container"

container=$(docker run --detach --publish 127.0.0.1::8080 --read-only --tmpfs /tmp bench-app)
address=$(docker port "$container" 8080/tcp)
until curl --silent --fail --output /dev/null "http://$address/healthcheck"; do sleep 0.1; done
for path in / /status /missing '/?next=https://example.org'; do
    curl --silent --show-error --include --output /dev/null --request GET "http://$address$path"
    curl --silent --show-error --include --output /dev/null --request TRACE "http://$address$path"
done
"$load" open "$address" 200 12
docker rm --force "$container"
docker image rm bench-app bench-dependencies
