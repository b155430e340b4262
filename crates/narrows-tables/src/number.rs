//! Fields to numbers: exact, or refused.

/// A whole number of 64 bits.
pub(crate) fn whole(field: &[u8]) -> Option<i64> {
    let (is_negative, digits) = signed(field);
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
    if digits.len() <= 18 {
        // Never overflows.
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + i64::from(digit);
        }
        return Some(if is_negative { -value } else { value });
    }
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // Downwards, for there is one more number below zero than above.
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if is_negative { Some(value) } else { value.checked_neg() }
}

/// Digits, a point, an exponent; no `inf`, no `nan`, no plus at the beginning.
pub(crate) fn float(field: &[u8]) -> Option<f64> {
    let (is_negative, digits) = signed(field);
    if let Some(value) = short_float(digits) {
        return Some(if is_negative { -value } else { value });
    }
    let is_number = matches!(digits, [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..]);
    let text = std::str::from_utf8(field).ok().filter(|_| is_number)?;
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Digits with at most one point, where digits and power of ten are both exact as floats: then their
/// quotient is rounded once, as it must be (Clinger, "How to Read Floating Point Numbers Accurately",
/// PLDI 1990).
fn short_float(digits: &[u8]) -> Option<f64> {
    const EXACT_DIGITS: usize = 15;
    if digits.is_empty() || digits.len() > EXACT_DIGITS + 1 {
        return None;
    }
    let (mut value, mut point) = (0_u64, None);
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => value = value * 10 + u64::from(byte - b'0'),
            b'.' if point.is_none() && at > 0 => point = Some(at),
            _ => return None,
        }
    }
    match point {
        None if digits.len() <= EXACT_DIGITS => Some(value as f64),
        None => None,
        Some(at) => Some(value as f64 / POWERS[digits.len() - 1 - at]),
    }
}

const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// A decimal number in units of 10 to the minus `scale`, of 38 digits at most.
pub(crate) fn decimal(field: &[u8], scale: i8) -> Result<i128, &'static str> {
    const NO_NUMBER: &str = "not a decimal number";
    let (is_negative, digits) = signed(field);
    let (mut value, mut places, mut count) = (0_i128, None, 0);
    for byte in digits {
        match (byte, &mut places) {
            (b'0'..=b'9', places) => {
                if let Some(places) = places {
                    *places += 1;
                    if *places > scale {
                        return Err("more decimal places than the column has");
                    }
                }
                count += 1;
                value = tenfold(value)? + i128::from(byte - b'0');
            }
            (b'.', places @ None) if count > 0 => *places = Some(0),
            _ => return Err(NO_NUMBER),
        }
    }
    if count == 0 || places == Some(0) {
        return Err(NO_NUMBER);
    }
    for _ in places.unwrap_or(0)..scale {
        value = tenfold(value)?;
    }
    Ok(if is_negative { -value } else { value })
}

/// Ten times a number of fewer than 38 digits.
fn tenfold(value: i128) -> Result<i128, &'static str> {
    const LARGEST: i128 = 10_i128.pow(37);
    if value < LARGEST { Ok(value * 10) } else { Err("more digits than the column has") }
}

fn signed(field: &[u8]) -> (bool, &[u8]) {
    match field {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact_or_refused() {
        let bounds = ["-9223372036854775808", "9223372036854775807", "-0", "000000000000000000000007"];
        assert_eq!(bounds.map(|text| whole(text.as_bytes())), [Some(i64::MIN), Some(i64::MAX), Some(0), Some(7)]);
        for bad in ["", "9223372036854775808", "-9223372036854775809", "+1", "1.0", "-", " 1", "1e3", "--1"] {
            assert_eq!(whole(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn floats_are_those_of_the_standard_library() {
        let mut state = 1_u64;
        let mut below = |bound: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        for _ in 0..200_000 {
            let digits = [below(11), below(10)].map(|digits| 10_u64.pow(digits as u32));
            let [whole, part] = digits.map(&mut below);
            let text = match below(4) {
                0 => format!("{whole}"),
                1 => format!("-{whole}.{part:0width$}", width = below(12) as usize),
                2 => format!("{whole}.{part}e-{}", below(30)),
                _ => format!("{whole}.{part:0width$}", width = below(20) as usize),
            };
            assert_eq!(float(text.as_bytes()).map(f64::to_bits), text.parse().ok().map(f64::to_bits), "{text}");
        }
        assert_eq!(float(b"5."), Some(5.0));
        for bad in ["", "nan", "inf", "+1", "1,5", "1e999", "0x1", "-", ".", "1.2.3", "--1"] {
            assert_eq!(float(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!([decimal(b"-0.00000001", 8), decimal(b"12", 8)], [Ok(-1), Ok(1_200_000_000)]);
        for bad in ["", "0.000000001", ".5", "5.", "1.2.3", "1e5", &"9".repeat(31)] {
            assert!(decimal(bad.as_bytes(), 8).is_err(), "{bad}");
        }
        assert!(decimal("9".repeat(30).as_bytes(), 8).is_ok());
    }
}
