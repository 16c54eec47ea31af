//! scratch
use builder::{arch::Arch, cache::Cache, project::Project, shell::Shell, userland::*, userland::workspace::*};
fn main() {
    let shell = Shell::new(false);
    let cache = Cache::open().unwrap();
    let project = Project::find().unwrap();
    let arch = if std::env::args().nth(1).as_deref() == Some("aarch64") { Arch::Aarch64 } else { Arch::X86_64 };
    let t = Toolchain::find(&shell, arch, false).unwrap();
    let u = Userland { shell: &shell, cache: &cache, project: &project, toolchain: &t, offline: false };
    let r = u.workspace(Package::Init, &["init"]);
    match r { Ok(r) => println!("{r:?}"), Err(e) => println!("{e}") }
    let names = service_binaries(project.root()).unwrap();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match u.workspace(Package::Services, &names) { Ok(r) => println!("{r:?}"), Err(e) => println!("{e}") }
}
