//! What can be proven of an image without building it.

use init_core::diagnostic::Finding;

use crate::arch::Arch;
use crate::cache::Cache;
use crate::definition::Image;
use crate::elf;
use crate::error::{Error, Result};
use crate::format::ext4;
use crate::kernel::source::SourceRequest;
use crate::kernel::{self, KernelRequest};
use crate::project::Project;
use crate::shell::Shell;
use crate::tree::FileTree;
use crate::userland::workspace::service_binaries;

use super::compose::compose;
use super::descriptions::{self, Description, Verdict};
use super::packages::{self, Access, Packages};
use super::programs::{self, BuiltProgram, Program};
use super::{disk_room, esp, modules, parameters, root, secrets};

/// An image's parts for one architecture and the tree they make, in which
/// programs that are built are empty files.
#[derive(Debug)]
pub struct Plan {
    /// The services that the definition names.
    pub descriptions: Vec<Description>,
    /// The programs that will be built.
    pub programs: Vec<Program>,
    /// The packages that are taken from.
    pub packages: Packages,
    /// The tree.
    pub tree: FileTree,
    /// What PID 1 will say of the services.
    pub verdict: Verdict,
    /// What keeps the outputs from being made, whatever the programs are.
    pub output_findings: Vec<Finding>,
}

/// Works out what an image is made of and checks its services, as PID 1 will see them.
///
/// # Errors
/// If the parts do not go together. What is wrong with services is in the verdict.
pub fn plan(project: &Project, image: &Image, arch: Arch, packages: Packages) -> Result<Plan> {
    let descriptions = descriptions::find(project, image)?;
    let available = service_binaries(project.root())?;
    let programs = programs::of_image(image, &descriptions, &available)?;
    let unbuilt: Vec<BuiltProgram> = programs
        .iter()
        .map(|program| BuiltProgram { program: program.clone(), file: None })
        .collect();
    let tree = compose(project, image, arch, &descriptions, &unbuilt, &packages)?;
    let verdict = descriptions::check(project, &tree)?;
    secrets::check(&tree)?;
    if image.has_root() {
        ext4::check_tree(&tree)?;
    }
    let content = "its files, before any program is added";
    let output_findings = root::shortage(image, &tree, content)?
        .into_iter()
        .chain(disk_room::shortage(image, arch, &tree, content)?)
        .chain(esp::shortage(image, &[])?)
        .chain(parameters::finding(image))
        .chain(parameters::missing_root(image))
        .chain(parameters::boot_configuration_findings(image, arch))
        .collect();
    Ok(Plan { descriptions, programs, packages, tree, verdict, output_findings })
}

/// What [`check`] looked at and found.
#[derive(Debug, Default)]
pub struct Report {
    /// What is wrong in files.
    pub findings: Vec<Finding>,
    /// What is wrong with files of the tree.
    pub problems: Vec<String>,
    /// What works but is hardly meant.
    pub warnings: Vec<Finding>,
    /// What could not be checked, and why.
    pub skipped: Vec<String>,
}

/// Checks definition, services, the ELF files that are not built, and the
/// kernel's options if its source is on this host. Packages are fetched unless
/// `access` forbids it.
///
/// # Errors
/// If the parts do not go together.
pub fn check(
    shell: &Shell,
    cache: &Cache,
    project: &Project,
    image: &Image,
    arch: Arch,
    source: SourceRequest,
    access: Access,
) -> Result<Report> {
    let mut report = Report::default();
    let request = super::kernel_request(project, image, arch, source)?;
    match fetch_packages(shell, cache, project, image, arch, access) {
        Ok(packages) => check_tree(project, image, &request, packages, &mut report)?,
        // Without them, all that needs their files would be found wrong.
        Err(error) if access.is_offline => report.skipped.push(format!("its tree: {error}")),
        Err(error) => return Err(error),
    }
    check_kernel(shell, cache, image, &request, &mut report)?;
    Ok(report)
}

fn fetch_packages(
    shell: &Shell,
    cache: &Cache,
    project: &Project,
    image: &Image,
    arch: Arch,
    access: Access,
) -> Result<Packages> {
    let lock = packages::lock(shell, cache, project, image, access)?;
    packages::fetch(shell, cache, image, &lock, arch, access)
}

fn check_tree(
    project: &Project,
    image: &Image,
    request: &KernelRequest,
    packages: Packages,
    report: &mut Report,
) -> Result<()> {
    let arch = request.arch;
    let plan = plan(project, image, arch, packages)?;
    report.warnings.extend(modules::without_loader(&kernel::requested(request)?, &plan.tree)?);
    report.findings.extend(plan.verdict.errors);
    report.warnings.extend(plan.verdict.warnings);
    report.findings.extend(plan.output_findings);
    let problems = elf::closure::check(&plan.tree, image.machines(arch))?;
    report.problems.extend(problems.iter().map(ToString::to_string));
    Ok(())
}

fn check_kernel(
    shell: &Shell,
    cache: &Cache,
    image: &Image,
    request: &KernelRequest,
    report: &mut Report,
) -> Result<()> {
    let plan = match kernel::plan(shell, cache, request) {
        Ok(plan) => plan,
        Err(error) if error.kind() == crate::error::Kind::Definition => return Err(error),
        Err(error) => {
            report.skipped.push(format!("kernel options: {error}"));
            return Ok(());
        }
    };
    if let Some(kernel) = kernel::cached_image(cache, &plan) {
        let shortage = esp::shortage(image, &[(request.arch, &kernel)])?;
        // Too small for any file is known already, and said at the same place.
        let is_new =
            |finding: &Finding| !report.findings.iter().any(|known| known.place == finding.place);
        report.findings.extend(shortage.filter(is_new));
    }
    let config = match kernel::cached_config(cache, &plan)? {
        // Verified when it was made, but perhaps for something that needs less.
        Some(config) if kernel::verify::missed(&plan.needed, &config).is_empty() => return Ok(()),
        Some(config) => config,
        None => {
            let step = shell.step(format!("configure Linux {}", plan.source.record.version));
            let config = kernel::configure(shell, cache, request, &plan)?;
            step.done("");
            config
        }
    };
    let kconfig = kernel::read_kconfig(&plan.source.tree(shell, cache)?, request.arch);
    report.findings.extend(kernel::findings(&plan, &config, &kconfig));
    Ok(())
}

impl Report {
    /// The error that it amounts to, if anything is wrong.
    ///
    /// # Errors
    /// With everything that is wrong.
    pub fn into_result(self, what: String) -> Result<()> {
        if self.findings.is_empty() && self.problems.is_empty() {
            return Ok(());
        }
        let mut what = what;
        for problem in &self.problems {
            what.push('\n');
            what.push_str(problem);
        }
        Err(Error::findings(what, self.findings))
    }
}
