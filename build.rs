//! Gzips the files of `src/web/`, which are compiled in, so that the program holds them in the form in which nearly
//! all browsers ask for them. Also takes the scripts and styles of Swagger UI and ReDoc out of the pages that `aide`
//! writes. Nothing is downloaded: they are part of that crate.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::write::GzEncoder;
use flate2::Compression;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/web");
    for entry in fs::read_dir("src/web").expect("the folder is part of the project") {
        let path = entry.expect("the folder can be read").path();
        let content = fs::read(&path).expect("the file can be read");
        write_gzipped(&path, &content);
    }
    #[cfg(feature = "api-pages")]
    parts::write();
}

/// Writes a file for `src/api/assets.rs`, with the name of `path`.
fn write_gzipped(path: &Path, content: &[u8]) {
    let name = path.file_name().expect("it is a file");
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names the folder")).join("web");
    fs::create_dir_all(&folder).expect("the folder can be made");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(content);
    let gzipped = written
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail");
    let file = folder.join(format!("{}.gz", name.display()));
    fs::write(file, gzipped).expect("the folder can be written");
}

#[cfg(feature = "api-pages")]
mod parts {
    use std::path::Path;

    use aide::redoc::Redoc;
    use aide::swagger::Swagger;

    /// What ReDoc shows below its menu, from another host; our own icon stands in for it.
    const LOGO: &str = "https://cdn.redoc.ly/redoc/logo-mini.svg";

    pub fn write() {
        let swagger = Swagger::new("").html();
        let style = between(&swagger, "<style>", "</style>\n    <title>");
        let script = between(&swagger, "<script>", "</script>\n<!-- `SwaggerUIBundle`");
        write_gzipped("swagger-ui.css", style);
        write_gzipped("swagger-ui-bundle.js", script);

        let redoc = Redoc::new("").html();
        let script = between(&redoc, "<script>\n", "Redoc.init(");
        assert_eq!(script.matches(LOGO).count(), 1, "ReDoc's logo has moved");
        write_gzipped(
            "redoc.standalone.js",
            &script.replace(LOGO, "/assets/icon.svg"),
        );
    }

    /// What stands between the first `start` and the last `end`.
    fn between<'t>(page: &'t str, start: &str, end: &str) -> &'t str {
        let (_, rest) = page.split_once(start).expect("aide's page has the part");
        let (part, _) = rest.rsplit_once(end).expect("the part ends");
        part.trim()
    }

    /// Without the note where a map for debuggers is, which is not there.
    fn write_gzipped(name: &str, part: &str) {
        let content = match part.rsplit_once('\n') {
            Some((content, note)) if note.contains("# sourceMappingURL=") => content,
            _ => part,
        };
        super::write_gzipped(Path::new(name), content.as_bytes());
    }
}
