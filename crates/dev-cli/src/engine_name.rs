//! The engines by the names that are typed.

use clap::ValueEnum;
use dev_env::engines::Kind;

/// What runs the services.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum EngineName {
    /// Run PostgreSQL and the API as processes of this machine
    Native,
    /// Run the containers of docker-compose.yml
    Docker,
}

impl From<EngineName> for Kind {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Native => Self::Native,
            EngineName::Docker => Self::Docker,
        }
    }
}
