//! Decimal text to whole numbers of 10⁻⁸, without a float on the way.

use std::{error::Error, fmt};

const PLACES: usize = 8;

/// Text that is no decimal number of at most eight places.
///
/// ```
/// let error = narrows_bars::decimal(b"1.234567891").unwrap_err();
/// assert_eq!(error.to_string(), "more than 8 decimal places");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum BadDecimal {
    /// No digits, or something that is neither a digit nor the one point.
    NoNumber,
    /// More than eight places, zeros at the end included.
    TooManyPlaces,
    /// Beyond ±92,233,720,368.54775807.
    TooLarge,
}

impl fmt::Display for BadDecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoNumber => "not a decimal number",
            Self::TooManyPlaces => "more than 8 decimal places",
            Self::TooLarge => "too large",
        })
    }
}

impl Error for BadDecimal {}

/// Reads `12`, `12.5` or `-0.00000001` as a number of 10⁻⁸.
///
/// ```
/// assert_eq!(narrows_bars::decimal(b"61837.63000000"), Ok(6_183_763_000_000));
/// assert!(narrows_bars::decimal(b"1e5").is_err());
/// ```
///
/// # Errors
///
/// [`BadDecimal`]; nothing is rounded, and nothing becomes 0.
pub fn decimal(text: &[u8]) -> Result<i64, BadDecimal> {
    let (is_negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (mut value, mut places, mut seen) = (0_u64, None, 0);
    for byte in digits {
        match (byte, &mut places) {
            (b'0'..=b'9', places) => {
                if let Some(places) = places {
                    *places += 1;
                    if *places > PLACES {
                        return Err(BadDecimal::TooManyPlaces);
                    }
                }
                seen += 1;
                let digit = u64::from(byte - b'0');
                value = match seen {
                    ..19 => value * 10 + digit, // below 10^18
                    _ => {
                        value.checked_mul(10).and_then(|value| value.checked_add(digit)).ok_or(BadDecimal::TooLarge)?
                    }
                };
            }
            (b'.', places @ None) if seen > 0 => *places = Some(0),
            _ => return Err(BadDecimal::NoNumber),
        }
    }
    if seen == 0 || places == Some(0) {
        return Err(BadDecimal::NoNumber);
    }
    let scale = POWERS[PLACES - places.unwrap_or(0)];
    let value = value.checked_mul(scale).ok_or(BadDecimal::TooLarge)?;
    let value = i64::try_from(value).map_err(|_| BadDecimal::TooLarge)?;
    Ok(if is_negative { -value } else { value })
}

const POWERS: [u64; PLACES + 1] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_or_refused() {
        let cases: [(&str, Result<i64, BadDecimal>); 18] = [
            ("0", Ok(0)),
            ("4", Ok(400_000_000)),
            ("2681.62", Ok(268_162_000_000)),
            ("0.00000001", Ok(1)),
            ("-0.5", Ok(-50_000_000)),
            ("00012.30", Ok(1_230_000_000)),
            ("92233720368.54775807", Ok(i64::MAX)),
            ("92233720368.54775808", Err(BadDecimal::TooLarge)),
            ("99999999999999999999999", Err(BadDecimal::TooLarge)),
            ("0.000000001", Err(BadDecimal::TooManyPlaces)),
            ("1.000000000", Err(BadDecimal::TooManyPlaces)),
            ("", Err(BadDecimal::NoNumber)),
            ("-", Err(BadDecimal::NoNumber)),
            (".5", Err(BadDecimal::NoNumber)),
            ("5.", Err(BadDecimal::NoNumber)),
            ("1.2.3", Err(BadDecimal::NoNumber)),
            ("1e5", Err(BadDecimal::NoNumber)),
            (" 1", Err(BadDecimal::NoNumber)),
        ];
        for (text, expected) in cases {
            assert_eq!(decimal(text.as_bytes()), expected, "{text:?}");
        }
    }
}
