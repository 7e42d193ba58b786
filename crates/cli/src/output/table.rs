//! Tables: aligned with a header for people, tab-separated without a header for programs.

use super::{Output, Unwritable, format::printable};

/// A table with a header and rows.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    header: &'static [&'static str],
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Creates an empty table with these columns.
    pub(crate) fn new(header: &'static [&'static str]) -> Self {
        Self { header, rows: Vec::new() }
    }

    /// Adds a row; an empty cell is shown as `-`.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        let cells = cells
            .into_iter()
            .map(|cell| if cell.is_empty() { "-".to_owned() } else { printable(&cell) });
        self.rows.push(cells.collect());
    }

    /// Prints the table.
    ///
    /// # Errors
    ///
    /// Standard output is closed, or cannot be written.
    pub(crate) fn print(self, out: &Output) -> Result<(), Unwritable> {
        let text = if out.stdout_tty { self.aligned() } else { self.tabbed() };
        out.data(text.as_bytes())
    }

    /// The table with a header, in aligned columns.
    pub(super) fn aligned(self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(self.header.to_vec());
        table.add_rows(self.rows);
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        if text.is_empty() {
            text.push('\n');
        }
        text
    }

    /// The rows without a header, separated by tabs.
    pub(super) fn tabbed(self) -> String {
        self.rows.into_iter().map(|row| format!("{}\n", row.join("\t"))).collect()
    }
}
