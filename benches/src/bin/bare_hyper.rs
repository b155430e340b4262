//! hyper's pooled client and nothing else: `bare_hyper LIST LIMIT`. Reads every body and counts
//! its lines.
#![allow(clippy::print_stdout)]

use std::{
    env,
    error::Error,
    fs::File,
    io::{BufRead, BufReader},
};

use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [_, list, limit] = &env::args().collect::<Vec<_>>()[..] else {
        return Err("usage: bare_hyper LIST LIMIT".into());
    };
    let client = Client::builder(TokioExecutor::new()).build_http();
    let urls = BufReader::new(File::open(list)?).lines();
    let counts = stream::iter(urls).map(|url| count(&client, url)).buffer_unordered(limit.parse()?);
    let mut lines = 0;
    let mut counts = std::pin::pin!(counts);
    while let Some(count) = counts.next().await {
        lines += count?;
    }
    println!("{lines}");
    Ok(())
}

async fn count(
    client: &Client<HttpConnector, Empty<Bytes>>,
    url: std::io::Result<String>,
) -> Result<usize, Box<dyn Error>> {
    let mut body = client.get(url?.parse()?).await?.into_body();
    let (mut lines, mut last) = (0, b'\n');
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame?.into_data() {
            lines += memchr::memchr_iter(b'\n', &bytes).count();
            last = bytes.last().copied().unwrap_or(last);
        }
    }
    Ok(lines + usize::from(last != b'\n'))
}
