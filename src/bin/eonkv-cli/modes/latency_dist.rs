//! `--latency-dist`: each second a line of colours, one cell per range of latencies, brighter for more samples.

use std::time::{Duration, Instant};

use super::latency::PAUSE;
use crate::screen;
use crate::session::{Session, Stop};

/// Lines after which the legend is repeated.
const LEGEND_EVERY: usize = 20;

/// Each range by its upper end in microseconds, with the letter that marks it; one more holds the rest.
const RANGES: [(u64, char); 30] = [
    (10, '.'),
    (125, '-'),
    (250, '*'),
    (500, '#'),
    (1_000, '1'),
    (2_000, '2'),
    (3_000, '3'),
    (4_000, '4'),
    (5_000, '5'),
    (6_000, '6'),
    (7_000, '7'),
    (8_000, '8'),
    (9_000, '9'),
    (10_000, 'A'),
    (20_000, 'B'),
    (30_000, 'C'),
    (40_000, 'D'),
    (50_000, 'E'),
    (100_000, 'F'),
    (200_000, 'G'),
    (300_000, 'H'),
    (400_000, 'I'),
    (500_000, 'J'),
    (1_000_000, 'K'),
    (2_000_000, 'L'),
    (4_000_000, 'M'),
    (8_000_000, 'N'),
    (16_000_000, 'O'),
    (30_000_000, 'P'),
    (60_000_000, 'Q'),
];

/// Terminal colours from none to all of the samples.
const COLOURS: &[u8] =
    &[0, 233, 234, 235, 237, 239, 241, 243, 245, 247, 144, 143, 142, 184, 226, 214, 208, 202, 196];
const GREYS: &[u8] = &[0, 233, 234, 235, 237, 239, 241, 243, 245, 247, 249, 251, 253];

type Counts = [u64; RANGES.len() + 1];

pub fn run(session: &mut Session) -> Result<(), Stop> {
    let palette = if session.options.mono { GREYS } else { COLOURS };
    let every = match session.options.interval_us {
        0 => Duration::from_secs(1),
        micros => Duration::from_micros(micros),
    };
    let mut lines = 0_usize;
    let mut counts: Counts = [0; RANGES.len() + 1];
    let mut since = Instant::now();
    loop {
        let sent = Instant::now();
        session.persist(&["PING"])?;
        if let Some(count) = counts.get_mut(range(sent.elapsed())) {
            *count += 1;
        }
        if since.elapsed() > every {
            if lines.is_multiple_of(LEGEND_EVERY) {
                screen::say(&legend(palette));
            }
            screen::say(&spectrum(&counts, palette));
            lines += 1;
            counts = [0; RANGES.len() + 1];
            since = Instant::now();
        }
        std::thread::sleep(PAUSE);
    }
}

fn range(latency: Duration) -> usize {
    RANGES
        .iter()
        .position(|(end, _)| latency.as_micros() <= u128::from(*end))
        .unwrap_or(RANGES.len())
}

/// Colour by share, not by count, so that a slower machine does not look darker.
fn spectrum(counts: &Counts, palette: &[u8]) -> String {
    let total = counts.iter().sum::<u64>().max(1);
    let letters = RANGES.iter().map(|(_, letter)| *letter).chain(['?']);
    let mut line = "\x1b[38;5;0m".to_owned();
    for (count, letter) in counts.iter().zip(letters) {
        let shade = (*count as f64 / total as f64 * (palette.len() - 1) as f64).ceil();
        let colour = palette.get(shade as usize).copied().unwrap_or_default();
        line.push_str(&format!("\x1b[48;5;{colour}m{letter}"));
    }
    line.push_str("\x1b[0m\n");
    line
}

fn legend(palette: &[u8]) -> String {
    let cells: String = palette.iter().map(|colour| format!("\x1b[48;5;{colour}m ")).collect();
    format!(
        "---------------------------------------------\n\
         . - * #          .01 .125 .25 .5 milliseconds\n\
         1,2,3,...,9      from 1 to 9     milliseconds\n\
         A,B,C,D,E        10,20,30,40,50  milliseconds\n\
         F,G,H,I,J        .1,.2,.3,.4,.5       seconds\n\
         K,L,M,N,O,P,Q,?  1,2,4,8,16,30,60,>60 seconds\n\
         From 0 to 100%: {cells}\x1b[0m\n\
         ---------------------------------------------\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_shades() {
        for (micros, letter) in [(0, '.'), (10, '.'), (11, '-'), (9_500, 'A'), (60_000_000, 'Q')] {
            assert_eq!(RANGES[range(Duration::from_micros(micros))].1, letter);
        }
        assert_eq!(range(Duration::from_secs(61)), RANGES.len());
        let mut counts: Counts = [0; RANGES.len() + 1];
        counts[0] = 9;
        counts[1] = 1;
        let line = spectrum(&counts, COLOURS);
        assert!(
            line.starts_with("\x1b[38;5;0m\x1b[48;5;202m.\x1b[48;5;234m-\x1b[48;5;0m*"),
            "{line:?}"
        );
        assert!(line.ends_with("\x1b[48;5;0m?\x1b[0m\n"));
    }
}
