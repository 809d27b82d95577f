//! What the commands show on a terminal.

/// Rows as aligned columns, numbers to the right. The last column is as wide as it is.
pub fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let is_number = |cell: &str| cell.bytes().all(|byte| byte.is_ascii_digit());
    let mut right = [false; N];
    for (column, right) in right.iter_mut().enumerate() {
        *right = rows.iter().skip(1).all(|row| is_number(&row[column]));
    }
    let mut text = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = if column + 1 == N { 0 } else { widths[column] };
            let gap = if column == 0 { "" } else { "  " };
            text += gap;
            text += &match right[column] && width > 0 {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::table;

    #[test]
    fn columns_are_aligned() {
        let rows = [
            ["EVENTS", "WHEN", "TOPIC"],
            ["7", "now", "a"],
            ["12345678", "never", "日本"],
        ];
        assert_eq!(
            table(&rows.map(|row| row.map(str::to_owned))),
            "  EVENTS  WHEN   TOPIC\n       7  now    a\n12345678  never  日本\n"
        );
    }
}
