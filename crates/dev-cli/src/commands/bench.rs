use std::process::ExitCode;

use clap::{Args, ValueEnum};
use dev_env::verbs::bench::{self, Figure, Target, Unit};

use crate::context::Context;
use crate::printer::Lines;

/// Measure the service, reloads and this tool against baselines
///
/// Each baseline is measured on the same machine, and the databases are temporary.
/// After the build, `reload` takes most of an hour, and the other two take two minutes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo dev bench           all three
  cargo dev bench http --json > figures.json")]
pub(crate) struct Bench {
    /// Run only this benchmark [default: all]
    #[arg(value_enum)]
    what: Option<What>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// Measure the service over HTTP: requests per second, latency, memory
    Http,
    /// Measure edits with the engine of this checkout: time until they are live, lost requests, stale responses
    Reload,
    /// Measure this tool: `up` with an existing database, and `status`
    Tool,
}

impl Bench {
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<ExitCode> {
        let figures = context
            .or_stop(async { Ok(self.measure(context).await) })
            .await??;
        if self.json {
            context
                .printer
                .json(&serde_json::json!({ "figures": figures }))?;
            return Ok(ExitCode::SUCCESS);
        }
        context.printer.finish();
        let width = figures
            .iter()
            .map(|figure| figure.name.chars().count())
            .max()
            .unwrap_or(0);
        context.printer.data(&format!(
            "{:width$}  {:>12}  {:>12}  {:>5}",
            "", "measured", "target", "ratio"
        ))?;
        for figure in &figures {
            context.printer.data(&row(figure, width))?;
            context.printer.data(&format!("  {}", figure.compared))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    async fn measure(&self, context: &Context) -> anyhow::Result<Vec<Figure>> {
        let environment = context.environment().await?;
        let events = context.printer.events(Lines::Build);
        let asked = |what| self.what.is_none_or(|asked| asked == what);
        // First, while the tool is the one that was started: somebody may build another one meanwhile.
        let tool = match asked(What::Tool) {
            true => bench::tool(&environment, &std::env::current_exe()?, &events).await?,
            false => Vec::new(),
        };
        let http = match asked(What::Http) {
            true => bench::http(&environment, &events).await?,
            false => Vec::new(),
        };
        let reload = match asked(What::Reload) {
            true => {
                bench::reload(
                    &environment,
                    &std::env::current_exe()?,
                    context.engine().await?.kind(),
                    &events,
                )
                .await?
            }
            false => Vec::new(),
        };
        Ok([http, tool, reload].concat())
    }
}

/// A figure, its target, the first divided by the second, and whether that is enough.
fn row(figure: &Figure, width: usize) -> String {
    let measured = amount(figure.value, figure.unit);
    let target = match figure.target {
        Some(Target::AtLeast(wanted)) => format!("≥ {}", amount(wanted, figure.unit)),
        Some(Target::AtMost(wanted)) => format!("≤ {}", amount(wanted, figure.unit)),
        None => String::new(),
    };
    let ratio = figure
        .ratio()
        .map(|ratio| format!("{ratio:.2}"))
        .unwrap_or_default();
    let met = match figure.met() {
        Some(true) => "ok",
        Some(false) => "missed",
        None => "",
    };
    format!(
        "{:width$}  {measured:>12}  {target:>12}  {ratio:>5}  {met}",
        figure.name
    )
    .trim_end()
    .to_owned()
}

fn amount(value: f64, unit: Unit) -> String {
    match unit {
        Unit::PerSecond => format!("{value:.0}/s"),
        Unit::Milliseconds => format!("{value:.1} ms"),
        Unit::Megabytes => format!("{value:.1} MB"),
        Unit::Ratio => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        let figure = |value, unit, target| Figure {
            name: "GET /".to_owned(),
            value,
            unit,
            target,
            compared: String::new(),
        };
        for (figure, printed) in [
            (
                figure(13000.4, Unit::PerSecond, Some(Target::AtLeast(6500.0))),
                "GET /       13000/s      ≥ 6500/s   2.00  ok",
            ),
            (
                figure(0.85, Unit::Ratio, Some(Target::AtLeast(0.9))),
                "GET /          0.85        ≥ 0.90   0.94  missed",
            ),
            (
                figure(19.96, Unit::Megabytes, Some(Target::AtMost(20.0))),
                "GET /       20.0 MB     ≤ 20.0 MB   1.00  ok",
            ),
            (figure(7.0, Unit::Milliseconds, None), "GET /        7.0 ms"),
        ] {
            assert_eq!(row(&figure, 5), printed);
        }
    }
}
