//! `narrows plan`: the memory a job will need, before it runs.

use std::io::{self, Write};

use narrows::{Budget, Client, Fetch, OptionsError, memory::tightest, working_set::WorkingSet};

use crate::{
    args::GetArgs,
    exit::{Exit, Usage},
    get::schema,
    table_job::ZIP_BYTES,
    tables::Room,
    units::human,
};

/// Memory of the process beside the budget: code, runtime, connections' buffers, TLS, and what
/// the allocator keeps. Measured at limit 10.
const PROCESS_BYTES: u64 = 10 << 20;

/// Of that, what each further transfer adds.
const PER_TRANSFER_BYTES: u64 = 64 << 10;

pub(crate) fn run(get: &GetArgs) -> Result<Exit, Usage> {
    let schema = get.tables.schema.as_deref().map(schema).transpose()?;
    let tables = schema.map(|schema| Room::of(&get.transfers, get.tables.format, &[schema], ZIP_BYTES));
    let limit = get.transfers.limit.or_else(|| tables.as_ref().map(Room::limit));
    let limit = u64::from(limit.unwrap_or(get.transfers.limit()).most);
    let aside = tables.as_ref().map_or(Ok(0), |tables| tables.aside(limit as usize))?;
    let options = get.transfers.options(get.unpack || tables.is_some()).limit(limit as usize);
    let client = Client::new(get.transfers.client(usize::MAX, &options)?)?;
    let set = match options.check(client.profile(), &Budget::new(get.transfers.budget - aside)) {
        Ok(set) => set,
        Err(error @ OptionsError::Budget(_)) => {
            print(&options.working_set(client.profile()))?;
            return Err(Usage::new(format!("{error}: raise --budget to at least that")));
        }
        Err(error) => return Err(error.into()),
    };
    print(&set)?;
    let (wanted, budget) = (set.total().saturating_mul(limit).saturating_add(aside), get.transfers.budget);
    let data = wanted.min(budget);
    let process = PROCESS_BYTES + limit * PER_TRANSFER_BYTES;
    let mut out = io::stdout().lock();
    if aside > 0 {
        writeln!(out, "{:>12}  set aside of --budget for {limit} tables", human(aside))?;
    }
    writeln!(out, "\n{:>12}  for {limit} transfers at once", human(wanted))?;
    writeln!(out, "{:>12}  of data at most: --budget is {}", human(data), human(budget))?;
    if wanted > budget {
        let fit = (budget - aside) / set.total();
        writeln!(out, "              so {fit} at their worst at once; most need far less once their size is known")?;
    }
    writeln!(out, "{:>12}  for the process itself", human(process))?;
    writeln!(out, "{:>12}  at the peak", human(data + process))?;
    match tightest().map(|(memory, whose)| (memory, whose.name())) {
        Some((memory, whose)) if data + process > memory => {
            let fits = memory.saturating_sub(process);
            let advice = match fits >= set.total() {
                true => format!("--budget {}MiB would fit", fits >> 20),
                false => "not even one transfer fits".into(),
            };
            Err(Usage::new(format!("the {whose} has {}; {advice}", human(memory))))
        }
        Some((memory, whose)) => {
            writeln!(out, "{:>12}  has the {whose}", human(memory))?;
            Ok(Exit::Success)
        }
        None => Ok(Exit::Success),
    }
}

fn print(set: &WorkingSet) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for (term, bytes) in set.iter().filter(|(_, bytes)| *bytes > 0) {
        writeln!(out, "{:>12}  {}", human(bytes), term.describe())?;
    }
    writeln!(out, "{:>12}  one transfer, whatever it turns out to be", human(set.total()))
}
