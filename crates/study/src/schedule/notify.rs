//! Tells about runs that ended: commands that get JSON on standard input, and addresses that get it by HTTP.
//!
//! A failure here is tried again and then given up; the run stays what it was.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::clock::Clock;
use super::definition::Address;
use super::process::{self, ProcessId};
use super::scheduler::{chain, spoken};
use super::state::{Entry, Notice, State};
use super::stop::Stop;

/// How long a command or an address may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Tells what is in the box, again and again.
pub(crate) fn keep(
    folder: &Path,
    me: &ProcessId,
    poll: Duration,
    clock: &dyn Clock,
    over: &Stop,
    tell: &(dyn Fn(&Entry) + Sync),
) {
    let mut said = None;
    while !over.is_asked() {
        let worked = State::open(folder).and_then(|mut state| {
            while !over.is_asked() {
                match state.take_notice(me, clock.now())? {
                    Some(notice) => {
                        let failure = send(&notice).err();
                        state.told(&notice, failure.as_deref(), clock.now())?;
                    }
                    None => over.wait(poll),
                }
            }
            Ok(())
        });
        if let Err(error) = worked {
            let text = chain(&error);
            if said.as_ref() != Some(&text) {
                tell(&spoken(clock, "notices_troubled", &text));
                said = Some(text);
            }
            over.wait(Duration::from_secs(1));
        }
    }
}

/// Tells once; a failure in words that hold nothing of an answer.
fn send(notice: &Notice) -> Result<(), String> {
    if notice.command {
        let mut command = Command::new("sh");
        command.args(["-c", &notice.target]);
        return pipe(&mut command, &notice.body);
    }
    match Address::parse(&notice.target) {
        Ok(Address::Loopback) => post(&notice.target, &notice.body),
        Ok(Address::Secure) => post_secure(&notice.target, &notice.body),
        Err(error) => Err(error.to_string()),
    }
}

/// Runs a command with a text on its standard input.
fn pipe(command: &mut Command, text: &str) -> Result<(), String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("it cannot start: {error}"))?;
    // In a thread of its own: a command that does not read would hold this one for ever. One that ends without
    // reading is right as well.
    let input = child.stdin.take();
    let text = text.to_owned();
    std::thread::spawn(move || input.map(|mut input| input.write_all(text.as_bytes())));
    let started = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(status.to_string()),
            Ok(None) if started.elapsed() < TIMEOUT => {
                std::thread::sleep(Duration::from_millis(10))
            }
            Ok(None) => {
                process::signal_group(child.id(), Signal::SIGKILL);
                let _ = child.wait();
                return Err(format!("it took longer than {} s", TIMEOUT.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Posts to an address of this machine.
fn post(address: &str, body: &str) -> Result<(), String> {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .max_redirects(0)
            .max_redirects_will_error(true)
            // What is for this machine does not leave it by way of a proxy.
            .proxy(None)
            .build(),
    );
    let request = agent
        .post(address)
        .header("content-type", "application/json");
    match request.send(body) {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("it answered {}", answer.status().as_u16())),
        Err(error) => Err(error.to_string()),
    }
}

/// Posts to an address elsewhere, over TLS, by the system's `curl`: with the system's certificates and proxies.
///
/// Address and body go through standard input, for a command line can be read by other users.
fn post_secure(address: &str, body: &str) -> Result<(), String> {
    let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    let config = format!(
        "url = \"{}\"\nrequest = \"POST\"\nheader = \"content-type: application/json\"\ndata-raw = \"{}\"\n\
         proto = \"=https\"\nfail\nsilent\nmax-time = {}\noutput = \"/dev/null\"\n",
        quoted(address),
        quoted(body),
        TIMEOUT.as_secs() - 5,
    );
    let mut command = Command::new("curl");
    // First of all: no configuration of the user's.
    command.args(["--disable", "--config", "-"]);
    pipe(&mut command, &config).map_err(|error| match error.as_str() {
        why if why.starts_with("it cannot start") => {
            "`curl` cannot start: install it, it sends notices over https".to_owned()
        }
        why => format!("curl: {why}"),
    })
}
