use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use secrecy::SecretString;

use crate::DatabaseUrl;

/// A type that the text of a setting is read into.
pub trait Kind: Sized {
    /// The values that it takes, in words: "a number from 1 to 65535".
    const TAKES: &'static str;

    /// Reads the text.
    ///
    /// # Errors
    /// What is wrong with it, as a clause that follows the setting's name. Of a secret it never repeats the text.
    fn read(text: &str) -> Result<Self, String>;
}

fn not<T>() -> String
where
    T: Kind,
{
    format!("must be {}", T::TAKES)
}

impl Kind for String {
    const TAKES: &'static str = "text";

    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl Kind for SecretString {
    const TAKES: &'static str = "a secret text";

    fn read(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
}

impl Kind for u16 {
    const TAKES: &'static str = "a whole number from 0 to 65535";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| not::<Self>())
    }
}

impl Kind for u32 {
    const TAKES: &'static str = "a whole number greater than 0";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().ok().filter(|n| *n > 0).ok_or_else(not::<Self>)
    }
}

impl Kind for IpAddr {
    const TAKES: &'static str = "an IP address such as 127.0.0.1 or 0.0.0.0";

    fn read(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| not::<Self>())
    }
}

impl Kind for DatabaseUrl {
    const TAKES: &'static str = "a URL such as postgres://user:password@host:5432/database";

    fn read(text: &str) -> Result<Self, String> {
        text.parse()
            .map_err(|e: crate::database_url::BadUrl| e.to_string())
    }
}

macro_rules! choice {
    ($(#[$meta:meta])* $name:ident, $takes:literal, $($(#[$of:meta])* $variant:ident = $first:literal $(| $more:literal)*),+) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[$of])* $variant,)+
        }

        impl $name {
            /// The text that stands for it.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $first,)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::read(text)
            }
        }

        impl Kind for $name {
            const TAKES: &'static str = $takes;

            fn read(text: &str) -> Result<Self, String> {
                match text.to_ascii_lowercase().as_str() {
                    $($first $(| $more)* => Ok(Self::$variant),)+
                    _ => Err(not::<Self>()),
                }
            }
        }
    };
}

choice!(
    /// Where the service runs.
    AppEnv, "development or production",
    /// On a developer's machine: readable logs, example secrets allowed.
    Development = "development",
    /// Anywhere else.
    Production = "production"
);

choice!(
    /// The least severe message that is logged; the names are those of Python's logging.
    LogLevel, "debug, info, warning, error or critical",
    /// Everything that helps to find a fault.
    Debug = "debug",
    /// What happens.
    Info = "info",
    /// What may become a fault.
    Warning = "warning" | "warn",
    /// What failed.
    Error = "error",
    /// As `error`: tracing knows nothing above it.
    Critical = "critical"
);

choice!(
    /// Something that is on or off.
    Switch, "on or off (true or false)",
    /// On.
    On = "on" | "true" | "1" | "yes",
    /// Off.
    Off = "off" | "false" | "0" | "no"
);

choice!(
    /// What runs the services of the development environment.
    Engine, "native or docker",
    /// Processes of this machine.
    Native = "native",
    /// The containers of `docker-compose.yml`.
    Docker = "docker"
);

choice!(
    /// The side of a picture of a feeling, in pixels.
    PictureSide, "512 or 1024",
    /// 512 pixels.
    Small = "512",
    /// 1024 pixels.
    Large = "1024"
);

impl PictureSide {
    /// Returns the number of pixels.
    pub fn pixels(self) -> u32 {
        match self {
            Self::Small => 512,
            Self::Large => 1024,
        }
    }
}

impl Switch {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(pub Vec<IpNet>);

impl Kind for Proxies {
    const TAKES: &'static str = "a comma list of addresses or networks (10.0.0.5, 172.16.0.0/12)";

    fn read(text: &str) -> Result<Self, String> {
        text.split(',')
            .map(str::trim)
            .filter(|a| !a.is_empty())
            .map(|a| {
                a.parse::<IpNet>()
                    .or_else(|_| a.parse::<IpAddr>().map(IpNet::from))
            })
            .collect::<Result<_, _>>()
            .map(Self)
            .map_err(|_| not::<Self>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_levels_are_read_in_any_case() {
        assert_eq!(LogLevel::read("WARNING"), Ok(LogLevel::Warning));
        assert_eq!(LogLevel::read("Critical"), Ok(LogLevel::Critical));
        assert_eq!(
            LogLevel::read("loud").unwrap_err(),
            "must be debug, info, warning, error or critical"
        );
    }

    #[test]
    fn trusted_proxies_are_addresses_or_networks() {
        assert_eq!(Proxies::read("10.0.0.5, 172.16.0.0/12").unwrap().0.len(), 2);
        assert!(Proxies::read("everyone").is_err());
    }
}
