use std::marker::PhantomData;

/// The part of `.env.example` that a setting stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The database and its roles.
    Database,
    /// The HTTP service.
    Api,
    /// Services of other people that ours calls.
    ExternalServices,
    /// Secrets and tokens.
    Security,
    /// Which web origins may call.
    Cors,
    /// `cargo dev` and the tools beside the service.
    Tools,
}

impl Group {
    /// All groups, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::Database,
        Self::Api,
        Self::ExternalServices,
        Self::Security,
        Self::Cors,
        Self::Tools,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Database => "Database",
            Self::Api => "API",
            Self::ExternalServices => "External services",
            Self::Security => "Security (change in production)",
            Self::Cors => "CORS",
            Self::Tools => "Development tools",
        }
    }
}

/// Who reads a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// The service `emotionviz`.
    Service,
    /// `cargo dev`, and the Compose file.
    Tool,
    /// Both.
    Both,
}

/// What is known of a setting, whatever its type.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// The name of the variable.
    pub name: &'static str,
    /// What it does, line by line.
    pub(crate) meaning: &'static [&'static str],
    /// The part of the example file.
    pub group: Group,
    /// Who reads it.
    pub used_by: Use,
    /// What holds when nobody sets it.
    pub default: Option<&'static str>,
    /// What `.env.example` shows where that is not the default. These are public values, for development only.
    pub example: Option<&'static str>,
    /// Whether its value must never be shown.
    pub secret: bool,
    /// The values that it takes, in words.
    pub takes: &'static str,
    /// Whether a text is a value of this setting.
    pub check: fn(&str) -> Result<(), String>,
}

impl Info {
    /// What it does, in a sentence or two.
    pub fn meaning(&self) -> String {
        self.meaning
            .iter()
            .map(|line| line.trim())
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// A declared setting with its type.
#[derive(Debug)]
pub struct Setting<T> {
    /// What is known of it.
    pub info: Info,
    pub(crate) kind: PhantomData<T>,
}
