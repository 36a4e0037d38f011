# The dependency image: Python and the locked packages on top of the base image. It changes when requirements.txt or the
# base does, not with the application.
#
# reason: it is never run; the application image on top of it sets both USER and HEALTHCHECK
# owner: @cicd-core/security
# expires: 2027-05-15
# checkov:skip=CKV_DOCKER_2,CKV_DOCKER_3
ARG BASE_IMAGE

# --- pip and all it needs stay in this stage. ------------------------------------------------------------------------
# reason: BASE_IMAGE is pinned by digest in ci/base-image/base.toml, and compared by its id
# owner: @cicd-core/security
# expires: 2027-05-15
# checkov:skip=CKV_DOCKER_7
FROM ${BASE_IMAGE} AS builder

# Within Debian 12 these versions only move for security fixes, so the pins name the series.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        python3.11-minimal=3.11.* \
        python3-pip=23.* \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /build
COPY requirements.txt .

# Every file is checked against the hash in requirements.txt, nothing that is not listed there is installed, and no
# package gets to run code of its own (wheels only).
#
# A network whose proxy has a private certificate authority passes it as the secret `ca`; without it pip trusts what
# Debian trusts.
#
# The console scripts are removed, as they name this stage's interpreter; the application runs modules. Byte code is
# compiled here, with hashes instead of time stamps, so that the same input gives the same files.
RUN --mount=type=secret,id=ca,target=/run/secrets/ca \
    if [ -s /run/secrets/ca ]; then export PIP_CERT=/run/secrets/ca; fi \
    && python3.11 -m pip install --disable-pip-version-check --no-cache-dir --root-user-action=ignore \
        --require-hashes --no-deps --only-binary :all: --no-compile \
        --target /opt/app/site-packages --requirement requirements.txt \
    && rm -r /opt/app/site-packages/bin \
    && python3.11 -m compileall -q --invalidation-mode unchecked-hash /opt/app/site-packages

# --- What is shipped. ------------------------------------------------------------------------------------------------
FROM ${BASE_IMAGE}

# No program may give whoever starts it the rights of another user: `su`, `mount` and their like have no use in a container.
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        libpython3.11-stdlib=3.11.* \
        python3.11-minimal=3.11.* \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +

COPY --from=builder /opt/app/site-packages /opt/app/site-packages

ENV PYTHONPATH=/opt/app/site-packages \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
