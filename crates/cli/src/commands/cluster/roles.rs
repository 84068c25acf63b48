//! The roles as this process runs them, and a client's session.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZero;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use columna_cluster::{
    ExecutorEvent, ExecutorOptions, SchedulerOptions, Stores, Trust, connect, run_executor,
    serve_scheduler,
};
use columna_query::SessionOptions;
use datafusion::prelude::SessionContext;

use super::args::{ClientArgs, ClusterCommand, ExecutorArgs, RoleArgs};
use super::file::ClusterFile;
use crate::error::CliError;
use crate::settings::Settings;
use crate::signals::asked_to_stop;

/// How often the executors of `columna cluster local` are looked at.
const WATCH: Duration = Duration::from_millis(200);

pub(crate) fn run(command: ClusterCommand, settings: &Settings) -> Result<(), CliError> {
    let runtime = crate::commands::runtime(None)?;
    runtime.block_on(async {
        match command {
            ClusterCommand::Init(args) => super::init::run(&args),
            ClusterCommand::Scheduler { role, bind } => {
                let file = shared(&role)?;
                let bind = resolve(&bind.unwrap_or_else(|| file.address()))?;
                schedule(&file, bind, &role, settings, std::future::pending()).await
            }
            ClusterCommand::Executor {
                role,
                executor,
                scheduler,
                bind,
                until_stdin_closes,
            } => {
                let file = shared(&role)?;
                let scheduler = scheduler.unwrap_or_else(|| file.address());
                execute(
                    &file,
                    executor,
                    scheduler,
                    bind,
                    (until_stdin_closes, settings),
                )
                .await
            }
            ClusterCommand::Status { client, json } => {
                let (url, trust) = scheduler_of(&client)?;
                let status = columna_cluster::status(&url, &trust)
                    .await
                    .map_err(|error| CliError::engine(&error))?;
                super::status::print(&status, json)
            }
            ClusterCommand::Local {
                role,
                executor,
                executors,
                bind,
            } => {
                if bind.port() == 0 {
                    return Err(CliError::usage(
                        "executors must know the scheduler's port: give one that is not 0",
                    ));
                }
                let file = shared(&role)?;
                let mut started = Executors::start(&role, &executor, executors, bind)?;
                let ended = started.until_all_ended();
                schedule(&file, bind, &role, settings, ended).await
            }
        }
    })
}

/// A session whose queries run on the cluster.
pub(crate) async fn session(
    client: &ClientArgs,
    mut options: SessionOptions,
) -> Result<SessionContext, CliError> {
    let (url, trust) = scheduler_of(client)?;
    options.passes_from = client.cluster_passes;
    connect(&url, &trust, options)
        .await
        .map_err(|error| CliError::engine(&error))
}

/// Where a client's scheduler is, and how to talk to it.
fn scheduler_of(client: &ClientArgs) -> Result<(String, Trust), CliError> {
    let mut file = ClusterFile::read(client.cluster_config.as_deref())?;
    if let Some(certificate) = &client.cluster_certificate {
        file.certificate = Some(certificate.clone());
    }
    let url = client
        .cluster
        .clone()
        .unwrap_or_else(|| format!("df://{}", file.address()));
    Ok((url, file.trust(false)?))
}

/// The store of a cluster's file, for those who name none.
pub(crate) fn store(client: &ClientArgs) -> Result<Option<String>, CliError> {
    let file = ClusterFile::read(client.cluster_config.as_deref())?;
    Ok(file.stores.into_iter().next())
}

/// What the file says, with the options in place of it.
fn shared(role: &RoleArgs) -> Result<ClusterFile, CliError> {
    let mut file = ClusterFile::read(role.config.as_deref())?;
    if !role.stores.is_empty() {
        file.stores.clone_from(&role.stores);
    }
    if role.policy.is_some() {
        file.policy.clone_from(&role.policy);
    }
    if role.certificate.is_some() {
        file.certificate.clone_from(&role.certificate);
    }
    if role.key.is_some() {
        file.key.clone_from(&role.key);
    }
    if file.stores.is_empty() {
        return Err(CliError::usage("a role needs a store to serve")
            .hint("give `--store STORE`, or `stores` in the cluster's file"));
    }
    Ok(file)
}

async fn open(file: &ClusterFile) -> Result<Stores, CliError> {
    let mut opened = Vec::with_capacity(file.stores.len());
    for url in &file.stores {
        opened.push(crate::commands::open(url).await?);
    }
    if let Some(policy) = &file.policy {
        // What is wrong in it is said now, and not to the first who asks.
        crate::commands::privacy::access::load(policy)?;
    }
    let keys = crate::commands::keys::source().cloned();
    Ok(Stores::new(opened).with_policy(file.policy.clone(), keys))
}

/// The address that a name and a port stand for.
fn resolve(address: &str) -> Result<SocketAddr, CliError> {
    let found = address.to_socket_addrs().ok();
    found.and_then(|mut found| found.next()).ok_or_else(|| {
        CliError::usage(format!(
            "`{address}` is no address of this machine; write HOST:PORT"
        ))
    })
}

async fn schedule(
    file: &ClusterFile,
    bind: SocketAddr,
    role: &RoleArgs,
    settings: &Settings,
    ended: impl Future<Output = ()>,
) -> Result<(), CliError> {
    let options = SchedulerOptions {
        bind,
        stores: open(file).await?,
        trust: file.trust(true)?,
    };
    let listening = |address| {
        if !settings.quiet {
            let store = file.stores.first().map_or("STORE", String::as_str);
            let cluster = match &role.config {
                Some(file) => format!("--cluster-config {}", file.display()),
                None => format!("--cluster df://{address}"),
            };
            // Where nobody reads it, nothing is lost.
            let _ = writeln!(
                std::io::stderr(),
                "scheduler at df://{address}; try `columna sql --store {store} {cluster}`; Ctrl-C ends"
            );
        }
    };
    let stop = async {
        tokio::select! {
            () = asked_to_stop() => {}
            () = ended => {}
        }
    };
    serve_scheduler(options, listening, stop)
        .await
        .map_err(|error| CliError::engine(&error))
}

async fn execute(
    file: &ClusterFile,
    executor: ExecutorArgs,
    scheduler: String,
    bind: Option<SocketAddr>,
    (until_stdin_closes, settings): (bool, &Settings),
) -> Result<(), CliError> {
    let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
    let options = ExecutorOptions {
        scheduler,
        bind,
        stores: open(file).await?,
        trust: file.trust(true)?,
        work_dir: executor.work_dir.unwrap_or_else(std::env::temp_dir),
        vcores: executor.vcores.unwrap_or_else(cores),
        memory_limit: executor.memory_limit,
    };
    let stop = async {
        if until_stdin_closes {
            let (closed, wait) = tokio::sync::oneshot::channel();
            // On a thread of its own, because a read of standard input cannot be cancelled.
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                let _ = closed.send(());
            });
            let _ = wait.await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let (vcores, at) = (options.vcores, options.scheduler.clone());
    let tell = |event| {
        // Those of `columna cluster local` are told of by their parent.
        if settings.quiet || until_stdin_closes {
            return;
        }
        let mut out = std::io::stderr();
        let _ = match event {
            ExecutorEvent::Waits => writeln!(
                out,
                "no scheduler answers at df://{at} yet; waiting for it; Ctrl-C ends"
            ),
            ExecutorEvent::Works(address) => writeln!(
                out,
                "executor at {address} works for df://{at}, {vcores} parts of queries at once; Ctrl-C ends"
            ),
        };
    };
    run_executor(options, tell, stop)
        .await
        .map_err(|error| CliError::engine(&error))
}

/// Executors as processes of their own, which end with this one.
struct Executors(Vec<Child>);

impl Executors {
    fn start(
        role: &RoleArgs,
        executor: &ExecutorArgs,
        count: u16,
        scheduler: SocketAddr,
    ) -> Result<Self, CliError> {
        let failed = |error| CliError::io("start", "an executor", &error);
        let program = std::env::current_exe().map_err(failed)?;
        let mut started = Self(Vec::new());
        for _ in 0..count {
            let mut command = std::process::Command::new(&program);
            command.args(["cluster", "executor", "--until-stdin-closes"]);
            command.args(["--scheduler", &scheduler.to_string()]);
            for store in &role.stores {
                command.args(["--store", store]);
            }
            for (option, file) in [
                ("--config", &role.config),
                ("--policy", &role.policy),
                ("--certificate", &role.certificate),
                ("--key", &role.key),
            ] {
                if let Some(file) = file {
                    command.arg(option).arg(file);
                }
            }
            if let Some(folder) = &executor.work_dir {
                command.arg("--work-dir").arg(folder);
            }
            if let Some(vcores) = executor.vcores {
                command.args(["--vcores", &vcores.to_string()]);
            }
            if let Some(limit) = executor.memory_limit {
                command.args(["--memory-limit", &limit.to_string()]);
            }
            crate::commands::keys::hand_to(&mut command);
            let child = command.stdin(Stdio::piped()).spawn().map_err(failed)?;
            started.0.push(child);
        }
        Ok(started)
    }

    /// One executor may die and the others go on; without any there is nothing to wait for.
    async fn until_all_ended(&mut self) {
        loop {
            self.0
                .retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            if self.0.is_empty() {
                return;
            }
            tokio::time::sleep(WATCH).await;
        }
    }
}

impl Drop for Executors {
    fn drop(&mut self) {
        // They end when their standard input does, also where this process is killed, and remove their files.
        for child in &mut self.0 {
            drop(child.stdin.take());
        }
        let patience = Instant::now() + Duration::from_secs(3);
        for child in &mut self.0 {
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < patience {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
