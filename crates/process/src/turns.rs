//! Whose turn it is on devices that servers and a trainer use one after the other.
//!
//! One side holds the devices while nobody asks for them and gives them up when it has let go ([`TurnsGiver`]); the other
//! asks, and has them for as long as it keeps its [`Turn`]. Whoever asks holds nothing that the giver waits for, so neither
//! waits for the other for ever.

use std::convert::Infallible;

use crossbeam::channel::{Receiver, Sender, bounded, unbounded};

/// Asks for the devices. Clones ask the same giver.
#[derive(Debug, Clone)]
pub struct Turns(Sender<Ask>);

/// Has the devices while nobody asks for them.
#[derive(Debug)]
pub struct TurnsGiver(Receiver<Ask>);

/// Somebody wants the devices.
#[derive(Debug)]
pub struct Ask(Sender<Turn>);

/// The devices are this one's until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _held: Option<Sender<Infallible>>,
}

/// Has nothing to say, and closes when the devices are given back.
pub type GivenBack = Receiver<Infallible>;

impl Turns {
    /// Both sides.
    pub fn pair() -> (Self, TurnsGiver) {
        let (asks, asked) = unbounded();
        (Self(asks), TurnsGiver(asked))
    }

    /// Asks for the devices: the turn comes once they are free. Where the giver is gone the channel closes, and the devices
    /// are nobody's. Dropping the receiver takes the question back.
    pub fn ask(&self) -> Receiver<Turn> {
        let (answer, answered) = bounded(1);
        // a giver that is gone holds nothing
        let _ = self.0.send(Ask(answer));
        answered
    }
}

impl TurnsGiver {
    /// Who asks, in order.
    pub const fn asks(&self) -> &Receiver<Ask> {
        &self.0
    }
}

impl Turn {
    /// That of devices which nobody has to give back.
    pub const fn on_nobodys() -> Self {
        Self { _held: None }
    }
}

impl Ask {
    /// Gives the devices. Where nobody waits for them any more they are given back at once.
    pub fn grant(self) -> GivenBack {
        let (held, given_back) = bounded(0);
        // what cannot be sent is dropped, which gives it back
        let _ = self.0.send(Turn { _held: Some(held) });
        given_back
    }
}

#[cfg(test)]
mod tests {
    use crossbeam::channel::TryRecvError;

    use super::*;

    #[test]
    fn devices_are_given_once_they_are_free_and_come_back_with_the_turn() {
        let (turns, giver) = Turns::pair();
        let answered = turns.ask();
        assert!(answered.try_recv().is_err(), "nothing is given before it is free");
        let given_back = giver.asks().recv().unwrap().grant();
        let turn = answered.recv().unwrap();
        assert_eq!(given_back.try_recv(), Err(TryRecvError::Empty));
        drop(turn);
        assert_eq!(given_back.try_recv(), Err(TryRecvError::Disconnected));
    }

    #[test]
    fn who_asks_no_more_is_given_nothing() {
        let (turns, giver) = Turns::pair();
        drop(turns.ask());
        let given_back = giver.asks().recv().unwrap().grant();
        assert_eq!(given_back.try_recv(), Err(TryRecvError::Disconnected));
        // and what was given and never taken comes back too
        let answered = turns.ask();
        let given_back = giver.asks().recv().unwrap().grant();
        drop(answered);
        assert_eq!(given_back.try_recv(), Err(TryRecvError::Disconnected));
        drop(giver);
        assert!(turns.ask().recv().is_err(), "devices without a giver are nobody's");
    }
}
