//! The ends of `create-networks` and `down`.

use diagnostics::words::seconds;
use operations::{
    results::{Creation, Ended, Removal},
    ui::Ui,
};

/// How many networks were created.
pub fn networks(ui: &Ui, creation: &Creation) {
    if ui.json_wanted() {
        ui.json("create-networks", creation);
        return;
    }
    let count = |ended: Ended| {
        let networks = creation.networks.iter();
        networks.filter(|network| network.result == ended).count()
    };
    let (created, unchanged) = (count(Ended::Done), count(Ended::Unchanged));
    ui.out(format!(
        "networks: {created} created, {unchanged} unchanged"
    ));
}

/// How much was removed.
pub fn removal(ui: &Ui, removal: &Removal) {
    if ui.json_wanted() {
        ui.json("down", removal);
        return;
    }
    if removal.removed.is_empty() {
        ui.out("nothing to remove");
        return;
    }
    let removed = removal.removed.iter();
    let wanted = removed.filter(|outcome| outcome.result != Ended::Restored);
    let done = wanted.clone();
    let done = done.filter(|outcome| outcome.result == Ended::Done).count();
    ui.out(format!(
        "removed: {done} of {}, {}",
        wanted.count(),
        seconds(removal.elapsed_ms)
    ));
}
