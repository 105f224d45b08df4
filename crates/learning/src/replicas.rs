//! The devices that share a job's gradients among them.
//!
//! Every replica holds the whole policy. Pieces of work are dealt out in turn, and what they give is taken in
//! the order of the pieces, whichever replica is done first: so sums have the same bits on any number of
//! replicas. A single one works on the calling thread. Several have a named thread each, for as long as the
//! learner lives, since a GPU's memory belongs to the thread that allocates it; a finished gradient waits
//! with its replica until its turn has come, so at most one waits on each.

use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use still_embedded::LearnerError;
use still_library::Weights;
use still_tensor_decoder::{
    Decoder, Device, ForwardSettings, HostDecoder, LayerObserver, MergedDecoder, TensorPrecision,
    TrainableDecoder,
};

use still_training_data::JobVersion;

use crate::trained::Trained;

/// Where gradients are made.
#[derive(Debug, Clone)]
pub enum LearnerDevice {
    /// The processor.
    Processor,
    /// A device of tensors with autodiff, and what matrices are stored in there.
    Tensors(Device, TensorPrecision),
}

/// Where gradients are made, and how.
#[derive(Debug, Clone)]
pub(crate) struct Workplace {
    pub(crate) device: LearnerDevice,
    pub(crate) settings: ForwardSettings,
}

/// A device with what stays on it for a whole job.
pub(crate) struct Replica {
    pub(crate) workplace: Workplace,
    /// What adapters were last trained beside, and the same on the device.
    frozen: Option<(Weights, Decoder)>,
}

/// All replicas of a learner.
pub(crate) enum Replicas {
    /// One, on the calling thread.
    Here(Box<Replica>),
    /// Several, on threads of their own.
    Apart(Vec<ReplicaThread>),
}

/// A replica's thread; dropping it waits for its end.
pub(crate) struct ReplicaThread {
    name: String,
    /// None once the thread is to end.
    commands: Option<SyncSender<Command>>,
    handle: Option<JoinHandle<()>>,
}

type Command = Box<dyn FnOnce(&mut Replica) + Send>;

/// What a piece of work gave, or the panic that it ended in.
type Answer<T> = thread::Result<Result<T, LearnerError>>;

impl Workplace {
    /// How a pass runs here that an observer hears of.
    pub(crate) fn observed_by(&self, observer: &LayerObserver) -> ForwardSettings {
        ForwardSettings { observer: observer.clone(), ..self.settings.clone() }
    }
}

impl Replica {
    const fn new(workplace: Workplace) -> Self {
        Self { workplace, frozen: None }
    }

    /// What a job of some version trains, on the device. The base of adapters stays there from one step to the next.
    pub(crate) fn decoder(&mut self, trained: Trained, version: JobVersion) -> Box<dyn TrainableDecoder> {
        match trained {
            Trained::Full(weights) => self.whole(Arc::new(weights)),
            Trained::Adapters { adapters, base } => match &self.workplace.device {
                LearnerDevice::Processor if version.merges_adapters() => {
                    Box::new(MergedDecoder::new(&base, adapters, &self.workplace.settings))
                }
                LearnerDevice::Processor => Box::new(HostDecoder::adapted(single_precision(base), adapters)),
                LearnerDevice::Tensors(device, precision) => {
                    let (device, precision) = (device.clone(), *precision);
                    let frozen = self.frozen(&base, &device, precision);
                    Box::new(frozen.adapted(&adapters, &self.workplace.settings.config, &device))
                }
            },
        }
    }

    /// All parameters of a decoder, on the device.
    pub(crate) fn whole(&self, weights: Weights) -> Box<dyn TrainableDecoder> {
        match &self.workplace.device {
            LearnerDevice::Processor => Box::new(HostDecoder::whole(single_precision(weights))),
            LearnerDevice::Tensors(device, precision) => {
                Box::new(Decoder::from_weights(&weights, device, *precision))
            }
        }
    }

    fn frozen(&mut self, base: &Weights, device: &Device, precision: TensorPrecision) -> Decoder {
        if let Some((known, frozen)) = &self.frozen
            && Arc::ptr_eq(known, base)
        {
            return frozen.clone();
        }
        // the one before goes first
        self.frozen = None;
        let frozen = Decoder::frozen(base, device, precision);
        self.frozen = Some((Arc::clone(base), frozen.clone()));
        frozen
    }
}

/// The same weights in f32, as the processor's kernels want them.
fn single_precision(weights: Weights) -> Weights {
    if weights.is_single_precision() { weights } else { Arc::new(weights.to_f32()) }
}

impl Replicas {
    /// A replica at every workplace.
    ///
    /// # Errors
    /// When there is no workplace, or the system gives no thread.
    pub(crate) fn start(workplaces: Vec<Workplace>) -> Result<Self, LearnerError> {
        match <[Workplace; 1]>::try_from(workplaces) {
            Ok([only]) => Ok(Self::Here(Box::new(Replica::new(only)))),
            Err(none) if none.is_empty() => Err(LearnerError::Device("no device to train on".to_owned())),
            Err(several) => {
                let threads = several.into_iter().enumerate();
                let threads = threads.map(|(number, workplace)| ReplicaThread::spawn(number, workplace));
                threads.collect::<Result<_, _>>().map(Self::Apart)
            }
        }
    }

    /// How many there are.
    pub(crate) const fn count(&self) -> usize {
        match self {
            Self::Here(_) => 1,
            Self::Apart(threads) => threads.len(),
        }
    }

    /// Takes what adapters were trained beside off every device.
    ///
    /// # Errors
    /// When a thread has ended. A panic of the device goes on here.
    pub(crate) fn release(&mut self) -> Result<(), LearnerError> {
        let everywhere = vec![(); self.count()];
        self.each(|replica| replica.frozen = None, everywhere, |_, (), ()| Ok(()), |()| {})
    }

    /// Runs `work` on every piece, after `begin` on every replica that has one, and hands what the pieces
    /// give to `take` in their order.
    ///
    /// # Errors
    /// The first, in the order of the pieces; the other replicas then end after the piece at work. A panic
    /// counts as such, and goes on here.
    pub(crate) fn each<Begun, Piece, Found>(
        &mut self,
        begin: impl FnOnce(&mut Replica) -> Begun + Clone + Send + 'static,
        pieces: Vec<Piece>,
        work: impl Fn(&Replica, &Begun, Piece) -> Result<Found, LearnerError> + Clone + Send + 'static,
        mut take: impl FnMut(Found),
    ) -> Result<(), LearnerError>
    where
        Begun: 'static,
        Piece: Send + 'static,
        Found: Send + 'static,
    {
        let threads = match self {
            Self::Here(replica) => {
                let begun = begin(replica);
                return pieces.into_iter().try_for_each(|piece| {
                    take(work(replica, &begun, piece)?);
                    Ok(())
                });
            }
            Self::Apart(threads) => threads,
        };
        let count = pieces.len();
        let mut dealt: Vec<Vec<Piece>> = threads.iter().map(|_| Vec::new()).collect();
        for (index, piece) in pieces.into_iter().enumerate() {
            dealt[index % threads.len()].push(piece);
        }
        let at_work = threads.iter().zip(dealt).filter(|(_, pieces)| !pieces.is_empty());
        let answers = at_work.map(|(thread, pieces)| {
            let answers = thread.work(begin.clone(), pieces, work.clone())?;
            Ok((thread, answers))
        });
        let answers: Vec<_> = answers.collect::<Result<_, LearnerError>>()?;
        drop((begin, work));
        for index in 0..count {
            let (thread, answers) = &answers[index % answers.len()];
            match answers.recv() {
                Ok(Ok(found)) => take(found?),
                Ok(Err(panic)) => resume_unwind(panic),
                Err(_) => return Err(thread.ended()),
            }
        }
        Ok(())
    }
}

impl ReplicaThread {
    fn spawn(number: usize, workplace: Workplace) -> Result<Self, LearnerError> {
        let name = format!("learner-{number}");
        let (commands, received) = sync_channel::<Command>(1);
        let work = move || {
            let mut replica = Replica::new(workplace);
            for command in received {
                command(&mut replica);
            }
        };
        let spawned = thread::Builder::new().name(name.clone()).spawn(work);
        let handle = spawned.map_err(|error| LearnerError::Device(format!("no thread `{name}`: {error}")))?;
        Ok(Self { name, commands: Some(commands), handle: Some(handle) })
    }

    /// Has the pieces worked on, and gives where their answers come; nobody there ends the work.
    fn work<Begun: 'static, Piece: Send + 'static, Found: Send + 'static>(
        &self,
        begin: impl FnOnce(&mut Replica) -> Begun + Send + 'static,
        pieces: Vec<Piece>,
        work: impl Fn(&Replica, &Begun, Piece) -> Result<Found, LearnerError> + Send + 'static,
    ) -> Result<Receiver<Answer<Found>>, LearnerError> {
        let (answer, answers) = sync_channel::<Answer<Found>>(0);
        #[cfg(test)]
        let max_tokens = crate::memory::simulated::max_tokens();
        let command = move |replica: &mut Replica| {
            #[cfg(test)]
            crate::memory::simulated::limit(max_tokens);
            let begun = match catch_unwind(AssertUnwindSafe(|| begin(replica))) {
                Ok(begun) => begun,
                Err(panic) => {
                    let _nobody_waits = answer.send(Err(panic));
                    return;
                }
            };
            let (mut begun, mut pieces) = (Some(begun), pieces.into_iter());
            while let (Some(at_hand), Some(piece)) = (&begun, pieces.next()) {
                let found = catch_unwind(AssertUnwindSafe(|| work(replica, at_hand, piece)));
                let is_done = !matches!(found, Ok(Ok(_)));
                if pieces.len() == 0 {
                    // let go of before the last answer: whoever has that may change what it was made of
                    begun = None;
                }
                if answer.send(found).is_err() || is_done {
                    return;
                }
            }
        };
        let commands = self.commands.as_ref().ok_or_else(|| self.ended())?;
        commands.send(Box::new(command)).map_err(|_| self.ended())?;
        Ok(answers)
    }

    fn ended(&self) -> LearnerError {
        LearnerError::Device(format!("the thread `{}` has ended", self.name))
    }
}

impl Drop for ReplicaThread {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(handle) = self.handle.take() {
            // panics of its work are reported where the work was given
            let _ended = handle.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    };

    use still_decoder::{DecoderConfig, Threads};

    use super::*;
    use crate::memory::within_memory;

    fn replicas(count: usize) -> Replicas {
        let json = serde_json::json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 8,
            "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1,
            "num_key_value_heads": 1, "vocab_size": 8, "rms_norm_eps": 1e-5,
            "max_position_embeddings": 8, "hidden_act": "silu", "rope_theta": 10000.0,
            "tie_word_embeddings": true
        });
        let settings = ForwardSettings {
            config: Arc::new(DecoderConfig::from_hugging_face(&json).unwrap()),
            threads: Threads::single(),
            recompute: false,
            observer: LayerObserver::default(),
        };
        let workplace = Workplace { device: LearnerDevice::Processor, settings };
        Replicas::start(vec![workplace; count]).unwrap()
    }

    fn thread_name() -> String {
        thread::current().name().unwrap_or_default().to_owned()
    }

    #[test]
    fn one_replica_works_on_the_calling_thread_and_several_on_their_own() {
        let mut names = Vec::new();
        replicas(1)
            .each(|_| (), vec![(); 3], |_, (), ()| Ok(thread_name()), |name| names.push(name))
            .unwrap();
        assert_eq!(names, vec![thread_name(); 3]);
        names.clear();
        replicas(2)
            .each(|_| (), vec![(); 3], |_, (), ()| Ok(thread_name()), |name| names.push(name))
            .unwrap();
        assert_eq!(names, ["learner-0", "learner-1", "learner-0"]);
        assert!(Replicas::start(Vec::new()).is_err());
    }

    #[test]
    fn what_pieces_give_is_taken_in_their_order_and_at_most_one_waits_on_each_replica() {
        let waiting = Arc::new(AtomicUsize::new(0));
        let (release, released) = mpsc::channel();
        let released = Arc::new(Mutex::new(released));
        let at_work = Arc::clone(&waiting);
        let work = move |_: &Replica, (): &(), piece: usize| {
            match piece {
                // the first is done after the second and the third
                0 => (0..2).for_each(|_| released.lock().unwrap().recv().unwrap()),
                1 | 2 => release.send(()).unwrap(),
                _ => {}
            }
            let waiting = at_work.fetch_add(1, Ordering::SeqCst) + 1;
            // beside the one that is being taken
            assert!(waiting <= 3 + 1, "{waiting} wait");
            Ok(piece)
        };
        let mut taken = Vec::new();
        let take = |piece| {
            waiting.fetch_sub(1, Ordering::SeqCst);
            taken.push(piece);
        };
        replicas(3).each(|_| (), (0..30).collect(), work, take).unwrap();
        assert_eq!(taken, (0..30).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_error_is_told_and_the_replicas_go_on_with_the_next_work() {
        let mut replicas = replicas(3);
        let work = |_: &Replica, (): &(), piece: usize| match piece {
            0 | 1 => Ok(piece),
            _ => Err(LearnerError::Refused(format!("piece {piece}"))),
        };
        let mut taken = Vec::new();
        let error = replicas.each(|_| (), (0..9).collect(), work, |piece| taken.push(piece)).unwrap_err();
        assert!(error.to_string().contains("piece 2"), "{error}");
        assert_eq!(taken, [0, 1]);
        taken.clear();
        replicas.each(|_| (), vec![4, 5], |_, (), piece| Ok(piece), |piece| taken.push(piece)).unwrap();
        assert_eq!(taken, [4, 5]);
    }

    #[test]
    fn a_panic_goes_on_where_the_work_was_given_and_a_shortage_on_one_replica_halves_the_parts_of_all() {
        let mut replicas = replicas(2);
        let mut limit = 64;
        let found = within_memory(&mut limit, &[16; 4], |limit| {
            let mut found = Vec::new();
            let work = move |_: &Replica, (): &(), piece: usize| {
                assert!(limit <= 16 || thread_name() != "learner-1", "out of device memory");
                Ok((piece, limit))
            };
            replicas.each(|_| (), vec![0, 1, 2], work, |part| found.push(part))?;
            Ok(found)
        });
        assert_eq!(found.unwrap(), (vec![(0, 16), (1, 16), (2, 16)], 2));

        let panicked = catch_unwind(AssertUnwindSafe(|| {
            replicas.each(|_| panic!("no kernel"), vec![()], |_, (): &(), ()| Ok(()), |()| {})
        }));
        let panic = panicked.unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"no kernel"));
    }
}
