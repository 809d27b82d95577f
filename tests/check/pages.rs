//! Changes to the pages of segments.

use rusqlite::Connection;

/// Changes the records of a page of the lowest level, and gives it the checksum of what they are then: as if the
/// server had written it so.
pub fn edit_page(db: &Connection, id: i64, edit: impl FnOnce(&mut Vec<u8>)) {
    let owner = "SELECT checksum FROM segments WHERE level = 0 AND first_page <= ?1 \
                 ORDER BY first_page DESC LIMIT 1";
    let owner: u32 = db.query_row(owner, [id], |row| row.get(0)).unwrap();
    edit_stored_page(db, id, |page| {
        page.truncate(page.len() - 4);
        edit(page);
        let begin = owner ^ (id as u32).wrapping_mul(0x9E37_79B1) ^ (id >> 32) as u32;
        let mut hasher = crc32fast::Hasher::new_with_initial(begin);
        hasher.update(page);
        page.extend_from_slice(&hasher.finalize().to_be_bytes());
    });
}

/// Changes a page of the lowest level as it is stored, with its checksum.
pub fn edit_stored_page(db: &Connection, id: i64, edit: impl FnOnce(&mut Vec<u8>)) {
    let select = "SELECT content FROM segment_pages_0 WHERE id = ?1";
    let mut content: Vec<u8> = db.query_row(select, [id], |row| row.get(0)).unwrap();
    edit(&mut content);
    let update = "UPDATE segment_pages_0 SET content = ?2 WHERE id = ?1";
    assert_eq!(db.execute(update, (id, content)).unwrap(), 1);
}
