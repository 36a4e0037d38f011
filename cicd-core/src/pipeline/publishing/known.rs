//! The programs and words by which a command is known.

/// Programs, and the words after them that tell them to do it.
pub(super) const KNOWN: &[(&str, &[&str])] = &[
    ("docker", DOCKER),
    ("podman", DOCKER),
    ("nerdctl", DOCKER),
    ("docker-compose", &["push"]),
    ("podman-compose", &["push"]),
    ("buildah", &["push", "manifest push"]),
    ("skopeo", &["copy", "sync", "delete"]),
    ("crane", &["push", "copy", "cp", "tag", "delete", "append", "mutate", "rebase"]),
    ("regctl", &["image copy", "image import", "tag delete", "artifact put"]),
    ("oras", &["push", "copy", "cp", "tag", "attach"]),
    ("cosign", &["sign", "attest", "copy", "upload", "attach"]),
    ("notation", &["sign"]),
    ("ko", &["build", "publish", "apply", "create"]),
    ("img", &["push"]),
    ("pack", &["build --publish"]),
    ("earthly", &["--push"]),
    ("skaffold", &["run", "deploy", "build --push"]),
    (
        "kubectl",
        &["apply", "create", "delete", "patch", "replace", "rollout", "scale", "set", "edit", "annotate", "label"],
    ),
    ("oc", &["apply", "create", "delete", "patch", "replace", "rollout", "scale", "set"]),
    ("helm", &["install", "upgrade", "uninstall", "rollback", "push", "cm-push"]),
    ("helmfile", &["apply", "sync", "destroy"]),
    ("terraform", &["apply", "destroy", "import"]),
    ("tofu", &["apply", "destroy", "import"]),
    ("pulumi", &["up", "destroy"]),
    ("cdk", &["deploy", "destroy"]),
    ("sam", &["deploy", "delete"]),
    ("serverless", &["deploy", "remove"]),
    ("git", &["push", "send-pack", "send-email", "lfs push", "subtree push", "svn dcommit"]),
    ("hg", &["push"]),
    ("jj", &["git push"]),
    (
        "gh",
        &[
            "release create",
            "release upload",
            "release edit",
            "release delete",
            "pr create",
            "pr merge",
            "workflow run",
        ],
    ),
    ("glab", &["release create", "release upload", "mr create", "mr merge"]),
    (
        "aws",
        &[
            "s3 cp",
            "s3 mv",
            "s3 rm",
            "s3 sync",
            "cloudformation deploy",
            "ecs update-service",
            "lambda update-function-code",
        ],
    ),
    ("gcloud", &["app deploy", "functions deploy", "run deploy", "builds submit"]),
    ("gsutil", &["cp", "mv", "rm", "rsync"]),
    ("firebase", &["deploy"]),
    ("fly", &["deploy"]),
    ("flyctl", &["deploy"]),
    ("netlify", &["deploy"]),
    ("vercel", &["deploy", "--prod"]),
    ("wrangler", &["deploy", "publish"]),
    ("heroku", &["container:push", "container:release"]),
    ("cargo", &["publish", "yank", "owner", "release", "smart-release", "workspaces publish", "ws publish"]),
    ("cargo-release", &[""]),
    ("release-plz", &["release"]),
    ("goreleaser", &["release"]),
    ("npm", &["publish", "unpublish", "deprecate", "dist-tag"]),
    ("pnpm", &["publish", "unpublish", "deprecate", "dist-tag"]),
    ("bun", &["publish"]),
    ("yarn", &["publish", "npm publish", "npm tag"]),
    ("lerna", &["publish"]),
    ("changeset", &["publish"]),
    ("semantic-release", &[""]),
    ("vsce", &["publish"]),
    ("uv", &["publish"]),
    ("poetry", &["publish"]),
    ("pdm", &["publish"]),
    ("hatch", &["publish"]),
    ("flit", &["publish"]),
    ("twine", &["upload"]),
    ("conda", &["upload"]),
    ("anaconda", &["upload"]),
    ("gem", &["push", "yank"]),
    ("dotnet", &["nuget push", "nuget delete"]),
    ("nuget", &["push", "delete"]),
    ("curl", &["--upload-file", "-T"]),
];

const DOCKER: &[&str] = &[
    "push",
    "image push",
    "manifest push",
    "plugin push",
    "trust sign",
    "compose push",
    "stack deploy",
    "service create",
    "service update",
    "buildx imagetools create",
];

/// Builders, whose options tell whether what they make goes into a registry.
pub(super) const BUILDERS: &[&str] = &[
    "docker",
    "podman",
    "nerdctl",
    "docker-compose",
    "podman-compose",
    "docker-buildx",
    "buildx",
    "buildctl",
    "depot",
];

/// Programs that are given goals, in any number and order, and how such a goal begins.
pub(super) const GOALS: &[(&str, &str)] = &[
    ("mvn", "deploy"),
    ("mvnw", "deploy"),
    ("gradle", "publish"),
    ("gradlew", "publish"),
    ("sbt", "publish"),
    ("lein", "deploy"),
];

/// What is hardly ever told to a program that keeps it to itself, where nobody can see which program that is.
pub(super) const ACTIONS: &[&str] = &["push", "publish", "upload", "deploy"];

/// What the words behind it are a command for.
pub(super) const LEADS: &[&str] = &[
    "sudo", "doas", "env", "xargs", "exec", "nohup", "time", "timeout", "nice", "eval", "command", "if", "then",
    "elif", "else", "while", "until", "do",
];

/// Options of these that take no value, so that the word behind one is the command: short ones by their letters.
pub(super) const FLAGS: &[(&str, &str, &[&str])] = &[
    ("xargs", "0rtxpo", &["--null", "--no-run-if-empty", "--verbose", "--exit", "--interactive", "--open-tty"]),
    ("sudo", "AbEHkKnPSsi", &["--background", "--preserve-env", "--set-home", "--non-interactive", "--stdin"]),
    ("env", "iv0", &["--ignore-environment", "--null", "--debug"]),
    ("timeout", "fv", &["--foreground", "--preserve-status", "--verbose"]),
    ("time", "apqvV", &["--append", "--portability", "--quiet", "--verbose"]),
    ("command", "p", &[]),
    ("exec", "cl", &[]),
];

/// Programs whose options may be followed by a command in one text; what follows otherwise is a file.
pub(super) const SHELLS: &[&str] = &["sh", "bash", "dash", "ash", "zsh", "ksh"];
