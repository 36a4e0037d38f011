use crate::model::finding_codes;

finding_codes! {
    /// What can be wrong with a built image.
    pub enum ImageCode {
        User = "IMG-001" {
            summary: "the image runs as root, or as a user without a number",
            help: "end the Dockerfile with a numeric user other than 0, such as `USER 10001:10001`",
            example: "USER root",
        },
        Revision = "IMG-002" {
            summary: "the image does not say which commit it was built from",
            help: "let no instruction or base change the label org.opencontainers.image.revision",
            example: "an image without the label org.opencontainers.image.revision",
        },
        Unpinned = "IMG-003" {
            summary: "something the build takes from outside is not pinned by digest",
            help: "write `name@sha256:…`; `docker image inspect --format '{{.RepoDigests}}'` shows the digest of a pulled image",
            example: "FROM debian:bookworm-slim",
        },
        Latest = "IMG-004" {
            summary: "an image is named by `latest`, which tells nobody what it is",
            help: "name the version that is meant beside the digest",
            example: "FROM debian:latest",
        },
        ShippedFile = "IMG-005" {
            summary: "a file is shipped that belongs in no image: a test, a secret, a repository",
            help: "keep it out with .dockerignore or copy only what is needed; deleting it in a later layer does not remove it",
            example: "COPY . /opt/app with a folder tests/ in it",
        },
        Dirty = "IMG-006" {
            summary: "the tree differs from the commit that the image says it was built from",
            help: "commit and build again before anything is pushed or deployed",
            example: "an edited file",
        },
        Healthcheck = "IMG-007" {
            summary: "the image does not say how its health is checked",
            help: "add a HEALTHCHECK; readiness is then read from the container instead of guessed",
            example: "a Dockerfile without HEALTHCHECK",
        },
        Slow = "IMG-008" {
            summary: "the build without a cache took more than 10 minutes",
            help: "split what changes rarely into a dependency image, a build step of its own that others start from",
            example: "a Dockerfile that compiles its dependencies",
        },
    }
}
