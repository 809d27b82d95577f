//! Changes to the pages of segments.

use rusqlite::Connection;

/// Changes a page of the lowest level.
pub fn edit_page(db: &Connection, id: i64, edit: impl FnOnce(&mut Vec<u8>)) {
    let select = "SELECT content FROM segment_pages_0 WHERE id = ?1";
    let mut content: Vec<u8> = db.query_row(select, [id], |row| row.get(0)).unwrap();
    edit(&mut content);
    let update = "UPDATE segment_pages_0 SET content = ?2 WHERE id = ?1";
    assert_eq!(db.execute(update, (id, content)).unwrap(), 1);
}
