//! `columna cluster init`: what the machines of a cluster share.

use std::fs;
use std::io::{Write, stderr};
use std::path::Path;

use columna_cluster::Secrets;

use super::args::InitArgs;
use super::file::ClusterFile;
use crate::error::CliError;

const CERTIFICATE: &str = "cluster.crt";
const KEY: &str = "cluster.key";
const FILE: &str = "cluster.toml";

pub(super) fn run(args: &InitArgs) -> Result<(), CliError> {
    let folder = &args.out;
    if folder.exists() {
        return Err(
            CliError::usage(format!("`{}` is there already", folder.display()))
                .hint("give another name, or remove it first: its token and key would be lost"),
        );
    }
    let secrets = Secrets::new().map_err(|error| CliError::engine(&error))?;
    let file = ClusterFile {
        scheduler: Some(args.scheduler.clone()),
        stores: args.stores.iter().map(|store| absolute(store)).collect(),
        policy: None,
        token: Some(secrets.token),
        certificate: Some(CERTIFICATE.into()),
        key: Some(KEY.into()),
    };
    let text = toml::to_string(&file).map_err(|error| CliError::engine(&error))?;
    fs::create_dir_all(folder).map_err(|error| CliError::io("make", folder.display(), &error))?;
    let text = format!(
        "# A cluster of columna: copy this folder to each of its machines. Whoever has it may read every row.\n{text}"
    );
    private(&folder.join(FILE), &text)?;
    private(&folder.join(KEY), &secrets.key)?;
    private(&folder.join(CERTIFICATE), &secrets.certificate)?;
    let path = folder.join(FILE);
    let path = path.display();
    writeln!(
        stderr(),
        "wrote {folder}: copy it to every machine (clients need no {KEY}), then\n\
         on one:       columna cluster scheduler --config {path}\n\
         on each:      columna cluster executor --config {path} --work-dir DIR\n\
         look at it:   columna cluster status --cluster-config {path}\n\
         ask:          columna sql --store STORE --cluster-config {path}",
        folder = folder.display(),
    )?;
    Ok(())
}

/// A folder's name holds wherever a role is started.
fn absolute(store: &str) -> String {
    if store.contains("://") {
        return store.to_owned();
    }
    std::path::absolute(store).map_or_else(|_| store.to_owned(), |path| path.display().to_string())
}

/// Writes a file that its owner alone may read.
fn private(path: &Path, text: &str) -> Result<(), CliError> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| CliError::io("write", path.display(), &error))
}
