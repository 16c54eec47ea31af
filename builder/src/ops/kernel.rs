//! `builder kernel`: builds a kernel by itself, or explains one of its options.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Subcommand;

use crate::arch::Arch;
use crate::cache::Cache;
use crate::definition;
use crate::error::{Context, Error, Result};
use crate::image;
use crate::kernel::config::Config;
use crate::kernel::fragment::Merged;
use crate::kernel::kconfig::explain::explain;
use crate::kernel::kconfig::{Kconfig, Symbol};
use crate::kernel::source::SourceRequest;
use crate::kernel::{self, KernelRequest};
use crate::ops::image::host_arch;
use crate::project::Project;
use crate::shell::Shell;

/// Arguments of `builder kernel`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    build: BuildArgs,
}

/// What else `builder kernel` does.
#[derive(Debug, Subcommand)]
enum Command {
    /// Explain an option: its value, who sets it, what it depends on, why it was dropped
    Why(WhyArgs),
}

/// Arguments of building.
#[derive(Debug, clap::Args)]
struct BuildArgs {
    /// A name under images/, or the path of a definition [default: no image, all default fragments]
    #[arg(value_name = "IMAGE")]
    image: Option<String>,
    /// Configure and verify every option, but compile nothing
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    source: SourceArgs,
}

/// Arguments of `builder kernel why`.
#[derive(Debug, clap::Args)]
struct WhyArgs {
    /// The option, with or without CONFIG_
    option: String,
    /// Explain it in the kernel of this image [default: no image, all default fragments]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    #[command(flatten)]
    source: SourceArgs,
}

/// Which kernel, from which source.
#[derive(Debug, clap::Args)]
struct SourceArgs {
    /// The architecture [default: the host's]
    #[arg(long)]
    arch: Option<Arch>,
    /// A kernel source tree or tarball to use instead of the pinned release
    #[arg(long, value_name = "DIR|TARBALL")]
    kernel_source: Option<PathBuf>,
    /// Do not use the network
    #[arg(long)]
    offline: bool,
    /// Use the pinned release and nothing else
    #[arg(long)]
    locked: bool,
}

impl SourceArgs {
    fn request(&self, image: Option<&str>) -> Result<KernelRequest> {
        let arch = self.arch.map_or_else(host_arch, Ok)?;
        let project = Project::find()?;
        let source =
            SourceRequest::from_environment(self.kernel_source.clone(), self.offline, self.locked);
        match image {
            Some(name) => {
                let image = definition::load(&project, name)?;
                image.require_arch(arch).context(|| format!("image {}", image.name))?;
                image::kernel_request(&project, &image, arch, source)
            }
            None => Ok(KernelRequest {
                fragments: kernel::default_fragments(&project)?,
                project,
                arch,
                extra_options: Vec::new(),
                needs: Vec::new(),
                source,
            }),
        }
    }
}

/// Builds the kernel and prints the image's path, or explains an option.
///
/// # Errors
/// See [`kernel::build`].
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let cache = Cache::open()?;
    match &args.command {
        Some(Command::Why(args)) => why(shell, &cache, args),
        None => {
            let request = args.build.source.request(args.build.image.as_deref())?;
            if args.build.check {
                kernel::check(shell, &cache, &request)?;
                shell.note(format_args!("every option of the kernel for {} holds", request.arch));
                return Ok(());
            }
            let built = kernel::build(shell, &cache, &request)
                .context(|| format!("cannot build the kernel for {}", request.arch))?;
            shell.note(format_args!("Linux {} by {}", built.release, built.compiler));
            if let (Some(count), Some(directory)) = (built.module_count()?, &built.modules) {
                shell.note(format_args!("{count} modules in {}", directory.display()));
            }
            shell.data(&format!("{}\n", built.image.display()));
            Ok(())
        }
    }
}

fn why(shell: &Shell, cache: &Cache, args: &WhyArgs) -> Result<()> {
    let request = args.source.request(args.image.as_deref())?;
    let name = args.option.strip_prefix("CONFIG_").unwrap_or(&args.option);
    let plan = kernel::plan(shell, cache, &request)?;
    let config = match kernel::cached_config(cache, &plan)? {
        Some(config) => config,
        None => kernel::configure(shell, cache, &request, &plan)?,
    };
    let kconfig = kernel::read_kconfig(&plan.source.tree(shell, cache)?, request.arch);
    let Some(symbol) = kconfig.symbol(name) else {
        let explanation = explain(&kconfig, &config, name, "y");
        let error = Error::definition(format!(
            "Linux {} for {} has no option {name}",
            plan.source.record.version, request.arch
        ));
        return Err(match explanation.remedy {
            Some(remedy) => error.hint(remedy),
            None => error,
        });
    };
    shell.data(&report(name, symbol, &kconfig, &config, &plan.requested));
    Ok(())
}

/// What there is to say about an option, a line each.
fn report(
    name: &str,
    symbol: &Symbol,
    kconfig: &Kconfig,
    config: &Config,
    requested: &Merged,
) -> String {
    let mut text =
        format!("CONFIG_{name} is {}, a {}\n", config.value(name), symbol.option_type.keyword());
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        let _infallible = text.write_fmt(arguments).and_then(|()| text.write_char('\n'));
    };
    match requested.options.get(name) {
        Some(assignment) => {
            line(format_args!("requested: {} by {}", assignment.value, assignment.place))
        }
        None => line(format_args!("requested: by no fragment")),
    }
    for (earlier, _) in requested.overridden.iter().filter(|(earlier, _)| earlier.name == name) {
        line(format_args!("overridden: {} by {}", earlier.value, earlier.place));
    }
    for definition in &symbol.definitions {
        let prompt = definition.prompt.as_deref().unwrap_or("no prompt: set by other options only");
        line(format_args!("defined: {} ({prompt})", definition.place));
        let met = |met: Option<bool>| match met {
            Some(true) => "met",
            Some(false) => "not met",
            None => "decided by the compiler",
        };
        for (word, conditions) in
            [("depends on", &definition.depends), ("asked if", &definition.visible)]
        {
            for condition in conditions {
                let value = condition.expression.value(config);
                let met =
                    met(value.map(|value| value != kernel::kconfig::expression::Tristate::No));
                line(format_args!(
                    "  {word} {}: {met} ({})",
                    condition.expression, condition.place
                ));
            }
        }
    }
    for selection in symbol.selected_by.iter().filter(|one| config.value(&one.by) != "n") {
        let condition =
            selection.condition.as_ref().map(|one| format!(" if {one}")).unwrap_or_default();
        line(format_args!("selected: by {}{condition} ({})", selection.by, selection.place));
    }
    let wanted = requested.options.get(name).map(|assignment| assignment.value.as_str());
    if config.value(name) != wanted.unwrap_or("y") {
        let explanation = explain(kconfig, config, name, wanted.unwrap_or("y"));
        match wanted {
            Some(wanted) => line(format_args!("why not {wanted}: {}", explanation.cause)),
            None if explanation.is_met => line(format_args!("to set it: add CONFIG_{name}=y")),
            None => line(format_args!("to set it: {}", explanation.cause)),
        }
        if let Some(remedy) = explanation.remedy {
            line(format_args!("hint: add {remedy}"));
        }
    }
    text
}
