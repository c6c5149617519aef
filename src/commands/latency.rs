//! LATENCY: events that took longer than `latency-monitor-threshold`, and distributions by command.

use super::table::{Group, Handler, table};
use super::{Args, Command, Cx, Error, Flags, Row, help};
use crate::metrics::latency::Series;
use std::fmt::Write as _;

const FLAGS: Flags = Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::LOADING).and(Flags::STALE);
const TIPS: &[&str] =
    &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"];

const fn sub(name: &'static str, arity: i16, run: Handler) -> Command {
    Command::new(name, arity, Group::Server, run).flags(FLAGS).tips(TIPS)
}

static SUBCOMMANDS: &[Command] = &[
    sub("doctor", 2, doctor).doc("2.8.13", "", "Explains in words what took long, and what helps."),
    sub("graph", 3, graph).doc("2.8.13", "event", "Draws the samples of an event."),
    help::row(Group::Server, "2.8.13"),
    sub("histogram", -2, histogram)
        .doc(
            "7.0.0",
            "[command [command ...]]",
            "Tells how the calls of commands are spread in time.",
        )
        .cost("O(N) in the number of commands that were called"),
    sub("history", 3, history).doc("2.8.13", "event", "Lists the samples of an event."),
    sub("latest", 2, latest).doc("2.8.13", "", "Lists the last sample of each event."),
    sub("reset", -2, reset)
        .doc("2.8.13", "[event [event ...]]", "Forgets the samples of events, or of all.")
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"]),
];

/// The rows of this file.
pub static COMMANDS: &[Command] = &[Command::container("latency", Group::Server, SUBCOMMANDS).doc(
    "2.8.13",
    "",
    "What took long, and how durations are spread.",
)];

fn ms(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn latest(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let events = cx.shared.metrics.latency.all();
    let samples: Vec<_> = events
        .iter()
        .filter_map(|(name, series)| Some((*name, *series.samples.back()?, series.max)))
        .collect();
    cx.reply.array(samples.len());
    for (name, (at, last), max) in samples {
        cx.reply.array(4);
        cx.reply.bulk(name.as_bytes());
        cx.reply.int(at);
        cx.reply.int(ms(last));
        cx.reply.int(ms(max));
    }
    Ok(())
}

fn series(cx: &Cx<'_>, name: &[u8]) -> Option<Series> {
    cx.shared.metrics.latency.series(std::str::from_utf8(name).ok()?)
}

fn history(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let samples = series(cx, args.get(2)).unwrap_or_default().samples;
    cx.reply.array(samples.len());
    for (at, took) in samples {
        cx.reply.array(2);
        cx.reply.int(at);
        cx.reply.int(ms(took));
    }
    Ok(())
}

fn reset(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let names: Vec<_> = args.from(2).iter().collect();
    let forgotten = cx.shared.metrics.latency.reset(&names);
    cx.reply.count(forgotten);
    Ok(())
}

fn graph(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let name = args.get(2);
    let Some(series) = series(cx, name).filter(|series| !series.samples.is_empty()) else {
        let mut text = b"ERR No samples available for event '".to_vec();
        text.extend_from_slice(name);
        text.push(b'\'');
        return Err(Error::Bytes(text));
    };
    let name = String::from_utf8_lossy(name);
    let text = draw(&name, &series, cx.db.now / 1000);
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

/// Rows of the drawing.
const HEIGHT: u64 = 4;

/// A column for each sample, the newest at the right; below each its age, read downwards.
fn draw(name: &str, series: &Series, now: i64) -> String {
    let took = || series.samples.iter().map(|(_, ms)| *ms);
    let (high, low) = (took().max().unwrap_or(0), took().min().unwrap_or(0));
    let mut text =
        format!("{name} - high {high} ms, low {low} ms (all time high {} ms)\n", series.max);
    text.push_str(&"-".repeat(80));
    text.push('\n');
    let heights: Vec<u64> =
        took().map(|ms| (ms - low).saturating_mul(HEIGHT * 2 - 1) / (high - low).max(1)).collect();
    for row in (0..HEIGHT).rev() {
        for &height in &heights {
            text.push(match height.checked_sub(row * 2) {
                Some(0) => '_',
                Some(1) if row + 1 == HEIGHT => '#',
                Some(_) => '|',
                None => ' ',
            });
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text.push('\n');
    let ages: Vec<String> = series.samples.iter().map(|(at, _)| age(now - at)).collect();
    for line in 0..ages.iter().map(String::len).max().unwrap_or(0) {
        for age in &ages {
            text.push(age.as_bytes().get(line).map_or(' ', |&byte| byte as char));
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

/// `12s`, `5m`, `3h`, `2d`.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3_600 => format!("{}m", s / 60),
        s @ 3_600..86_400 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

fn histogram(cx: &mut Cx<'_>, args: Args<'_>) -> Result<(), Error> {
    let rows: Vec<&Row> = if args.len() == 2 {
        table().rows.iter().collect()
    } else {
        args.from(2).iter().flat_map(named).collect()
    };
    let metrics = &cx.shared.metrics;
    let found: Vec<_> =
        rows.into_iter().filter_map(|row| Some((row, metrics.times(row.id)?))).collect();
    cx.reply.map(found.len());
    for (row, times) in found {
        cx.reply.bulk(row.full_name().as_bytes());
        cx.reply.map(2);
        cx.reply.bulk(b"calls");
        cx.reply.int(ms(times.count()));
        cx.reply.bulk(b"histogram_usec");
        let steps = times.by_microseconds();
        cx.reply.map(steps.len());
        for (micros, calls) in steps {
            cx.reply.int(ms(micros));
            cx.reply.int(ms(calls));
        }
    }
    Ok(())
}

/// The row of a name, or all subcommands of a container.
fn named(name: &[u8]) -> Vec<&'static Row> {
    let Some(row) = super::command::named(table(), name) else { return Vec::new() };
    let from = usize::from(row.id) + 1;
    match &table().rows[from..from + row.command.subcommands.len()] {
        [] => vec![row],
        subs => subs.iter().collect(),
    }
}

fn doctor(cx: &mut Cx<'_>, _: Args<'_>) -> Result<(), Error> {
    let threshold = cx.local.config.latency_monitor_threshold;
    let text = report(
        &cx.shared.metrics.latency.all(),
        threshold,
        cx.local.config.slowlog_log_slower_than,
    );
    cx.reply.verbatim("txt", text.as_bytes());
    Ok(())
}

fn report(
    events: &std::collections::BTreeMap<&'static str, Series>,
    threshold: i64,
    slower_than: i64,
) -> String {
    if threshold <= 0 {
        return "Latency monitoring is disabled: nothing is recorded. Turn it on with \
                \"CONFIG SET latency-monitor-threshold <milliseconds>\", for example 100.\n"
            .to_owned();
    }
    if events.is_empty() {
        return format!(
            "No event took {threshold} ms or longer since the last reset. All is well.\n"
        );
    }
    let mut text = format!("Events that took {threshold} ms or longer:\n\n");
    for (n, (name, series)) in events.iter().enumerate() {
        let count = series.samples.len().max(1) as u64;
        let mean = series.samples.iter().map(|(_, ms)| ms).sum::<u64>() / count;
        let deviation = series.samples.iter().map(|(_, ms)| ms.abs_diff(mean)).sum::<u64>() / count;
        let ends = series.samples.front().zip(series.samples.back());
        let period =
            ends.map_or(0.0, |(first, last)| (last.0 - first.0) as f64 / (count.max(2) - 1) as f64);
        let _ = writeln!(
            text,
            "{}. {name}: {count} latency spikes (average {mean}ms, mean deviation {deviation}ms, \
             period {period:.2} sec). Worst all time event {}ms.",
            n + 1,
            series.max
        );
    }
    text.push_str("\nWhat may help:\n\n");
    let commands = events.keys().any(|name| name.ends_with("command"));
    if commands && slower_than < 0 {
        text.push_str(
            "- The slow log is off; CONFIG SET slowlog-log-slower-than 1000 turns it on.\n",
        );
    }
    if commands {
        text.push_str("- SLOWLOG GET names the commands that took long, with their arguments.\n");
        text.push_str("- LATENCY HISTOGRAM tells which commands are often slow.\n");
    }
    text.push_str("- Other processes of this machine may take its processors or memory away.\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn series(samples: &[(i64, u64)]) -> Series {
        let max = samples.iter().map(|(_, ms)| *ms).max().unwrap_or(0);
        Series { samples: samples.iter().copied().collect(), max }
    }

    #[test]
    fn the_drawing_has_a_column_for_each_sample() {
        let text = draw("command", &series(&[(90, 10), (95, 20), (100, 80)]), 100);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "command - high 80 ms, low 10 ms (all time high 80 ms)");
        assert_eq!(lines[1].len(), 80);
        assert_eq!(lines[2..6], ["  #", "  |", "  |", "_||"]);
        assert_eq!(lines[7..], ["150", "0ss", "s"]);
    }

    #[test]
    fn equal_samples_and_clocks_that_went_back_are_drawn() {
        let text = draw("fork", &series(&[(100, 5), (200, 5)]), 100);
        assert!(text.contains("__\n") && text.ends_with("00\nss\n"));
        assert_eq!([age(59), age(60), age(7200), age(200_000)], ["59s", "1m", "2h", "2d"]);
    }

    #[test]
    fn the_doctor_says_why_there_is_nothing() {
        assert!(report(&BTreeMap::new(), 0, 0).contains("disabled"));
        assert!(report(&BTreeMap::new(), 10, 0).contains("All is well"));
        let events = BTreeMap::from([("command", series(&[(1, 30), (2, 40), (3, 50)]))]);
        let text = report(&events, 10, -1);
        assert!(text.contains(
            "1. command: 3 latency spikes (average 40ms, mean deviation 6ms, period 1.00 sec)"
        ));
        assert!(text.contains("slow log is off"));
    }
}
