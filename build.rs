//! Takes the scripts and styles of Swagger UI and ReDoc out of the pages that `aide` writes, and gzips them
//! for `src/api/pages.rs`. Nothing is downloaded: they are part of that crate.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "api-pages")]
    parts::write();
}

#[cfg(feature = "api-pages")]
mod parts {
    use std::io::Write;
    use std::path::PathBuf;
    use std::{env, fs};

    use aide::redoc::Redoc;
    use aide::swagger::Swagger;
    use flate2::write::GzEncoder;
    use flate2::Compression;

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
        let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo names the folder"));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let written = encoder.write_all(content.as_bytes());
        let gzipped = written
            .and_then(|()| encoder.finish())
            .expect("writing to memory does not fail");
        fs::write(folder.join(format!("{name}.gz")), gzipped).expect("the folder can be written");
    }
}
