//! `--intrinsic-latency`: how long this machine stalls a process that does nothing but compute.
//!
//! No server is involved: what this finds is the floor under every latency measured here.

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::Interrupted;
use crate::screen;
use crate::session::{Session, Stop};

pub fn run(session: &mut Session) -> Result<(), Stop> {
    let seconds = u64::try_from(session.options.intrinsic_s).unwrap_or(0);
    let time = Duration::from_secs(seconds);
    let interrupted = Interrupted::listen();
    let started = Instant::now();
    let (mut runs, mut worst) = (0_u64, 0_u128);
    loop {
        let begin = Instant::now();
        black_box(shuffle());
        let took = begin.elapsed().as_micros();
        runs += 1;
        if took > worst {
            worst = took;
            screen::say(&format!("Max latency so far: {worst} microseconds.\n"));
        }
        if interrupted.yes() || started.elapsed() > time {
            break;
        }
    }
    let average = time.as_micros() as f64 / runs as f64;
    screen::say(&format!(
        "\n{runs} total runs (avg latency: {average:.4} microseconds / {:.2} nanoseconds per run).\n\
         Worst run took {:.0}x longer than the average latency.\n",
        average * 1e3,
        worst as f64 / average
    ));
    Ok(())
}

/// Some microseconds of work in the processor's first cache, without a system call.
fn shuffle() -> u64 {
    let mut cells: [u8; 256] = std::array::from_fn(|at| at as u8);
    let (mut at, mut other, mut sum) = (0_u8, 0_u8, 0_u64);
    for _ in 0..1000 {
        at = at.wrapping_add(1);
        other = other.wrapping_add(cells[usize::from(at)]);
        cells.swap(usize::from(at), usize::from(other));
        sum += u64::from(cells[usize::from(other.wrapping_add(at))]);
    }
    sum
}
