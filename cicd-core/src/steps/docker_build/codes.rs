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
            help: "add a HEALTHCHECK; readiness is then read from the container instead of guessed. Where an orchestrator asks by itself, `.allow_no_health_check(…)` takes a justification",
            example: "a Dockerfile without HEALTHCHECK, or HEALTHCHECK NONE",
        },
        Slow = "IMG-008" {
            summary: "the build without a cache took more than 10 minutes",
            help: "split what changes rarely into a dependency image, a build step of its own that others start from",
            example: "a Dockerfile that compiles its dependencies",
        },
        HealthcheckEmpty = "IMG-010" {
            summary: "the image's health check checks nothing",
            help: "ask the service itself, and end with its answer: no `true`, no `|| true`, no `exit 0` behind it",
            example: "HEALTHCHECK CMD curl localhost:8080/healthcheck || exit 0",
        },
        Privileged = "IMG-011" {
            summary: "a file gives whoever runs it the rights of another user",
            help: "take the right away with `chmod a-s` or `setcap -r`, or delete the file; `.accept(…)` takes a justification",
            example: "RUN chmod u+s /bin/sh",
        },
        WorldWritable = "IMG-012" {
            summary: "everybody may change a file or folder of the image",
            help: "`chmod o-w`; a folder for temporary files has the sticky bit, as /tmp has",
            example: "RUN chmod -R 777 /opt/app",
        },
        OwnCodeWritable = "IMG-013" {
            summary: "the application can change its own code",
            help: "let root own the code, and give the application's user a folder for its data alone",
            example: "COPY --chown=10001:10001 app /opt/app",
        },
        Account = "IMG-014" {
            summary: "the image has a way to become another user",
            help: "delete the account, the key or the rule; an application in a container needs none",
            example: "a second user with the number 0 in /etc/passwd",
        },
        Device = "IMG-015" {
            summary: "the image holds a device file",
            help: "delete it; the engine gives a container the devices that it may have",
            example: "RUN mknod /opt/sda b 8 0",
        },
        SystemIdentity = "IMG-016" {
            summary: "the image does not say it is the system that it was built on",
            help: "leave /etc/os-release and its like as the base has them: scanners choose their advisories by them",
            example: "ID=wolfi in /etc/os-release, on Debian's packages",
        },
        PackageDatabase = "IMG-017" {
            summary: "the image's database of packages does not say what is installed",
            help: "leave the database to the package manager: scanners judge what stands in it and nothing else",
            example: "RUN sed -i '/^Package: openssl$/,/^$/d' /var/lib/dpkg/status",
        },
        Unowned = "IMG-018" {
            summary: "a program in a system folder belongs to no package, and no instruction names it",
            help: "install it as a package, or put it into /usr/local or /opt; `.accept(…)` takes a justification",
            example: "RUN ./setup.sh, which leaves /usr/bin/agent",
        },
        SystemChanged = "IMG-019" {
            summary: "a file of a system package is not the one that was installed",
            help: "leave the packages' files as they are; `.accept(…)` takes a justification",
            example: "RUN cp patched.so /usr/lib/x86_64-linux-gnu/libssl.so.3",
        },
        Port = "IMG-020" {
            summary: "the image listens on a port for which it needs a right of root's",
            help: "listen above 1023; whoever starts the container can publish any port",
            example: "EXPOSE 80",
        },
        Volume = "IMG-021" {
            summary: "a folder of the image is kept outside the container",
            help: "leave it to whoever starts the container which folders are kept, and where",
            example: "VOLUME /data",
        },
        Shell = "IMG-022" {
            summary: "the image is started by a shell, which keeps signals from the program",
            help: "write ENTRYPOINT and CMD as lists, or begin the shell's text with `exec`",
            example: "CMD python -m app",
        },
        Uncontrolled = "IMG-023" {
            summary: "an instruction takes in what neither a digest nor the commit tells",
            help: "do without it, or fetch it in a RUN with a checksum; `.accept(…)` takes a justification",
            example: "RUN --mount=type=cache,target=/cache pip install .",
        },
        Variable = "IMG-024" {
            summary: "a variable of the image has code taken from elsewhere than its program names",
            help: "leave it to the program's own arguments, and keep packages in site-packages; `.accept(…)` takes a justification for `NAME=value`",
            example: "ENV LD_PRELOAD=/opt/app/lib/x.so, or PYTHONPATH=/opt/app/lib",
        },
        OwnCode = "IMG-025" {
            summary: "code in the image is of no package, and not a file of the commit that scanners have read",
            help: "let the Dockerfile copy it from the repository as it is, or install it as a package; for what has to be built, `.accept(…)` takes a justification",
            example: "RUN printf '…' > app/extra.py, a program that git tracks, or a __pycache__ of the application's own",
        },
    }
}
