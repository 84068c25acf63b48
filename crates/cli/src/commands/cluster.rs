//! `columna cluster`: the roles, and the session that talks to them.

#[cfg(feature = "cluster")]
pub(crate) use built_in::{run, session};
#[cfg(not(feature = "cluster"))]
pub(crate) use left_out::{run, session};

#[cfg(not(feature = "cluster"))]
mod left_out {
    use columna_query::SessionOptions;
    use datafusion::prelude::SessionContext;

    use crate::args::ClusterCommand;
    use crate::error::CliError;
    use crate::settings::Settings;

    pub(crate) fn run(_command: ClusterCommand, _settings: &Settings) -> Result<(), CliError> {
        Err(absent())
    }

    pub(crate) async fn session(
        _url: &str,
        _options: SessionOptions,
    ) -> Result<SessionContext, CliError> {
        Err(absent())
    }

    fn absent() -> CliError {
        CliError::failed("this build has no cluster in it".to_owned())
            .hint("build it with `cargo build --release --features cluster`")
    }
}

#[cfg(feature = "cluster")]
mod built_in {
    use std::io::Write;
    use std::net::SocketAddr;
    use std::num::NonZero;
    use std::process::{Child, Stdio};
    use std::time::{Duration, Instant};

    use columna_cluster::{
        ExecutorOptions, SchedulerOptions, Stores, Token, connect, run_executor, serve_scheduler,
    };
    use columna_query::SessionOptions;
    use datafusion::prelude::SessionContext;

    use crate::args::{ClusterCommand, ExecutorArgs, StoresArg};
    use crate::error::CliError;
    use crate::settings::Settings;

    /// The variable of the token. An argument would show it to everybody who lists processes.
    const TOKEN: &str = "COLUMNA_CLUSTER_TOKEN";
    /// How often the executors of `columna cluster local` are looked at.
    const WATCH: Duration = Duration::from_millis(200);

    pub(crate) fn run(command: ClusterCommand, settings: &Settings) -> Result<(), CliError> {
        let runtime = crate::commands::runtime(None)?;
        runtime.block_on(async {
            match command {
                ClusterCommand::Scheduler { stores, bind } => {
                    schedule(&stores, bind, settings, std::future::pending()).await
                }
                ClusterCommand::Executor {
                    stores,
                    executor,
                    scheduler,
                    until_stdin_closes,
                } => execute(&stores, executor, scheduler, until_stdin_closes).await,
                ClusterCommand::Local {
                    stores,
                    executor,
                    executors,
                    bind,
                } => {
                    let mut started = Executors::start(&stores, &executor, executors, bind)?;
                    schedule(&stores, bind, settings, started.until_all_ended()).await
                }
            }
        })
    }

    /// A session whose queries run on the cluster.
    pub(crate) async fn session(
        url: &str,
        options: SessionOptions,
    ) -> Result<SessionContext, CliError> {
        connect(url, &token()?, options)
            .await
            .map_err(|error| CliError::engine(&error))
    }

    fn token() -> Result<Token, CliError> {
        Token::new(std::env::var(TOKEN).ok().as_deref())
            .map_err(|error| CliError::usage(format!("{TOKEN}: {error}")))
    }

    async fn open(stores: &StoresArg) -> Result<Stores, CliError> {
        let mut opened = Vec::with_capacity(stores.stores.len());
        for url in &stores.stores {
            opened.push(crate::commands::open(url).await?);
        }
        Ok(Stores::new(opened))
    }

    async fn schedule(
        stores: &StoresArg,
        bind: SocketAddr,
        settings: &Settings,
        ended: impl Future<Output = ()>,
    ) -> Result<(), CliError> {
        let options = SchedulerOptions {
            bind,
            stores: open(stores).await?,
            token: token()?,
        };
        let listening = |address| {
            if !settings.quiet {
                let store = stores.stores.first().map_or("STORE", String::as_str);
                // Where nobody reads it, nothing is lost.
                let _ = writeln!(
                    std::io::stderr(),
                    "scheduler at df://{address}; try `columna sql --store {store} --cluster df://{address}`; Ctrl-C ends"
                );
            }
        };
        let stop = async {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                () = ended => {}
            }
        };
        serve_scheduler(options, listening, stop)
            .await
            .map_err(|error| CliError::engine(&error))
    }

    async fn execute(
        stores: &StoresArg,
        executor: ExecutorArgs,
        scheduler: SocketAddr,
        until_stdin_closes: bool,
    ) -> Result<(), CliError> {
        let cores = || std::thread::available_parallelism().map_or(1, NonZero::get);
        let options = ExecutorOptions {
            scheduler,
            stores: open(stores).await?,
            token: token()?,
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
        run_executor(options, stop)
            .await
            .map_err(|error| CliError::engine(&error))
    }

    /// Executors as processes of their own, which end with this one.
    struct Executors(Vec<Child>);

    impl Executors {
        fn start(
            stores: &StoresArg,
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
                for store in &stores.stores {
                    command.args(["--store", store]);
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
}
