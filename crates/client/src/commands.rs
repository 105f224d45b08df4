//! What each command asks, and how the answer is shown.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
};

use clap::CommandFactory;
use serde::Serialize;
use still_control::{
    ActivityRequest, AddServerRequest, DemonstrationList, Done, ErrorReply, Event, ImportReport, KillRequest,
    PoolEntry, PoolRecord, ProblemList, PromoteRequest, RemoveServerRequest, ReviveRequest, RoundReport,
    ServerStatus, SetLine, Status, SuspectLine,
};
use still_domain::{Demonstration, JudgedTrajectory, PolicyRecord, PolicyVersion, Problem, ProblemId, Split};

use crate::{
    cli::{
        Activity, Cli, Command, DemonstrationsCommand, FaultCommand, ImportArguments, PoliciesCommand,
        PoolCommand, PoolFilter, ProblemsCommand, ServersCommand,
    },
    clock,
    connection::{Answer, Request, body},
    error::ClientError,
    tables,
    watch::Summary,
};

type Outcome = Result<(), ClientError>;

/// Runs a command and writes its answer.
pub(crate) fn run(cli: &Cli, out: &mut dyn Write) -> Outcome {
    let mut asked = Asked { cli, socket: &cli.socket(), json: cli.json, out };
    match &cli.command {
        Command::Status { why } => {
            let show = if *why { tables::waits } else { tables::status };
            asked.tell(&asked.get("/v1/status", &[])?.json::<Status>()?, show)
        }
        Command::Watch { every } => asked.watch(*every),
        Command::Pause { activity } => asked.set_activity("/v1/pause", *activity),
        Command::Resume { activity } => asked.set_activity("/v1/resume", *activity),
        Command::Drain => asked.order("/v1/drain", &[]),
        Command::Stop => asked.order("/v1/stop", &[]),
        Command::Checkpoint => asked.order("/v1/checkpoint", &[]),
        Command::Seal => asked.order("/v1/seal", &[]),
        Command::Problems(command) => asked.problems(command),
        Command::Demonstrations(command) => asked.demonstrations(command),
        Command::Rounds => {
            let rounds: Vec<RoundReport> = asked.get("/v1/rounds", &[])?.json()?;
            asked.tell(&rounds, |rounds| tables::rounds(rounds))
        }
        Command::Sets => {
            let sets: Vec<SetLine> = asked.get("/v1/sets", &[])?.json()?;
            asked.tell(&sets, |sets| tables::sets(sets))
        }
        Command::Pool(command) => asked.pool(command),
        Command::Policies(command) => asked.policies(command),
        Command::Servers(command) => asked.servers(command),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "stillctl", &mut asked.out);
            Ok(())
        }
        Command::Fault(FaultCommand::Kill { actor }) => {
            asked.order("/v1/fault/kill", &body(&KillRequest { actor: actor.clone() })?)
        }
    }
}

/// Where to ask and how to tell.
struct Asked<'a> {
    cli: &'a Cli,
    socket: &'a Path,
    json: bool,
    out: &'a mut dyn Write,
}

impl Asked<'_> {
    fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Answer, ClientError> {
        Request::get(path, query).send(self.socket)
    }

    /// Sends an order and tells what was done.
    fn order(&mut self, path: &str, body: &[u8]) -> Outcome {
        let done: Done = Request::post(path, &[], body).send(self.socket)?.json()?;
        self.tell(&done, |done| done.message.clone())
    }

    fn set_activity(&mut self, path: &str, activity: Option<Activity>) -> Outcome {
        self.order(path, &body(&ActivityRequest { activity: activity.map(Into::into) })?)
    }

    fn watch(&mut self, every: bool) -> Outcome {
        let mut summary = Summary::default();
        for line in self.get("/v1/events", &[])?.lines() {
            let line = line?;
            if self.json {
                self.write(&line)?;
            } else {
                let event = parse::<Event>(&line)?;
                if !every && !summary.is_worth_telling(&event) {
                    continue;
                }
                self.write(&format!("{}  {}", clock::now(), tables::event(&event)))?;
            }
            self.out.flush().map_err(ClientError::Output)?;
        }
        Ok(())
    }

    fn problems(&mut self, command: &ProblemsCommand) -> Outcome {
        match command {
            ProblemsCommand::Import { import, split, on_conflict } => {
                let on_conflict = still_control::OnConflict::from(*on_conflict);
                let more = [("split", name(&Split::from(*split))), ("on_conflict", name(&on_conflict))];
                self.import("/v1/problems/import", import, &more)
            }
            ProblemsCommand::Revive { ids, all: _, attempts } => {
                let problems = ids.iter().map(ProblemId::new).collect();
                self.order("/v1/problems/revive", &body(&ReviveRequest { problems, attempts: *attempts })?)
            }
            ProblemsCommand::Suspects => {
                let suspects: Vec<SuspectLine> = self.get("/v1/problems/suspects", &[])?.json()?;
                self.tell(&suspects, |suspects| tables::suspects(suspects))
            }
            ProblemsCommand::List { level, split, limit } => {
                let mut query = vec![("limit", limit.to_string())];
                query.extend(level.map(|level| ("level", level.to_string())));
                query.extend(split.map(|split| ("split", name(&Split::from(split)))));
                let list: ProblemList = self.get("/v1/problems", &query)?.json()?;
                self.tell(&list, tables::problems)
            }
            ProblemsCommand::Show { id } => {
                let problem: Problem = self.get("/v1/problems/show", &[("id", id.clone())])?.json()?;
                self.tell(&problem, tables::problem)
            }
        }
    }

    fn demonstrations(&mut self, command: &DemonstrationsCommand) -> Outcome {
        match command {
            DemonstrationsCommand::Import(import) => self.import("/v1/demonstrations/import", import, &[]),
            DemonstrationsCommand::List { limit } => {
                let query = [("limit", limit.to_string())];
                let list: DemonstrationList = self.get("/v1/demonstrations", &query)?.json()?;
                self.tell(&list, tables::demonstrations)
            }
            DemonstrationsCommand::Show { id } => {
                let shown: Demonstration =
                    self.get("/v1/demonstrations/show", &[("id", id.clone())])?.json()?;
                self.tell(&shown, tables::demonstration)
            }
        }
    }

    fn import(&mut self, path: &str, import: &ImportArguments, more: &[(&'static str, String)]) -> Outcome {
        let unreadable = |source| ClientError::Input { path: import.file.clone(), source };
        let mut content = Vec::new();
        let source = if import.file.as_os_str() == "-" {
            io::stdin().lock().read_to_end(&mut content).map_err(unreadable)?;
            "standard input".into()
        } else {
            content = fs::read(&import.file).map_err(unreadable)?;
            import.file.file_name().unwrap_or(import.file.as_os_str()).to_string_lossy()
        };
        let on_error = name(&still_control::OnError::from(import.on_error));
        let mut query = vec![("source", source.into_owned()), ("on_error", on_error)];
        query.extend(more.iter().cloned());
        let report: ImportReport = Request::post(path, &query, &content).send(self.socket)?.json()?;
        self.tell(&report, tables::import)
    }

    fn pool(&mut self, command: &PoolCommand) -> Outcome {
        match command {
            PoolCommand::List { filter, limit } => {
                let answer = self.get("/v1/pool", &pool_query(filter, Some(*limit)))?;
                let mut entries = Vec::new();
                for line in answer.lines() {
                    entries.push(parse_item::<PoolEntry>(&line?)?);
                }
                self.tell(&entries, |entries| tables::pool(entries))
            }
            PoolCommand::Show { id } => {
                let record: PoolRecord = self.get("/v1/pool/show", &[("id", id.to_string())])?.json()?;
                self.tell(&record, tables::trajectory)
            }
            PoolCommand::Export { filter, limit } => {
                for line in self.get("/v1/pool/export", &pool_query(filter, *limit))?.lines() {
                    let line = line?;
                    if line.starts_with("{\"error\":") {
                        parse_item::<JudgedTrajectory>(&line)?;
                    }
                    self.write(&line)?;
                }
                Ok(())
            }
        }
    }

    fn policies(&mut self, command: &PoliciesCommand) -> Outcome {
        match command {
            PoliciesCommand::List => {
                let policies: Vec<PolicyRecord> = self.get("/v1/policies", &[])?.json()?;
                let cli = self.cli;
                self.tell(&policies, |policies| {
                    tables::policies(policies, |checkpoint| cli.checkpoint_folder(checkpoint))
                })
            }
            PoliciesCommand::Promote { version } => {
                let request = PromoteRequest { version: PolicyVersion(*version) };
                self.order("/v1/policies/promote", &body(&request)?)
            }
            PoliciesCommand::Rollback => self.order("/v1/policies/rollback", &[]),
        }
    }

    fn servers(&mut self, command: &ServersCommand) -> Outcome {
        match command {
            ServersCommand::List => {
                let servers: Vec<ServerStatus> = self.get("/v1/servers", &[])?.json()?;
                self.tell(&servers, |servers| tables::servers(servers))
            }
            ServersCommand::Add { address, kind } => {
                let request = AddServerRequest { address: address.clone(), kind: kind.clone() };
                self.order("/v1/servers/add", &body(&request)?)
            }
            ServersCommand::Remove { address, now } => {
                let request = RemoveServerRequest { address: address.clone(), at_once: *now };
                self.order("/v1/servers/remove", &body(&request)?)
            }
        }
    }

    /// Writes an answer as JSON, or as people read it.
    fn tell<T: Serialize>(&mut self, answer: &T, table: impl FnOnce(&T) -> String) -> Outcome {
        let text = if self.json {
            serde_json::to_string_pretty(answer).map_err(|error| ClientError::Answer(error.to_string()))?
        } else {
            table(answer)
        };
        self.write(&text)
    }

    fn write(&mut self, text: &str) -> Outcome {
        writeln!(self.out, "{}", text.trim_end()).map_err(ClientError::Output)
    }
}

fn pool_query(filter: &PoolFilter, limit: Option<u64>) -> Vec<(&'static str, String)> {
    let mut query = Vec::new();
    query.extend(limit.map(|limit| ("limit", limit.to_string())));
    query.extend(filter.verdict.map(|verdict| ("verdict", verdict.name().to_owned())));
    query.extend(filter.problem.clone().map(|problem| ("problem", problem)));
    query.extend(filter.policy.map(|version| ("policy_version", version.to_string())));
    query
}

fn parse<T: serde::de::DeserializeOwned>(line: &str) -> Result<T, ClientError> {
    serde_json::from_str(line).map_err(|error| ClientError::Answer(error.to_string()))
}

/// A line of a stream, whose last one may tell why it ended early.
fn parse_item<T: serde::de::DeserializeOwned>(line: &str) -> Result<T, ClientError> {
    #[derive(serde::Deserialize)]
    struct Failure {
        error: ErrorReply,
    }
    match serde_json::from_str::<Failure>(line) {
        Ok(Failure { error }) => Err(ClientError::Refused(error)),
        Err(_) => parse(line),
    }
}

/// The name of a plain variant, as the protocol writes it.
fn name(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
