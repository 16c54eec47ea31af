//! `idle` does nothing until a signal ends it: the service of which the boot
//! benchmark starts a hundred. For bench images only.

fn main() {
    loop {
        rustix::event::pause();
    }
}
