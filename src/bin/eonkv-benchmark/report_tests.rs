//! Golden texts: what scripts read must not change by a byte.

use std::time::Duration;

use super::*;
use crate::records::histogram;
use crate::verify::Tally;

/// 100 latencies: 1 … 99 hundredths of a millisecond, and one of 3.5 ms; in a tenth of a second.
fn outcome() -> Outcome {
    let mut histogram = histogram(3);
    for i in 1..100 {
        histogram.record(10 * i).unwrap();
    }
    histogram.record(3_500).unwrap();
    Outcome {
        requests: 100,
        elapsed: Duration::from_millis(100),
        histogram,
        tally: Tally::default(),
        client_cpu: None,
    }
}

fn setting() -> Setting {
    Setting {
        clients: 50,
        payload: 3,
        keep_alive: true,
        configuration: Some((String::new(), "no".to_owned())),
        threads: 0,
    }
}

#[test]
fn quiet_line() {
    assert_eq!(quiet("GET", &outcome()), "GET: 1000.00 requests per second, p50=0.500 msec\n");
}

#[test]
fn csv_lines() {
    assert_eq!(
        CSV_HEADER,
        "\"test\",\"rps\",\"avg_latency_ms\",\"min_latency_ms\",\"p50_latency_ms\",\
         \"p95_latency_ms\",\"p99_latency_ms\",\"max_latency_ms\"\n"
    );
    let line = "\"GET\",\"1000.00\",\"0.530\",\"0.010\",\"0.500\",\"0.950\",\"0.990\",\"3.501\"\n";
    assert_eq!(csv("GET", &outcome()), line);
}

#[test]
fn full_report() {
    let expected = "\
====== GET ======
  100 requests completed in 0.10 seconds
  50 parallel clients
  3 bytes payload
  keep alive: 1
  host configuration \"save\": 
  host configuration \"appendonly\": no
  multi-thread: no

Latency by percentile distribution:
0.000% <= 0.010 milliseconds (cumulative count 1)
50.000% <= 0.500 milliseconds (cumulative count 50)
75.000% <= 0.750 milliseconds (cumulative count 75)
87.500% <= 0.880 milliseconds (cumulative count 88)
93.750% <= 0.940 milliseconds (cumulative count 94)
96.875% <= 0.970 milliseconds (cumulative count 97)
98.438% <= 0.990 milliseconds (cumulative count 99)
99.219% <= 3.501 milliseconds (cumulative count 100)
100.000% <= 3.501 milliseconds (cumulative count 100)

Cumulative distribution of latencies:
10.000% <= 0.100 milliseconds (cumulative count 10)
20.000% <= 0.200 milliseconds (cumulative count 20)
30.000% <= 0.300 milliseconds (cumulative count 30)
40.000% <= 0.400 milliseconds (cumulative count 40)
50.000% <= 0.500 milliseconds (cumulative count 50)
60.000% <= 0.600 milliseconds (cumulative count 60)
70.000% <= 0.700 milliseconds (cumulative count 70)
80.000% <= 0.800 milliseconds (cumulative count 80)
90.000% <= 0.900 milliseconds (cumulative count 90)
99.000% <= 1.000 milliseconds (cumulative count 99)
100.000% <= 4.103 milliseconds (cumulative count 100)

Summary:
  throughput summary: 1000.00 requests per second
  latency summary (msec):
          avg       min       p50       p95       p99       max
        0.530     0.010     0.500     0.950     0.990     3.501
";
    assert_eq!(full("GET", &outcome(), &setting()), expected);
}

#[test]
fn threads_and_an_unknown_configuration_change_the_head() {
    let setting = Setting { configuration: None, threads: 4, keep_alive: false, ..setting() };
    let text = full("x", &outcome(), &setting);
    let head = "====== x ======\n  100 requests completed in 0.10 seconds\n  50 parallel clients\n  \
                3 bytes payload\n  keep alive: 0\n  multi-thread: yes\n  threads: 4\n\n";
    assert!(text.starts_with(head), "{text}");
}

#[test]
fn no_replies_make_no_rows() {
    let outcome = Outcome { requests: 0, histogram: histogram(3), ..outcome() };
    let text = full("x", &outcome, &setting());
    assert!(text.contains("distribution:\n\nCumulative distribution of latencies:\n\nSummary"));
}

#[test]
fn the_progress_line_clears_its_predecessor() {
    let mut line = ProgressLine::default();
    let tick = |ms, replies, latency| Tick { elapsed: Duration::from_millis(ms), replies, latency };
    assert_eq!(
        line.line("SET", tick(250, 0, 0)),
        " \rSET: rps=0.0 (overall: 0.0) avg_msec=nan (overall: nan)\r"
    );
    let second = line.line("SET", tick(500, 100, 50_000));
    let text = "SET: rps=400.0 (overall: 200.0) avg_msec=0.500 (overall: 0.500)\r";
    assert_eq!(second, format!("{}\r{text}", " ".repeat(56)));
    assert_eq!(line.clear(), format!("{}\r", " ".repeat(text.len())));
    assert_eq!(line.clear(), " \r");
}
