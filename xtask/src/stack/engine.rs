//! The Docker engine: the user's where one answers on this machine, else one of our own, apart from everything else.

use std::cell::RefCell;
use std::fmt::{self, Display, Formatter};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::client::{self, Client};
use super::own::{self, Own};
use crate::command::Cmd;
use crate::progress::Step;
use crate::workspace::Workspace;

/// Before it an engine does not know the capabilities of eBPF.
const OLDEST: u64 = 23;
/// Where an engine listens that nobody named.
const SOCKET: &str = "/var/run/docker.sock";

/// A running engine.
pub(crate) struct Engine {
    client: Client,
    data: PathBuf,
    /// What was made for it under names of a registry: in the user's engine it must not stay.
    made: RefCell<Vec<&'static str>>,
    /// Nothing when it is the user's.
    own: Option<Own>,
    /// Why the user's was not taken.
    unusable: Option<String>,
    /// There is one run at a time; released last.
    _turn: fs::File,
}

impl Engine {
    /// Finds or starts one; what our own is given is kept in `target/stack` between runs.
    pub(crate) fn ensure(workspace: &Workspace, step: &Step) -> Result<Self> {
        let folder = workspace.target.join("stack/engine");
        fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
        step.detail("waiting for another run to end");
        let turn = fs::File::create(folder.join("lock")).context("making the engine's lock")?;
        turn.lock().context("waiting for the engine's lock")?;
        let of_user = of_user(workspace, &folder, step)?.transpose();
        let unusable = of_user.as_ref().err().map(|why| format!("{why:#}"));
        let (client, data, own) = if let Ok(Some((client, data))) = of_user {
            (client, data, None)
        } else {
            let tools = client::tools(workspace, step)?;
            let client = Client::of_packages(&tools, &folder, Some(own::host(&folder)))?;
            let own = Own::start(&tools, &folder, &client, step)?;
            (client, own::data(&folder), Some(own))
        };
        Ok(Self {
            client,
            data,
            made: RefCell::default(),
            own,
            unusable,
            _turn: turn,
        })
    }

    /// The command line of this engine.
    pub(crate) fn docker(&self) -> Cmd {
        self.client.docker()
    }

    /// Where it keeps its containers.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Whether nothing may be left in it.
    pub(crate) fn is_of_user(&self) -> bool {
        self.own.is_none()
    }

    /// What a label of an image says, nothing if it has not that image.
    pub(crate) fn label(&self, image: &str, label: &str) -> Option<String> {
        let format = format!("--format={{{{index .Config.Labels \"{label}\"}}}}");
        self.docker()
            .args(["image", "inspect", &format, image])
            .output()
            .ok()
    }

    /// Remembers an image that was made here.
    pub(crate) fn remember(&self, image: &'static str) {
        self.made.borrow_mut().push(image);
    }
}

impl Display for Engine {
    fn fmt(&self, text: &mut Formatter<'_>) -> fmt::Result {
        let whose = if self.is_of_user() {
            "this machine's"
        } else {
            "one of our own"
        };
        write!(text, "{whose}, with its data in {}", self.data.display())?;
        match &self.unusable {
            Some(why) => write!(text, ": this machine's {why}"),
            None => Ok(()),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.is_of_user() {
            for image in self.made.take() {
                // One that a container of somebody else has come to use stays.
                let _ = self.docker().args(["image", "rm", image]).output();
            }
        }
    }
}

/// The engine that the user's settings name, if one answers; why it cannot be used, if so.
fn of_user(workspace: &Workspace, folder: &Path, step: &Step) -> Result<Option<Result<(Client, PathBuf)>>> {
    step.detail("looking for an engine");
    let client = if let Some(client) = Client::of_user() {
        client
    } else if std::env::var_os("DOCKER_HOST").is_some() || Path::new(SOCKET).exists() {
        Client::of_packages(&client::tools(workspace, step)?, folder, None)?
    } else {
        return Ok(None);
    };
    let info = client.docker().args(["info", "--format", "{{json .}}"]).output();
    let info: Value = info
        .ok()
        .and_then(|info| serde_json::from_str(&info).ok())
        .unwrap_or_default();
    // Without an engine the client tells of itself alone.
    let answers = !info["ServerVersion"].as_str().unwrap_or_default().is_empty();
    Ok(answers.then(|| usable(&info).map(|data| (client, data))))
}

/// Where an engine keeps its data; an error if the agent cannot work in its containers.
fn usable(info: &Value) -> Result<PathBuf> {
    let text = |key: &str| info[key].as_str().unwrap_or_default();
    let version = text("ServerVersion");
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse::<u64>().ok());
    ensure!(
        major.is_some_and(|major| major >= OLDEST),
        "has version {version}, and capabilities of eBPF need {OLDEST}"
    );
    let options = info["SecurityOptions"].as_array().into_iter().flatten();
    let mut options = options.filter_map(Value::as_str);
    ensure!(
        !options.any(|option| option.starts_with("name=rootless") || option.starts_with("name=userns")),
        "has containers that are not root's, and eBPF needs root"
    );
    let data = PathBuf::from(text("DockerRootDir"));
    ensure!(
        data.is_dir(),
        "has its data in {}, which is not on this machine",
        data.display()
    );
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str, data: &str, option: &str) -> Value {
        serde_json::json!({"ServerVersion": version, "DockerRootDir": data, "SecurityOptions": ["name=seccomp", option]})
    }

    #[test]
    fn an_engine_must_run_here_and_as_root() {
        assert_eq!(
            usable(&info("26.1.5+dfsg1", "/", "name=cgroupns")).unwrap(),
            Path::new("/")
        );
        for (wrong, why) in [
            (info("20.10.24", "/", ""), "20.10.24"),
            (info("26.1.5", "/nowhere", ""), "/nowhere"),
            (info("26.1.5", "/", "name=rootless"), "root"),
        ] {
            let message = usable(&wrong).unwrap_err().to_string();
            assert!(message.contains(why), "{message}");
        }
    }
}
