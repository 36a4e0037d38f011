//! The load generator against servers of every kind.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "support/server.rs"]
mod server;

use std::net::TcpListener;
use std::time::{Duration, Instant};

use cicd_core::load::{ClosedPlan, Failure, LoadError, Measurement, OpenPlan, Target, closed_loop, open_loop};
use server::{Behaviour, Server};

/// A machine that others use too may disturb a measurement; the generator says so, and then it is repeated. A measurement that is
/// valid is never repeated.
const ATTEMPTS: usize = 3;

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn target(server: &Server) -> Target {
    Target::get(server.address, "/").expect("a target")
}

fn valid(run: impl Fn() -> Result<Measurement, LoadError>) -> Measurement {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        match run() {
            Ok(measurement) => return measurement,
            Err(LoadError::Invalid { why, .. }) => last = Some(why),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("{ATTEMPTS} invalid measurements: {last:?}");
}

fn short(rate_per_second: f64, during: Duration) -> OpenPlan {
    OpenPlan { warm_up: Duration::ZERO, timeout: millis(500), ..OpenPlan::new(rate_per_second, during) }
}

/// 20 requests to a server that never answers well.
fn bad(behaviour: Behaviour) -> Measurement {
    let server = Server::start(behaviour);
    let started = Instant::now();
    let measured = valid(|| open_loop(&target(&server), &short(100.0, millis(200)), &|| false));
    // Three attempts of 200 ms and a timeout each, and room for a busy machine: nothing hangs.
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!((measured.planned, measured.latency.count, measured.failed()), (20, 20, 20), "{behaviour:?}");
    measured
}

#[test]
fn a_server_frozen_for_two_of_ten_seconds_is_seen_as_its_users_see_it() {
    let measured = valid(|| {
        let server = Server::start(Behaviour::Answer);
        let plan = OpenPlan { warm_up: Duration::ZERO, ..OpenPlan::new(1000.0, Duration::from_secs(10)) };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_secs(4));
                server.freeze(Duration::from_secs(2));
            });
            open_loop(&target(&server), &plan, &|| false)
        })
    });
    assert_eq!((measured.planned, measured.sent, measured.completed, measured.failed()), (10_000, 10_000, 10_000, 0));
    let percentile = |percent| measured.latency.percentile_ms(percent).expect("measured");
    // A busy machine thaws the server later, and what waited is answered later; nothing makes the wait shorter.
    assert!((1450.0..1750.0).contains(&percentile(95.0)), "p95 is {} ms", percentile(95.0));
    assert!((1850.0..2150.0).contains(&percentile(99.0)), "p99 is {} ms", percentile(99.0));
    // The server's own view of the same run hides it: this is why latency is counted from the planned moment.
    assert!(measured.service.percentile_ms(95.0) < Some(500.0));
}

#[test]
fn a_good_server_is_measured_at_the_planned_rate() {
    let server = Server::start(Behaviour::Answer);
    let plan = OpenPlan { warm_up: millis(300), ..OpenPlan::new(500.0, Duration::from_secs(1)) };
    let measured = valid(|| open_loop(&target(&server), &plan, &|| false));
    assert_eq!((measured.planned, measured.completed, measured.failed()), (500, 500, 0));
    assert_eq!(measured.statuses.get(&200), Some(&500));
    assert_eq!(measured.body_bytes, 2500);
    assert!(measured.rate_per_second > 450.0 && measured.rate_per_second <= 500.0, "{}", measured.rate_per_second);
}

#[test]
fn a_slow_server_is_slow_and_not_an_invalid_measurement() {
    let server = Server::start(Behaviour::Slow(millis(300)));
    // 200 requests/s of 300 ms need 60 connections.
    let roomy = OpenPlan { timeout: Duration::from_secs(10), ..short(200.0, Duration::from_secs(1)) };
    let measured = valid(|| open_loop(&target(&server), &roomy, &|| false));
    assert_eq!((measured.completed, measured.failed()), (200, 0));
    assert!(measured.connections_peak >= 60, "{}", measured.connections_peak);
    assert!(measured.latency.percentile_ms(50.0) >= Some(300.0));
    // With 10 connections the same server answers 33 requests/s, and the queue grows by 167 a second.
    let narrow = OpenPlan { connections_max: 10, ..roomy };
    let measured = valid(|| open_loop(&target(&server), &narrow, &|| false));
    assert_eq!((measured.latency.count, measured.connections_peak), (200, 10));
    assert!(measured.latency.max_ms() > Some(4000.0), "{:?}", measured.latency.max_ms());
    assert!(measured.service.max_ms() < Some(2000.0), "{:?}", measured.service.max_ms());
    assert!(measured.queued >= 180, "{}", measured.queued);
}

#[test]
fn what_is_never_sent_counts_with_the_time_it_waited() {
    let server = Server::start(Behaviour::Silent);
    // Each connection is in use until the deadline of its request, and by then that of the next hundreds is over too.
    let plan = OpenPlan { connections_max: 2, ..short(5000.0, millis(200)) };
    let measured = valid(|| open_loop(&target(&server), &plan, &|| false));
    assert_eq!(
        (measured.planned, measured.latency.count, measured.failed(), measured.completed),
        (1000, 1000, 1000, 0)
    );
    assert!(measured.failures[&Failure::Unsent] > 200, "{:?}", measured.failures);
    assert!(measured.queued > 900, "{}", measured.queued);
    assert!(measured.latency.min_ms >= 499.0, "{}", measured.latency.min_ms);
    assert_eq!(measured.rate_per_second, 0.0);
}

#[test]
fn requests_in_flight_at_the_end_are_waited_for_until_their_timeout() {
    let server = Server::start(Behaviour::Answer);
    let plan = OpenPlan { timeout: millis(300), ..short(100.0, millis(500)) };
    let measured = valid(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(millis(250));
                server.freeze(millis(1500));
            });
            open_loop(&target(&server), &plan, &|| false)
        })
    });
    assert_eq!(measured.latency.count, 50);
    assert!(measured.failed() >= 20, "{:?}", measured.failures);
    assert!(measured.latency.percentile_ms(90.0) >= Some(299.0));
}

#[test]
fn a_server_that_refuses() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let target = Target::get(closed, "/").expect("a target");
    let measured = valid(|| open_loop(&target, &short(100.0, millis(200)), &|| false));
    assert_eq!((measured.failures[&Failure::Connect], measured.completed), (20, 0));
    assert_eq!(measured.error_rate_percent(), Some(100.0));
}

#[test]
fn a_server_that_resets() {
    assert_eq!(bad(Behaviour::Reset).failures[&Failure::Closed], 20);
}

#[test]
fn a_server_that_half_closes() {
    assert_eq!(bad(Behaviour::HalfClose).failures[&Failure::Closed], 20);
}

#[test]
fn a_server_that_says_nothing() {
    let measured = bad(Behaviour::Silent);
    assert_eq!(measured.failures[&Failure::Timeout], 20);
    assert!(measured.latency.min_ms >= 499.0, "{}", measured.latency.min_ms);
}

#[test]
fn a_server_that_sends_a_byte_a_second() {
    assert_eq!(bad(Behaviour::Trickle).failures[&Failure::Timeout], 20);
}

#[test]
fn a_server_that_promises_more_body_than_it_sends() {
    let measured = bad(Behaviour::ShortBody);
    assert_eq!((measured.failures[&Failure::Body], measured.completed), (20, 0));
}

#[test]
fn a_server_whose_body_does_not_end() {
    let server = Server::start(Behaviour::EndlessBody);
    // Two requests suffice: each moves as many bytes as it can, which is load enough to be late by.
    let plan = OpenPlan { lateness_max: millis(400), ..short(10.0, millis(200)) };
    let measured = valid(|| open_loop(&target(&server), &plan, &|| false));
    let counted = |failure| measured.failures.get(&failure).copied().unwrap_or(0);
    assert_eq!((counted(Failure::Body) + counted(Failure::Timeout), measured.completed), (2, 0));
}

#[test]
fn a_server_whose_head_does_not_end() {
    for behaviour in [Behaviour::EndlessHead, Behaviour::EndlessContinue] {
        let server = Server::start(behaviour);
        let plan = OpenPlan { lateness_max: millis(400), ..short(10.0, millis(200)) };
        let measured = valid(|| open_loop(&target(&server), &plan, &|| false));
        assert_eq!((measured.failed(), measured.completed), (2, 0), "{behaviour:?}: {:?}", measured.failures);
    }
}

#[test]
fn a_server_that_is_no_http_server() {
    assert_eq!(bad(Behaviour::Garbage).failures[&Failure::Malformed], 20);
}

#[test]
fn a_server_that_answers_with_an_error() {
    let measured = bad(Behaviour::Status(503));
    assert_eq!((measured.failures[&Failure::Status], measured.completed), (20, 20));
    assert_eq!(measured.statuses.get(&503), Some(&20));
    // Unless that is what is asked for.
    let server = Server::start(Behaviour::Status(503));
    let expected = target(&server).expect_status(503).expect("a status");
    assert_eq!(valid(|| open_loop(&expected, &short(100.0, millis(200)), &|| false)).failed(), 0);
}

#[test]
fn a_server_that_closes_after_each_answer_gives_answers() {
    for behaviour in [Behaviour::AnswerAndClose, Behaviour::AnswerAndHangUp] {
        let server = Server::start(behaviour);
        let measured = valid(|| open_loop(&target(&server), &short(100.0, millis(500)), &|| false));
        assert_eq!((measured.completed, measured.failed()), (50, 0), "{behaviour:?}: {:?}", measured.failures);
        assert!(measured.connections_opened >= 50, "{behaviour:?}: {}", measured.connections_opened);
    }
}

#[test]
fn a_stop_is_heard_at_once() {
    let server = Server::start(Behaviour::Silent);
    let plan = OpenPlan { timeout: Duration::from_secs(60), ..short(10.0, Duration::from_secs(600)) };
    let started = Instant::now();
    let stop = || started.elapsed() > millis(300);
    assert!(matches!(open_loop(&target(&server), &plan, &stop), Err(LoadError::Stopped)));
    let closed = ClosedPlan { timeout: Duration::from_secs(60), ..ClosedPlan::new(2, Duration::from_secs(600)) };
    assert!(matches!(closed_loop(&target(&server), &closed, &stop), Err(LoadError::Stopped)));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn a_closed_loop_counts_what_was_answered() {
    let server = Server::start(Behaviour::Slow(millis(20)));
    let plan = ClosedPlan { warm_up: millis(100), ..ClosedPlan::new(4, millis(500)) };
    let measured = closed_loop(&target(&server), &plan, &|| false).expect("a measurement");
    assert_eq!((measured.failed(), measured.connections_opened), (0, 4));
    // Four connections of at most 50 requests/s.
    assert!(measured.rate_per_second <= 200.0 && measured.completed > 0, "{}", measured.rate_per_second);
}
