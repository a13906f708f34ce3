//! Who connects to the bus: one NATS user a service, and the operator.
//!
//! In: a directory for seeds. Out: nkeys (Ed25519), of which only public keys reach the server.

use std::{collections::BTreeMap, fmt, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use ferry_events::Service;
use nkeys::KeyPair;

use crate::BusError;

/// A user of the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum User {
    /// A service: what its contract says.
    Service(Service),
    /// Makes streams and consumers, and stores the configuration.
    Operator,
}

impl User {
    /// Every user.
    pub fn all() -> impl Iterator<Item = Self> {
        Service::ALL
            .into_iter()
            .map(Self::Service)
            .chain([Self::Operator])
    }

    /// Its name: in logs, seed files and inboxes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Service(service) => service.name(),
            Self::Operator => "operator",
        }
    }

    /// The first token of its inboxes. It may subscribe to no other, so that nobody reads another's answers.
    pub fn inbox_prefix(self) -> String {
        format!("_INBOX_{}", self.name())
    }

    /// The name of its seed file.
    pub fn seed_file(self) -> String {
        format!("{}.nk", self.name())
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The nkeys of all users.
#[derive(Clone)]
pub struct Users {
    keys: BTreeMap<User, Key>,
}

#[derive(Clone)]
struct Key {
    public: String,
    seed: String,
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.keys.iter().map(|(user, key)| (user, &key.public)))
            .finish()
    }
}

impl Users {
    /// Fresh keys for everyone.
    pub fn generate() -> Self {
        let keys = User::all().map(|user| (user, fresh())).collect();
        Self { keys }
    }

    /// The keys in a directory: one seed file a user, readable by its owner only. What is missing is made.
    ///
    /// # Errors
    /// [`BusError::Io`] when a file cannot be read or written; [`BusError::Damaged`] when one holds no seed.
    pub fn load_or_create(directory: &Path) -> Result<Self, BusError> {
        let failed =
            |path: &Path, error| BusError::Io(format!("{} cannot be used", path.display()), error);
        std::fs::create_dir_all(directory).map_err(|error| failed(directory, error))?;
        let mut keys = BTreeMap::new();
        for user in User::all() {
            let path = directory.join(user.seed_file());
            let key = match std::fs::read_to_string(&path) {
                Ok(seed) => parse(seed.trim()).map_err(|error| {
                    BusError::Damaged(format!(
                        "{} holds no nkey seed ({error}); delete it to get another",
                        path.display()
                    ))
                })?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    let key = fresh();
                    std::fs::OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .mode(0o600)
                        .open(&path)
                        .and_then(|mut file| {
                            writeln!(file, "{}", key.seed)?;
                            file.sync_all()
                        })
                        .map_err(|error| failed(&path, error))?;
                    key
                }
                Err(error) => return Err(failed(&path, error)),
            };
            keys.insert(user, key);
        }
        Ok(Self { keys })
    }

    /// A user's secret: the content of its seed file.
    pub fn seed(&self, user: User) -> &str {
        &self.keys[&user].seed
    }

    /// A user's public key, which the server knows.
    pub fn public(&self, user: User) -> &str {
        &self.keys[&user].public
    }
}

fn fresh() -> Key {
    let pair = KeyPair::new_user();
    Key {
        public: pair.public_key(),
        seed: pair.seed().expect("a fresh pair has its seed"),
    }
}

fn parse(seed: &str) -> Result<Key, nkeys::error::Error> {
    Ok(Key {
        public: KeyPair::from_seed(seed)?.public_key(),
        seed: seed.to_owned(),
    })
}
