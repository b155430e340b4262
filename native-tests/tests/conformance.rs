//! The adapter against the embedded origin, over HTTP/1.1 and HTTP/2.

use narrows::{Client, ClientOptions, DefaultClock, Protocol};
use narrows_sim::conformance::{CASES, NATIVE_CASES, run};
use native_tests::Origin;

async fn conforms(options: ClientOptions) {
    let origin = Origin::start(&[]);
    let client = Client::new(options).unwrap();
    let clock = DefaultClock::new();
    let cases = CASES.iter().chain(NATIVE_CASES);
    let results = cases.map(|case| run(*case, &client, &clock, &origin.base));
    let failed: Vec<String> =
        futures_util::future::join_all(results).await.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[tokio::test]
async fn over_http_1() {
    conforms(ClientOptions::default()).await;
}

#[tokio::test]
async fn over_http_2() {
    conforms(ClientOptions::new().protocol(Protocol::Http2PriorKnowledge)).await;
}
