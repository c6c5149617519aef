//! Sizes for people.

/// `1.50M` for 1,572,864: two digits after the point, powers of 1,024.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["K", "M", "G", "T", "P", "E"];
    if n < 1024 {
        return format!("{n}B");
    }
    let power = (63 - n.leading_zeros()) as usize / 10;
    let scaled = n as f64 / (1_u64 << (10 * power)) as f64;
    format!("{scaled:.2}{}", UNITS[power - 1])
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn every_unit() {
        let seen: Vec<_> = [0, 1023, 1024, 1_261_800, 25_274_793_984, u64::MAX].map(bytes).into();
        assert_eq!(seen, ["0B", "1023B", "1.00K", "1.20M", "23.54G", "16.00E"]);
    }
}
