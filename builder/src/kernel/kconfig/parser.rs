//! Reads Kconfig files into a [`Kconfig`].
//!
//! Line by line, with a stack of the blocks around the current line. What it
//! does not know (macro assignments, `option`, `modules`) it passes over: the
//! kernel's own parser has already accepted these files.

use super::expression::{self, Expression, Token, tokenize};
use super::{Condition, Definition, Kconfig, KconfigPlace, OptionType, Selection};

/// How deep files may source each other; the kernel needs about ten.
const SOURCE_DEPTH: usize = 32;
/// A tab stops at multiples of this many columns.
const TAB_WIDTH: usize = 8;

/// Reads the tree whose top file is `Kconfig`. `read` gives the text of a file
/// by its path from the top of the tree, `source_arch` is the value of `$(SRCARCH)`.
#[must_use]
pub fn parse(source_arch: &str, read: &dyn Fn(&str) -> Option<String>) -> Kconfig {
    let mut parser = Parser {
        kconfig: Kconfig::default(),
        blocks: Vec::new(),
        entry: Entry::None,
        source_arch,
        read,
    };
    parser.file("Kconfig", 0);
    parser.kconfig
}

/// What is around the current line.
#[derive(Default)]
struct Block {
    depends: Vec<Condition>,
    visible: Vec<Condition>,
    choice: Option<usize>,
}

/// What the attributes on the current line belong to.
enum Entry {
    None,
    /// The last definition of this option.
    Option(String),
    /// The innermost block.
    Block,
}

struct Parser<'a> {
    kconfig: Kconfig,
    blocks: Vec<Block>,
    entry: Entry,
    source_arch: &'a str,
    read: &'a dyn Fn(&str) -> Option<String>,
}

impl Parser<'_> {
    fn file(&mut self, path: &str, depth: usize) {
        let Some(text) = (self.read)(path).filter(|_| depth < SOURCE_DEPTH) else { return };
        let mut lines = text.lines().zip(1_u32..).peekable();
        while let Some((line, number)) = lines.next() {
            let mut joined = line.to_owned();
            while let Some(before) = joined.strip_suffix('\\') {
                let next = lines.next().map_or("", |(line, _)| line);
                joined = format!("{before} {next}");
            }
            let trimmed = joined.trim_start();
            let (keyword, rest) =
                trimmed.split_once(|c: char| c.is_whitespace()).unwrap_or((trimmed, ""));
            if keyword == "help" || keyword == "---help---" {
                skip_help(&mut lines);
                continue;
            }
            let place = KconfigPlace { file: path.to_owned(), line: number };
            if matches!(keyword, "source" | "rsource" | "osource" | "orsource") {
                if let Some(target) = self.source_path(path, keyword, rest) {
                    self.file(&target, depth + 1);
                }
                self.entry = Entry::None;
            } else {
                self.statement(keyword, rest, place);
            }
        }
    }

    fn source_path(&self, from: &str, keyword: &str, rest: &str) -> Option<String> {
        let name = rest.trim().trim_matches('"').replace("$(SRCARCH)", self.source_arch);
        if !matches!(keyword, "rsource" | "orsource") {
            return Some(name);
        }
        Some(
            from.rsplit_once('/')
                .map_or(name.clone(), |(directory, _)| format!("{directory}/{name}")),
        )
    }

    fn statement(&mut self, keyword: &str, rest: &str, place: KconfigPlace) {
        let tokens = tokenize(rest);
        match keyword {
            "config" | "menuconfig" => self.begin_option(&tokens, place),
            "if" => {
                let depends = condition(&tokens, &place).into_iter().collect();
                self.blocks.push(Block { depends, ..Block::default() });
                self.entry = Entry::None;
            }
            "menu" => {
                self.blocks.push(Block::default());
                self.entry = Entry::Block;
            }
            "choice" => {
                self.kconfig.choices.push(Vec::new());
                let choice = Some(self.kconfig.choices.len() - 1);
                self.blocks.push(Block { choice, ..Block::default() });
                self.entry = Entry::Block;
            }
            "endif" | "endmenu" | "endchoice" => {
                self.blocks.pop();
                self.entry = Entry::None;
            }
            "comment" | "mainmenu" => self.entry = Entry::None,
            _ => self.attribute(keyword, &tokens, place),
        }
    }

    fn begin_option(&mut self, tokens: &[Token], place: KconfigPlace) {
        let [Token::Word(name), ..] = tokens else { return };
        let mut definition = Definition {
            place,
            prompt: None,
            depends: Vec::new(),
            visible: Vec::new(),
            choice: None,
        };
        for block in &self.blocks {
            definition.depends.extend(block.depends.iter().cloned());
            definition.visible.extend(block.visible.iter().cloned());
            definition.choice = block.choice.or(definition.choice);
        }
        if let Some(members) =
            definition.choice.and_then(|index| self.kconfig.choices.get_mut(index))
        {
            members.push(name.clone());
        }
        self.kconfig.symbols.entry(name.clone()).or_default().definitions.push(definition);
        self.entry = Entry::Option(name.clone());
    }

    fn attribute(&mut self, keyword: &str, tokens: &[Token], place: KconfigPlace) {
        let after = |word: &str| match tokens {
            [Token::Word(first), rest @ ..] if first == word => condition(rest, &place),
            _ => None,
        };
        match (keyword, &self.entry) {
            ("depends", Entry::Block) => self.extend_block(after("on"), None),
            ("visible", Entry::Block) => self.extend_block(None, after("if")),
            // A choice's own prompt hides its members as a menu would.
            ("prompt" | "bool" | "tristate", Entry::Block) => {
                self.extend_block(None, trailing_if(tokens, &place));
            }
            ("depends", Entry::Option(_)) => {
                let depends = after("on");
                if let Some(definition) = self.definition() {
                    definition.depends.extend(depends);
                }
            }
            ("select" | "imply", Entry::Option(by)) => {
                if let [Token::Word(target), ..] = tokens {
                    let selection = Selection {
                        by: by.clone(),
                        condition: trailing_if(tokens, &place)
                            .map(|condition| condition.expression),
                        place,
                    };
                    self.kconfig
                        .symbols
                        .entry(target.clone())
                        .or_default()
                        .selected_by
                        .push(selection);
                }
            }
            (_, Entry::Option(_)) => self.type_or_prompt(keyword, tokens, &place),
            _ => {}
        }
    }

    fn type_or_prompt(&mut self, keyword: &str, tokens: &[Token], place: &KconfigPlace) {
        let option_type = match keyword {
            "bool" | "def_bool" => Some(OptionType::Bool),
            "tristate" | "def_tristate" => Some(OptionType::Tristate),
            "string" => Some(OptionType::String),
            "int" => Some(OptionType::Int),
            "hex" => Some(OptionType::Hex),
            "prompt" => None,
            _ => return,
        };
        let is_default = keyword.starts_with("def_");
        if let Entry::Option(name) = &self.entry
            && let Some(option_type) = option_type
            && let Some(symbol) = self.kconfig.symbols.get_mut(name)
        {
            symbol.option_type = option_type;
        }
        if let (false, [Token::Quoted(text), ..]) = (is_default, tokens)
            && let Some(definition) = self.definition()
        {
            definition.prompt = Some(text.trim_matches('"').to_owned());
            definition.visible.extend(trailing_if(tokens, place));
        }
    }

    fn extend_block(&mut self, depends: Option<Condition>, visible: Option<Condition>) {
        if let Some(block) = self.blocks.last_mut() {
            block.depends.extend(depends);
            block.visible.extend(visible);
        }
    }

    fn definition(&mut self) -> Option<&mut Definition> {
        let Entry::Option(name) = &self.entry else { return None };
        self.kconfig.symbols.get_mut(name)?.definitions.last_mut()
    }
}

fn condition(tokens: &[Token], place: &KconfigPlace) -> Option<Condition> {
    let expression: Expression = expression::parse(&mut &tokens[..])?;
    Some(Condition { expression, place: place.clone() })
}

/// The condition after `if` at the end of an attribute.
fn trailing_if(tokens: &[Token], place: &KconfigPlace) -> Option<Condition> {
    let index = tokens.iter().position(|token| *token == Token::Word("if".into()))?;
    condition(tokens.get(index + 1..)?, place)
}

/// Skips a help text: it ends before the first line that is indented less than
/// its first line.
fn skip_help<'a>(lines: &mut std::iter::Peekable<impl Iterator<Item = (&'a str, u32)>>) {
    let mut indentation = None;
    while let Some((line, _)) = lines.peek() {
        if !line.trim().is_empty() {
            let columns = columns(line);
            if columns < *indentation.get_or_insert(columns) || columns == 0 {
                return;
            }
        }
        lines.next();
    }
}

fn columns(line: &str) -> usize {
    line.chars().take_while(|c| c.is_whitespace()).fold(0, |column, character| match character {
        '\t' => (column / TAB_WIDTH + 1) * TAB_WIDTH,
        _ => column + 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kconfig(files: &[(&str, &str)]) -> Kconfig {
        parse("x86", &|path| {
            files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
        })
    }

    fn depends(kconfig: &Kconfig, name: &str) -> Vec<String> {
        let definition = &kconfig.symbol(name).unwrap().definitions[0];
        definition.depends.iter().map(|one| format!("{} {}", one.expression, one.place)).collect()
    }

    #[test]
    fn blocks_around_an_option_are_its_dependencies() {
        let top = "source \"arch/$(SRCARCH)/Kconfig\"\nif NET\nmenu \"m\"\n\tdepends on PCI && \\\n\
                   \t\tACPI\n\tvisible if EXPERT\nconfig INNER\n\ttristate \"inner\" if BLOCK\n\
                   \tdepends on !UML\n\thelp\n\t  config NOT_ME\n\n\t  if x\n\tselect CRC if MMU\n\
                   endmenu\nendif\nconfig OUTER\n\tdef_bool y\n";
        let kconfig =
            kconfig(&[("Kconfig", top), ("arch/x86/Kconfig", "config X86\n\tdef_bool y\n")]);
        assert_eq!(
            depends(&kconfig, "INNER"),
            ["NET Kconfig:2", "PCI && ACPI Kconfig:4", "!UML Kconfig:9"]
        );
        let inner = &kconfig.symbol("INNER").unwrap();
        assert_eq!(inner.option_type, OptionType::Tristate);
        let definition = &inner.definitions[0];
        assert_eq!(definition.prompt.as_deref(), Some("inner"));
        let visible: Vec<String> =
            definition.visible.iter().map(|one| one.expression.to_string()).collect();
        assert_eq!(visible, ["EXPERT", "BLOCK"]);
        assert!(depends(&kconfig, "OUTER").is_empty());
        assert!(kconfig.symbol("X86").is_some(), "the sourced file was read");
        assert!(kconfig.symbol("NOT_ME").is_none(), "a help text defines nothing");
        assert!(kconfig.symbol("CRC").is_none(), "selecting defines nothing");
    }

    #[test]
    fn choices_know_their_members() {
        let top = "choice\n\tprompt \"c\"\n\tdefault A\n\tdepends on NET\nconfig A\n\tbool \"a\"\n\
                   if X\nconfig B\n\tbool \"b\"\nendif\nendchoice\nconfig C\n\tbool \"c\"\n";
        let kconfig = kconfig(&[("Kconfig", top)]);
        let choice = kconfig.symbol("B").unwrap().definitions[0].choice.unwrap();
        assert_eq!(kconfig.choice(choice), ["A", "B"]);
        assert_eq!(depends(&kconfig, "B"), ["NET Kconfig:4", "X Kconfig:7"]);
        assert_eq!(kconfig.symbol("C").unwrap().definitions[0].choice, None);
    }

    #[test]
    fn files_that_source_each_other_end() {
        let kconfig = kconfig(&[("Kconfig", "config A\n\tbool\nsource \"Kconfig\"\n")]);
        assert_eq!(kconfig.symbol("A").unwrap().definitions.len(), SOURCE_DEPTH);
    }

    #[test]
    fn relative_sources_start_at_the_file_that_names_them() {
        let kconfig = kconfig(&[
            ("Kconfig", "source \"a/Kconfig\"\nosource \"missing\"\n"),
            ("a/Kconfig", "rsource \"b/Kconfig\"\n"),
            ("a/b/Kconfig", "config DEEP\n\tbool \"deep\"\n"),
        ]);
        assert!(kconfig.symbol("DEEP").is_some());
    }
}
