//! Fields of delimited text to numbers: exact, or refused.
//!
//! `_at` reads the number at the beginning of some bytes, for those who have not looked for its end yet;
//! what is behind it shows whether it is the whole field.
#![forbid(unsafe_code)]

use std::{error::Error, fmt};

/// Digits that never overflow 64 bits.
const SAFE_DIGITS: usize = 18;

/// A whole number of 64 bits.
///
/// ```
/// assert_eq!([&b"-7"[..], b"7.0", b"+7"].map(narrows_numbers::whole), [Some(-7), None, None]);
/// ```
pub fn whole(field: &[u8]) -> Option<i64> {
    if let Some((value, length)) = whole_at(field)
        && length == field.len()
    {
        return Some(value);
    }
    let (is_negative, digits) = signed(field);
    if digits.is_empty() {
        return None;
    }
    let mut value = 0_i64;
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

/// The whole number at the beginning of some bytes, of 18 digits at most, and its length.
///
/// ```
/// assert_eq!(narrows_numbers::whole_at(b"-12,3"), Some((-12, 3)));
/// ```
#[inline]
pub fn whole_at(bytes: &[u8]) -> Option<(i64, usize)> {
    let (is_negative, digits) = signed(bytes);
    let (value, count) = digits_at(digits);
    if !(1..=SAFE_DIGITS).contains(&count) {
        return None;
    }
    let value = value as i64;
    Some((if is_negative { -value } else { value }, count + usize::from(is_negative)))
}

/// The digits at the beginning of some bytes as a number, and how many; of more than 18, the number is none.
///
/// ```
/// assert_eq!(narrows_numbers::digits_at(b"61000.27"), (61_000, 5));
/// ```
#[inline]
pub fn digits_at(bytes: &[u8]) -> (u64, usize) {
    let (mut value, mut count) = (0_u64, 0);
    while let Some(eight) = bytes[count..].first_chunk() {
        let (more, digits) = eight_at(eight);
        value = value.wrapping_mul(WHOLE_POWERS[digits]).wrapping_add(more);
        count += digits;
        if digits < 8 {
            return (value, count);
        }
    }
    for byte in &bytes[count..] {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (value, count)
}

/// The digits at the beginning of eight bytes as a number, and how many. All are read at once: neighbours are
/// put together to numbers of two, four and eight digits, each step in one multiplication (Lemire, "Quickly
/// parsing eight digits", 2018).
#[inline]
fn eight_at(bytes: &[u8; 8]) -> (u64, usize) {
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
    const TO_HIGH_BIT: u64 = 0x7676_7676_7676_7676;
    // Digits are 0 to 9 then; of whatever is more, the high bit of `others` is set.
    let digits = u64::from_le_bytes(*bytes) ^ ZEROS;
    let others = (((digits & !HIGH_BITS) + TO_HIGH_BIT) | digits) & HIGH_BITS;
    let count = others.trailing_zeros() / 8;
    // Behind as many zeros as are missing; what follows the digits is shifted out.
    let Some(digits) = digits.checked_shl(64 - 8 * count) else { return (0, 0) };
    let pairs = digits.wrapping_mul(10 * 0x100 + 1) >> 8 & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100 * 0x1_0000 + 1) >> 16 & 0x0000_ffff_0000_ffff;
    (fours.wrapping_mul(10_000 * 0x1_0000_0000 + 1) >> 32, count as usize)
}

/// Digits, a point, an exponent; no `inf`, no `nan`, no plus at the beginning.
///
/// ```
/// assert_eq!([&b"1e3"[..], b"nan"].map(narrows_numbers::float), [Some(1000.0), None]);
/// ```
pub fn float(field: &[u8]) -> Option<f64> {
    if let Some((value, length)) = float_at(field)
        && length == field.len()
    {
        return Some(value);
    }
    let (_, digits) = signed(field);
    let is_number = matches!(digits, [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..]);
    let text = std::str::from_utf8(field).ok().filter(|_| is_number)?;
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The number at the beginning of some bytes, and its length: digits with at most one point, where digits and
/// power of ten are both exact as floats. Then their quotient is rounded once, as it must be (Clinger, "How
/// to Read Floating Point Numbers Accurately", PLDI 1990).
///
/// ```
/// assert_eq!(narrows_numbers::float_at(b"0.5,x"), Some((0.5, 3)));
/// ```
#[inline]
pub fn float_at(bytes: &[u8]) -> Option<(f64, usize)> {
    const EXACT_DIGITS: usize = 15;
    let (is_negative, digits) = signed(bytes);
    let (mut value, mut count) = digits_at(digits);
    let (mut length, mut places) = (count, 0);
    if digits.get(count) == Some(&b'.') && (1..=EXACT_DIGITS).contains(&count) {
        let (part, more) = digits_at(&digits[count + 1..]);
        places = more;
        length += 1 + places;
        count += places;
        if count > EXACT_DIGITS {
            return None;
        }
        value = value * WHOLE_POWERS[places] + part;
    }
    if !(1..=EXACT_DIGITS).contains(&count) {
        return None;
    }
    let value = if places == 0 { value as f64 } else { value as f64 / POWERS[places] };
    Some((if is_negative { -value } else { value }, length + usize::from(is_negative)))
}

const WHOLE_POWERS: [u64; 16] = {
    let mut powers = [1; 16];
    let mut at = 1;
    while at < 16 {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};
const POWERS: [f64; 16] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];

/// Text that is no decimal number of so many places.
///
/// No example: that of [`decimal`] meets one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BadDecimal {
    /// No digits, or something that is neither a digit nor the one point.
    NoNumber,
    /// More places than there may be, zeros at the end included.
    TooManyPlaces,
    /// More digits than there may be.
    TooLarge,
}

impl fmt::Display for BadDecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNumber => "not a decimal number",
            Self::TooManyPlaces => "more decimal places than there may be",
            Self::TooLarge => "too large",
        })
    }
}

impl Error for BadDecimal {}

/// Reads `12`, `12.5` or `-0.00000001` in units of 10 to the minus `scale`; of 38 digits at most.
///
/// ```
/// use narrows_numbers::{BadDecimal, decimal};
///
/// assert_eq!(decimal(b"-1.5", 2), Ok(-150));
/// assert_eq!(decimal(b"1.005", 2), Err(BadDecimal::TooManyPlaces), "nothing is rounded");
/// ```
///
/// # Errors
///
/// [`BadDecimal`]; nothing becomes 0.
pub fn decimal(field: &[u8], scale: i8) -> Result<i128, BadDecimal> {
    let (is_negative, digits) = signed(field);
    let (mut value, mut places, mut count) = (0_i128, None, 0);
    for byte in digits {
        match (byte, &mut places) {
            (b'0'..=b'9', places) => {
                if let Some(places) = places {
                    *places += 1;
                    if *places > scale {
                        return Err(BadDecimal::TooManyPlaces);
                    }
                }
                count += 1;
                value = tenfold(value)? + i128::from(byte - b'0');
            }
            (b'.', places @ None) if count > 0 => *places = Some(0),
            _ => return Err(BadDecimal::NoNumber),
        }
    }
    if count == 0 || places == Some(0) {
        return Err(BadDecimal::NoNumber);
    }
    for _ in places.unwrap_or(0)..scale {
        value = tenfold(value)?;
    }
    Ok(if is_negative { -value } else { value })
}

/// Ten times a number of fewer than 38 digits.
fn tenfold(value: i128) -> Result<i128, BadDecimal> {
    const LARGEST: i128 = 10_i128.pow(37);
    if value < LARGEST { Ok(value * 10) } else { Err(BadDecimal::TooLarge) }
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
    fn digits_are_read_as_far_as_they_go() {
        let mut text = b"98765432109876543x".to_vec();
        while !text.is_empty() {
            for byte in [b'/', b':', b'.', b',', 0, 0xff] {
                *text.last_mut().unwrap() = byte;
                let digits = std::str::from_utf8(&text[..text.len() - 1]).unwrap();
                let expected = digits.parse().ok().map(|value: i64| (value, digits.len()));
                assert_eq!(whole_at(&text), expected, "{text:?}");
                for at in 0..text.len().saturating_sub(1) {
                    let mut broken = text.clone();
                    broken[at] = byte;
                    let found = whole_at(&broken).map_or(0, |(_, length)| length);
                    assert_eq!(found, at, "{broken:?}");
                }
            }
            text.pop();
        }
        assert_eq!(whole_at(b"1234567890123456789,"), None, "19 digits may not fit");
        assert_eq!(float_at(b"-12.5,"), Some((-12.5, 5)));
        assert_eq!(float_at(b"1e5"), Some((1.0, 1)), "what is behind it shows that it is another number");
        assert_eq!([float_at(b".5"), float_at(b"1234567890123456,"), float_at(b"-,")], [None; 3]);
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
