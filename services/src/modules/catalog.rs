//! The modules of one kernel: who is meant by a name or an alias, and what is to be loaded
//! for it in which order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use init_core::modinfo::{canonical, canonical_pattern, name_of};
use init_core::module_index::{
    BadLine, Entry, Wishes, parse_alias, parse_builtin, parse_dep, parse_softdep,
};

use super::config::Config;
use super::kernel;
use crate::glob;
use crate::problem::{Problem, Result};

/// Longest list that is read, in bytes. Those of a kernel with every driver are some MiB.
const LIST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// How deep aliases of the configuration may lead from one to the next.
const ALIAS_DEPTH_MAX: u32 = 8;

/// The modules below `/lib/modules/RELEASE`, and what the configuration says of them.
#[derive(Debug, Default)]
pub struct Catalog {
    directory: PathBuf,
    entries: BTreeMap<String, Entry>,
    /// Patterns with `_` for `-`, and the module's name.
    aliases: Vec<(String, String)>,
    wishes: BTreeMap<String, Wishes>,
    config: Config,
}

/// What a name stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// These modules.
    Modules(Vec<String>),
    /// Something that is built into the kernel.
    BuiltIn,
    /// Nothing but modules that are to stay out.
    Blacklisted(Vec<String>),
    /// Nothing.
    Nothing,
}

/// One module to load.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Its file.
    pub file: PathBuf,
    /// The parameters that the configuration has for it.
    pub options: Vec<String>,
    /// Whether the others do without it.
    pub is_wish: bool,
}

impl Catalog {
    /// Reads the lists in `directory`. `None` if there is no `modules.dep`: the kernel has
    /// no modules.
    ///
    /// # Errors
    /// If a list cannot be read, or has a line that is none.
    pub fn open(directory: &Path, config: Config) -> Result<Option<Self>> {
        let Some(dep) = list(directory, "modules.dep")? else { return Ok(None) };
        let alias = list(directory, "modules.alias")?.unwrap_or_default();
        let softdep = list(directory, "modules.softdep")?.unwrap_or_default();
        let bad = |name: &'static str| {
            move |bad: BadLine| {
                let path = directory.join(name);
                Problem::new(format!("{}:{}:1: {}", path.display(), bad.line, bad.message))
                    .with_hint("the builder writes these lists; build the image again")
            }
        };
        let aliases = parse_alias(&text_of(&alias)).map_err(bad("modules.alias"))?;
        Ok(Some(Self {
            directory: directory.to_owned(),
            entries: parse_dep(&text_of(&dep)).map_err(bad("modules.dep"))?,
            aliases: aliases
                .into_iter()
                .map(|(pattern, module)| (canonical_pattern(&pattern), module))
                .collect(),
            wishes: parse_softdep(&text_of(&softdep)).map_err(bad("modules.softdep"))?,
            config,
        }))
    }

    /// What `word` stands for: an alias of the configuration, a module's name, an alias of
    /// modules, what is built in. With `blacklists_names` a module that is to stay out is not
    /// found by its name either.
    #[must_use]
    pub fn find(&self, word: &str, blacklists_names: bool) -> Found {
        let word = self.meant(word);
        match self.look_up(&word, blacklists_names) {
            Found::Nothing if self.is_built_in(&word) => Found::BuiltIn,
            found => found,
        }
    }

    /// The same for the alias of a device, for which what is built in needs nothing.
    #[must_use]
    pub fn find_driver(&self, alias: &str) -> Found {
        self.look_up(&self.meant(alias), true)
    }

    /// What the configuration's aliases make of a word.
    fn meant(&self, word: &str) -> String {
        let mut word = canonical(word);
        for _ in 0..ALIAS_DEPTH_MAX {
            let alias = self.config.aliases.iter().find(|(pattern, _)| matches(pattern, &word));
            match alias {
                Some((_, target)) if *target != word => word.clone_from(target),
                _ => break,
            }
        }
        word
    }

    fn look_up(&self, word: &str, blacklists_names: bool) -> Found {
        let is_out = |name: &str| self.config.blacklist.contains(name);
        if self.entries.contains_key(word) {
            return match blacklists_names && is_out(word) {
                true => Found::Blacklisted(vec![word.to_owned()]),
                false => Found::Modules(vec![word.to_owned()]),
            };
        }
        let mut names: Vec<String> = Vec::new();
        for (_, name) in self.aliases.iter().filter(|(pattern, _)| matches(pattern, word)) {
            if self.entries.contains_key(name) && !names.contains(name) {
                names.push(name.clone());
            }
        }
        let (out, names): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| is_out(name));
        if !names.is_empty() {
            Found::Modules(names)
        } else if !out.is_empty() {
            Found::Blacklisted(out)
        } else {
            Found::Nothing
        }
    }

    /// Whether `word` is the name or an alias of something that is built into the kernel.
    fn is_built_in(&self, word: &str) -> bool {
        let bytes = fs::read(self.directory.join("modules.builtin.modinfo")).unwrap_or_default();
        let all = parse_builtin(&bytes);
        let has_alias = |records: &Vec<(String, String)>| {
            records
                .iter()
                .any(|(key, value)| key == "alias" && matches(&canonical_pattern(value), word))
        };
        all.contains_key(word) || all.values().any(has_alias)
    }

    /// The file of a module.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        Some(self.directory.join(&self.entries.get(&canonical(name))?.path))
    }

    /// What is to be loaded for a module, in order, the module with it.
    #[must_use]
    pub fn plan(&self, name: &str) -> Vec<Step> {
        let mut steps = Vec::new();
        self.add(&canonical(name), false, &mut BTreeSet::new(), &mut steps);
        steps
    }

    fn add(&self, name: &str, is_wish: bool, seen: &mut BTreeSet<String>, steps: &mut Vec<Step>) {
        let Some(entry) = self.entries.get(name) else { return };
        if !seen.insert(name.to_owned()) {
            return;
        }
        let wishes = self.wishes.get(name).cloned().unwrap_or_default();
        self.add_wishes(&wishes.pre, seen, steps);
        for needed in entry.needs.iter().filter_map(|path| name_of(path)) {
            self.add(&needed, is_wish, seen, steps);
        }
        steps.push(Step {
            name: name.to_owned(),
            file: self.directory.join(&entry.path),
            options: self.config.options.get(name).cloned().unwrap_or_default(),
            is_wish,
        });
        self.add_wishes(&wishes.post, seen, steps);
    }

    fn add_wishes(&self, wishes: &[String], seen: &mut BTreeSet<String>, steps: &mut Vec<Step>) {
        for wish in wishes {
            if let Found::Modules(names) = self.find_driver(wish) {
                names.iter().for_each(|name| self.add(name, true, seen, steps));
            }
        }
    }

    /// What may be unloaded with a module: what it needs, what needs others first.
    #[must_use]
    pub fn needs(&self, name: &str) -> Vec<String> {
        let entry = self.entries.get(&canonical(name));
        let paths = entry.map_or(&[][..], |entry| &entry.needs);
        paths.iter().rev().filter_map(|path| name_of(path)).collect()
    }
}

/// Has the kernel load what [`Catalog::plan`] says, with further parameters for the module
/// itself, which is `name`.
///
/// # Errors
/// The first module that cannot be loaded, but for those that are mere wishes.
pub fn load(steps: &[Step], name: &str, parameters: &[String]) -> Result<()> {
    for step in steps.iter().filter(|step| !kernel::is_live(&step.name)) {
        let mut options = step.options.clone();
        if step.name == name {
            options.extend_from_slice(parameters);
        }
        match kernel::load(&step.file, &options) {
            Err(problem) if !step.is_wish => return Err(problem),
            _ => {}
        }
    }
    Ok(())
}

/// Whether a word matches a pattern. What stands before the first special character decides
/// most of the thousands that there are.
fn matches(pattern: &str, word: &str) -> bool {
    let plain = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
    let head = pattern.get(..plain).unwrap_or_default();
    word.starts_with(head) && glob::matches(pattern, word)
}

/// A list as bytes; `None` if it is not there.
fn list(directory: &Path, name: &str) -> Result<Option<Vec<u8>>> {
    let path = directory.join(name);
    let cannot =
        |error: io::Error| Problem::new(format!("cannot read `{}`: {error}", path.display()));
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
        Ok(metadata) if metadata.len() > LIST_BYTES_MAX => {
            let message = format!("`{}` is longer than {LIST_BYTES_MAX} bytes", path.display());
            return Err(Problem::new(message));
        }
        Ok(_) => {}
    }
    fs::read(&path).map(Some).map_err(cannot)
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(config: &str) -> (tempfile::TempDir, Catalog) {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in [
            (
                "modules.dep",
                "kernel/fs/vfat.ko: kernel/fs/fat.ko kernel/base.ko\nkernel/fs/fat.ko: kernel/base.ko\n\
                 kernel/base.ko:\nkernel/virtio-rng.ko:\nkernel/other-rng.ko:\nkernel/wish.ko:\n\
                 kernel/a.ko: kernel/b.ko\nkernel/b.ko: kernel/a.ko\n",
            ),
            (
                "modules.alias",
                "# from the modules\nalias fs-vfat vfat\nalias virtio:d00000004v* virtio_rng\n\
                 alias virtio:d0000000[4-5]v* other-rng\nalias gone:* gone\n",
            ),
            ("modules.softdep", "softdep fat pre: wish nothing post: virtio-rng\n"),
            ("modules.builtin.modinfo", "ext4.alias=fs-ext4\0ext4.license=GPL\0"),
        ] {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let mut parsed = Config::default();
        let mut findings = Vec::new();
        parsed.take("test", config, &mut findings);
        assert!(findings.is_empty());
        let catalog = Catalog::open(directory.path(), parsed).unwrap().unwrap();
        (directory, catalog)
    }

    fn modules(names: &[&str]) -> Found {
        Found::Modules(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn names_and_aliases_find_modules() {
        let (_directory, catalog) = catalog(
            "alias binding_? vfat\nalias loop loop\nalias fs-x fs-vfat\nalias a1 a2\nalias a2 a1\nalias b1 fs-ext4\n",
        );
        for (word, expected) in [
            ("vfat", modules(&["vfat"])),
            ("virtio-rng", modules(&["virtio_rng"])),
            ("fs-vfat", modules(&["vfat"])),
            ("fs_vfat", modules(&["vfat"])),
            ("fs-x", modules(&["vfat"])),
            ("binding-1", modules(&["vfat"])),
            ("virtio:d00000004v00001AF4", modules(&["virtio_rng", "other_rng"])),
            ("virtio:d00000006v00001AF4", Found::Nothing),
            ("a1", Found::Nothing),
            ("b1", Found::BuiltIn),
            ("ext4", Found::BuiltIn),
            ("fs-ext4", Found::BuiltIn),
            ("gone:1", Found::Nothing),
            ("loop", Found::Nothing),
            ("", Found::Nothing),
        ] {
            assert_eq!(catalog.find(word, false), expected, "{word}");
        }
    }

    #[test]
    fn a_blacklisted_module_is_found_by_its_name_alone() {
        let (_directory, catalog) = catalog("blacklist virtio-rng\nblacklist vfat\n");
        assert_eq!(catalog.find("virtio:d00000004v1", false), modules(&["other_rng"]));
        assert_eq!(catalog.find("fs-vfat", false), Found::Blacklisted(vec!["vfat".to_owned()]));
        assert_eq!(catalog.find("vfat", false), modules(&["vfat"]));
        assert_eq!(catalog.find("vfat", true), Found::Blacklisted(vec!["vfat".to_owned()]));
    }

    #[test]
    fn what_is_needed_comes_first_and_circles_end() {
        let (_directory, catalog) = catalog("options base x=1 y\n");
        let plan = |name: &str| -> Vec<String> {
            let steps = catalog.plan(name);
            steps
                .iter()
                .map(|step| format!("{}{}", step.name, ["", "?"][usize::from(step.is_wish)]))
                .collect()
        };
        assert_eq!(plan("vfat"), ["base", "wish?", "fat", "virtio_rng?", "vfat"]);
        assert_eq!(plan("a"), ["b", "a"]);
        assert_eq!(plan("nothing"), Vec::<String>::new());
        assert_eq!(catalog.plan("base")[0].options, ["x=1", "y"]);
        assert_eq!(catalog.needs("vfat"), ["fat", "base"]);
    }

    #[test]
    fn lists_that_are_not_there_or_damaged_are_told_apart() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Catalog::open(directory.path(), Config::default()).unwrap().is_none());
        fs::write(directory.path().join("modules.dep"), "kernel/a.ko:\n../../b.ko:\n").unwrap();
        let problem = Catalog::open(directory.path(), Config::default()).unwrap_err();
        assert!(problem.to_string().contains("modules.dep:2:1: "), "{problem}");
    }
}
