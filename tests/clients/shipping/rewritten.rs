//! Files that were truncated and written again with the bytes that stood before the mark.

use std::fs;

use super::{append, lines, stop, wait_until_stored, Scene};

/// Lines that are all alike, after a first one.
fn text_of(first: &str, count: usize) -> String {
    format!("{first}\n{}", "the same line\n".repeat(count))
}

#[test]
fn a_file_that_was_written_again_with_the_same_end_is_read_from_its_beginning() {
    for is_followed in [true, false] {
        let scene = Scene::new();
        let server = scene.setup.start();
        append(&scene.log(), text_of("first", 200));
        let shipper = is_followed.then(|| scene.follow(&[]));
        if shipper.is_none() {
            scene.once(&[]).expect(0);
        }
        wait_until_stored(&server, 201);
        // At once, so that nobody sees it shorter.
        let other = scene.folder.join("other");
        fs::write(&other, text_of("later", 200) + "more\n").unwrap();
        let bytes = fs::read(&other).unwrap();
        let file = fs::File::options().write(true).open(scene.log()).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, 0).unwrap();
        match shipper {
            Some(shipper) => {
                wait_until_stored(&server, 201 + 202);
                stop(shipper);
            }
            None => assert_eq!(scene.once(&[]).expect(0).sum("accepted"), 202),
        }
        assert_eq!(lines(&server)[201], "later");
        assert_eq!(server.json("/stats")["duplicate_dropped"], 0);
    }
}

/// Also where the first lines and the last ones are those that were there.
#[test]
fn a_file_that_differs_in_between_is_read_from_its_beginning() {
    let text = |middle: &str| {
        let filler = "the same line\n".repeat(2_000);
        format!("first\n{filler}{middle}\n{filler}")
    };
    let scene = Scene::new();
    let server = scene.setup.start();
    let lines_of_one = 4_002;
    for middle in ["one", "two"] {
        fs::write(scene.log(), "").unwrap();
        for part in text(middle).as_bytes().chunks(1_400) {
            append(&scene.log(), part);
        }
        assert_eq!(scene.once(&[]).expect(0).sum("read"), lines_of_one);
    }
    wait_until_stored(&server, 2 * lines_of_one);
    assert_eq!(server.json("/stats")["duplicate_dropped"], 0);
}
