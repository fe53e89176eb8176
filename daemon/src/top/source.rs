// SPDX-License-Identifier: Apache-2.0
//! Where figures come from: a counting of our own, or the one of another `sluice`.
//!
//! Mechanism: who finds the pin folder in use looks at it instead.
//! Depends on: `session`, `reader`, kernel.

use kernel::{Attachment, CallError, Kernel, OpenError, Settings, View};

use crate::{
    failure::Failure,
    progress,
    top::{
        counted::Counted,
        reader::Reader,
        servers::Server,
        session::{Left, Session},
    },
};

/// Of the figures.
#[derive(Debug)]
pub(crate) enum Source {
    /// Attached and counting.
    Own(Box<Session>),
    /// Only looking.
    Theirs(Box<Reader>),
}

impl Source {
    /// Counts the servers, or looks at who counts them.
    pub(crate) fn begin(settings: Settings, servers: Vec<Server>) -> Result<Self, Failure> {
        match progress::during("loading the programs", || Kernel::open(settings.clone())) {
            Ok(kernel) => Session::begin(settings, kernel, servers).map(|session| Self::Own(Box::new(session))),
            Err(busy @ OpenError::Busy { .. }) => match Kernel::look(&settings) {
                // It has the folder and counts nothing: it begins, ends or cleans up.
                Err(OpenError::Nothing { .. }) => Err(busy.into()),
                view => Reader::begin(view?, servers, &settings.pin_dir).map(|reader| Self::Theirs(Box::new(reader))),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// The counters.
    pub(crate) fn view(&self) -> Result<&View, Failure> {
        match self {
            Self::Own(session) => session.kernel().map(Kernel::view),
            Self::Theirs(reader) => Ok(&reader.view),
        }
    }

    /// What is counted.
    pub(crate) fn counted(&self) -> &[Counted] {
        match self {
            Self::Own(session) => &session.counted,
            Self::Theirs(reader) => &reader.counted,
        }
    }

    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self, Self::Theirs(_))
    }

    /// What is attached now.
    pub(crate) fn verify(&self) -> Result<Result<Attachment, CallError>, Failure> {
        match self {
            Self::Own(session) => session.kernel().map(Kernel::verify),
            Self::Theirs(reader) => Ok(reader.view.verify()),
        }
    }

    /// Whether the servers are still those of the counters.
    pub(crate) fn check_tracked(&self) -> Result<(), Failure> {
        match self {
            Self::Own(_) => Ok(()),
            Self::Theirs(reader) => reader.check_tracked(),
        }
    }

    /// Ends counting, or leaves it; who only looks has nothing to end.
    pub(crate) fn end(self, keep: bool) -> Result<Left, Failure> {
        match self {
            Self::Own(session) => session.end(keep),
            Self::Theirs(_) => Ok(Left::Nothing),
        }
    }
}
