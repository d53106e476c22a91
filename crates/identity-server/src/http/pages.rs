//! The pages that people see: plain HTML, no script, one style sheet, readable in any browser.

mod device;
mod email;
mod ending;
mod layout;
mod providers;

pub(super) use device::{confirm_device, device_done, device_refused, type_code};
pub(super) use email::{address, code};
pub(super) use ending::{bad_request, log_fault, out_of_band, out_of_band_error, refusal};
pub(super) use layout::style;
pub(super) use providers::{choose, confirm};
