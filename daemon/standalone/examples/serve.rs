// SPDX-License-Identifier: Apache-2.0
//! Serves the embedded API alone on a free port of the loopback and prints the URL. An argument names a state file.
//!
//! Depends on: the crate.

use std::error::Error;
use std::sync::Arc;

use api::context::Settings;
use standalone::http::{Api, Limits, serve};
use standalone::state::State;

fn main() -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let state = match std::env::args_os().nth(1) {
            Some(path) => State::open(path.as_ref())?,
            None => State::in_memory(),
        };
        let api = Api::new(Arc::new(state), Settings::default(), Limits::default())?;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}", listener.local_addr()?);
        match serve(listener, Arc::new(api)).await? {}
    })
}
