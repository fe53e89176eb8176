// SPDX-License-Identifier: Apache-2.0
//! A server without a protocol: from the first byte to the end a connection is one unit of work.

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Ledger;

pub(super) async fn echo(mut stream: TcpStream, ledger: &Ledger) -> Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let mut work = None;
    loop {
        let read = stream.read(&mut buffer).await?;
        if read == 0 {
            break;
        }
        work.get_or_insert_with(|| ledger.begin());
        ledger.body(read as u64);
        stream.write_all(&buffer[..read]).await?;
    }
    stream.shutdown().await?;
    if let Some(work) = work {
        work.end();
    }
    Ok(())
}
