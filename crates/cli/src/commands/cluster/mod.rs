//! `columna cluster`: the roles, and the session that talks to them.

pub(crate) mod args;
#[cfg(feature = "cluster")]
mod file;
#[cfg(feature = "cluster")]
mod init;
#[cfg(feature = "cluster")]
mod roles;
#[cfg(feature = "cluster")]
mod status;

#[cfg(not(feature = "cluster"))]
pub(crate) use left_out::{run, session, store};
#[cfg(feature = "cluster")]
pub(crate) use roles::{run, session, store};

#[cfg(not(feature = "cluster"))]
mod left_out {
    use columna_query::SessionOptions;
    use datafusion::prelude::SessionContext;

    use super::args::{ClientArgs, ClusterCommand};
    use crate::error::CliError;
    use crate::settings::Settings;

    pub(crate) fn run(_command: ClusterCommand, _settings: &Settings) -> Result<(), CliError> {
        Err(absent())
    }

    pub(crate) async fn session(
        _cluster: &ClientArgs,
        _options: SessionOptions,
    ) -> Result<SessionContext, CliError> {
        Err(absent())
    }

    pub(crate) fn store(_cluster: &ClientArgs) -> Result<Option<String>, CliError> {
        Err(absent())
    }

    fn absent() -> CliError {
        CliError::failed("this build has no cluster in it".to_owned())
            .hint("build it with `cargo build --release --features cluster`")
    }
}
