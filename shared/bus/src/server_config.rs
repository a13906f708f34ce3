//! The text of nats-server's configuration.
//!
//! In: where it listens and stores, and the users' public keys. Out: a file for `nats-server -c`.

use std::{fmt::Write, path::PathBuf};

use crate::{User, Users, permissions::permissions};

/// How long a question may be answered: longer than anybody waits for an answer.
const RESPONDS_WITHIN: &str = "30s";

/// What differs between servers.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Its name; JetStream asks for one.
    pub name: String,
    /// The address that it listens on.
    pub host: String,
    /// Its port; none: any free one, which it writes to `ports_file_dir`.
    pub port: Option<u16>,
    /// Where JetStream keeps its files.
    pub store_dir: PathBuf,
    /// Where it writes its ports as JSON.
    pub ports_file_dir: Option<PathBuf>,
    /// The port of its HTTP monitoring on `host`; none: no monitoring.
    pub monitoring_port: Option<u16>,
}

/// Writes the configuration of a server that knows these users and nobody else.
///
/// `sync_interval: always` makes an answer mean that it is on disk; the server's default syncs every two
/// minutes.
pub fn server_config(options: &ServerOptions, users: &Users) -> String {
    // Writing to a string never fails.
    let mut text = String::new();
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let path = |path: &PathBuf| quoted(&path.to_string_lossy());
    let port = options.port.map_or("-1".into(), |port| port.to_string());
    let _ = writeln!(
        text,
        "# Written by ferry; changes are lost. Permissions come from the table of contracts."
    );
    let _ = writeln!(text, "server_name: {}", quoted(&options.name));
    let _ = writeln!(text, "host: {}\nport: {port}", quoted(&options.host));
    if let Some(directory) = &options.ports_file_dir {
        let _ = writeln!(text, "ports_file_dir: {}", path(directory));
    }
    if let Some(port) = options.monitoring_port {
        let _ = writeln!(
            text,
            "http: {}",
            quoted(&format!("{}:{port}", options.host))
        );
    }
    let _ = writeln!(
        text,
        "jetstream {{\n  store_dir: {}\n  sync_interval: always\n}}",
        path(&options.store_dir)
    );
    text + &authorization(users)
}

/// The `authorization` block alone: these users and nobody else, each with what its contract says.
pub fn authorization(users: &Users) -> String {
    let mut text = String::new();
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let _ = writeln!(text, "authorization {{\n  users = [");
    for user in User::all() {
        let allowed = permissions(user);
        let list = |subjects: &[String]| {
            let lines: Vec<String> = subjects
                .iter()
                .map(|subject| format!("          {}", quoted(subject)))
                .collect();
            lines.join("\n")
        };
        let _ = writeln!(
            text,
            "    # {user}\n    {{\n      nkey: {}\n      permissions {{",
            users.public(user)
        );
        let _ = writeln!(
            text,
            "        publish {{ allow: [\n{}\n        ] }}",
            list(&allowed.publish)
        );
        let _ = writeln!(
            text,
            "        subscribe {{ allow: [\n{}\n        ] }}",
            list(&allowed.subscribe)
        );
        if allowed.responds {
            // One answer to each question, while whoever asked still waits.
            let _ = writeln!(
                text,
                "        allow_responses {{ max: 1, expires: \"{RESPONDS_WITHIN}\" }}"
            );
        }
        let _ = writeln!(text, "      }}\n    }}");
    }
    let _ = writeln!(text, "  ]\n}}");
    text
}
