#!/bin/sh
# What the pipeline runs, one command after the other, as a plain script would. $1 is a fresh folder, $2 the folder with the
# vulnerability database, $3 the base image, $4 the load generator.
set -eu
work=$1 database=$2 base=$3 load=$4
export DOCKER_BUILDKIT=1

(cd flask-app && ruff format --check . && ruff check .)
hadolint flask-app/deps.Dockerfile flask-app/Dockerfile
uv venv --quiet --python 3.11 "$work/venv"
VIRTUAL_ENV=$work/venv uv pip sync --quiet --require-hashes flask-app/requirements-dev.txt
(cd flask-app && "$work/venv/bin/python" -m pytest --quiet --cov=myapplication --cov-branch \
    --cov-report="json:$work/coverage.json" --junitxml="$work/junit.xml")

commit=$(git rev-parse HEAD)
ca=${SSL_CERT_FILE:-/etc/ssl/certs/ca-certificates.crt}
docker build --quiet --no-cache --secret "id=ca,src=$ca" --build-arg "BASE_IMAGE=$base" \
    --file flask-app/deps.Dockerfile --tag bench-dependencies flask-app
docker build --quiet --no-cache --build-arg DEPS_IMAGE=bench-dependencies --build-arg "REVISION=$commit" \
    --tag bench-app flask-app

trivy image --quiet --cache-dir "$database" --skip-db-update --skip-java-db-update --offline-scan --skip-version-check \
    --disable-telemetry --image-src docker --scanners vuln,misconfig,secret --format json --output "$work/trivy.json" bench-app
container=$(docker create bench-app)
docker export --output "$work/files.tar" "$container"
docker rm "$container"

container=$(docker run --detach --publish 127.0.0.1::8080 --read-only --tmpfs /tmp bench-app)
address=$(docker port "$container" 8080/tcp)
until curl --silent --fail --output /dev/null "http://$address/healthcheck"; do sleep 0.1; done
"$load" open "$address" 200 12
docker rm --force "$container"
docker image rm bench-app bench-dependencies
