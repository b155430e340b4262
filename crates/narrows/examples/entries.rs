//! Archives, entry by entry: each is written to a file below a folder, under a name that stays there.
//!
//! ```sh
//! cargo run --example entries -- out https://example.com/a.zip
//! ```
#![allow(clippy::print_stdout, reason = "a program may write to its stdout")]

use std::{error::Error, fs, io::Write, path::Path};

use futures_util::StreamExt;
use narrows::{Budget, Client, ClientOptions, DefaultClock, Delivery, Options, Window, unpack};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let options = Options::new().unpack(unpack::Options::default());
    let budget = Budget::new(32 << 20);
    let client = Client::new(ClientOptions::new())?;
    let mut window = Window::from_iter(arguments, client, DefaultClock::new(), &budget, options)?;
    while let Some(mut file) = window.next().await {
        let stored = store(&mut file, Path::new(&folder)).await;
        let report = match stored {
            Ok(()) => file.finish(), // only now is it done
            Err(error) => file.fail(&*error.to_string()),
        };
        println!("{}: {} entries, {:?}", report.url, report.entries, report.outcome);
    }
    Ok(())
}

async fn store(file: &mut Delivery, folder: &Path) -> Result<(), Box<dyn Error>> {
    while let Some(entry) = file.next_entry().await? {
        if entry.is_directory() {
            continue;
        }
        let path = folder.join(entry.safe_path()?);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        let mut stored = fs::File::create(path)?;
        while let Some(block) = file.next_block().await? {
            stored.write_all(&block)?;
        }
        stored.sync_all()?;
    }
    Ok(())
}
