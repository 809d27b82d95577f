//! The floor: what an event loop in C needs on the same core for requests and answers of the same
//! size when it does nothing with them.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::cores::Cores;
use crate::process::Process;

/// How long nginx may take before it takes connections.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Answers of the same size as the server's.
const HEALTH: &str = concat!(
    r#"{"status":"healthy","consumer_running":true,"queue_size":0,"#,
    r#""timestamp":"2026-01-02T03:04:05.678901Z"}"#
);
const PUBLISHED: &str = concat!(
    r#"{"received":1,"accepted":1,"duplicates":0,"#,
    r#""message":"Received 1 events, accepted 1, rejected 0 duplicates"}"#
);

/// A running nginx with one worker that answers `/health` and `/publish` with constants.
pub struct Nginx {
    process: Process,
    directory: PathBuf,
    pub address: SocketAddr,
}

impl Nginx {
    /// Starts it with a configuration of its own in a new folder `directory`.
    ///
    /// # Errors
    /// It does not take connections.
    pub fn start(program: &Path, directory: PathBuf, cores: &Cores) -> io::Result<Nginx> {
        fs::create_dir_all(&directory)?;
        // nginx cannot choose a port by itself; one that was free a moment ago is as good.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let configuration = directory.join("nginx.conf");
        fs::write(&configuration, configuration_text(&directory, address))?;
        let mut command = Command::new(program);
        command
            .arg("-p")
            .arg(&directory)
            .arg("-e")
            .arg(directory.join("error.log"));
        command.arg("-c").arg(&configuration).stdin(Stdio::null());
        let mut process = cores.on_measured(|| Process::start("nginx", &mut command))??;
        let started = Instant::now();
        while let Err(error) = TcpStream::connect(address) {
            process.check_running()?;
            if started.elapsed() > READY_WITHIN {
                return Err(error);
            }
            sleep(Duration::from_millis(1));
        }
        Ok(Nginx {
            process,
            directory,
            address,
        })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends it and removes its folder.
    ///
    /// # Errors
    /// Its exit code is not 0.
    pub fn stop(self) -> io::Result<()> {
        self.process.stop()?;
        fs::remove_dir_all(self.directory)
    }
}

/// One process that is its own and only worker, so that its processor time is all that nginx uses.
fn configuration_text(directory: &Path, address: SocketAddr) -> String {
    let directory = directory.display();
    format!(
        r#"daemon off;
master_process off;
worker_processes 1;
pid "{directory}/nginx.pid";
events {{ worker_connections 1024; }}
http {{
  access_log off;
  server_tokens off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  client_header_buffer_size 4k;
  client_max_body_size 0;
  client_body_temp_path "{directory}/body";
  proxy_temp_path "{directory}/proxy";
  fastcgi_temp_path "{directory}/fastcgi";
  uwsgi_temp_path "{directory}/uwsgi";
  scgi_temp_path "{directory}/scgi";
  default_type application/json;
  server {{
    listen {address} backlog=1024;
    location = /health {{ return 200 '{HEALTH}'; }}
    location = /publish {{ return 200 '{PUBLISHED}'; }}
  }}
}}
"#
    )
}
