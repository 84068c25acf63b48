//! An S3 server over a folder, for tests: `s3s` on the loopback address, with one user.

use std::io;
use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;

const USER: (&str, &str) = ("key", "secret");

/// A running server, as long as the runtime that it was started on.
#[derive(Debug, Clone, Copy)]
pub struct S3Server {
    port: u16,
}

impl S3Server {
    /// Serves a folder, whose folders are buckets.
    ///
    /// # Errors
    /// When the folder is not there, or no port is free.
    pub async fn serve(folder: &Path) -> io::Result<Self> {
        let files = s3s_fs::FileSystem::new(folder)
            .map_err(|error| io::Error::other(format!("{error:?}")))?;
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(USER.0, USER.1));
        let service = service.build();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    // A client that goes away ends its connection, not the server.
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Ok(Self { port })
    }

    /// The variables with which a process finds it.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", USER.0.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", USER.1.to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }
}
