//! Files like the ones people download: GDELT slots, daily trades, ticks. Same columns, sizes and
//! compressibility; the values mean nothing.

use std::fmt::Write;

use md5::{Digest, Md5};
use narrows_sim::{Hex, Prng, Style, gzip, zip};

use narrows_jobs::{
    calendar::Day,
    gdelt::{SLOTS, slot_name},
};

const ACTORS: [&str; 12] = [
    "USA\tUNITED STATES\tUSA",
    "GOV\tPRESIDENT\t",
    "COP\tPOLICE\t",
    "FRA\tFRANCE\tFRA",
    "EDU\tSCHOOL\t",
    "CHN\tBEIJING\tCHN",
    "\t\t",
    "GBR\tLONDON\tGBR",
    "JUD\tJUDGE\t",
    "MED\tNEWSPAPER\t",
    "IND\tINDIA\tIND",
    "BUS\tCOMPANIES\t",
];

const PLACES: [&str; 8] = [
    "4\tParis, Île-de-France, France\tFR\tFR00\t16282\t48.8667\t2.33333\t-1456928",
    "1\tUnited States\tUS\tUS\t\t39.828175\t-98.5795\tUS",
    "3\tWashington, District of Columbia, United States\tUS\tUSDC\tDC001\t38.8951\t-77.0364\t531871",
    "4\tLagos, Lagos, Nigeria\tNI\tNI05\t22013\t6.45306\t3.39583\t-2017355",
    "2\tTexas, United States\tUS\tUSTX\t\t31.106\t-97.6475\tTX",
    "0\t\t\t\t\t\t\t",
    "4\tMumbai, Maharashtra, India\tIN\tIN16\t70159\t18.975\t72.8258\t-2092174",
    "4\tLondon, London, City of, United Kingdom\tUK\tUKH9\t40110\t51.5\t-0.116667\t-2601889",
];

const WORDS: [&str; 24] = [
    "police", "minister", "market", "rain", "court", "school", "strike", "vote", "river", "border", "budget", "storm",
    "health", "energy", "league", "festival", "bank", "harvest", "trial", "summit", "union", "bridge", "museum",
    "rail",
];

/// Rows of a slot of the events table, as many as make about 580 KB.
const EVENT_ROWS: u64 = 1400;

/// The zip of a slot, or `None` if the name is none of GDELT's.
pub(crate) fn slot(name: &str, seed: u64) -> Option<Vec<u8>> {
    let (stamp, table) = name.strip_suffix(".zip")?.split_once('.')?;
    let table = table.strip_prefix("translation.").unwrap_or(table);
    let row = match table {
        "export.CSV" => event,
        "mentions.CSV" => mention,
        "gkg.csv" => knowledge,
        _ => return None,
    };
    let date: u64 = stamp.parse().ok().filter(|_| stamp.len() == 14)?;
    if seed == 0 {
        return Some(Vec::new()); // only asked whether there is one
    }
    let mut prng = Prng::new(seed);
    let mut text = String::new();
    let rows = EVENT_ROWS - 200 + prng.below(400);
    for _ in 0..rows {
        row(&mut text, date, &mut prng);
    }
    let entry = (name.trim_end_matches(".zip").to_owned(), text.into_bytes());
    Some(zip(&[entry], || Style::Deflated))
}

/// The zip of a day of GDELT 1.0 (or of a month or a year): `events/20130401.export.CSV.zip`, `gkg/…`. `None`
/// if the name is none of its files.
pub(crate) fn day_of_one(path: &str, seed: u64) -> Option<Vec<u8>> {
    let (folder, name) = path.split_once('/')?;
    let (stamp, table) = name.strip_suffix(".zip").map(|name| name.split_once('.').unwrap_or((name, "")))?;
    let date: u64 = stamp.parse().ok()?;
    let mut prng = Prng::new(seed);
    let mut text = String::new();
    match (folder, table, stamp.len()) {
        ("events", "export.CSV", 8) | ("events", "", 4 | 6) => {
            for _ in 0..300 {
                let mut row = String::new();
                event(&mut row, date * 10_u64.pow(14 - stamp.len() as u32), &mut prng);
                let fields: Vec<&str> = row.trim_end().split('\t').collect();
                // No ADM2 codes, days instead of times, and no addresses before there were files of days.
                let kept = (0..fields.len()).filter(|at| ![39, 47, 55].contains(at) && (*at < 60 || stamp.len() == 8));
                let kept: Vec<&str> = kept.map(|at| if at == 59 { &fields[at][..8] } else { fields[at] }).collect();
                let _ = writeln!(text, "{}", kept.join("\t"));
            }
        }
        ("gkg", "gkg.csv", 8) => {
            text += "DATE\tNUMARTS\tCOUNTS\tTHEMES\tLOCATIONS\tPERSONS\tORGANIZATIONS\tTONE\tCAMEOEVENTIDS\tSOURCES\tSOURCEURLS\n";
            for _ in 0..100 {
                let _ = writeln!(
                    text,
                    "{date}\t{}\t\tTAX;WB\t\t\t\t-1.5,2,3\t\ta.example\thttps://a.example",
                    prng.below(9)
                );
            }
        }
        ("gkg", "gkgcounts.csv", 8) => {
            for _ in 0..100 {
                let _ = writeln!(
                    text,
                    "{date}\t1\tKILL\t{}\t\t1\tX\tX\tX\t1.5\t2.5\tX\t7\ta.example\thttps://a.example",
                    prng.below(9)
                );
            }
        }
        _ => return None,
    }
    Some(zip(&[(name.trim_end_matches(".zip").to_owned(), text.into_bytes())], || Style::Deflated))
}

/// A zip of two entries whose last lines have no line feed: `a1`, `a2` and `b1`, `b2`.
pub(crate) fn two_entries() -> Vec<u8> {
    let entries = [("a", "a1\na2"), ("b", "b1\nb2")].map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    zip(&entries, || Style::Deflated)
}

/// Names of the export slots of some days from `from` (`YYYYMMDD`) on.
pub(crate) fn slot_names(from: &str, days: u64) -> Option<impl Iterator<Item = String>> {
    let number = |range: std::ops::Range<usize>| from.get(range)?.parse::<u32>().ok();
    let first = Day { year: number(0..4)?, month: number(4..6)?, day: number(6..8)? };
    let days = std::iter::successors(Some(first), |day| Some(day.next())).take(days as usize);
    Some(days.flat_map(|day| (0..SLOTS).map(move |slot| slot_name(day, slot, "export.CSV"))))
}

/// A line of a master list.
pub(crate) fn master_line(zip: &[u8], url: &str) -> String {
    format!("{} {} {url}\n", zip.len(), Hex(&Md5::digest(zip)))
}

/// 61 columns.
fn event(text: &mut String, date: u64, prng: &mut Prng) {
    let id = 1_200_000_000 + prng.below(90_000_000);
    let pick = |prng: &mut Prng| ACTORS[prng.below(12) as usize];
    let place = |prng: &mut Prng| PLACES[prng.below(8) as usize];
    let (day, month, year) = (date / 1_000_000, date / 100_000_000, date / 10_000_000_000);
    let _ = write!(text, "{id}\t{day}\t{month}\t{year}\t{year}.{:04}", prng.below(9999));
    for _ in 0..2 {
        let _ = write!(text, "\t{}\t\t\t\t\t\t\t", pick(prng));
    }
    let code = 10 + prng.below(10);
    let _ = write!(text, "\t{}\t0{code}\t0{code}\t0{}\t{}", prng.below(2), code / 10, 1 + prng.below(4));
    let (mentions, tone) = (1 + prng.below(40), prng.below(200_000) as f64 / 10_000.0 - 10.0);
    let _ = write!(text, "\t{}.{}\t{mentions}\t1\t{mentions}\t{tone}", prng.below(10), prng.below(10));
    for _ in 0..3 {
        let _ = write!(text, "\t{}", place(prng));
    }
    let _ = write!(text, "\t{date}\thttps://www.example-news.com/{}", WORDS[prng.below(24) as usize]);
    for _ in 0..1 + prng.below(5) {
        let _ = write!(text, "-{}", WORDS[prng.below(24) as usize]);
    }
    let _ = writeln!(text, "-{}/", prng.below(1_000_000));
}

/// 16 columns, the last two empty.
fn mention(text: &mut String, date: u64, prng: &mut Prng) {
    let (id, earlier) = (1_200_000_000 + prng.below(90_000_000), date - prng.below(4) * 1500);
    let [one, other] = [0; 2].map(|_| WORDS[prng.below(24) as usize]);
    let url = format!("https://{one}.example/{other}-{}", prng.below(1_000_000));
    let _ = write!(text, "{id}\t{earlier}\t{date}\t1\t{one}.example\t{url}\t{}", 1 + prng.below(30));
    let _ = write!(text, "\t{}\t{}\t{}", prng.below(4000), prng.below(4000), prng.below(4000));
    let _ =
        writeln!(text, "\t1\t{}\t{}\t-{}.{}\t\t", 10 * prng.below(10), prng.below(9000), prng.below(9), prng.below(99));
}

/// 27 columns, about 10 KB a row.
fn knowledge(text: &mut String, date: u64, prng: &mut Prng) {
    let id = prng.below(2000);
    let _ = write!(text, "{date}-{id}\t{date}\t1\texample.com\thttps://example.com/{id}");
    for column in 0..22 {
        text.push('\t');
        for item in 0..prng.below(60) {
            let (word, offset) = (WORDS[prng.below(24) as usize], prng.below(9000));
            let _ = match column % 3 {
                0 => write!(text, "TAX_FNCACT_{word};"),
                1 => write!(text, "{word},{offset};"),
                _ => write!(text, "c{item}.{}:{}.{},", prng.below(40), prng.below(9), prng.below(999)),
            };
        }
    }
    text.push('\n');
}

/// Trades or ticks, packed as a zip or as gzip.
pub(crate) fn series(name: &str, seed: u64, length: usize, zipped: bool) -> Vec<u8> {
    let mut prng = Prng::new(seed);
    let mut text = String::with_capacity(length + 128);
    let (mut price, mut time) = (6_183_763_u64, 1_767_225_600_000_000_u64);
    let mut id = 3_000_000_000_u64;
    while text.len() < length {
        price = price.saturating_add_signed(prng.below(21) as i64 - 10);
        time += prng.below(200_000);
        id += 1;
        let (amount, maker) = (prng.below(300_000), prng.below(2) == 0);
        let (whole, cents) = (price / 100, price % 100);
        let _ = match zipped {
            true => {
                writeln!(text, "{id},{whole}.{cents:02}000000,0.{amount:08},{id},{id},{time},{},True", title(maker))
            }
            false => {
                let side = if maker { "sell" } else { "buy" };
                writeln!(text, "deribit,BTC-PERPETUAL,{time},{},{id},{side},{whole}.{cents:02},{amount}", time + 4000)
            }
        };
    }
    match zipped {
        true => zip(&[(name.replace(".zip", ".csv"), text.into_bytes())], || Style::Deflated),
        false => gzip(text.as_bytes()),
    }
}

fn title(value: bool) -> &'static str {
    if value { "True" } else { "False" }
}
