//! Sources as tables: what each becomes, and a file of it in the making.

mod file;
mod pages;
mod room;
mod rules;

pub(crate) use file::TableWriter;
pub(crate) use pages::TempPages;
pub(crate) use room::Room;
pub(crate) use rules::{Plan, TableRules, Tally};
