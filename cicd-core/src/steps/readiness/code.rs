use crate::model::finding_codes;

finding_codes! {
    /// What can keep a machine from being ready. All but READY-004 are no findings but the reason of an error: they say nothing
    /// about what is being judged.
    pub enum ReadinessCode {
        TooManyContainers = "READY-001" {
            summary: "more app containers run than are allowed at once",
            help: "wait for the other runs to end, or stop containers that nobody needs: `docker ps --filter label=dev.cicd-core.run`",
            example: "Readiness::new().containers_max(3), and four containers with the label run",
        },
        DiskFull = "READY-002" {
            summary: "too little disk space is free",
            help: "free some: `docker system df` shows what Docker uses, `docker builder prune` removes what builds left, `docker image prune` images without a name",
            example: "Readiness::new().disk_free_mib_min(2048), and 100 MiB are free",
        },
        LeftoverStays = "READY-003" {
            summary: "a left-over of an earlier run cannot be removed",
            help: "remove it by hand; `docker inspect` shows what holds it",
            example: "a volume of a run that is over, used by a container without the label",
        },
        UnknownOwner = "READY-004" {
            summary: "something carries the label of a run, but its value names none",
            help: "remove it by hand if nobody needs it; this step leaves it alone",
            example: "docker volume create --label dev.cicd-core.run=mine",
        },
        PortTaken = "READY-005" {
            summary: "a port that a step needs is taken",
            help: "end what listens there, or give the step another port",
            example: "Readiness::new().port_free(8080), and a server of another project listens on 8080",
        },
    }
}
