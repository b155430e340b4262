//! Decimal text to whole numbers of 10⁻⁸, without a float on the way.

pub use narrows_numbers::BadDecimal;

const PLACES: i8 = 8;

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
    let value = narrows_numbers::decimal(text, PLACES)?;
    i64::try_from(value).map_err(|_| BadDecimal::TooLarge)
}

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
