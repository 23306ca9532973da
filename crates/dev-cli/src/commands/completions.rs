use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

/// Print a completion script for a shell
///
/// The script defines a function `dev` that runs `cargo dev`, and completes that function.
/// Shells complete the arguments of `cargo` by a script of cargo.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  echo 'eval \"$(cd ~/EmotionVisualizer && cargo dev completions bash)\"' >> ~/.bashrc
  cargo dev completions fish > ~/.config/fish/conf.d/dev.fish")]
pub(crate) struct Completions {
    /// Print the script for this shell
    #[arg(value_parser = ["bash", "zsh", "fish", "powershell"])]
    shell: String,
}

impl Completions {
    pub(crate) fn run(self, command: &mut clap::Command) -> anyhow::Result<ExitCode> {
        let shell: Shell = self.shell.parse().map_err(anyhow::Error::msg)?;
        let mut script = Vec::new();
        clap_complete::generate(shell, command, "dev", &mut script);
        let function = match shell {
            Shell::Fish => "function dev; cargo dev $argv; end\n",
            Shell::PowerShell => "function dev { cargo dev @args }\n",
            _ => "dev() { cargo dev \"$@\"; }\n",
        };
        let script = String::from_utf8(script)?;
        // PowerShell wants its `using` lines before anything else; zsh its #compdef line.
        let before = matches!(shell, Shell::PowerShell | Shell::Zsh);
        let text = if before {
            format!("{script}\n{function}")
        } else {
            format!("{function}\n{script}")
        };
        std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }
}
