//! Addresses with ranges in them, as curl writes them: `day[01-31].csv`.

/// The addresses that a pattern stands for. Each `[FIRST-LAST]` is every number between these, with as many digits as
/// the first has; the last range counts fastest.
///
/// ```
/// use narrows_jobs::names::glob;
///
/// let urls: Vec<_> = glob("http://h/[9-10]/f[08-09].csv").unwrap().collect();
/// assert_eq!(urls, ["http://h/9/f08.csv", "http://h/9/f09.csv", "http://h/10/f08.csv", "http://h/10/f09.csv"]);
/// assert!(glob("http://h/[b-a]").is_err());
/// ```
///
/// # Errors
///
/// What is wrong with the pattern.
pub fn glob(pattern: &str) -> Result<impl Iterator<Item = String> + Clone + Send + use<>, String> {
    let mut texts = vec![String::new()];
    let mut ranges: Vec<(u64, u64, usize)> = Vec::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('[') {
        let bad = || format!("{pattern:?}: a range has the form [1-9] or [01-31]");
        let (range, after) = after.split_once(']').ok_or_else(bad)?;
        let (first, last) = range.split_once('-').ok_or_else(bad)?;
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let (from, to): (u64, u64) = (number(first).ok_or_else(bad)?, number(last).ok_or_else(bad)?);
        if from > to {
            return Err(bad());
        }
        ranges.push((from, to, first.len()));
        if let Some(text) = texts.last_mut() {
            text.push_str(before);
        }
        texts.push(String::new());
        rest = after;
    }
    if let Some(text) = texts.last_mut() {
        text.push_str(rest);
    }
    let sizes: Vec<u64> = ranges.iter().map(|(from, to, _)| (to - from).saturating_add(1)).collect();
    let all = sizes.iter().try_fold(1_u64, |all, size| all.checked_mul(*size));
    let all = all.ok_or_else(|| format!("{pattern:?} stands for more addresses than there are numbers"))?;
    Ok((0..all).map(move |mut index| {
        let mut numbers: Vec<String> = Vec::with_capacity(ranges.len());
        for ((from, _, digits), size) in ranges.iter().zip(&sizes).rev() {
            numbers.push(format!("{:0digits$}", from + index % size, digits = *digits));
            index /= size;
        }
        let numbers = numbers.into_iter().rev().chain([String::new()]);
        texts.iter().zip(numbers).flat_map(|(text, number)| [text.clone(), number]).collect()
    }))
}
