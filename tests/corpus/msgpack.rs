//! MessagePack: the end of an object is the same wherever its bytes are cut, and its tokens end there, too.

use logagg::ingest::forward::msgpack::{length, Reader, Scanner, Token};

pub fn check(input: &[u8]) {
    let found = length(input);
    let mut scanner = Scanner::default();
    let mut end = None;
    for cut in 0..=input.len() {
        match scanner.scan(&input[..cut], input.len()) {
            Ok(None) => {}
            Ok(Some(length)) => {
                end = Some(length);
                break;
            }
            Err(_) => break,
        }
    }
    assert_eq!(found.ok(), end, "where the bytes are cut does not matter");
    let mut reader = Reader::new(input);
    let mut left = 1_u64;
    while left > 0 {
        let Ok(token) = reader.token() else {
            assert_eq!(end, None, "a token of a whole object cannot be read");
            return;
        };
        left = left - 1
            + match token {
                Token::Array(count) => count.into(),
                Token::Map(count) => 2 * u64::from(count),
                _ => 0,
            };
    }
    let length = input.len() - reader.rest().len();
    // A byte that stands for nothing is a token of its own, and no object.
    assert!(end.is_none() || end == Some(length));
}
