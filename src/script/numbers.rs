//! Numbers as C prints them: `%.14g` is how Lua 5.1 writes its doubles, and so how they leave scripts.

/// `%.<digits>g` of `value`. `digits` is at least 1.
pub(super) fn g(value: f64, digits: usize) -> Vec<u8> {
    if value.is_nan() {
        return if value.is_sign_negative() { b"-nan".to_vec() } else { b"nan".to_vec() };
    }
    if value.is_infinite() {
        return if value > 0.0 { b"inf".to_vec() } else { b"-inf".to_vec() };
    }
    if value == value.trunc() && value.abs() < 1e14 && digits >= 14 && value != 0.0 {
        return itoa::Buffer::new().format(value as i64).as_bytes().to_vec();
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        let text = format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
        return text.into_bytes();
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    trim(&format!("{value:.decimals$}")).as_bytes().to_vec()
}

/// Without the zeroes after the point that say nothing.
fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// As a C compiler for x86-64 casts it: what does not fit becomes the smallest integer.
pub(super) fn to_i64(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&value) { value as i64 } else { i64::MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_print_as_percent_14_g() {
        let cases: &[(f64, &str)] = &[
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1 + 0.2, "0.3"),
            (1e15, "1e+15"),
            (1e14, "1e+14"),
            (99_999_999_999_999.0, "99999999999999"),
            (9_007_199_254_740_992.0, "9.007199254741e+15"),
            (3.5, "3.5"),
            (-1e-5, "-1e-05"),
            (0.0001, "0.0001"),
            (123_456.789, "123456.789"),
            (1e300, "1e+300"),
            (f64::INFINITY, "inf"),
        ];
        for (value, text) in cases {
            assert_eq!(String::from_utf8(g(*value, 14)).unwrap(), *text);
        }
        assert_eq!(g(2.34567, 3), b"2.35");
        assert_eq!((to_i64(1e300), to_i64(-1.9), to_i64(f64::NAN)), (i64::MIN, -1, i64::MIN));
    }
}
