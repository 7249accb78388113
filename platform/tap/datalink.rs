//! What a configuration cannot ask of an existing data link, and what only a data link can be asked.

use crate::attach::{AttachError, Config, Creation, DatalinkOptions, Source};

const ADMINISTRATORS: &str = "only the administrator makes and removes a data link: leave this out";
const HOSTS_SIDE: &str =
    "a data link is for the guest alone: leave this out, and give the host's IP another link";

/// Refuses options that contradict the source, before anything is asked of the kernel.
pub(super) fn check(config: &Config, queues: u16) -> Result<(), AttachError> {
    let Source::Datalink(_) = config.source else { return check_without(config) };
    let excluded = [
        (config.creation == Creation::Exclusive, "create_exclusive", ADMINISTRATORS),
        (config.persistent.is_some(), "persistent", ADMINISTRATORS),
        (config.replace_stale, "replace_stale", ADMINISTRATORS),
        (config.external_plumbing, "external_plumbing", HOSTS_SIDE),
        (!config.addresses.is_empty(), "address", HOSTS_SIDE),
        (
            config.keep_state,
            "keep_state",
            "a data link is opened anew and has no state to keep: leave this out",
        ),
        (queues > 1, "queues", "a data link has one queue"),
    ];
    if let Some((_, option, reason)) = excluded.iter().find(|(asked, ..)| *asked) {
        return Err(bad(option, (*reason).to_owned()));
    }
    match config.datalink.buffer {
        Some(bytes) if !DatalinkOptions::BUFFERS.contains(&bytes) => Err(bad(
            "datalink_buffer",
            format!("{bytes} bytes are not within {:?}", DatalinkOptions::BUFFERS),
        )),
        _ => Ok(()),
    }
}

fn check_without(config: &Config) -> Result<(), AttachError> {
    let needing =
        [(config.datalink.buffer.is_some(), "datalink_buffer"), (config.datalink.shared, "share_datalink")];
    match needing.iter().find(|(asked, _)| *asked) {
        Some((_, option)) => Err(bad(
            option,
            "it is for a data link, and none was named: name one in Config::datalink, or leave this out"
                .to_owned(),
        )),
        None => Ok(()),
    }
}

fn bad(option: &str, reason: String) -> AttachError {
    AttachError::BadOption { option: option.to_owned(), reason }
}
