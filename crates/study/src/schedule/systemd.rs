//! A unit for systemd that keeps the scheduler running.

use std::fmt::Write as _;
use std::path::Path;

/// The unit's text. `arguments` are those of `columna schedule run`.
#[must_use]
pub fn unit(program: &Path, arguments: &[String]) -> String {
    let mut command = quoted(&program.display().to_string());
    for argument in ["schedule", "run"]
        .into_iter()
        .map(str::to_owned)
        .chain(arguments.iter().cloned())
    {
        let _ = write!(command, " {}", quoted(&argument));
    }
    format!(
        "\
[Unit]
Description=Columna: scheduled studies
Wants=network-online.target
After=network-online.target time-sync.target

[Service]
Type=simple
ExecStart={command}
Restart=always
RestartSec=5
# A study under way goes on when the scheduler is restarted or upgraded; the next one finds it.
KillMode=process
# Nothing that a study writes is for other users.
UMask=0077
NoNewPrivileges=true

[Install]
WantedBy=default.target
"
    )
}

/// As systemd reads an argument: in quotes where it must be, with its own signs doubled.
fn quoted(text: &str) -> String {
    let text = text.replace('%', "%%").replace('$', "$$");
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=%$@,+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_as_systemd_reads_them() {
        let unit = unit(
            Path::new("/usr/local/bin/columna"),
            &["--store".to_owned(), "/data/my store 100%".to_owned()],
        );
        assert!(
            unit.contains(
                "ExecStart=/usr/local/bin/columna schedule run --store \"/data/my store 100%%\"\n"
            ),
            "{unit}"
        );
    }
}
