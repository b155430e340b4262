//! A plain program, as one would write it: `naive LIST LIMIT`. Each file whole in memory, unzipped
//! if it is a zip, its lines counted, and dropped.
#![allow(clippy::print_stdout)]

use std::{
    env,
    error::Error,
    fs,
    io::{Cursor, Read},
};

use futures_util::{StreamExt, stream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [_, list, limit] = &env::args().collect::<Vec<_>>()[..] else { return Err("usage: naive LIST LIMIT".into()) };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let list = fs::read_to_string(list)?;
    let counts = stream::iter(list.lines()).map(|url| count(&client, url)).buffer_unordered(limit.parse()?);
    let mut lines = 0;
    let mut counts = std::pin::pin!(counts);
    while let Some(count) = counts.next().await {
        lines += count?;
    }
    println!("{lines}");
    Ok(())
}

async fn count(client: &reqwest::Client, url: &str) -> Result<usize, Box<dyn Error>> {
    let bytes = client.get(url).send().await?.error_for_status()?.bytes().await?;
    if !url.contains(".zip") {
        return Ok(lines(&bytes));
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))?;
    let mut text = Vec::new();
    archive.by_index(0)?.read_to_end(&mut text)?;
    Ok(lines(&text))
}

/// Line feeds, and the last line if it has none.
fn lines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count() + usize::from(text.last().is_some_and(|last| *last != b'\n'))
}
