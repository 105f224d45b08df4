//! Every order of events around a device's lock (`RUSTFLAGS="--cfg loom"`): loom runs each body once for every order, and
//! ends with an error where nobody can go on.

use loom::{
    model,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{Arc, DeviceLock, locked};

/// A role: has its turn at the device, alone with the others of its generation.
fn role(device: &DeviceLock, at_work: &Arc<AtomicUsize>) -> thread::JoinHandle<()> {
    // as a role's thread does it: which lock is known before the thread is there
    let (turn, at_work) = (device.current(), Arc::clone(at_work));
    thread::spawn(move || {
        let _held = locked(&turn);
        assert_eq!(at_work.fetch_add(1, Ordering::Relaxed), 0, "two roles share the device");
        at_work.fetch_sub(1, Ordering::Relaxed);
    })
}

#[test]
fn roles_of_a_device_take_turns() {
    model(|| {
        let (device, at_work) = (DeviceLock::default(), Arc::new(AtomicUsize::new(0)));
        let roles = [role(&device, &at_work), role(&device, &at_work)];
        for role in roles {
            role.join().unwrap();
        }
    });
}

#[test]
fn who_comes_after_one_that_is_given_up_does_not_wait_and_shares_with_nobody_else() {
    model(|| {
        let device = DeviceLock::default();
        // it hangs: its turn does not end while the others work
        let hung = device.current();
        let held = locked(&hung);
        let giving_up = {
            let device = device.clone();
            thread::spawn(move || device.renew())
        };
        giving_up.join().unwrap();
        let at_work = Arc::new(AtomicUsize::new(0));
        let roles = [role(&device, &at_work), role(&device, &at_work)];
        for role in roles {
            role.join().unwrap();
        }
        drop(held);
    });
}

#[test]
fn who_waits_while_another_is_given_up_has_its_turn_in_the_end() {
    model(|| {
        let device = DeviceLock::default();
        let (old, new) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let waiting = [role(&device, &old), role(&device, &old)];
        device.renew();
        let next = role(&device, &new);
        next.join().unwrap();
        for role in waiting {
            role.join().unwrap();
        }
    });
}
