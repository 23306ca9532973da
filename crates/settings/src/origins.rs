use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::Kind;

/// Web origins that may call (RFC 6454): exact ones, custom schemes included, or any port of a host (`http://localhost:*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// Returns whether a request's `Origin` header matches.
    pub fn allow(&self, origin: &str) -> bool {
        self.0
            .iter()
            .any(|allowed| match allowed.strip_suffix(":*") {
                Some(any_port) => origin.strip_prefix(any_port).is_some_and(|rest| {
                    rest.is_empty()
                        || rest
                            .strip_prefix(':')
                            .is_some_and(|port| port.parse::<u16>().is_ok())
                }),
                None => allowed == origin,
            })
    }

    /// Adds any port of a host.
    #[must_use]
    pub fn with_any_port_of(mut self, host: impl fmt::Display) -> Self {
        let origin = format!("http://{host}:*");
        if !self.0.contains(&origin) {
            self.0.push(origin);
        }
        self
    }
}

/// The notation of the setting.
impl fmt::Display for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl Kind for Origins {
    const TAKES: &'static str = "origins (scheme://host or scheme://host:port, where the port may be *), separated by commas or as a JSON list";

    fn read(text: &str) -> Result<Self, String> {
        let origins: Vec<String> = if text.trim_start().starts_with('[') {
            serde_json::from_str(text).map_err(|_| {
                format!(
                    "begins with [ but is not a JSON list of strings: it must be {}",
                    Self::TAKES
                )
            })?
        } else {
            text.split(',')
                .map(str::trim)
                .filter(|origin| !origin.is_empty())
                .map(str::to_owned)
                .collect()
        };
        let origins: Vec<String> = origins.into_iter().map(without_slash).collect();
        match origins
            .iter()
            .find_map(|origin| Some((origin, rule(origin).err()?)))
        {
            Some((origin, rule)) => Err(format!(
                "has \"{origin}\", which no browser sends as an origin: {rule}"
            )),
            None => Ok(Self(origins)),
        }
    }
}

/// One slash at the end is what an address has when it is copied.
fn without_slash(origin: String) -> String {
    match origin.strip_suffix('/') {
        Some(shorter) if !shorter.ends_with('/') => shorter.to_owned(),
        _ => origin,
    }
}

/// The form in which browsers write an origin (<https://html.spec.whatwg.org/#ascii-serialisation-of-an-origin>).
fn rule(origin: &str) -> Result<(), &'static str> {
    if origin == "*" {
        return Err("calls carry credentials, so each origin is named");
    }
    if origin == "null" {
        return Err("null stands for every page that has no origin");
    }
    if origin.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("it must have no blanks");
    }
    let Some((scheme, authority)) = origin.split_once("://") else {
        return Err("it must begin with a scheme, as in https://app.example");
    };
    if scheme.contains(|c: char| c.is_ascii_uppercase()) {
        return Err("the scheme must be in lower case");
    }
    let is_scheme = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) || !scheme.chars().all(is_scheme) {
        return Err("the scheme must be of letters, digits, +, - and .");
    }
    if authority.contains(['/', '?', '#', '\\']) {
        return Err("it must have no path");
    }
    if authority.contains('@') {
        return Err("it must have no user");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    match (scheme, port) {
        (_, None | Some("*")) => {}
        ("http", Some("80")) | ("https", Some("443")) => {
            return Err("browsers leave out the default port");
        }
        (_, Some(port))
            if port.starts_with('0')
                || !port.bytes().all(|b| b.is_ascii_digit())
                || port.parse::<u16>().is_err() =>
        {
            return Err("the port must be a number from 1 to 65535, or * for any");
        }
        _ => {}
    }
    if host.contains('*') {
        return Err("only the port may be *");
    }
    // Applications choose the hosts of their own schemes: `app://.`, `file://`.
    if matches!(scheme, "http" | "https") {
        is_host(host)
    } else {
        Ok(())
    }
}

fn is_host(host: &str) -> Result<(), &'static str> {
    if host.is_empty() {
        return Err("it must have a host");
    }
    if !host.is_ascii() {
        return Err("the host must be in its ASCII form (xn--…)");
    }
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').unwrap_or_default();
        let is_written_so = address
            .parse::<Ipv6Addr>()
            .is_ok_and(|read| written(read) == address);
        return if is_written_so {
            Ok(())
        } else {
            Err("an IPv6 address must be in its shortest form, in lower case, between [ and ]")
        };
    }
    if host.contains(|c: char| c.is_ascii_uppercase()) {
        return Err("the host must be in lower case");
    }
    if !host
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
        || host.starts_with('.')
        || host.contains("..")
    {
        return Err("the host must be a name or an address");
    }
    // Browsers treat a host that ends with a number as an IPv4 address, and write it in full.
    let is_number = host
        .rsplit('.')
        .next()
        .is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()));
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err("an IPv4 address must have four numbers");
    }
    Ok(())
}

/// Formats an IPv6 address like browsers: unlike Rust's `Display`, never with an embedded IPv4 address.
fn written(address: Ipv6Addr) -> String {
    let [.., a, b] = address.segments();
    match address.to_ipv4_mapped() {
        Some(_) => format!("::ffff:{a:x}:{b:x}"),
        None => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_allowed_as_written_or_on_any_port() {
        let o = Origins::read(
            "http://localhost:*, capacitor://localhost,ionic://localhost,https://app.example,",
        )
        .unwrap();
        for yes in [
            "http://localhost:3000",
            "http://localhost",
            "capacitor://localhost",
            "ionic://localhost",
            "https://app.example",
        ] {
            assert!(o.allow(yes), "{yes}");
        }
        for no in [
            "http://localhost:3000.evil.example",
            "http://localhost.evil.example",
            "http://localhost:",
            "https://localhost:3000",
            "capacitor://localhost:1",
            "null",
            "",
        ] {
            assert!(!o.allow(no), "{no}");
        }
    }

    #[test]
    fn a_json_list_of_origins_is_read_like_in_the_python_backend() {
        let listed = Origins::read("http://a.example,https://b.example:8443").unwrap();
        for text in [
            r#"["http://a.example","https://b.example:8443"]"#,
            " [ \"http://a.example\" ,\n \"https://b.example:8443\" ] ",
            r#"["http:\/\/a.example", "https://b.example:8443"]"#,
        ] {
            assert_eq!(Origins::read(text), Ok(listed.clone()), "{text}");
        }
        assert_eq!(Origins::read("[]"), Ok(Origins(Vec::new())));
        for (text, why) in [
            ("[http://a.example]", "is not a JSON list of strings"),
            (r#"["http://a.example""#, "is not a JSON list of strings"),
            (
                r#"["http://a.example", 7]"#,
                "is not a JSON list of strings",
            ),
            (r#"["http://a.example//"]"#, "it must have no path"),
            (r#"[""]"#, "must begin with a scheme"),
            (r#""http://a.example""#, "the scheme must be of"),
        ] {
            let refused = Origins::read(text).unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn an_origin_that_no_browser_sends_is_refused_with_the_rule() {
        for (origin, rule) in [
            ("*", "each origin is named"),
            ("null", "has no origin"),
            ("http://a b.example", "no blanks"),
            ("app.example", "begin with a scheme"),
            ("localhost:3000", "begin with a scheme"),
            ("//app.example", "begin with a scheme"),
            ("HTTPS://app.example", "the scheme must be in lower case"),
            ("1a://app.example", "the scheme must be of"),
            ("https://app.example/path", "no path"),
            ("https://app.example//", "no path"),
            ("https://app.example?x", "no path"),
            ("https://app.example#x", "no path"),
            ("https://ann@app.example", "no user"),
            ("http://app.example:80", "default port"),
            ("https://app.example:443", "default port"),
            ("https://app.example:", "the port must be"),
            ("https://app.example:0", "the port must be"),
            ("https://app.example:08000", "the port must be"),
            ("https://app.example:+1", "the port must be"),
            ("https://app.example:65536", "the port must be"),
            ("https://app.example:80*", "the port must be"),
            ("https://*.example", "only the port"),
            ("https://", "have a host"),
            ("https://:8000", "have a host"),
            ("https://bücher.example", "ASCII form"),
            ("https://App.example", "the host must be in lower case"),
            ("https://app..example", "a name or an address"),
            ("https://app,example", "a name or an address"),
            ("https://app%2eexample", "a name or an address"),
            ("http://127.1", "four numbers"),
            ("http://[::1", "IPv6"),
            ("http://[0:0:0:0:0:0:0:1]", "IPv6"),
            ("http://[::FFFF]", "IPv6"),
            ("http://[::ffff:1.2.3.4]", "IPv6"),
        ] {
            let refused = rule_of(origin);
            assert!(refused.contains(rule), "{origin}: {refused}");
        }
        for origin in [
            "http://localhost",
            "https://localhost",
            "http://127.0.0.1:*",
            "http://[::1]:8100",
            "http://[::ffff:102:304]",
            "https://xn--bcher-kva.example:8443",
            "https://app.example:80",
            "http://my_host.local.",
            "chrome-extension://abcdef",
            "com.example.app://localhost",
            "app://.",
            "app://-",
            "file://",
            "app://my,host",
        ] {
            assert_eq!(rule(origin), Ok(()), "{origin}");
        }
    }

    fn rule_of(origin: &str) -> &'static str {
        rule(origin).err().unwrap_or("accepted")
    }

    #[test]
    fn one_slash_at_the_end_is_ignored() {
        for text in [
            "https://app.example/,app://./",
            r#"["https://app.example/", "app://./"]"#,
        ] {
            let origins = Origins::read(text).unwrap();
            assert!(
                origins.allow("https://app.example") && origins.allow("app://."),
                "{origins}"
            );
        }
        for text in [
            "https://app.example//",
            "https:///",
            "https://app.example/path/",
        ] {
            assert!(Origins::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_lan_host_is_added_to_the_origins_once() {
        let o = Origins::read(r#"["https://app.example"]"#)
            .unwrap()
            .with_any_port_of("192.168.1.20")
            .with_any_port_of("192.168.1.20");
        assert_eq!(o.to_string(), "https://app.example,http://192.168.1.20:*");
        assert_eq!(Origins::read(&o.to_string()), Ok(o));
    }
}
