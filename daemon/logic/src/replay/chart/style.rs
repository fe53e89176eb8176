// SPDX-License-Identifier: Apache-2.0
//! Colours and texts of the picture, on light ground and on dark.
//!
//! Depends on: nothing.

/// The style sheet; renderers that know no media queries show the light one.
pub(super) const CSS: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:12px;fill:#57606a}\
.ground{fill:#ffffff}.title{font-size:19px;font-weight:600;fill:#1f2328}.name{font-size:13px;font-weight:600;fill:#1f2328}\
.grid{stroke:#d8dee4;stroke-width:1}.edge{stroke:#afb8c1;stroke-width:1}\
.load{fill:#8c959f;fill-opacity:.28;stroke:#8c959f;stroke-width:1;stroke-opacity:.8}\
.waiting{fill:#e16f24;fill-opacity:.75}\
.panic{fill:#fa4549;fill-opacity:.13}\
.desired{fill:none;stroke:#8250df;stroke-width:1.6;stroke-dasharray:5 3}\
.ready{fill:none;stroke:#1a7f37;stroke-width:2.2;stroke-linejoin:round}\
.cold{fill:#0969da}.coldline{stroke:#0969da;stroke-width:1;stroke-dasharray:2 3}\
.pods{fill:#1a7f37}.loads{fill:#6e7781}\
@media(prefers-color-scheme:dark){text{fill:#9198a1}.ground{fill:#0d1117}.title,.name{fill:#f0f6fc}\
.grid{stroke:#262c36}.edge{stroke:#4d5561}.load{fill:#9198a1;stroke:#9198a1}.waiting{fill:#f0883e}.panic{fill:#f85149;fill-opacity:.2}\
.desired{stroke:#bc8cff}.ready{stroke:#3fb950}.cold{fill:#58a6ff}.coldline{stroke:#58a6ff}.pods{fill:#3fb950}.loads{fill:#9198a1}}";
